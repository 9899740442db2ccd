//! What a C program finds on its stack when it starts; it puts nothing there itself.
//!
//! Source: System V ABI, AArch64 supplement, "Process Initialization": argc, argv, 0, envp, 0, pairs of the auxiliary vector, 0.

use crate::areas::PAGE;
use crate::family;
use alloc::vec::Vec;

/// The most bytes of arguments and environment together.
const TEXT_MAX: usize = family::GIVEN_MAX;
/// Of them on the stack: what is more is in the heap.
const TEXT_ON_STACK: usize = 4096;
/// The most arguments and variables together.
const STRINGS_MAX: usize = family::STRINGS_MAX;
const PAIRS_MAX: usize = 20;
/// The most that all of it takes of the stack: words for each string, counts and ends and two for each pair, random bytes, what aligns it.
pub const STACK_MAX: usize = TEXT_ON_STACK + 8 * (STRINGS_MAX + 4 + 2 * PAIRS_MAX) + 32;

/// The variable by which std is told how large the stacks of threads are of which the program does not say it.
pub const MIN_STACK: &str = "RUST_MIN_STACK";
/// What musl puts on a thread's stack at most, beside the program's thread-local storage: its own state, tables, what the program keeps by keys.
const MUSL_OF_THREAD: u64 = 2048;

/// What std may ask for so that musl finds room for it in a stack of `bytes`, which has thread-local storage of a size and alignment, too; whole
/// pages. `None` if nothing is left.
#[must_use]
pub const fn min_stack(bytes: u64, (tls, alignment): (u64, u64)) -> Option<u64> {
    let taken = MUSL_OF_THREAD.saturating_add(tls).saturating_add(alignment.saturating_mul(2));
    let left = bytes.saturating_sub(taken) / PAGE * PAGE;
    if left > 0 { Some(left) } else { None }
}

/// Keys of the auxiliary vector (include/uapi/linux/auxvec.h).
pub mod auxiliary {
    /// Address of the program headers.
    pub const PHDR: u64 = 3;
    /// Bytes of one of them.
    pub const PHENT: u64 = 4;
    /// How many there are.
    pub const PHNUM: u64 = 5;
    /// Bytes of a page.
    pub const PAGESZ: u64 = 6;
    /// User.
    pub const UID: u64 = 11;
    /// Effective user.
    pub const EUID: u64 = 12;
    /// Group.
    pub const GID: u64 = 13;
    /// Effective group.
    pub const EGID: u64 = 14;
    /// What the processor can.
    pub const HWCAP: u64 = 16;
    /// Whether the program has more rights than who started it.
    pub const SECURE: u64 = 23;
    /// Address of 16 random bytes.
    pub const RANDOM: u64 = 25;
}

/// What the start of the stack is made of.
#[derive(Debug, Default)]
pub struct Start {
    strings: Vec<(usize, Kind)>,
    text: Vec<u8>,
    pairs: heapless::Vec<(u64, u64), PAIRS_MAX>,
    random: Option<[u8; 16]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Argument,
    Variable,
}

impl Start {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// As [`Self::new`], with memory for so many bytes of strings if that is there.
    #[must_use]
    pub fn with_room(bytes: usize) -> Self {
        let mut start = Self::default();
        // Else it is asked for as they come.
        let _is_there = start.text.try_reserve_exact(bytes);
        start
    }

    /// The next argument, the program's own name first. False if there is no room, or it holds a zero byte.
    #[must_use]
    pub fn argument(&mut self, text: &str) -> bool {
        self.string(&[text.as_bytes()], Kind::Argument)
    }

    /// The next argument or whole variable as it is given, whatever its bytes mean. False if there is no room, or it holds a zero byte.
    #[must_use]
    pub fn given(&mut self, bytes: &[u8], is_argument: bool) -> bool {
        self.string(&[bytes], if is_argument { Kind::Argument } else { Kind::Variable })
    }

