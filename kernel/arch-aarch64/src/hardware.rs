//! The machine under the core: implements its `Platform` trait, decides nothing.
//!
//! Soundness of memory access, TLB and cache sequences: docs/kernel/soundness.md.

use core::cell::Cell;

use hybrid_abi::limits::{FIRST_SPI, REMOTE_CALL_SGI, RESCHEDULE_SGI, TCB_FLAG_FPU_DISABLED};
use hybrid_kernel_core::object::{Tcb, TcbRef};
use hybrid_kernel_core::platform::{CacheOperation, Platform};

use crate::cores::{self, CORES, Request, Ticket};
use crate::device_tree::REGIONS_MAX;
use crate::fp::{FP_KERNEL, FpUnit};
use crate::gic::Gic;
use crate::layout::direct;
use crate::regions::{Range, RegionSet};
#[cfg(feature = "smp")]
use crate::registers::Registers;
use crate::{cache, console, cpu, psci};

/// Everything that the core may do to the machine.
pub(crate) struct Hardware {
    gic: Gic,
    ram: RegionSet<REGIONS_MAX>,
    ticks_per_ms: u64,
    /// The user table while no thread's is in use: 512 zeros.
    empty_space: u64,
    own: [PerCore; CORES],
}

/// What the machine layer remembers of one core. Written by that core, and by others as far as they have the lock.
struct PerCore {
    fp: FpUnit,
    /// What EL0 is allowed now.
    applied: Cell<u64>,
}

impl Hardware {
    /// Starts the timer and closes or opens what EL0 may touch (kernel-abi §6.8, §11.5).
    ///
    /// # Safety
    /// 1. `ram` is all in the direct map, and no Rust object lives there. 2. `empty_space` is the physical address of an empty root
    ///    table, in use as TTBR0 now. 3. There is no other `Hardware`.
    pub(crate) unsafe fn start(gic: Gic, ram: RegionSet<REGIONS_MAX>, empty_space: u64) -> Self {
        let per_core = |_| PerCore { fp: FpUnit::new(), applied: Cell::new(TCB_FLAG_FPU_DISABLED) };
        start_registers();
        #[cfg(feature = "latency")]
        crate::latency::start();
        gic.unmask(0, TIMER_IRQ);
        let ticks_per_ms = (cpu::counter_frequency() / 1000).max(1);
        Self { gic, ram, ticks_per_ms, empty_space, own: core::array::from_fn(per_core) }
    }

    /// Before a core is started: where GICv3 finds its part.
    #[cfg(feature = "smp")]
    pub(crate) fn expect_core(&self, core: usize, redistributor: Option<Registers>) {
        self.gic.expect_core(core, redistributor);
    }

    /// What another core does for itself when it starts, before it enters the core's logic for the first time. False if it cannot be
    /// used.
    #[cfg(feature = "smp")]
    pub(crate) fn start_core(&self, core: usize) -> bool {
        let is_usable = self.gic.start_core(core);
        if is_usable {
            start_registers();
            self.gic.unmask(core, TIMER_IRQ);
        }
        is_usable
    }

    #[inline(always)]
    fn own(&self) -> &PerCore {
        &self.own[cores::number()]
    }

    /// Takes the kernel lock.
    #[inline(always)]
    pub(crate) fn enter(&self) {
        if let Err(ticket) = cores::try_enter() {
            self.wait(ticket);
        }
    }

    /// Waits for the lock that another core has.
    #[inline(never)]
    pub(crate) fn wait(&self, ticket: Ticket) {
        cores::wait(ticket, |request| self.serve(request));
    }

    /// Does what the holder of the lock asks this core for, while it waits.
    #[cold]
    fn serve(&self, request: Request) {
        self.carry_out(cores::number(), request);
    }

    #[inline(always)]
    fn carry_out(&self, core: usize, request: Request) {
        match request {
            Request::ReleaseFp => self.own().fp.release(),
            Request::DropSpace => {
                self.set_address_space(0);
                cpu::isb(); // before the other core invalidates
            }
            Request::Unmask(irq) => self.gic.unmask(core, irq),
            Request::Mask(irq) => self.gic.mask(core, irq),
            Request::Release(irq) => self.gic.release(irq),
            Request::Level(irq) => self.gic.set_edge_triggered(core, irq, false),
            Request::Edge(irq) => self.gic.set_edge_triggered(core, irq, true),
        }
    }

    fn ask(&self, core: usize, request: Request) {
        cores::ask(core, request, || self.gic.interrupt_core(core, REMOTE_CALL_SGI));
    }

    /// Changes an interrupt; has `core` do it where it is private to it and only that one can.
    #[inline(always)]
    fn change_irq(&self, core: usize, irq: u32, request: Request) {
        let is_elsewhere = CORES > 1 && irq < FIRST_SHARED && core != cores::number();
        if is_elsewhere && (!self.gic.is_v3() || matches!(request, Request::Release(_))) {
            self.ask(core, request);
        } else {
            self.carry_out(core, request);
        }
    }

