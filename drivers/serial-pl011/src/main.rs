//! Wires the serial line's registers, interrupt and sessions to the driver; no logic.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]
extern crate alloc;

use alloc::string::ToString;
use alloc::vec::Vec;
use libhybrid::drv::Mmio;
use libhybrid::interfaces::console::{OutputRings, TerminalRings};
use libhybrid::{Bell, Env, log};
use serial_pl011::console::{Console, Notice, Session};
use serial_pl011::uart::{Registers, Uart};

libhybrid::component!(run);

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
    let (sessions, bells) = sessions(&env);
    let mut console = Console::new(Uart::new(Mapped(env.mmio("uart"))), sessions);
    let mut reported = (0, 0);
    let mut bits = irq.mask();
    loop {
        while console.advance(|console, notice| tell(console, &bells, notice)) {}
        // Only now: the interrupt is a level, and its cause is gone.
        if irq.is_in(bits) && irq.ack().is_err() {
            log::error!("interrupt {} cannot be acknowledged", irq.number());
        }
        let losses = (console.damaged(), console.lost_input);
        if losses != reported {
            reported = losses;
            log::warn!("lost so far: {} bytes on the wire, {} typed bytes that no terminal took", losses.0, losses.1);
        }
        bits = env.wait();
    }
}

fn tell(console: &Console<Mapped>, bells: &[Bell], notice: Notice) {
    match notice {
        Notice::Ring(session) => bells.get(session).copied().unwrap_or_default().ring(),
        Notice::Ended(session) => log::error!("{} broke its ring; its session is ended", console.name(session)),
    }
}

/// All sessions of both interfaces, with the bells of their clients. A region that does not fit its interface is
/// left out: securityd made it by the same declaration, so that does not happen.
fn sessions(env: &Env) -> (Vec<Session>, Vec<Bell>) {
    let mut sessions = Vec::new();
    let mut bells = Vec::new();
    for handle in env.provided("terminal") {
        if let Ok(rings) = TerminalRings::server(handle.region()) {
            sessions.push(Session { name: handle.name.to_string(), output: rings.output, input: Some(rings.input) });
            bells.push(handle.bell);
        }
    }
    for handle in env.provided("output") {
        if let Ok(rings) = OutputRings::server(handle.region()) {
            sessions.push(Session { name: handle.name.to_string(), output: rings.output, input: None });
            bells.push(handle.bell);
        }
    }
    (sessions, bells)
}