    /// A variable of the environment. False if there is no room, or it holds a zero byte, or `name` an equals sign.
    #[must_use]
    pub fn variable(&mut self, name: &str, value: &str) -> bool {
        !name.contains('=') && self.string(&[name.as_bytes(), b"=", value.as_bytes()], Kind::Variable)
    }

    /// Whether there is a variable of that name.
    #[must_use]
    pub fn has_variable(&self, name: &str) -> bool {
        let mut variables = self.strings.iter().filter(|(_, kind)| *kind == Kind::Variable);
        variables.any(|(at, _)| {
            let text = self.text.get(*at..).and_then(|text| text.strip_prefix(name.as_bytes()));
            text.is_some_and(|rest| rest.starts_with(b"="))
        })
    }

    /// A pair of the auxiliary vector. False if there is no room.
    #[must_use]
    pub fn pair(&mut self, key: u64, value: u64) -> bool {
        // One place each is kept for AT_RANDOM and the end.
        self.pairs.len() < PAIRS_MAX - 2 && self.pairs.push((key, value)).is_ok()
    }

    /// Bytes that nobody can guess.
    pub fn random(&mut self, bytes: [u8; 16]) {
        self.random = Some(bytes);
    }

    fn string(&mut self, parts: &[&[u8]], kind: Kind) -> bool {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        let has_room = self.text.len() + bytes < TEXT_MAX && self.strings.len() < STRINGS_MAX;
        if !has_room || parts.iter().any(|part| part.contains(&0)) {
            return false;
        }
        let at = self.text.len();
        if self.text.try_reserve(bytes + 1).is_err() || self.strings.try_reserve(1).is_err() {
            return false;
        }
        self.text.extend(parts.iter().flat_map(|part| part.iter().copied()).chain([0]));
        self.strings.push((at, kind));
        true
    }

    /// How many bytes the heap has to have for it; `None`: all has room on the stack.
    #[must_use]
    pub fn wants_heap(&self) -> Option<u64> {
        (self.text.len() > TEXT_ON_STACK).then_some(self.text.len() as u64)
    }

    /// The stack pointer for a stack that ends at `top`; `put` gets each piece and its address. The pieces lie between the two, but for the strings
    /// if they are to be in the heap.
    pub fn lay_out(&self, top: u64, heap: Option<u64>, mut put: impl FnMut(u64, &[u8])) -> u64 {
        let text = heap.unwrap_or_else(|| top.saturating_sub(self.text.len() as u64));
        put(text, &self.text);
        let random = heap.map_or(text, |_| top).saturating_sub(16);
        if let Some(bytes) = &self.random {
            put(random, bytes);
        }
        let words = self.words(text, random);
        let stack = random.saturating_sub(words.len() as u64 * 8) / 16 * 16;
        for (word, address) in words.iter().zip((stack..).step_by(8)) {
            put(address, &word.to_le_bytes());
        }
        stack
    }

