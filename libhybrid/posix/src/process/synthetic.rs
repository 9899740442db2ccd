//! Files that programs read and no server has: devices that compute, and texts about the component.
use super::object::Object;
use super::pieces::Pieces;
use super::{Pages, Process};
use crate::number::Answer;
use crate::world::World;
use core::fmt::Write as _;

/// The most bytes of a text.
const TEXT_MAX: usize = 512;

/// Texts that are made when they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    /// `/etc/hosts`: the component's own name.
    Hosts,
    /// `/etc/resolv.conf`: the name servers of the parameter `dns`, else those of the host stack; and the parameter `dns.options`.
    Resolver,
    /// `/proc/self/maps`: the main thread's stack and the heap.
    Maps,
    /// What is at the path of a program that can be spawned. Nobody reads it.
    Program,
}

/// What is at a path.
pub(super) fn at_path(path: &str) -> Option<Object> {
    Some(match path {
        "/dev/null" => Object::Null,
        "/dev/zero" => Object::Zero,
        "/dev/urandom" | "/dev/random" => Object::Random,
        "/dev/tty" => Object::Terminal,
        "/etc/hosts" => Object::Text(Text::Hosts, 0),
        "/etc/resolv.conf" => Object::Text(Text::Resolver, 0),
        "/proc/self/maps" => Object::Text(Text::Maps, 0),
        _ => return None,
    })
}

impl<S: Pages> Process<S> {
    /// A piece of a text, from `from` on.
    pub(super) fn read_text(&self, world: &mut impl World, text: Text, from: u64, pieces: Pieces) -> Answer {
        let text = self.text(world, text);
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(text.len());
        pieces.fill(world, 0, text.as_bytes().get(from..).unwrap_or_default()).map(|done| done as u64)
    }

    /// Bytes of a text.
    pub(super) fn text_len(&self, world: &mut impl World, text: Text) -> u64 {
        self.text(world, text).len() as u64
    }

    fn text(&self, world: &mut impl World, text: Text) -> heapless::String<TEXT_MAX> {
        let mut out = heapless::String::new();
        // What does not fit is left out.
        let _fits = match text {
            Text::Hosts => write!(out, "127.0.0.1 localhost {0}\n::1 localhost {0}\n", self.identity.name),
            Text::Resolver => self.resolver(world, &mut out),
            Text::Maps => {
                let ((first, end), (bottom, top)) = (self.areas.span(), self.identity.stack);
                writeln!(out, "{first:08x}-{end:08x} rw-p 00000000 00:00 0 [heap]")
                    .and_then(|()| writeln!(out, "{bottom:08x}-{top:08x} rw-p 00000000 00:00 0 [stack]"))
            }
            Text::Program => Ok(()),
        };
        out
    }
}

impl<S> Process<S> {
    fn resolver(&self, world: &mut impl World, out: &mut impl core::fmt::Write) -> core::fmt::Result {
        let identity = &self.identity;
        let mut told = identity.name_servers.split_ascii_whitespace().peekable();
        if told.peek().is_some() {
            told.try_for_each(|server| writeln!(out, "nameserver {server}"))?;
        } else {
            world.name_servers().iter().try_for_each(|server| writeln!(out, "nameserver {server}"))?;
        }
        if identity.name_options.is_empty() { Ok(()) } else { writeln!(out, "options {}", identity.name_options) }
    }
}
