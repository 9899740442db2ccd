//! Rust's view of the assembly in probes.s: one safe function per probe.

/// A system call with exactly these x0 to x8 (x7 is `number`); returns what the registers are afterwards.
pub(crate) fn svc(number: i64, registers: [u64; 9]) -> [u64; 9] {
    let mut registers = registers;
    registers[7] = number as u64;
    // SAFETY: the probe keeps the C calling convention; the kernel writes no memory but the IPC buffer.
    unsafe { probe_call(registers.as_mut_ptr()) };
    registers
}

/// The address of the `svc` instruction of [`svc`].
pub(crate) fn svc_place() -> u64 {
    probe_call_svc as *const () as u64
}

/// Does a system call with patterns in all other registers; returns how many of them changed.
pub(crate) fn count_changed(number: i64, target: u64, other: u64, info: u64) -> u64 {
    // SAFETY: the probe keeps the C calling convention.
    unsafe { probe_preserved(number, target, other, info) }
}

/// Fills all V registers from the seed, spins, and returns how many changed meanwhile.
pub(crate) fn float_changes(seed: u64, rounds: u64) -> u64 {
    let mut place = 0u64;
    // SAFETY: `place` outlives the call; V registers are not used by compiled code of this target.
    unsafe { probe_float_state(seed, rounds, &raw mut place) }
}

/// How many halves of V registers are not 0.
pub(crate) fn float_dirt() -> u64 {
    // SAFETY: reads V registers only.
    unsafe { probe_float_zero() }
}

/// One FP instruction.
pub(crate) fn touch_float() {
    // SAFETY: changes d0 only, which compiled code of this target does not use.
    unsafe { probe_float() };
}

/// Signals between a load-exclusive and the store-exclusive of `word`; returns the store's status.
pub(crate) fn exclusive_status(word: &mut u64, notification: u64) -> u64 {
    // SAFETY: `word` is the caller's alone; the probe keeps the C calling convention.
    unsafe { probe_exclusive(word, notification) }
}

/// Reads a word of another thread or of a page that the test mapped.
pub(crate) fn peek(address: u64) -> u64 {
    // SAFETY: the test has mapped memory there that no Rust object lives in.
    unsafe { core::ptr::with_exposed_provenance::<u64>(address as usize).read_volatile() }
}

/// Writes a word of a page that the test mapped.
pub(crate) fn poke(address: u64, value: u64) {
    // SAFETY: as in `peek`.
    unsafe { core::ptr::with_exposed_provenance_mut::<u64>(address as usize).write_volatile(value) };
}

/// Calls the code at an address; faults if there is none.
pub(crate) fn jump(address: u64) -> u64 {
    // SAFETY: tests put code there that returns, or expect the fault.
    let function = unsafe { core::mem::transmute::<usize, extern "C" fn() -> u64>(address as usize) };
    function()
}

/// Sets TPIDR_EL0.
pub(crate) fn write_tls(value: u64) {
    // SAFETY: the suite has no thread-local storage; the register is free for tests.
    unsafe { core::arch::asm!("msr tpidr_el0, {}", in(reg) value, options(nomem, nostack, preserves_flags)) };
}

/// TPIDR_EL0.
pub(crate) fn read_tls() -> u64 {
    let value;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mrs {}, tpidr_el0", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

unsafe extern "C" {
    fn probe_call(registers: *mut u64);
    fn probe_preserved(number: i64, target: u64, other: u64, info: u64) -> u64;
    fn probe_float_state(seed: u64, rounds: u64, place: *mut u64) -> u64;
    fn probe_float_zero() -> u64;
    fn probe_float();
    fn probe_exclusive(word: *mut u64, notification: u64) -> u64;
    pub(crate) safe fn probe_call_svc();
    pub(crate) safe fn probe_all_registers();
    pub(crate) safe fn probe_read(address: u64);
    pub(crate) safe fn probe_write(address: u64);
    pub(crate) safe fn probe_trials();
    pub(crate) safe fn probe_undefined(_: u64);
    pub(crate) safe fn probe_break(_: u64);
    pub(crate) safe fn probe_hvc(_: u64);
    pub(crate) safe fn probe_pointer_authentication(_: u64);
    pub(crate) safe fn probe_physical_counter(_: u64);
    pub(crate) safe fn probe_svc_undefined(_: u64);
}
