//! What the host stack brings of datagrams: messages, room in its ring, and its next life.
use super::super::address::Encoded;
use super::super::queue::Payload;
use super::super::{Pages, Process};
use super::{Datagram, Own};
use crate::net::{Arrival, Peer};
use crate::number::Errno;
use crate::world::World;

impl<S: Pages> Process<S> {
    /// Takes all that the host stack brings; who waited for room in its ring tries again.
    pub(in super::super) fn take_arrivals(&mut self, world: &mut impl World) {
        let mut scratch = core::mem::take(&mut self.scratch);
        while let Some(arrival) = world.arrival(&mut scratch) {
            match arrival {
                Arrival::Datagram { socket, peer, data } => self.on_datagram(world, socket, peer, data),
                Arrival::Back => self.bind_again(world),
            }
        }
        self.scratch = scratch;
        if !self.files.has_stuck || !world.has_datagram_room() {
            return;
        }
        self.files.has_stuck = false;
        for id in self.files.objects.numbers() {
            if self.datagram_mut(id).is_ok_and(|datagram| core::mem::take(&mut datagram.is_stuck)) {
                self.files.touch(Some(id), false, true);
            }
        }
    }

    fn on_datagram(&mut self, world: &mut impl World, socket: u16, from: Peer, bytes: &[u8]) {
        let found = self.datagrams().find_map(|(id, datagram)| match datagram.own {
            Own::Host(own, Some(bound)) if bound == socket => {
                // At which of the machine's addresses it came, the host stack does not say.
                let to = Peer { address: from.address.any(), port: own.port };
                datagram.is_reached(to, from).then_some((id, datagram.family))
            }
            _ => None,
        });
        if let Some((id, family)) = found {
            // Without room it is lost, as in the network.
            let _is_kept = self.deliver_message(world, id, Encoded::host(from, family), Payload::Stack(bytes));
        }
    }

    fn bind_again(&mut self, world: &mut impl World) {
        for id in self.files.objects.numbers() {
            let Ok(Datagram { own: Own::Host(own, bound), error, .. }) = self.datagram_mut(id) else { continue };
            if !own.address.is_any() {
                continue;
            }
            match world.bind_port(own.port) {
                Ok((socket, _)) => *bound = Some(socket),
                // It died once more, and comes back once more.
                Err(Errno::ENETDOWN) => {}
                // Its number may be another socket's in this life.
                Err(errno) => {
                    (*bound, *error) = (None, Some(errno));
                    self.files.touch(Some(id), true, true);
                }
            }
        }
        self.files.is_changed = true;
    }
}
