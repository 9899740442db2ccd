//! Debug system calls of kernels built for tests; never in a product (kernel-abi §1.9).

use core::fmt::{self, Write};

use hybrid_abi::{ipc_buffer, syscall};

use crate::cap::Cap;
use crate::cspace::slot_of;
use crate::kernel::Kernel;
use crate::object::{NAME_WORDS, Tcb, TcbRef, TcbSlot};
use crate::platform::Platform;

/// Bytes of the longest name that DebugNameThread takes.
const NAME_MAX: usize = 960;
/// What a TCB keeps of it.
const NAME_BYTES: usize = NAME_WORDS * 8;

/// The kernel's console as a text sink.
struct Console<'k, P>(&'k P);

impl<P: Platform> Write for Console<'_, P> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| put(self.0, byte));
        Ok(())
    }
}

fn put<P: Platform>(platform: &P, character: u8) {
    if character == b'\n' {
        platform.put_char(b'\r');
    }
    platform.put_char(character);
}

/// The text of a thread's name.
struct Name<'k>(Tcb<'k>);

impl Name<'_> {
    fn bytes(&self) -> impl Iterator<Item = u8> {
        let words = (0..NAME_WORDS).filter_map(|n| self.0.name_cell(n));
        words.flat_map(|word| word.get().to_le_bytes()).take_while(|byte| *byte != 0)
    }

    /// Keeps as much as a TCB has room for.
    fn set(&self, text: impl Iterator<Item = u8>) {
        let mut text = text.take(NAME_BYTES.wrapping_sub(1));
        for word in (0..NAME_WORDS).filter_map(|n| self.0.name_cell(n)) {
            word.set(u64::from_le_bytes([(); 8].map(|()| text.next().unwrap_or(0))));
        }
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let printable = |byte: u8| if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '?' };
        self.bytes().try_for_each(|byte| f.write_char(printable(byte)))
    }
}

impl<P: Platform> Kernel<P> {
    /// Handles a debug call; false if `number` is none.
    pub(crate) fn debug_call(&self, thread: TcbRef, number: i64) -> bool {
        let tcb = self.tcb(thread);
        let has_cores = P::CORES > 1;
        match number {
            syscall::DEBUG_PUT_CHAR => put(&self.platform, tcb.x::<0>().to_le_bytes()[0]),
            syscall::DEBUG_HALT => self.halt(thread, "DebugHalt"),
            syscall::DEBUG_CAP_IDENTIFY => {
                let tag = self.lookup_cap(thread, tcb.x::<0>()).map_or(0, Cap::tag);
                tcb.set_x::<0>(tag);
            }
            syscall::DEBUG_NAME_THREAD => self.name_thread(thread),
            syscall::DEBUG_DUMP_SCHEDULER => self.dump_threads(),
            syscall::DEBUG_SNAPSHOT => self.dump_capabilities(),
            syscall::DEBUG_SEND_IPI if has_cores => match u32::try_from(tcb.x::<1>()) {
                Ok(sgi @ 0..=15) => self.platform.send_sgi(sgi, tcb.x::<0>()),
                _ => self.halt(thread, "DebugSendIPI: no such SGI"),
            },
            syscall::DEBUG_GET_THREAD_AFFINITY if has_cores => match self.lookup_cap(thread, tcb.x::<0>()) {
                Ok(Cap::Tcb { at }) => tcb.set_x::<0>(self.tcb(at).core()),
                _ => self.halt(thread, "DebugGetThreadAffinity: not a thread"),
            },
            _ => return false,
        }
        true
    }

    fn print(&self, text: fmt::Arguments<'_>) {
        // A console that takes bytes only cannot fail.
        let _ = Console(&self.platform).write_fmt(text);
    }

    fn halt(&self, thread: TcbRef, why: &str) {
        self.print(format_args!("\nhalted by thread '{}': {why}\n", self.name(thread)));
        self.platform.power_off();
    }

    /// Stores a name, cut to what a TCB holds; bad arguments stop the machine.
    fn name_thread(&self, thread: TcbRef) {
        let Ok(Cap::Tcb { at }) = self.lookup_cap(thread, self.tcb(thread).x::<0>()) else {
            return self.halt(thread, "DebugNameThread: not a thread");
        };
        let Some(buffer) = self.buffer(thread, false) else {
            return self.halt(thread, "DebugNameThread: no IPC buffer");
        };
        let bytes = buffer.iter().skip(ipc_buffer::MESSAGE).flat_map(|word| word.get().to_le_bytes());
        if !bytes.clone().take(NAME_MAX).any(|byte| byte == 0) {
            return self.halt(thread, "DebugNameThread: no end of name");
        }
        self.name(at).set(bytes.take_while(|byte| *byte != 0));
    }

