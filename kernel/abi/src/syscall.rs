//! System-call numbers (register x7, signed); their semantics are the kernel's.

macro_rules! calls {
    ($( $(#[$doc:meta])* $name:ident / $konst:ident = $number:literal ),* $(,)?) => {
        $( $(#[$doc])* pub const $konst: i64 = $number; )*

        /// A system call that every kernel has.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Syscall { $( $(#[$doc])* $name ),* }

        impl Syscall {
            /// All calls, in the order of their numbers.
            pub const ALL: &'static [Syscall] = &[$(Syscall::$name),*];

            /// The number as it stands in x7.
            #[must_use]
            pub const fn number(self) -> i64 { match self { $(Syscall::$name => $number),* } }

            /// The call with this number, if it is one of the eleven.
            #[must_use]
            pub const fn from_number(number: i64) -> Option<Self> {
                match number { $($number => Some(Syscall::$name),)* _ => None }
            }
        }
    };
}

calls! {
    /// Send, then wait for the reply.
    Call / CALL = -1,
    /// Reply through x6, then receive from x0.
    ReplyRecv / REPLY_RECV = -2,
    /// Non-blocking send to x8, then receive from x0 with reply object x6.
    NbSendRecv / NB_SEND_RECV = -3,
    /// Non-blocking send to x6, then wait on x0 without a reply object.
    NbSendWait / NB_SEND_WAIT = -4,
    /// Blocking send.
    Send / SEND = -5,
    /// Send only if a receiver waits.
    NbSend / NB_SEND = -6,
    /// Receive with a reply object in x6.
    Recv / RECV = -7,
    /// Receive only if a message waits.
    NbRecv / NB_RECV = -8,
    /// Receive without a reply object.
    Wait / WAIT = -9,
    /// Non-blocking wait (also called poll).
    NbWait / NB_WAIT = -10,
    /// Give up the rest of the current refill.
    Yield / YIELD = -11,
}

/// Debug console output of one character; only in kernels with debug calls.
pub const DEBUG_PUT_CHAR: i64 = -12;
/// Print all threads; only in kernels with debug calls.
pub const DEBUG_DUMP_SCHEDULER: i64 = -13;
/// Stop the machine; only in kernels with debug calls.
pub const DEBUG_HALT: i64 = -14;
/// Tag of a capability; only in kernels with debug calls.
pub const DEBUG_CAP_IDENTIFY: i64 = -15;
/// Print a dump of objects; only in kernels with debug calls.
pub const DEBUG_SNAPSHOT: i64 = -16;
/// Name a thread; only in kernels with debug calls.
pub const DEBUG_NAME_THREAD: i64 = -17;
/// Raise an SGI on a core; only in kernels with debug calls for several cores.
pub const DEBUG_SEND_IPI: i64 = -18;
/// The core of a thread; only in kernels with debug calls for several cores.
pub const DEBUG_GET_THREAD_AFFINITY: i64 = -19;

#[cfg(test)]
mod tests {
    use super::Syscall;

    #[test]
    fn numbers_are_dense_and_round_trip() {
        for (i, call) in Syscall::ALL.iter().enumerate() {
            assert_eq!(call.number(), -1 - i64::try_from(i).unwrap());
            assert_eq!(Syscall::from_number(call.number()), Some(*call));
        }
        assert_eq!(Syscall::from_number(0), None);
        assert_eq!(Syscall::from_number(-12), None);
        assert_eq!(Syscall::from_number(i64::MIN), None);
    }
}
