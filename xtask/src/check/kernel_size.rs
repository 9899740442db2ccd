//! The kernel stays small: lines of Rust that a newcomer must read, and bytes of the image.
use super::tree::File;
use crate::bench::kernel::has_smp;
use crate::build::{self, Recipe, Root};
use anyhow::{Context, Result};

/// Lines of the whole kernel, and of its unsafe half, must stay below these.
const LINES_END: usize = 10_000;
const ARCH_LINES_END: usize = 1_900;
/// Bytes of the Image file that is shipped, for one core and for several, must stay below this.
const IMAGE_END: u64 = 128 << 10;
const ARCH: &str = "kernel/arch-aarch64/";

/// Counts lines with code: no blank ones, no comments, no tests.
pub(crate) fn lines(files: &[File]) -> Vec<String> {
    let count =
        |folder: &str| -> usize { files.iter().filter(|file| is_code(&file.path, folder)).map(code_lines).sum() };
    [("kernel/", LINES_END), (ARCH, ARCH_LINES_END)]
        .into_iter()
        .filter_map(|(folder, end)| {
            let lines = count(folder);
            let say = "lines of Rust without comments and tests, and must stay below";
            (lines >= end).then(|| format!("{folder}: {lines} {say} {end}; make something simpler"))
        })
        .collect()
}

pub(super) fn is_code(path: &str, folder: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    path.starts_with(folder) && path.ends_with(".rs") && !path.contains("tests/") && !name.ends_with("tests.rs")
}

/// The lines of a file before its tests (which come last in every file) that are neither blank nor only a comment.
pub(super) fn code_lines(file: &File) -> usize {
    let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
    let tests = lines.windows(2).position(|pair| pair[0] == "#[cfg(test)]" && pair[1] == "mod tests {");
    let before = &lines[..tests.unwrap_or(lines.len())];
    before.iter().filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

/// Builds the kernels that are shipped and looks at their size.
///
/// # Errors
/// A kernel does not build.
pub(crate) fn image() -> Result<Vec<String>> {
    let kernels: &[&[&'static str]] = if has_smp()? { &[&[], &["smp"]] } else { &[&[]] };
    let mut problems = Vec::new();
    for features in kernels {
        let folder = std::iter::once("kernel-shipped").chain(features.iter().copied()).collect::<Vec<_>>().join("+");
        let kernel_features = features.to_vec();
        let recipe = Recipe {
            folder,
            root: Root::None,
            board: String::new(),
            kernel_features,
            has_kernel_defaults: true,
            is_planted: false,
            has_faults: false,
        };
        let image = build::image(&recipe)?.join("Image");
        let size = image.metadata().with_context(|| format!("cannot read {}", image.display()))?.len();
        if size >= IMAGE_END {
            problems.push(format!(
                "the kernel's Image with features {features:?} has {size} bytes, and must stay below {IMAGE_END}; `llvm-nm --size-sort` \
                 on kernel.elf beside it shows what is large"
            ));
        }
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::{File, code_lines, lines};

    fn file(path: &str, text: &str) -> File {
        File { path: path.into(), text: text.into() }
    }

    #[test]
    fn code_lines_leaves_out_comments_blanks_and_tests() {
        let text = "//! Tagline.\n\n/// Says so.\nfn one() {\n    // why\n    two()\n}\n\n#[cfg(test)]\nmod tests {\n    fn three() {}\n}\n";
        assert_eq!(code_lines(&file("kernel/core/src/one.rs", text)), 3);
    }

    #[test]
    fn lines_of_a_kernel_that_is_too_large_name_folder_and_both_numbers() {
        let large = "let x = 1;\n".repeat(3000);
        let files = |path: &str| [file(path, &large)];
        let problems = lines(&files("kernel/arch-aarch64/src/large.rs"));
        assert!(problems.len() == 1 && problems[0].contains("arch") && problems[0].contains("3000"), "{problems:?}");
        for path in [
            "kernel/core/src/large.rs",
            "kernel/arch-aarch64/src/tests.rs",
            "kernel/core/src/model_tests/x.rs",
            "xtask/x.rs",
        ] {
            assert!(lines(&files(path)).is_empty(), "{path}");
        }
    }
}
