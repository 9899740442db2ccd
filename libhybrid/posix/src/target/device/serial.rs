//! The serial line as it was granted: rings of hybrid.console.Terminal; what it means is in `process::terminal`.
use super::link::Link;
use crate::console::{WRITE_MAX, Wire};
use alloc::vec::Vec;
use hybrid_interfaces::console::{TerminalClientRings, TerminalRings, terminal};
use hybrid_rt::{Env, PeerChange};

/// The session.
pub(super) struct Serial {
    link: Link<TerminalClientRings>,
}

impl Serial {
    /// The use, if there is one.
    pub(super) fn find(env: &Env) -> Option<Self> {
        let mut serial = Self { link: Link::find_rings(env, terminal::INTERFACE, TerminalRings::client)? };
        serial.ask();
        Some(serial)
    }

    /// The first key of a life is to ring, too.
    fn ask(&mut self) {
        if let Some(rings) = &mut self.link.rings {
            let _is_empty = rings.input.request_bell();
        }
    }

    pub(super) fn on_peer(&mut self, change: &PeerChange) {
        self.link.on_peer(change);
        self.ask();
    }

    pub(super) fn publish(&mut self) {
        if let Some(rings) = &mut self.link.rings {
            self.link.session.bell.ring_if(rings.output.publish() | rings.input.release());
        }
    }

    fn give_up(&mut self) {
        log::error!(target: "posix", "the terminal broke its rings: nothing more is read or printed until it is back");
        self.link.rings = None;
    }
}

impl Wire for Serial {
    fn push(&mut self, bytes: &[u8]) -> bool {
        let Some(rings) = &mut self.link.rings else { return true };
        let bytes = bytes.get(..WRITE_MAX).unwrap_or(bytes);
        // If there is no room, the terminal rings when there is.
        bytes.is_empty()
            || rings.output.push_or_ask(bytes).unwrap_or_else(|_| {
                self.give_up();
                true
            })
    }

    fn next<'a>(&mut self, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        let rings = self.link.rings.as_mut()?;
        // The scratch memory keeps the length of the longest: what is behind the record was typed before.
        let length = rings.input.request_bell().and_then(|is_empty| match is_empty {
            true => Ok(None),
            false => rings.input.pop(scratch).map(|found| found.map(<[u8]>::len)),
        });
        match length {
            Ok(length) => scratch.get(..length?),
            Err(_) => {
                self.give_up();
                None
            }
        }
    }
}