    /// Takes the interrupt that is waiting, if it is a real one.
    pub(crate) fn acknowledge(&self) -> Option<u32> {
        self.gic.acknowledge()
    }

    /// Sets up for `thread` what is not in its registers: FP unit and timer access. Gives the address of its registers.
    ///
    /// INV-PREPARED-1: `applied` is what CPACR_EL1 and CNTKCTL_EL1 allow, as in [`Tcb::machine`].
    #[inline(always)]
    pub(crate) fn prepared_context(&self, thread: TcbRef) -> usize {
        let own = self.own();
        let wanted = self.tcb(thread).machine();
        if wanted != own.applied.get() {
            return self.change_thread(thread);
        }
        if wanted & TCB_FLAG_FPU_DISABLED == 0 && !own.fp.is_owner(thread) {
            return self.change_fp_owner(thread);
        }
        direct(thread.paddr())
    }

    #[inline(never)]
    fn change_fp_owner(&self, thread: TcbRef) -> usize {
        if CORES > 1 && self.own.iter().any(|own| own.fp.is_owner(thread)) {
            self.release_fp(thread);
        }
        self.own().fp.give_to(thread, direct(thread.paddr()))
    }

    #[inline(never)]
    fn change_thread(&self, thread: TcbRef) -> usize {
        let (own, tcb) = (self.own(), self.tcb(thread));
        let is_open = tcb.flags() & TCB_FLAG_FPU_DISABLED == 0;
        if tcb.machine() != own.applied.replace(tcb.machine()) {
            own.fp.open(is_open);
            cpu::set_counter_access(EXPORTED | if tcb.has_timer_access() { TIMER_PHYSICAL } else { 0 });
        }
        if is_open && !own.fp.is_owner(thread) { self.change_fp_owner(thread) } else { direct(thread.paddr()) }
    }

    #[inline(always)]
    fn tcb(&self, thread: TcbRef) -> Tcb<'_> {
        Tcb::new(self.words(thread.paddr()))
    }

    fn is_ram(&self, paddr: u64, bytes: u64) -> bool {
        self.ram.contains(&Range::of_size(paddr, bytes))
    }
}

/// Starts this core's timer and closes or opens what EL0 may touch (kernel-abi §6.8, §11.5).
fn start_registers() {
    cpu::set_timer_compare(u64::MAX);
    cpu::set_timer_control(TIMER_ENABLE);
    cpu::set_physical_timer_control(0);
    cpu::set_counter_access(EXPORTED);
    cpu::set_debug_control(DEBUG_CHANNEL_TRAP);
    if matches!(cpu::debug_features() >> 8 & 0xf, 1..=0xe) {
        cpu::set_pmu_access(u64::from(cfg!(feature = "export-pmu")));
    }
    if cpu::processor_features() >> 44 & 0xf != 0 {
        cpu::set_amu_access(0);
    }
    cpu::set_fp_access(FP_KERNEL);
    cpu::isb();
}

impl Platform for Hardware {
    const CORES: usize = CORES;

    #[inline(always)]
    fn core(&self) -> usize {
        cores::number()
    }

    #[inline(always)]
    fn words<const N: usize>(&self, paddr: u64) -> &[Cell<u64>; N] {
        let address = direct(paddr);
        // SAFETY: INV-PLAT-1: `paddr` is the aligned address of an object in RAM, so mapped. Everything that is reached this way is a
        // plain word in a `Cell`, and only one core at a time is here (INV-PLAT-2).
        unsafe { &*core::ptr::with_exposed_provenance::<[Cell<u64>; N]>(address) }
    }

    fn zero(&self, paddr: u64, bytes: u64) {
        if !self.is_ram(paddr, bytes) {
            // INV-PLAT-1 excludes it; where there is no RAM, there is nothing to zero either.
            return;
        }
        // SAFETY: the range is RAM in the direct map; by INV-PLAT-1 it belongs to the core.
        unsafe { cache::zero(direct(paddr), bytes as usize) };
    }

    #[inline]
    fn now(&self) -> u64 {
        if CORES > 1 {
            // After the wait for the lock. Nothing else can be too early: the exception that led here synchronised.
            cpu::isb();
        }
        cpu::virtual_count()
    }

    fn ticks_per_ms(&self) -> u64 {
        self.ticks_per_ms
    }

    #[inline]
    fn set_deadline(&self, deadline: u64) {
        // No barrier: the return to EL0 synchronises, and so does `context_of` before WFI.
        cpu::set_timer_compare(deadline);
    }

    #[inline]
    fn write_table_entry(&self, paddr: u64, value: u64) {
        self.words::<1>(paddr)[0].set(value);
        cpu::dsb_ishst();
    }

