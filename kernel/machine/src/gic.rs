//! Arithmetic of GIC register fields; touches no register.

/// Offset of the 32-bit register that holds one bit per interrupt, and the bit, for the bank at `base`.
pub const fn flag(base: usize, irq: u32) -> (usize, u32) {
    (base + (irq as usize / 32) * 4, 1 << (irq % 32))
}

/// Offset of the configuration register (two bits per interrupt) and the bit that means "edge".
pub const fn trigger(base: usize, irq: u32) -> (usize, u32) {
    (base + (irq as usize / 16) * 4, 2 << ((irq % 16) * 2))
}

/// Offset of the 32-bit register that holds one byte per interrupt, and how far the byte is shifted in it.
pub const fn byte(base: usize, irq: u32) -> (usize, u32) {
    (base + irq as usize / 4 * 4, irq % 4 * 8)
}

/// Number of interrupt IDs that the distributor implements, from GICD_TYPER, at most `limit`.
pub fn implemented(kind: u32, limit: u32) -> u32 {
    (32 * ((kind & 0x1f) + 1)).min(limit)
}

/// The packed affinity (Aff3.Aff2.Aff1.Aff0) of an MPIDR_EL1 value.
pub const fn packed_affinity(mpidr: u64) -> u64 {
    (mpidr >> 32 & 0xff) << 24 | mpidr & 0xff_ffff
}

/// A packed affinity as GICD_IROUTER wants it.
pub const fn route(packed: u64) -> u64 {
    (packed & 0xff00_0000) << 8 | packed & 0xff_ffff
}

/// Value of ICC_SGI1R_EL1 for one target given as packed affinity (GICv3 §12.11.29).
pub const fn software_interrupt(sgi: u32, target: u64) -> u64 {
    let (aff0, aff1, aff2, aff3) = (target & 0xff, target >> 8 & 0xff, target >> 16 & 0xff, target >> 24 & 0xff);
    aff3 << 48 | (aff0 >> 4) << 44 | aff2 << 32 | ((sgi & 15) as u64) << 24 | aff1 << 16 | 1 << (aff0 & 15)
}

/// Whether GICR_TYPER names the core with this MPIDR_EL1.
pub const fn redistributor_is_of(kind: u64, mpidr: u64) -> bool {
    kind >> 32 == packed_affinity(mpidr)
}

/// Bytes to the next redistributor, by GICR_TYPER: two frames, or four with virtual LPIs; `None` for the last.
pub const fn redistributor_stride(kind: u64) -> Option<u64> {
    match (kind & 1 << 4, kind & 1 << 1) {
        (0, 0) => Some(0x2_0000),
        (0, _) => Some(0x4_0000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_triggers_of_edge_numbers() {
        assert_eq!(flag(0x100, 0), (0x100, 1));
        assert_eq!(flag(0x100, 31), (0x100, 1 << 31));
        assert_eq!(flag(0x180, 159), (0x190, 1 << 31));
        assert_eq!(trigger(0xc00, 16), (0xc04, 2));
        assert_eq!(trigger(0xc00, 159), (0xc24, 2 << 30));
        assert_eq!(byte(0x800, 32), (0x820, 0));
        assert_eq!(byte(0x800, 159), (0x89c, 24));
    }

    #[test]
    fn implemented_count_is_cut() {
        assert_eq!(implemented(0, 160), 32);
        assert_eq!(implemented(8, 160), 160);
        assert_eq!(implemented(4, 160), 160);
        assert_eq!(implemented(2, 160), 96);
    }

    #[test]
    fn software_interrupt_reaches_high_affinities() {
        assert_eq!(software_interrupt(5, 0), 5 << 24 | 1);
        assert_eq!(software_interrupt(15, 0x0102_0311), 1 << 48 | 1 << 44 | 2 << 32 | 15 << 24 | 3 << 16 | 2);
    }

    #[test]
    fn route_keeps_the_affinity_only() {
        assert_eq!(route(packed_affinity(0x0000_0001_8002_0304)), 0x0000_0001_0002_0304);
    }

    #[test]
    fn redistributor_of_a_core_is_recognised() {
        let kind = 0x0000_0103u64 << 32 | 1 << 4;
        assert!(redistributor_is_of(kind, 0x8000_0103));
        assert!(!redistributor_is_of(kind, 0x8000_0003));
        assert_eq!(redistributor_stride(kind), None);
        assert_eq!(redistributor_stride(0), Some(0x2_0000));
    }
}
