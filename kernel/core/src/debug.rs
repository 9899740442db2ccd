//! Debug system calls of kernels built for tests; never in a product (kernel-abi §1.9).

use hybrid_abi::syscall;

use crate::cap::Cap;
use crate::kernel::Kernel;
use crate::object::{NAME_WORDS, TcbRef};
use crate::platform::Platform;

impl<P: Platform> Kernel<P> {
    /// Handles a debug call; false if `number` is none.
    pub(crate) fn debug_call(&self, thread: TcbRef, number: i64) -> bool {
        let tcb = self.tcb(thread);
        match number {
            syscall::DEBUG_PUT_CHAR => {
                let character = tcb.x::<0>().to_le_bytes()[0];
                if character == b'\n' {
                    self.platform.put_char(b'\r');
                }
                self.platform.put_char(character);
            }
            syscall::DEBUG_HALT => self.platform.power_off(),
            syscall::DEBUG_CAP_IDENTIFY => {
                let tag = self.lookup_cap(thread, tcb.x::<0>()).map_or(0, Cap::tag);
                tcb.set_x::<0>(tag);
            }
            syscall::DEBUG_NAME_THREAD => self.name_thread(thread),
            // No dump format is ABI; these calls only have to exist.
            syscall::DEBUG_DUMP_SCHEDULER | syscall::DEBUG_SNAPSHOT => {}
            _ => return false,
        }
        true
    }

    /// Stores the name, cut to what a TCB holds.
    fn name_thread(&self, thread: TcbRef) {
        let Ok(Cap::Tcb { at }) = self.lookup_cap(thread, self.tcb(thread).x::<0>()) else { return };
        let Some(buffer) = self.buffer(thread, false) else { return };
        let source = buffer.iter().skip(hybrid_abi::ipc_buffer::MESSAGE);
        for (n, word) in source.take(NAME_WORDS).enumerate() {
            if let Some(cell) = self.tcb(at).name_cell(n) {
                cell.set(word.get());
            }
        }
    }
}