    fn invalidate_asid(&self, asid: u16) {
        cpu::dsb_ishst();
        cpu::isb(); // a change of TTBR0_EL1 before this is in effect
        cpu::invalidate_asid(asid);
        cpu::dsb_ish();
        cpu::isb();
    }

    fn invalidate_page(&self, asid: u16, vaddr: u64) {
        cpu::dsb_ishst();
        cpu::invalidate_page(asid, vaddr);
        cpu::dsb_ish();
        cpu::isb();
    }

    fn maintain_cache(&self, operation: CacheOperation, paddr: u64, bytes: u64) {
        if bytes == 0 || !self.is_ram(paddr, bytes) {
            return;
        }
        // SAFETY: the range is RAM in the direct map and belongs to whoever asked the core.
        unsafe { cache::maintain(operation, direct(paddr), bytes as usize) };
    }

    #[inline(always)]
    fn set_address_space(&self, space: u64) {
        let value = if space == 0 { self.empty_space } else { space };
        // No barrier: the return to EL0 synchronises (SCTLR_EL1.EOS), and so does `invalidate_asid` before it invalidates.
        // SAFETY: INV-PLAT-1: the core passes live VSpace objects only, and replaces them before it reuses their memory.
        unsafe { cpu::set_user_space(value) };
    }

    #[cold]
    fn release_fp(&self, thread: TcbRef) {
        for (core, own) in self.own.iter().enumerate().filter(|(_, own)| own.fp.is_owner(thread)) {
            if core == cores::number() {
                own.fp.release();
            } else {
                self.ask(core, Request::ReleaseFp);
            }
        }
    }

    fn thread_changed(&self, _thread: TcbRef) {
        // Whoever runs next is compared with `applied` and with the owner of the FP unit.
    }

    fn stop_core(&self, core: usize) {
        cores::stop(core, || self.gic.interrupt_core(core, REMOTE_CALL_SGI));
    }

    fn wake_core(&self, core: usize) {
        self.gic.interrupt_core(core, RESCHEDULE_SGI);
    }

    fn drop_address_space(&self, core: usize) {
        self.ask(core, Request::DropSpace);
    }

    fn must_stop(&self, has_budget: bool) -> bool {
        let must_stop = !has_budget || cpu::pending() & PENDING_IRQ != 0 || cores::others_wait();
        #[cfg(feature = "latency")]
        crate::latency::polled(must_stop);
        must_stop
    }

    fn unmask_irq(&self, core: usize, irq: u32) {
        self.change_irq(core, irq, Request::Unmask(irq));
    }

    fn mask_irq(&self, core: usize, irq: u32) {
        self.change_irq(core, irq, Request::Mask(irq));
    }

    fn set_irq_trigger(&self, core: usize, irq: u32, edge: bool) {
        self.change_irq(core, irq, if edge { Request::Edge(irq) } else { Request::Level(irq) });
    }

    fn route_irq(&self, irq: u32, core: usize) {
        self.gic.route(irq, core);
    }

    fn release_irq(&self, core: usize, irq: u32) {
        self.change_irq(core, irq, Request::Release(irq));
    }

    fn hold_irq(&self, irq: u32) {
        self.gic.hold(irq);
    }

    fn end_irq(&self, irq: u32) {
        self.gic.end(irq);
    }

    fn max_sgi_target(&self) -> u64 {
        self.gic.max_target()
    }

    fn send_sgi(&self, sgi: u32, target: u64) {
        self.gic.send(sgi, target);
    }

    fn power_off(&self) {
        #[cfg(feature = "latency")]
        crate::latency::report();
        psci::system_off();
    }

    fn reset(&self) {
        psci::system_reset();
    }

    fn put_char(&self, character: u8) {
        console::put_byte(character);
    }
}

const FIRST_SHARED: u32 = FIRST_SPI as u32;
const TIMER_IRQ: u32 = hybrid_abi::limits::TIMER_IRQ as u32;
const TIMER_ENABLE: u64 = 1;
/// CNTKCTL_EL1.{EL0PCTEN, EL0VCTEN, EL0VTEN, EL0PTEN}: what every thread may use, a bit per exported thing (kernel-abi §11.5).
const EXPORTED: u64 = (cfg!(feature = "export-pcnt") as u64)
    | (cfg!(feature = "export-vcnt") as u64) << 1
    | (cfg!(feature = "export-vtmr") as u64) << 8
    | (cfg!(feature = "export-ptmr") as u64) << 9;
/// CNTKCTL_EL1.EL0PCTEN and EL0PTEN: what the platform capability lets one thread use besides.
const TIMER_PHYSICAL: u64 = 1 << 0 | 1 << 9;
/// MDSCR_EL1.TDCC: EL0 has no access to the debug channel.
const DEBUG_CHANNEL_TRAP: u64 = 1 << 12;
/// ISR_EL1.I.
const PENDING_IRQ: u64 = 1 << 7;
