//! Wires logd to rings, calls and the console; no logic.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use libhybrid::interfaces::console::{OutputClientRings, OutputRings};
use libhybrid::interfaces::log::{Level, ReaderServer, SinkRings};
use libhybrid::ipc::{Dispatch, Incoming, Outgoing};
use libhybrid::{Component, Env, PeerChange, PeerNews, SessionHandle, now_ns};
use logd::{Logd, STORE_LIMIT};

libhybrid::component!(run);

fn run(env: Env) -> ! {
    let console = env.session("console");
    let Ok(output) = OutputRings::client(console.region()) else {
        panic!("the console's region is not as its interface says");
    };
    let mut logd = Logd::new(STORE_LIMIT, env.name());
    let now = now_ns();
    logd.note(Level::Info, &alloc::format!("{} {}", env.start().product, env.start().version), now);
    let mut writers = Vec::new();
    for session in env.provided("sink") {
        match SinkRings::server(session.region()) {
            Ok(rings) => {
                logd.add_sink(session.name, rings);
                writers.push(session);
            }
            Err(_) => logd.note(Level::Error, &alloc::format!("{} has no usable ring", session.name), now),
        }
    }
    let reader_index = env.interface_index("reader");
    let server = ReaderServer::new(logd);
    let mut wiring = Wiring { server, reader_index, writers, console, output, is_console_lost: false };
    wiring.work();
    env.serve(&mut wiring)
}

struct Wiring {
    server: ReaderServer<Logd>,
    reader_index: u8,
    writers: Vec<SessionHandle>,
    console: SessionHandle,
    output: OutputClientRings,
    is_console_lost: bool,
}

impl Wiring {
    fn work(&mut self) {
        let writers = &self.writers;
        self.server.server.collect(now_ns(), |place| {
            if let Some(writer) = writers.get(place) {
                writer.bell.ring();
            }
        });
        self.print();
    }

    fn print(&mut self) {
        if self.is_console_lost {
            return;
        }
        let (output, is_lost) = (&mut self.output.output, &mut self.is_console_lost);
        self.server.server.print(|piece| {
            // False: there is no room, and a bell comes when there is.
            output.push_or_ask(piece).unwrap_or_else(|_| {
                *is_lost = true;
                false
            })
        });
        self.console.bell.ring_if(output.publish());
        if self.is_console_lost {
            self.server.server.note(
                Level::Error,
                "the console broke its session: nothing is printed any more",
                now_ns(),
            );
        }
    }
}

impl Component for Wiring {
    fn on_call(&mut self, incoming: &Incoming, outgoing: &mut Outgoing) {
        if incoming.badge().interface() == self.reader_index {
            self.server.dispatch(incoming, outgoing);
        }
    }

    fn on_bell(&mut self, _bits: u64) {
        self.work();
    }

    fn on_peer(&mut self, change: &PeerChange) {
        if let Some((client, news)) = change.of_client("sink") {
            if let Some(place) = self.writers.iter().position(|writer| writer.client == Some(client)) {
                self.on_writer(place, news, &change.session);
            }
        } else if let Some((client, PeerNews::Gone(_))) = change.of_client("reader") {
            self.server.objects.close_client(client);
        } else if let Some(news) = change.of_use("console") {
            self.on_console(news, &change.session);
        }
    }
}

impl Wiring {
    fn on_writer(&mut self, place: usize, news: PeerNews, session: &SessionHandle) {
        match news {
            PeerNews::Gone(_) => {
                self.work();
                self.server.server.end_sink(place);
            }
            PeerNews::Back => {
                if let Ok(rings) = SinkRings::server(session.region()) {
                    self.server.server.begin_sink(place, rings);
                }
            }
        }
    }

    /// While the console is gone nothing is printed; then it goes on where the old one stopped, as far as entries are still kept.
    fn on_console(&mut self, news: PeerNews, session: &SessionHandle) {
        match news {
            PeerNews::Gone(_) => {
                let ring = self.output.output.ring();
                let untaken = ring.room().map_or(0, |room| ring.record_max() - room);
                self.server.server.rewind(untaken);
                self.is_console_lost = true;
            }
            PeerNews::Back => {
                if let Ok(output) = OutputRings::client(session.region()) {
                    self.output = output;
                    self.is_console_lost = false;
                }
            }
        }
    }
}
