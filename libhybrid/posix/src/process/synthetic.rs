//! Files that programs read and no server has: devices that compute, and texts about the component.
use super::object::{Id, Object};
use super::pieces::Pieces;
use super::{Pages, Process};
use crate::number::{Answer, Errno};
use crate::world::World;
use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;

/// Where the terminal is.
pub(super) const TERMINAL: &str = "/dev/tty";
/// The most bytes of a text.
const TEXT_MAX: usize = 512;

/// Ports that programs name (IANA, Service Name and Transport Protocol Port Number Registry): few, and those of the most usual protocols.
const SERVICES: &str = "ftp 21/tcp\nssh 22/tcp\ntelnet 23/tcp\nsmtp 25/tcp\ndomain 53/tcp\ndomain 53/udp\nhttp 80/tcp\nntp 123/udp\nimap 143/tcp\n\
     snmp 161/udp\nldap 389/tcp\nhttps 443/tcp\nhttps 443/udp\nsyslog 514/udp\nsubmission 587/tcp\nldaps 636/tcp\nimaps 993/tcp\n\
     pop3s 995/tcp\nmqtt 1883/tcp\nmysql 3306/tcp\npostgresql 5432/tcp\namqp 5672/tcp\nredis 6379/tcp\nhttp-alt 8080/tcp\n\
     secure-mqtt 8883/tcp\n";
const _: () = assert!(SERVICES.len() <= TEXT_MAX);

/// `/proc/self/exe` and `/proc/self/fd/`, which are links.
const PROGRAM_LINK: &str = "/proc/self/exe";
const DESCRIPTOR_LINKS: &str = "/proc/self/fd/";

/// Texts that are made when they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    /// `/etc/hosts`: the component's own name.
    Hosts,
    /// `/etc/resolv.conf`: the name servers of the parameter `dns`, else those of the host stack; and the parameter `dns.options`.
    Resolver,
    /// `/etc/services`: names of ports.
    Services,
    /// `/etc/passwd`: the one user, which is the component itself.
    Users,
    /// `/etc/group`: its group.
    Groups,
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
        TERMINAL => Object::Terminal,
        "/etc/hosts" => Object::Text(Text::Hosts, 0),
        "/etc/services" => Object::Text(Text::Services, 0),
        "/etc/passwd" => Object::Text(Text::Users, 0),
        "/etc/group" => Object::Text(Text::Groups, 0),
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

    /// What a link says that is made up; `None` if the path is none of these.
    pub(super) fn link_at(&self, path: &str) -> Option<Result<String, Errno>> {
        if path == PROGRAM_LINK {
            return Some(Ok(format!("/bin/{}", self.identity.name)));
        }
        let number = path.strip_prefix(DESCRIPTOR_LINKS)?;
        let id = number.parse::<u32>().ok().and_then(|number| self.files.id(number.into()).ok());
        let held = id.and_then(|id| Some((id, self.files.objects.get(id)?)));
        Some(held.and_then(|(id, held)| name_of(id, &held.object)).ok_or(Errno::ENOENT))
    }

    fn text(&self, world: &mut impl World, text: Text) -> heapless::String<TEXT_MAX> {
        let mut out = heapless::String::new();
        // What does not fit is left out.
        let _fits = match text {
            Text::Hosts => write!(out, "127.0.0.1 localhost {0}\n::1 localhost {0}\n", self.identity.name),
            Text::Resolver => self.resolver(world, &mut out),
            Text::Services => out.write_str(SERVICES),
            Text::Users => {
                let (name, id) = (self.identity.name, self.identity.instance);
                writeln!(out, "{name}:x:{id}:{id}:{name}:/:/bin/sh")
            }
            Text::Groups => writeln!(out, "{}:x:{}:", self.identity.name, self.identity.instance),
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

/// What Linux calls the thing that a descriptor stands for. Of a server's file only the number is kept, not the path.
fn name_of(id: Id, object: &Object) -> Option<String> {
    Some(match object {
        Object::Input | Object::Null => "/dev/null".into(),
        Object::Zero => "/dev/zero".into(),
        Object::Random => "/dev/urandom".into(),
        Object::Terminal => TERMINAL.into(),
        Object::Directory(directory) => directory.path().into(),
        Object::Output(_) | Object::Pipe(_) => format!("pipe:[{}]", id + 1),
        Object::Tcp(_) | Object::Datagram(_) => format!("socket:[{}]", id + 1),
        Object::Event(_) => "anon_inode:[eventfd]".into(),
        Object::Signals(_) => "anon_inode:[signalfd]".into(),
        Object::Timer(_) => "anon_inode:[timerfd]".into(),
        Object::Epoll(_) => "anon_inode:[eventpoll]".into(),
        Object::Text(..) | Object::File(_) => return None,
    })
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
