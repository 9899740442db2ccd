//! The kernel's configuration as user space reads it (kernel-abi §11): one table, three formats; builds nothing.
use super::kernel::Plan;
use std::fmt::Write as _;

/// What a key says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// True or false.
    Is(bool),
    /// Everything else, numbers too, is text.
    Text(String),
}

/// One configuration: keys without their prefix `CONFIG_`, in the order of the table.
pub(crate) struct Config(Vec<(&'static str, Value)>);

/// The machine that a configuration is for.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The kernel.
    pub(crate) plan: Plan,
    /// Version of the interrupt controller: 2 or 3.
    pub(crate) gic: u8,
    /// log2 of the slots of the root CNode.
    pub(crate) root_cnode_bits: u8,
}

/// True whatever is chosen.
const TRUE: [&str; 15] = [
    "ARCH_AARCH64",
    "ARCH_ARM",
    "PLAT_QEMU_ARM_VIRT",
    "ARM_CORTEX_A53",
    "ARCH_ARM_V8A",
    "KERNEL_MCS",
    "ARM_PA_SIZE_BITS_40",
    "ARM_ICACHE_VIPT",
    "AARCH64_USER_CACHE_ENABLE",
    "ARM_TLS_REG_TPIDRU",
    "HAVE_FPU",
    "FASTPATH",
    "NO_BENCHMARKS",
    "KERNEL_OPT_LEVEL_O2",
    "KERNEL_OPTIMISATION_CLONE_FUNCTIONS",
];

/// False whatever is chosen: what this kernel does not have. Each key stands in kernel-abi §11.3 by its name.
const FALSE: [&str; 42] = [
    "ARM_HYPERVISOR_SUPPORT",
    "ARCH_ARM_HYP",
    "HARDWARE_DEBUG_API",
    "SET_TLS_BASE_SELF",
    "ENABLE_BENCHMARKS",
    "BENCHMARK_GENERIC",
    "BENCHMARK_TRACK_UTILISATION",
    "BENCHMARK_TRACK_KERNEL_ENTRIES",
    "BENCHMARK_TRACEPOINTS",
    "KERNEL_LOG_BUFFER",
    "KERNEL_INVOCATION_REPORT_ERROR_IPC",
    "ALLOW_SMC_CALLS",
    "ARM_SMMU",
    "TK1_SMMU",
    "SMMU_INTERRUPT_ENABLE",
    "ARM_PA_SIZE_BITS_44",
    "ARCH_AARCH32",
    "ARCH_RISCV",
    "ARCH_RISCV32",
    "ARCH_RISCV64",
    "ARCH_X86",
    "ARCH_X86_64",
    "ARCH_IA32",
    "DANGEROUS_CODE_INJECTION",
    "ARM_TLS_REG_TPIDRURO",
    "ARM_HYP_ENABLE_VCPU_CP14_SAVE_AND_RESTORE",
    "VERIFICATION_BUILD",
    "BINARY_VERIFICATION_BUILD",
    "EXCEPTION_FASTPATH",
    "SIGNAL_FASTPATH",
    "KERNEL_OPT_LEVEL_OS",
    "KERNEL_OPT_LEVEL_O0",
    "KERNEL_OPT_LEVEL_O1",
    "KERNEL_OPT_LEVEL_O3",
    "KERNEL_FWHOLE_PROGRAM",
    "ENABLE_A9_PREFETCHER",
    "DISABLE_WFI_WFE_TRAPS",
    "AARCH32_FPU_ENABLE_CONTEXT_SWITCH",
    "AARCH64_SERROR_IGNORE",
    "AARCH64_VSPACE_S2_START_L1",
    "ARM_HAS_TLB_LOCK",
    "VTIMER_UPDATE_VOFFSET",
];

/// False whatever is chosen: other processors and platforms, and choices of the compiler. Kernel-abi §11.3 (§11.4 for `ARCH_*`) names their
/// families only; the members are those that are generally known, and fill the list up to the number of keys that was measured
/// ([decision 0104](../../../docs/decisions/0104-false-keys-of-families.md)).
const FAMILIES_FALSE: [&str; 68] = [
    "ARCH_ARM_V7A",
    "ARCH_ARM_V7VE",
    "DEBUG_DISABLE_L2_CACHE",
    "DEBUG_DISABLE_L1_ICACHE",
    "DEBUG_DISABLE_L1_DCACHE",
    "DEBUG_DISABLE_BRANCH_PREDICTION",
    "ARM_ERRATA_430973",
    "ARM_ERRATA_773022",
    "CLZ_32",
    "CLZ_64",
    "CLZ_NO_BUILTIN",
    "CTZ_32",
    "CTZ_64",
    "CTZ_NO_BUILTIN",
    "ARM_HIKEY_PREFETCHER_STBPFDIS",
    "ARM_HIKEY_PREFETCHER_STBPFRS",
    "ARM_CORTEX_A7",
    "ARM_CORTEX_A8",
    "ARM_CORTEX_A9",
    "ARM_CORTEX_A15",
    "ARM_CORTEX_A35",
    "ARM_CORTEX_A55",
    "ARM_CORTEX_A57",
    "ARM_CORTEX_A72",
    "PLAT_ALLWINNERA20",
    "PLAT_AM335X",
    "PLAT_APQ8064",
    "PLAT_ARIANE",
    "PLAT_BCM2711",
    "PLAT_BCM2837",
    "PLAT_CHESHIRE",
    "PLAT_EXYNOS4",
    "PLAT_EXYNOS5",
    "PLAT_EXYNOS5250",
    "PLAT_EXYNOS5410",
    "PLAT_EXYNOS5422",
    "PLAT_EXYNOS54XX",
    "PLAT_FVP",
    "PLAT_HIFIVE",
    "PLAT_HIFIVE_P550",
    "PLAT_HIKEY",
    "PLAT_IMX6",
    "PLAT_IMX7_SABRE",
    "PLAT_IMX8MM_EVK",
    "PLAT_IMX8MP_EVK",
    "PLAT_IMX8MQ_EVK",
    "PLAT_IMX93",
    "PLAT_MAAXBOARD",
    "PLAT_NITROGEN6SX",
    "PLAT_ODROIDC2",
    "PLAT_ODROIDC4",
    "PLAT_OMAP3",
    "PLAT_PC99",
    "PLAT_POLARFIRE",
    "PLAT_QEMU_RISCV_VIRT",
    "PLAT_QUARTZ64",
    "PLAT_ROCKETCHIP",
    "PLAT_ROCKPRO64",
    "PLAT_SABRE",
    "PLAT_SPIKE",
    "PLAT_STAR64",
    "PLAT_TK1",
    "PLAT_TQMA8XQP1GB",
    "PLAT_TX1",
    "PLAT_TX2",
    "PLAT_WANDQ",
    "PLAT_ZYNQ7000",
    "PLAT_ZYNQMP",
];

/// The exports of counters and timers (kernel-abi §11.5).
const EXPORTS: [&str; 5] =
    ["EXPORT_PCNT_USER", "EXPORT_VCNT_USER", "EXPORT_PTMR_USER", "EXPORT_VTMR_USER", "EXPORT_PMU_USER"];

impl Config {
    /// The kernel's.
    pub(crate) fn of_kernel(target: &Target) -> Self {
        use hybrid_abi::{limits, vm};
        let Target { plan, gic, root_cnode_bits } = target;
        let debug = plan.has_debug_calls;
        let mut keys: Vec<(&str, Value)> = TRUE.iter().map(|key| (*key, Value::Is(true))).collect();
        let chosen = [
            ("ENABLE_SMP_SUPPORT", plan.cores > 1),
            ("ARM_GIC_V3_SUPPORT", *gic == 3),
            ("DEBUG_BUILD", debug),
            ("PRINTING", debug),
            ("IRQ_REPORTING", debug),
            ("COLOUR_PRINTING", debug),
        ];
        keys.extend(chosen.map(|(key, is)| (key, Value::Is(is))));
        let exported = plan.export_keys();
        keys.extend(EXPORTS.map(|key| (key, Value::Is(exported.contains(&key)))));
        keys.extend(FALSE.iter().chain(&FAMILIES_FALSE).map(|key| (*key, Value::Is(false))));
        let user_device_top = (vm::USER_TOP.min((1 << 40) - 1)) + 1;
        let texts = [
            ("SEL4_ARCH", "aarch64".to_string()),
            ("ARCH", "arm".into()),
            ("WORD_SIZE", "64".into()),
            ("ARM_PLAT", "qemu-arm-virt".into()),
            ("PLAT", "qemu-arm-virt".into()),
            ("ARM_MACH", String::new()),
            ("ARM_TLS_REG", "tpidru".into()),
            ("TIMER_FREQUENCY", "62500000".into()),
            ("L1_CACHE_LINE_SIZE_BITS", "6".into()),
            ("PADDR_USER_DEVICE_TOP", user_device_top.to_string()),
            ("ROOT_CNODE_SIZE_BITS", root_cnode_bits.to_string()),
            ("BOOT_THREAD_TIME_SLICE", limits::BOOT_TIME_SLICE_MS.to_string()),
            ("USER_STACK_TRACE_LENGTH", if debug { "16" } else { "0" }.into()),
            ("KERNEL_WCET_SCALE", "1".into()),
            ("ARM_HIKEY_OUTSTANDING_PREFETCHERS", "0".into()),
            ("ARM_HIKEY_PREFETCHER_STRIDE", "0".into()),
            ("ARM_HIKEY_PREFETCHER_NPFSTRM", "0".into()),
            ("RETYPE_FAN_OUT_LIMIT", limits::RETYPE_FAN_OUT.to_string()),
            ("MAX_NUM_WORK_UNITS_PER_PREEMPTION", limits::WORK_UNITS_PER_PREEMPTION.to_string()),
            ("RESET_CHUNK_BITS", limits::RESET_CHUNK_BITS.to_string()),
            ("MAX_NUM_BOOTINFO_UNTYPED_CAPS", limits::BOOT_UNTYPED_CAPS.to_string()),
            ("NUM_DOMAINS", limits::DOMAINS.to_string()),
            ("NUM_DOMAIN_SCHEDULES", limits::DOMAIN_SCHEDULES.to_string()),
            ("NUM_PRIORITIES", limits::PRIORITIES.to_string()),
            ("MAX_NUM_NODES", plan.cores.to_string()),
            ("KERNEL_STACK_BITS", "12".into()),
            ("KERNEL_BENCHMARK", "none".into()),
            ("MAX_NUM_TRACE_POINTS", "0".into()),
            ("KERNEL_OPT_LEVEL", "-O2".into()),
            ("KERNEL_STATIC_MAX_PERIOD_US", "0".into()),
        ];
        keys.extend(texts.map(|(key, text)| (key, Value::Text(text))));
        Self(keys)
    }

    /// That of the C library that seL4's user programs are compiled with.
    pub(crate) fn of_libsel4() -> Self {
        Self(vec![
            ("LIB_SEL4_INLINE_INVOCATIONS", Value::Is(true)),
            ("LIB_SEL4_DEFAULT_FUNCTION_ATTRIBUTES", Value::Is(false)),
            ("LIB_SEL4_PUBLIC_SYMBOLS", Value::Is(false)),
            ("LIB_SEL4_FUNCTION_ATTRIBUTE", Value::Text("inline".into())),
            ("LIB_SEL4_STUBS_USE_IPC_BUFFER_ONLY", Value::Is(false)),
            ("LIB_SEL4_PRINT_INVOCATION_ERRORS", Value::Text("0".into())),
            ("LIB_SEL4_USE_THREAD_LOCALS", Value::Is(true)),
        ])
    }

    /// `gen_config.h`.
    pub(crate) fn header(&self) -> String {
        let mut text = String::from("#pragma once\n\n");
        for (key, value) in &self.0 {
            // Writing to a String cannot fail, here and below.
            let _ = match value {
                Value::Is(true) => writeln!(text, "#define CONFIG_{key}  1"),
                Value::Is(false) => writeln!(text, "/* disabled: CONFIG_{key} */"),
                Value::Text(value) => writeln!(text, "#define CONFIG_{key}  {value}"),
            };
        }
        text
    }

    /// `gen_config.json`.
    pub(crate) fn json(&self) -> String {
        let lines: Vec<String> = self
            .0
            .iter()
            .map(|(key, value)| match value {
                Value::Is(is) => format!("  \"{key}\": {is}"),
                Value::Text(value) => format!("  \"{key}\": {}", serde_json::Value::from(value.as_str())),
            })
            .collect();
        format!("{{\n{}\n}}\n", lines.join(",\n"))
    }

    /// `gen_config.yaml`.
    pub(crate) fn yaml(&self) -> String {
        let mut text = String::new();
        for (key, value) in &self.0 {
            let _ = match value {
                Value::Is(is) => writeln!(text, "{key}: {is}"),
                // Quoted, so that a number stays text.
                Value::Text(value) => writeln!(text, "{key}: '{value}'"),
            };
        }
        text
    }
}

/// Half-open ranges of physical addresses.
type Ranges = Vec<(u64, u64)>;

/// What `platform_gen` says: which physical addresses are devices and which are memory.
pub(crate) struct PlatformMap {
    devices: Ranges,
    memory: Ranges,
}

/// The registers of the interrupt controller that the kernel keeps (kernel-abi §10.6), in ascending order.
const GIC_V2: [(u64, u64); 2] = [(0x800_0000, 0x800_1000), (0x801_0000, 0x801_1000)];
const GIC_V3: [(u64, u64); 2] = [(0x800_0000, 0x801_0000), (0x80a_0000, 0x81a_0000)];
const RAM_START: u64 = 0x4000_0000;
const DEVICES_END: u64 = 1 << 40;

impl PlatformMap {
    /// Of QEMU's machine `virt`.
    pub(crate) fn new(gic: u8, memory_mib: u32) -> Self {
        let ram = (RAM_START, RAM_START + (u64::from(memory_mib) << 20));
        let mut devices = Vec::new();
        let mut start = 0;
        let kept = if gic == 3 { GIC_V3 } else { GIC_V2 };
        for (from, to) in kept.into_iter().chain([ram]) {
            devices.push((start, from));
            start = to;
        }
        devices.push((start, DEVICES_END));
        Self { devices, memory: vec![ram] }
    }

    fn lists(&self) -> [(&str, &Ranges); 2] {
        [("devices", &self.devices), ("memory", &self.memory)]
    }

    /// `platform_gen.json`.
    pub(crate) fn json(&self) -> String {
        let lists = self.lists().map(|(name, ranges)| {
            let items: Vec<String> =
                ranges.iter().map(|(start, end)| format!("    {{\"start\": {start}, \"end\": {end}}}")).collect();
            format!("  \"{name}\": [\n{}\n  ]", items.join(",\n"))
        });
        format!("{{\n{}\n}}\n", lists.join(",\n"))
    }

    /// `platform_gen.yaml`.
    pub(crate) fn yaml(&self) -> String {
        let mut text = String::new();
        for (name, ranges) in self.lists() {
            let _ = writeln!(text, "{name}:");
            for (start, end) in ranges {
                let _ = writeln!(text, "- start: {start}\n  end: {end}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, EXPORTS, FALSE, FAMILIES_FALSE, PlatformMap, TRUE, Target};
    use crate::foreign::kernel::{Export, Plan};
    use serde_json::Value;
    use std::collections::BTreeSet;

    /// How many keys the kernel's configuration has (kernel-abi §11.3).
    const KEYS: usize = 166;

    fn target(cores: u8, gic: u8, has_debug_calls: bool, exports: Vec<Export>) -> Target {
        Target { plan: Plan { cores, has_debug_calls, exports }, gic, root_cnode_bits: 12 }
    }

    fn parsed(target: &Target) -> Value {
        serde_json::from_str(&Config::of_kernel(target).json()).expect("valid JSON")
    }

    #[test]
    fn kernel_has_every_key_once_in_all_three_formats() {
        let config = Config::of_kernel(&target(4, 2, false, vec![]));
        assert_eq!(config.0.len(), KEYS);
        let json: Value = serde_json::from_str(&config.json()).expect("valid JSON");
        let object = json.as_object().expect("an object");
        assert_eq!(object.len(), KEYS, "a key stands twice in the table");
        for key in object.keys() {
            assert!(
                config.header().lines().any(|line| line.split([' ', '\t']).any(|word| word == format!("CONFIG_{key}")))
            );
            assert!(config.yaml().lines().any(|line| line.starts_with(&format!("{key}: "))));
        }
    }

    #[test]
    fn formats_are_those_that_user_builds_parse() {
        let config = Config::of_kernel(&target(4, 2, false, vec![]));
        let header = config.header();
        for line in [
            "#define CONFIG_KERNEL_MCS  1",
            "#define CONFIG_MAX_NUM_NODES  4",
            "#define CONFIG_PLAT  qemu-arm-virt",
            "/* disabled: CONFIG_DEBUG_BUILD */",
        ] {
            assert!(header.lines().any(|found| found == line), "{line}");
        }
        assert!(!header.contains("#define CONFIG_DEBUG_BUILD"));
        let json = parsed(&target(4, 2, false, vec![]));
        assert_eq!((&json["MAX_NUM_NODES"], &json["KERNEL_MCS"]), (&Value::from("4"), &Value::from(true)));
        assert_eq!((&json["DEBUG_BUILD"], &json["ARM_MACH"]), (&Value::from(false), &Value::from("")));
        assert_eq!(json["PADDR_USER_DEVICE_TOP"], "1099511627776");
        assert!(config.yaml().contains("MAX_NUM_NODES: '4'\n") && config.yaml().contains("DEBUG_BUILD: false\n"));
    }

    #[test]
    fn keys_follow_the_kernel_and_the_machine() {
        let one = parsed(&target(1, 3, true, vec![Export::Pcnt, Export::Ptmr]));
        for key in ["ARM_GIC_V3_SUPPORT", "DEBUG_BUILD", "PRINTING", "EXPORT_PCNT_USER", "EXPORT_PTMR_USER"] {
            assert_eq!(one[key], true, "{key}");
        }
        for key in ["ENABLE_SMP_SUPPORT", "EXPORT_VCNT_USER", "EXPORT_PMU_USER", "EXPORT_VTMR_USER"] {
            assert_eq!(one[key], false, "{key}");
        }
        assert_eq!((&one["MAX_NUM_NODES"], &one["USER_STACK_TRACE_LENGTH"]), (&Value::from("1"), &Value::from("16")));
        assert_eq!(parsed(&target(4, 2, false, vec![]))["ENABLE_SMP_SUPPORT"], true);
    }

    #[test]
    fn tables_name_each_key_once() {
        let mut all: Vec<&str> = TRUE.iter().chain(&FALSE).chain(&FAMILIES_FALSE).chain(&EXPORTS).copied().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    /// Every key of the kernel's configuration stands in the ABI's chapter 11, by its name or as one of a family (`PLAT_*`).
    #[test]
    fn every_key_has_its_source_in_the_abi() {
        let abi = include_str!("../../../docs/kernel/abi.md");
        let chapter = abi.split("\n## 11.").nth(1).and_then(|rest| rest.split("\n## 12.").next()).expect("chapter 11");
        let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let words: BTreeSet<&str> = chapter.split(|c| !is_part(c)).collect();
        // `KERNEL_OPT_LEVEL_{OS,O0,…}`, `ARCH_RISCV32/64` and `ARM_HIKEY_OUTSTANDING_PREFETCHERS, …_STRIDE` are names cut short.
        let cut_short = |key: &str| {
            let (head, tail) = key.rsplit_once('_').unwrap_or(("", key));
            (words.contains(format!("{head}_").as_str()) && words.contains(tail))
                || key == "ARCH_RISCV64"
                || (head == "ARM_HIKEY_PREFETCHER" && words.contains(format!("_{tail}").as_str()))
        };
        for (key, _) in &Config::of_kernel(&target(4, 2, false, vec![])).0 {
            let family = words
                .iter()
                .find(|word| word.ends_with('_') && key.starts_with(**word) && chapter.contains(&format!("{word}*")));
            let prefix = ["ARM_HIKEY_PREFETCHER_STBPF"].iter().find(|prefix| key.starts_with(**prefix));
            let is_of_family = family.is_some() || prefix.is_some_and(|prefix| chapter.contains(&format!("{prefix}*")));
            if FAMILIES_FALSE.contains(key) {
                assert!(is_of_family, "{key} is of no family");
            } else {
                assert!(words.contains(key) || cut_short(key), "{key} stands nowhere");
            }
        }
    }

    #[test]
    fn libsel4_has_its_seven_keys() {
        let json: Value = serde_json::from_str(&Config::of_libsel4().json()).expect("valid JSON");
        assert_eq!(json.as_object().map(serde_json::Map::len), Some(7));
        assert_eq!(json["LIB_SEL4_FUNCTION_ATTRIBUTE"], "inline");
    }

    #[test]
    fn platform_map_of_1_gib_with_gic_v2_is_that_of_the_specification() {
        let map: Value = serde_json::from_str(&PlatformMap::new(2, 1024).json()).expect("valid JSON");
        let ranges = |name: &str| -> Vec<(u64, u64)> {
            let list = map[name].as_array().expect("a list");
            list.iter().filter_map(|range| Some((range["start"].as_u64()?, range["end"].as_u64()?))).collect()
        };
        let devices =
            [(0, 0x800_0000), (0x800_1000, 0x801_0000), (0x801_1000, 0x4000_0000), (0x8000_0000, 0x100_0000_0000)];
        assert_eq!((ranges("devices"), ranges("memory")), (devices.to_vec(), vec![(0x4000_0000, 0x8000_0000)]));
        assert!(PlatformMap::new(3, 512).yaml().contains("- start: 134283264\n  end: 134873088\n"));
    }
}
