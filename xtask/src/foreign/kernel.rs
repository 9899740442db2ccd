//! The kernel that a foreign root task gets: chosen by options, built alone; no root task of ours.
use crate::bench::kernel::has_smp;
use crate::build::{self, Recipe, Root};
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Something of the processor that the kernel lets all user code use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Export {
    /// The physical counter (EXPORT_PCNT_USER)
    Pcnt,
    /// The virtual counter (EXPORT_VCNT_USER)
    Vcnt,
    /// The EL1 physical timer (EXPORT_PTMR_USER)
    Ptmr,
    /// The EL1 virtual timer, which is the kernel's own (EXPORT_VTMR_USER)
    Vtmr,
    /// The performance counters (EXPORT_PMU_USER)
    Pmu,
    /// Nothing
    None,
}

impl Export {
    const ALL: [Self; 5] = [Self::Pcnt, Self::Vcnt, Self::Ptmr, Self::Vtmr, Self::Pmu];

    /// The kernel's feature, and the key of the published configuration.
    fn names(self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::Pcnt => ("export-pcnt", "EXPORT_PCNT_USER"),
            Self::Vcnt => ("export-vcnt", "EXPORT_VCNT_USER"),
            Self::Ptmr => ("export-ptmr", "EXPORT_PTMR_USER"),
            Self::Vtmr => ("export-vtmr", "EXPORT_VTMR_USER"),
            Self::Pmu => ("export-pmu", "EXPORT_PMU_USER"),
            Self::None => return None,
        })
    }
}

/// What every command that concerns a foreign root task takes.
#[derive(Args, Clone, Default)]
pub(crate) struct ForeignOptions {
    /// What all user code may use of counters and timers: any of pcnt,vcnt,ptmr,vtmr,pmu, or none
    /// [default: pcnt,vcnt,ptmr,pmu]
    #[arg(long, value_delimiter = ',', hide_default_value = true, hide_possible_values = true)]
    export: Vec<Export>,
    /// log2 of the slots of the root CNode (13 for sel4test, 15 for sel4bench)
    #[arg(long, value_parser = clap::value_parser!(u8).range(12..=20))]
    pub(crate) root_cnode_bits: Option<u8>,
}

impl ForeignOptions {
    /// Whether any of them was given.
    pub(crate) fn are_given(&self) -> bool {
        !self.export.is_empty() || self.root_cnode_bits.is_some()
    }

    /// What is exported, each once.
    ///
    /// # Errors
    /// `none` together with something.
    pub(crate) fn exports(&self) -> Result<Vec<Export>> {
        if self.export.is_empty() {
            return Ok(vec![Export::Pcnt, Export::Vcnt, Export::Ptmr, Export::Pmu]);
        }
        let named: Vec<Export> = Export::ALL.into_iter().filter(|export| self.export.contains(export)).collect();
        if !named.is_empty() && self.export.contains(&Export::None) {
            bail!("--export takes either none or a list, not both");
        }
        Ok(named)
    }

    /// The kernel's command line.
    pub(crate) fn command_line(&self) -> String {
        self.root_cnode_bits.map_or_else(String::new, |bits| format!("root_cnode_bits={bits}"))
    }
}

/// Which kernel it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Cores that it is used with; 1 takes the kernel that is built for one.
    pub(crate) cores: u8,
    /// With the debug system calls.
    pub(crate) has_debug_calls: bool,
    /// What all user code may use.
    pub(crate) exports: Vec<Export>,
}

/// Cores that the kernel can use.
pub(crate) const CORES_MAX: u8 = 4;

impl Plan {
    /// Keys of the published configuration that are true because of [`Self::exports`].
    pub(crate) fn export_keys(&self) -> Vec<&'static str> {
        self.exports.iter().filter_map(|export| Some(export.names()?.1)).collect()
    }

    fn features(&self) -> Vec<&'static str> {
        let mut features: Vec<&str> = self.exports.iter().filter_map(|export| Some(export.names()?.0)).collect();
        if self.cores > 1 {
            features.push("smp");
        }
        if self.has_debug_calls {
            features.push("debug-calls");
        }
        features
    }

    /// Builds it. The folder then has `Image` and `kernel.elf`.
    ///
    /// # Errors
    /// There is no such kernel, or it does not compile.
    pub(crate) fn build(&self) -> Result<PathBuf> {
        if self.cores > CORES_MAX {
            bail!("the kernel uses at most {CORES_MAX} cores; take --smp {CORES_MAX} or less");
        }
        if self.cores > 1 && !has_smp()? {
            bail!("this checkout has no kernel for several cores; take --smp 1");
        }
        let features = self.features();
        let folder = std::iter::once("kernel").chain(features.iter().copied()).collect::<Vec<_>>().join("+");
        build::image(&Recipe {
            folder,
            root: Root::None,
            board: String::new(),
            kernel_features: features,
            has_kernel_defaults: false,
            is_planted: false,
            has_faults: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Export, ForeignOptions, Plan};

    fn options(export: &[Export]) -> ForeignOptions {
        ForeignOptions { export: export.to_vec(), root_cnode_bits: None }
    }

    #[test]
    fn exports_of_none_are_none_and_of_nothing_said_what_suites_want() {
        assert_eq!(options(&[Export::None]).exports().ok(), Some(vec![]));
        assert_eq!(options(&[]).exports().map_or(0, |exports| exports.len()), 4);
        assert!(options(&[Export::None, Export::Pmu]).exports().is_err());
    }

    #[test]
    fn features_follow_the_plan() {
        let plan = Plan { cores: 2, has_debug_calls: true, exports: vec![Export::Ptmr] };
        assert_eq!(plan.features(), ["export-ptmr", "smp", "debug-calls"]);
        assert_eq!(plan.export_keys(), ["EXPORT_PTMR_USER"]);
    }
}