    fn name(&self, thread: TcbRef) -> Name<'_> {
        Name(self.tcb(thread))
    }

    /// A thread comes into being: it is named after its creator.
    pub(crate) fn debug_created(&self, thread: TcbRef) {
        let creator = self.this_core().current.get().map(|creator| self.name(creator));
        let creator = creator.iter().flat_map(Name::bytes).take(NAME_BYTES.wrapping_sub(16));
        self.name(thread).set(b"child of: '".iter().copied().chain(creator).chain([b'\'']));
    }

    /// A thread without fault handler stops: says which, why, where, and with what registers.
    #[cfg(feature = "debug-calls")]
    pub(crate) fn debug_unhandled_fault(&self, thread: TcbRef, fault: &crate::fault::Fault) {
        use crate::object::context;
        let tcb = self.tcb(thread);
        let (name, ip) = (self.name(thread), tcb.fault_ip());
        self.print(format_args!(
            "\nCaught {fault:x?}\nin thread {:#x} \"{name}\" at address {ip:#x}\n",
            thread.paddr()
        ));
        self.print(format_args!("It has no fault handler and stops. Its registers:\n"));
        for number in 0..context::SP {
            let end = if number & 3 == 3 { '\n' } else { ' ' };
            self.print(format_args!("x{number:<2} {:#018x}{end}", tcb.context_word(number)));
        }
        let [sp, pc, spsr] = [context::SP, context::PC, context::SPSR].map(|word| tcb.context_word(word));
        self.print(format_args!(
            "\nsp  {sp:#018x} pc  {pc:#018x} spsr {spsr:#x} tpidr {:#x}\n",
            tcb.context_word(context::TPIDR)
        ));
    }

    /// An interrupt that nobody waits for is dropped.
    #[cfg(feature = "debug-calls")]
    pub(crate) fn debug_dropped_interrupt(&self, irq: u32, why: &str) {
        self.print(format_args!("\nInterrupt {irq} on core {}: {why}\n", self.platform.core()));
    }

    /// Every thread, out of the list of all capabilities (INV-LISTING-1), in which those to one object stand together.
    fn threads(&self) -> impl Iterator<Item = TcbRef> {
        let slots = core::iter::successors(self.first_slot.get(), |slot| self.slot(*slot).next());
        let mut last = None;
        let threads = slots.filter_map(|slot| self.words(slot).tcb());
        threads.filter(move |thread| last.replace(*thread) != Some(*thread))
    }

    fn dump_threads(&self) {
        self.print(format_args!(
            "\nDumping all TCBs\n{:<32} {:<22} {:>18} {:>8} {:>5} release queue\n",
            "name", "state", "ip", "priority", "core"
        ));
        for thread in self.threads() {
            let tcb = self.tcb(thread);
            let (state, queued) = (tcb.state(), if tcb.is_release_queued() { "yes" } else { "no" });
            let ip = if state.is_runnable() && self.this_core().current.get() != Some(thread) {
                tcb.pc()
            } else {
                tcb.fault_ip()
            };
            self.print(format_args!("{:<32} ", self.name(thread)));
            let (priority, core) = (tcb.priority(), tcb.core());
            self.print(format_args!("{state:<22?} {ip:>#18x} {priority:>8} {core:>5} {queued}\n"));
        }
    }

    /// Prints every thread's capabilities, and what the root of its capability space holds.
    fn dump_capabilities(&self) {
        use TcbSlot::{Buffer, CSpace, FaultHandler, TimeoutHandler, VSpace};
        self.print(format_args!("\nSnapshot of all threads\n"));
        for thread in self.threads() {
            self.print(format_args!("thread {:#x} '{}'\n", thread.paddr(), self.name(thread)));
            for which in [CSpace, VSpace, Buffer, FaultHandler, TimeoutHandler] {
                self.print(format_args!("  {which:?}: {:x?}\n", self.cap(thread.slot(which))));
            }
            let Cap::CNode { at, radix, .. } = self.cap(thread.slot(CSpace)) else { continue };
            for n in 0..1u64.unbounded_shl(u32::from(radix)) {
                let cap = slot_of(at, n).map_or(Cap::Null, |slot| self.cap(slot));
                if cap != Cap::Null {
                    self.print(format_args!("    {n:#x}: {cap:x?}\n"));
                }
            }
        }
    }
}
