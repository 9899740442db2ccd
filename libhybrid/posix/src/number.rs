//! Numbers of system calls and errors, as musl for AArch64 has them; no behaviour.
//!
//! Source: Linux, include/uapi/asm-generic/{unistd,errno-base,errno}.h, which AArch64 uses unchanged.

/// A system call that the personality knows by name, whether it serves it or not.
macro_rules! calls {
    ($($name:ident = $number:literal,)*) => {
        $(
            #[doc = concat!("`", stringify!($name), "`")]
            pub const $name: u64 = $number;
        )*

        /// The name of a call, for messages.
        pub(crate) fn name(number: u64) -> Option<&'static str> {
            match number {
                $($number => Some(stringify!($name)),)*
                _ => None,
            }
        }
    };
}

calls! {
    GETCWD = 17,
    EVENTFD2 = 19,
    EPOLL_CREATE1 = 20,
    EPOLL_CTL = 21,
    EPOLL_PWAIT = 22,
    DUP = 23,
    DUP3 = 24,
    FCNTL = 25,
    IOCTL = 29,
    FLOCK = 32,
    MKNODAT = 33,
    MKDIRAT = 34,
    UNLINKAT = 35,
    SYMLINKAT = 36,
    LINKAT = 37,
    RENAMEAT = 38,
    UMOUNT2 = 39,
    MOUNT = 40,
    PIVOT_ROOT = 41,
    STATFS = 43,
    FSTATFS = 44,
    TRUNCATE = 45,
    FTRUNCATE = 46,
    FALLOCATE = 47,
    FACCESSAT = 48,
    CHDIR = 49,
    FCHDIR = 50,
    CHROOT = 51,
    FCHMOD = 52,
    FCHMODAT = 53,
    FCHOWNAT = 54,
    FCHOWN = 55,
    OPENAT = 56,
    CLOSE = 57,
    PIPE2 = 59,
    QUOTACTL = 60,
    GETDENTS64 = 61,
    LSEEK = 62,
    READ = 63,
    WRITE = 64,
    READV = 65,
    WRITEV = 66,
    PREAD64 = 67,
    PWRITE64 = 68,
    PREADV = 69,
    PWRITEV = 70,
    SENDFILE = 71,
    PSELECT6 = 72,
    PPOLL = 73,
    SIGNALFD4 = 74,
    VMSPLICE = 75,
    SPLICE = 76,
    TEE = 77,
    READLINKAT = 78,
    NEWFSTATAT = 79,
    FSTAT = 80,
    SYNC = 81,
    FSYNC = 82,
    FDATASYNC = 83,
    TIMERFD_CREATE = 85,
    TIMERFD_SETTIME = 86,
    TIMERFD_GETTIME = 87,
    UTIMENSAT = 88,
    ACCT = 89,
    CAPSET = 91,
    EXIT = 93,
    EXIT_GROUP = 94,
    WAITID = 95,
    SET_TID_ADDRESS = 96,
    UNSHARE = 97,
    FUTEX = 98,
    SET_ROBUST_LIST = 99,
    GET_ROBUST_LIST = 100,
    NANOSLEEP = 101,
    GETITIMER = 102,
    SETITIMER = 103,
    KEXEC_LOAD = 104,
    INIT_MODULE = 105,
    DELETE_MODULE = 106,
    CLOCK_SETTIME = 112,
    CLOCK_GETTIME = 113,
    CLOCK_GETRES = 114,
    CLOCK_NANOSLEEP = 115,
    SYSLOG = 116,
    PTRACE = 117,
    SCHED_SETAFFINITY = 122,
    SCHED_GETAFFINITY = 123,
    SCHED_YIELD = 124,
    KILL = 129,
    TKILL = 130,
    TGKILL = 131,
    SIGALTSTACK = 132,
    RT_SIGSUSPEND = 133,
    RT_SIGACTION = 134,
    RT_SIGPROCMASK = 135,
    RT_SIGPENDING = 136,
    RT_SIGTIMEDWAIT = 137,
    GETPRIORITY = 141,
    REBOOT = 142,
    SETREGID = 143,
    SETGID = 144,
    SETREUID = 145,
    SETUID = 146,
    SETRESUID = 147,
    GETRESUID = 148,
    SETRESGID = 149,
    GETRESGID = 150,
    SETFSUID = 151,
    SETFSGID = 152,
    GETGROUPS = 158,
    SETGROUPS = 159,
    UNAME = 160,
    SETHOSTNAME = 161,
    SETDOMAINNAME = 162,
    UMASK = 166,
    PRCTL = 167,
    GETCPU = 168,
    SETTIMEOFDAY = 170,
    ADJTIMEX = 171,
    GETPID = 172,
    GETPPID = 173,
    GETUID = 174,
    GETEUID = 175,
    GETGID = 176,
    GETEGID = 177,
    GETTID = 178,
    SYSINFO = 179,
    SOCKET = 198,
    SOCKETPAIR = 199,
    BIND = 200,
    LISTEN = 201,
    ACCEPT = 202,
    CONNECT = 203,
    GETSOCKNAME = 204,
    GETPEERNAME = 205,
    SENDTO = 206,
    RECVFROM = 207,
    SETSOCKOPT = 208,
    GETSOCKOPT = 209,
    SHUTDOWN = 210,
    SENDMSG = 211,
    RECVMSG = 212,
    BRK = 214,
    MUNMAP = 215,
    MREMAP = 216,
    CLONE = 220,
    EXECVE = 221,
    MMAP = 222,
    FADVISE64 = 223,
    SWAPON = 224,
    SWAPOFF = 225,
    MPROTECT = 226,
    MSYNC = 227,
    MLOCK = 228,
    MUNLOCK = 229,
    MLOCKALL = 230,
    MUNLOCKALL = 231,
    MADVISE = 233,
    PERF_EVENT_OPEN = 241,
    ACCEPT4 = 242,
    WAIT4 = 260,
    PRLIMIT64 = 261,
    CLOCK_ADJTIME = 266,
    SYNCFS = 267,
    SETNS = 268,
    PROCESS_VM_READV = 270,
    PROCESS_VM_WRITEV = 271,
    KCMP = 272,
    FINIT_MODULE = 273,
    RENAMEAT2 = 276,
    GETRANDOM = 278,
    MEMFD_CREATE = 279,
    BPF = 280,
    MEMBARRIER = 283,
    COPY_FILE_RANGE = 285,
    STATX = 291,
    RSEQ = 293,
    KEXEC_FILE_LOAD = 294,
    PIDFD_OPEN = 434,
    CLONE3 = 435,
    CLOSE_RANGE = 436,
    FACCESSAT2 = 439,
    FCHMODAT2 = 452,
    // Ours: Linux has none of this number. libhybrid/posix/musl/src/process/posix_spawn.c has it, too.
    SPAWN = 4096,
    // Ours, too: libhybrid/posix/musl/src/thread/pthread_create.c.
    MAP_STACK = 4097,
}