    fn words(&self, text: u64, random: u64) -> Vec<u64> {
        let of = |kind: Kind| {
            let strings = self.strings.iter().filter(move |(_, is)| *is == kind);
            strings.map(move |(at, _)| text.saturating_add(*at as u64))
        };
        let random = self.random.is_some().then_some([auxiliary::RANDOM, random]);
        let pairs = self.pairs.iter().flat_map(|(key, value)| [*key, *value]);
        [of(Kind::Argument).count() as u64]
            .into_iter()
            .chain(of(Kind::Argument))
            .chain([0])
            .chain(of(Kind::Variable))
            .chain([0])
            .chain(pairs)
            .chain(random.into_iter().flatten())
            .chain([0, 0])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn std_is_told_what_musl_leaves_of_a_stack() {
        assert_eq!(min_stack(64 << 10, (0, 0)), Some(60 << 10));
        assert_eq!(min_stack(64 << 10, (2048, 1)), Some(56 << 10));
        assert_eq!(min_stack(64 << 10, (32, 4096)), Some(52 << 10));
        assert_eq!((min_stack(4096, (0, 0)), min_stack(64 << 10, (u64::MAX, u64::MAX))), (None, None));
    }

    #[test]
    fn variable_is_there_by_its_whole_name() {
        let mut start = Start::new();
        assert!(start.argument("RUST_MIN_STACK=1") && start.variable("RUST_MIN_STACKS", "2"));
        assert!(!start.has_variable(MIN_STACK));
        assert!(start.given(b"RUST_MIN_STACK=3", false) && start.has_variable(MIN_STACK));
    }

    /// Lays out on a stack of a page that ends at 0x8000, and reads it as a program does.
    fn laid_out(start: &Start) -> (u64, std::vec::Vec<u8>) {
        let mut page = vec![0xaa; 0x4000];
        let stack = start.lay_out(0x8000, None, |address, bytes| {
            let at = usize::try_from(address - 0x4000).unwrap();
            page[at..at + bytes.len()].copy_from_slice(bytes);
        });
        (stack, page)
    }

    fn word(page: &[u8], address: u64) -> u64 {
        let at = usize::try_from(address - 0x4000).unwrap();
        u64::from_le_bytes(page[at..at + 8].try_into().unwrap())
    }

    fn text(page: &[u8], address: u64) -> String {
        let at = usize::try_from(address - 0x4000).unwrap();
        page[at..].iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect()
    }

    #[test]
    fn start_is_laid_out_as_the_abi_says() {
        let mut start = Start::new();
        assert!(start.argument("prog") && start.variable("A", "b c") && start.argument("x"));
        assert!(start.pair(auxiliary::PAGESZ, 4096));
        start.random([7; 16]);
        let (stack, page) = laid_out(&start);
        assert_eq!(stack % 16, 0);
        let words: std::vec::Vec<u64> = (0..11).map(|index| word(&page, stack + index * 8)).collect();
        assert_eq!((words[0], words[3], words[5]), (2, 0, 0));
        assert_eq!((text(&page, words[1]), text(&page, words[2])), ("prog".into(), "x".into()));
        assert_eq!(text(&page, words[4]), "A=b c");
        assert_eq!((words[6], words[7], words[8], words[10]), (auxiliary::PAGESZ, 4096, auxiliary::RANDOM, 0));
        assert_eq!(word(&page, words[9]), 0x0707_0707_0707_0707);
    }

    #[test]
    fn start_without_room_or_with_zero_bytes_refuses_and_stays_whole() {
        let mut start = Start::new();
        assert!(!start.argument("a\0b") && !start.variable("A=B", "c"));
        assert!(!start.argument(&"x".repeat(TEXT_MAX)));
        let taken = (0..STRINGS_MAX + 5).filter(|_| start.argument("y")).count();
        let pairs = (0..PAIRS_MAX as u64 + 5).filter(|key| start.pair(*key, 1)).count();
        assert_eq!((taken, pairs), (STRINGS_MAX, PAIRS_MAX - 2));
        start.random([1; 16]);
        let (stack, page) = laid_out(&start);
        assert_eq!(word(&page, stack), STRINGS_MAX as u64);
        let end = stack + 8 * (1 + STRINGS_MAX as u64 + 2 + 2 * (PAIRS_MAX as u64 - 1));
        assert_eq!((word(&page, end), word(&page, end + 8)), (0, 0));
    }

    #[test]
    fn strings_for_which_the_stack_has_no_room_are_in_the_heap() {
        let mut start = Start::new();
        assert!(start.argument("x") && start.wants_heap().is_none());
        let long = "y".repeat(31);
        while start.argument(&long) {}
        assert_eq!((start.wants_heap(), start.strings.len()), (Some(2 + 32 * 1023), 1024));
        let (mut heap, mut lowest) = (std::vec::Vec::new(), u64::MAX);
        let stack = start.lay_out(0x8000, Some(0x10_0000), |address, bytes| {
            if address >= 0x10_0000 {
                heap.extend_from_slice(bytes);
            } else {
                lowest = lowest.min(address);
            }
        });
        assert_eq!((lowest, heap.len()), (stack, 2 + 32 * 1023));
        assert!(0x8000 - stack <= STACK_MAX as u64);
    }
}
