//! What is refused, with which error, and which refusals the log hears of: each call with each reason once.
use super::{Pages, Process};
use crate::number::{self, Errno, low};
use crate::world::World;
use alloc::vec::Vec;

/// The most refusals that are told.
const TOLD_MAX: usize = 64;
/// `PR_SET_NAME`
const SET_NAME: u32 = 15;
const AF_NETLINK: u32 = 16;
const AF_PACKET: u32 = 17;

/// Without the use of an entropy server nothing else is taken for random.
pub(super) const NO_RANDOM: &str = "randomness was not granted";

/// A call, why it was refused, and what of several things that was about.
type Refusal = (u64, &'static str, Option<u64>);

/// Refusals that were told.
#[derive(Debug, Default)]
pub(super) struct Told {
    all: Vec<Refusal>,
    /// There was no room for one, which was told.
    is_full: bool,
}

/// Whether a refusal is one to tell.
enum News {
    New,
    Known,
    /// The first for which there is no room.
    TooMany,
}

impl Told {
    fn add(&mut self, refusal: Refusal) -> News {
        if self.all.contains(&refusal) {
            return News::Known;
        }
        if self.all.len() < TOLD_MAX && self.all.try_reserve(1).is_ok() {
            self.all.push(refusal);
            return News::New;
        }
        if core::mem::replace(&mut self.is_full, true) { News::Known } else { News::TooMany }
    }
}

impl<S: Pages> Process<S> {
    /// Says that a call was refused, and why: once for each call and reason.
    pub(super) fn tell(&mut self, world: &mut impl World, number: u64, why: &'static str) {
        self.tell_refusal(world, (number, why, None));
    }

    /// As [`Self::tell`], where the reason is about one of several things, which is told by its number.
    pub(super) fn tell_of(&mut self, world: &mut impl World, number: u64, why: &'static str, of: u32) {
        self.tell_refusal(world, (number, why, Some(of.into())));
    }

    fn tell_refusal(&mut self, world: &mut impl World, refusal: Refusal) {
        match (self.told.add(refusal), refusal) {
            (News::Known, _) => {}
            (News::TooMany, _) => world.note(format_args!("more was refused than is told of")),
            (News::New, (number, why, None)) => world.note(format_args!("{} refused: {why}", Name(number))),
            (News::New, (number, why, Some(of))) => world.note(format_args!("{} refused: {why}: {of}", Name(number))),
        }
    }

    /// The error of a call that the personality does not serve.
    pub(super) fn not_served(&mut self, world: &mut impl World, number: u64, args: [u64; 6]) -> Errno {
        let (errno, why) = refusal(number);
        if !is_quiet(number, args) {
            self.tell(world, number, why);
        }
        errno
    }

    /// The error for sockets of a family that a component does not have.
    pub(super) fn refuse_family(&mut self, world: &mut impl World, number: u64, family: u32) -> Errno {
        match family {
            AF_NETLINK => {
                self.tell(world, number, "a component has no AF_NETLINK sockets: interfaces and routes are netd's");
            }
            AF_PACKET => {
                self.tell(world, number, "a component has no packet sockets");
                // Of who lacks CAP_NET_RAW.
                return Errno::EPERM;
            }
            _ => self.tell_of(world, number, "a component has no sockets of this family", family),
        }
        Errno::EAFNOSUPPORT
    }
}

/// Why a call that is not served is refused. `EPERM` is what Linux says to who may not; `ENOSYS` lets programs go another way.
const fn refusal(number: u64) -> (Errno, &'static str) {
    match number {
        number::PTRACE | number::PROCESS_VM_READV | number::PROCESS_VM_WRITEV | number::KCMP => {
            (Errno::EPERM, "a component looks into no other")
        }
        number::CHROOT | number::PIVOT_ROOT | number::MOUNT | number::UMOUNT2 | number::UNSHARE | number::SETNS => {
            (Errno::EPERM, "what a component sees is what its product routes to it")
        }
        number::SETUID
        | number::SETGID
        | number::SETREUID
        | number::SETREGID
        | number::SETRESUID
        | number::SETRESGID
        | number::SETGROUPS
        | number::SETFSUID
        | number::SETFSGID
        | number::CAPSET => (Errno::EPERM, "its user is its instance, for good"),
        number::KEXEC_LOAD
        | number::KEXEC_FILE_LOAD
        | number::REBOOT
        | number::INIT_MODULE
        | number::FINIT_MODULE
        | number::DELETE_MODULE
        | number::BPF
        | number::PERF_EVENT_OPEN
        | number::SYSLOG
        | number::ACCT
        | number::QUOTACTL
        | number::SWAPON
        | number::SWAPOFF
        | number::SETHOSTNAME
        | number::SETDOMAINNAME
        | number::SETTIMEOFDAY
        | number::ADJTIMEX
        | number::CLOCK_SETTIME
        | number::CLOCK_ADJTIME => (Errno::EPERM, "the machine is not a program's to change"),
        number::TEE | number::VMSPLICE => (Errno::ENOSYS, "what is copied is read and written"),
        _ => (Errno::ENOSYS, "the personality does not have it"),
    }
}

/// What musl and std try when a program or a thread of it starts, and do without; and what is asked for to be quicker, by who does without it then:
/// that nobody needs to know, each time that somebody runs `cat`.
const fn is_quiet(number: u64, args: [u64; 6]) -> bool {
    let [first, ..] = args;
    match number {
        number::BRK | number::SIGALTSTACK | number::MEMBARRIER => true,
        number::COPY_FILE_RANGE | number::SENDFILE | number::SPLICE | number::PIDFD_OPEN => true,
        number::PRCTL => low(first) == SET_NAME,
        _ => false,
    }
}

/// A call's name, in lower case, or its number.
struct Name(u64);

impl core::fmt::Display for Name {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        use core::fmt::Write;
        match number::name(self.0) {
            Some(name) => name.chars().try_for_each(|letter| out.write_char(letter.to_ascii_lowercase())),
            None => write!(out, "system call {}", self.0),
        }
    }
}
