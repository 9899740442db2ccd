//! Wires the serial line's registers, interrupt and sessions to the driver; no logic.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]
extern crate alloc;

use alloc::string::ToString;
use alloc::vec::Vec;
use libhybrid::drv::Mmio;
use libhybrid::interfaces::console::{OutputRings, TerminalRings};
use libhybrid::{Env, PeerChange, PeerNews, SessionHandle, log};
use serial_pl011::console::{Console, Notice, Session};
use serial_pl011::uart::{Registers, Uart};

libhybrid::component!(run);

/// So often it goes on with what clients print before it looks at its peers, and shows that it lives, whoever prints without end.
const ROUNDS_MAX: usize = 64;

struct Mapped(Mmio);

impl Registers for Mapped {
    fn read(&mut self, offset: usize) -> u32 {
        self.0.read32(offset)
    }

    fn write(&mut self, offset: usize, value: u32) {
        self.0.write32(offset, value);
    }
}

fn run(env: Env) -> ! {
    let irq = env.irq("uart");
    let (sessions, handles) = sessions(&env);
    let mut console = Console::new(Uart::new(Mapped(env.mmio("uart"))), sessions);
    let mut reported = (0, 0);
    let mut bits = irq.mask();
    loop {
        let has_more = (0..ROUNDS_MAX).all(|_| console.advance(|console, notice| tell(console, &handles, notice)));
        // Only now: the interrupt is a level, and its cause is gone.
        if irq.is_in(bits) && irq.ack().is_err() {
            log::error!("interrupt {} cannot be acknowledged", irq.number());
        }
        let losses = (console.damaged(), console.lost_input);
        if losses != reported {
            reported = losses;
            log::warn!("lost so far: {} bytes on the wire, {} typed bytes that no terminal took", losses.0, losses.1);
        }
        bits = if has_more { env.poll() } else { env.wait() };
        for change in env.peer_changes() {
            follow(&mut console, &handles, &change);
        }
    }
}

/// A client is gone, or there again.
fn follow(console: &mut Console<Mapped>, handles: &[(Kind, SessionHandle)], change: &PeerChange) {
    let is_it = |(kind, handle): &(Kind, SessionHandle)| {
        kind.name() == change.interface && handle.client == change.session.client
    };
    let Some(index) = handles.iter().position(is_it) else { return };
    match change.news {
        PeerNews::Gone(_) => console.end(index),
        PeerNews::Back => {
            if let Some(rings) = handles.get(index).and_then(|(kind, _)| kind.session(&change.session)) {
                console.begin(index, rings);
            }
        }
    }
}

fn tell(console: &Console<Mapped>, handles: &[(Kind, SessionHandle)], notice: Notice) {
    match notice {
        Notice::Ring(session) => {
            if let Some((_, handle)) = handles.get(session) {
                handle.bell.ring();
            }
        }
        Notice::Ended(session) => log::error!("{} broke its ring; its session is ended", console.name(session)),
    }
}

/// The two interfaces of the line.
#[derive(Clone, Copy)]
enum Kind {
    Terminal,
    Output,
}

impl Kind {
    /// As `component.toml` calls it.
    const fn name(self) -> &'static str {
        match self {
            Self::Terminal => "terminal",
            Self::Output => "output",
        }
    }

    /// The rings of a client. None for a region that does not fit its interface: securityd made it by the same declaration, so that does
    /// not happen.
    fn session(self, handle: &SessionHandle) -> Option<Session> {
        let name = handle.name.to_string();
        match self {
            Self::Terminal => {
                let rings = TerminalRings::server(handle.region()).ok()?;
                Some(Session { name, output: rings.output, input: Some(rings.input) })
            }
            Self::Output => {
                let rings = OutputRings::server(handle.region()).ok()?;
                Some(Session { name, output: rings.output, input: None })
            }
        }
    }
}

/// All sessions of both interfaces, with whose they are.
fn sessions(env: &Env) -> (Vec<Session>, Vec<(Kind, SessionHandle)>) {
    let kinds = [Kind::Terminal, Kind::Output].into_iter();
    let handles = kinds.flat_map(|kind| env.provided(kind.name()).into_iter().map(move |handle| (kind, handle)));
    handles.filter_map(|(kind, handle)| Some((kind.session(&handle)?, (kind, handle)))).unzip()
}