/// Why a call failed; the program sees it as `errno`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errno(u16);

macro_rules! errors {
    ($($name:ident = $number:literal,)*) => {
        impl Errno {
            $(
                #[doc = concat!("`", stringify!($name), "`")]
                pub const $name: Self = Self($number);
            )*
        }
    };
}

errors! {
    EPERM = 1,
    ENOENT = 2,
    ESRCH = 3,
    EINTR = 4,
    EIO = 5,
    ENXIO = 6,
    E2BIG = 7,
    EBADF = 9,
    ECHILD = 10,
    EAGAIN = 11,
    ENOMEM = 12,
    EACCES = 13,
    EFAULT = 14,
    EBUSY = 16,
    EEXIST = 17,
    EXDEV = 18,
    ENODEV = 19,
    ENOTDIR = 20,
    EISDIR = 21,
    EINVAL = 22,
    ENFILE = 23,
    EMFILE = 24,
    ENOTTY = 25,
    EFBIG = 27,
    ENOSPC = 28,
    ESPIPE = 29,
    EROFS = 30,
    EPIPE = 32,
    EDOM = 33,
    ERANGE = 34,
    ENAMETOOLONG = 36,
    ENOLCK = 37,
    ENOSYS = 38,
    ENOTEMPTY = 39,
    ELOOP = 40,
    EOVERFLOW = 75,
    EILSEQ = 84,
    ENOTSOCK = 88,
    EDESTADDRREQ = 89,
    EMSGSIZE = 90,
    EPROTOTYPE = 91,
    ENOPROTOOPT = 92,
    EPROTONOSUPPORT = 93,
    EOPNOTSUPP = 95,
    EAFNOSUPPORT = 97,
    EADDRINUSE = 98,
    EADDRNOTAVAIL = 99,
    ENETDOWN = 100,
    ENETUNREACH = 101,
    ECONNABORTED = 103,
    ECONNRESET = 104,
    ENOBUFS = 105,
    EISCONN = 106,
    ENOTCONN = 107,
    ETIMEDOUT = 110,
    ECONNREFUSED = 111,
    EHOSTUNREACH = 113,
    EALREADY = 114,
    EINPROGRESS = 115,
}

impl Errno {
    /// The number itself.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0 as u32
    }

    /// What the call returns.
    #[must_use]
    pub const fn negated(self) -> i64 {
        -(self.0 as i64)
    }
}

/// Result of a call that ended.
pub type Answer = Result<u64, Errno>;

/// The low half of an argument: what C passes as `int`.
pub(crate) const fn int(argument: u64) -> i32 {
    low(argument).cast_signed()
}

/// The low half of an argument: what C passes as `unsigned`.
pub(crate) const fn low(argument: u64) -> u32 {
    let [a, b, c, d, ..] = argument.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_of_a_known_call_has_its_name() {
        assert_eq!((name(FUTEX), name(RSEQ), name(9999)), (Some("FUTEX"), Some("RSEQ"), None));
    }

    #[test]
    fn int_is_the_low_half_with_its_sign() {
        assert_eq!((int(u64::from(u32::MAX)), int(1 << 32 | 7), low(u64::MAX)), (-1, 7, u32::MAX));
    }

    #[test]
    fn error_is_returned_negated() {
        assert_eq!(Errno::ENOSYS.negated(), -38);
    }
}
