//! The area map against memory that a test can look into.
#![expect(clippy::cast_possible_truncation, reason = "offsets in a test's few pages")]
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const BASE: u64 = 0x1000_0000;
const PAGES: usize = 24;
/// Where the stacks begin, in pages of one numbering with the heap's.
const STACKS: u64 = 100;
const GUARD: u64 = 2;
const STRIDE: u64 = 5;
const COUNT: u64 = 3;
const END: u64 = STACKS + COUNT * STRIDE;

fn stacks() -> Stacks {
    let bytes = (STRIDE - GUARD) * PAGE;
    Stacks { base: BASE + STACKS * PAGE, guard: GUARD * PAGE, bytes, count: COUNT as u8 }
}

/// Whether nothing is mapped there.
fn is_hole(page: u64) -> bool {
    page >= STACKS && (page - STACKS) % STRIDE < GUARD
}

/// Pages as a program sees them: one byte stands for the content of each.
struct Heap {
    areas: Areas<Vec<u8>>,
    content: Vec<u8>,
}

impl Heap {
    fn new() -> Self {
        let table = vec![0xff; PAGES + (COUNT * STRIDE) as usize];
        Self { areas: Areas::new(BASE, table, stacks()), content: vec![0; END as usize] }
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Areas<Vec<u8>>, &mut dyn FnMut(u64, u64)) -> T) -> T {
        let content = &mut self.content;
        let mut zero = |address: u64, bytes: u64| {
            let (first, count) = ((address - BASE) / PAGE, bytes / PAGE);
            assert!(count > 0 && !pages(first, count).any(is_hole), "no memory to be zeroed at {first}");
            content[first as usize..(first + count) as usize].fill(0);
        };
        act(&mut self.areas, &mut zero)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Map(u64, u8),
    MapStack(u64, u64),
    Discard(u64, u64),
    MapAt(u64, u64, u8),
    Unmap(u64, u64),
    Protect(u64, u64, u8),
    Resize(u64, u64, u64),
    Write(u64, u8),
    Keep(u64),
}

fn access(number: u8) -> Access {
    [Access::None, Access::Read, Access::ReadWrite][usize::from(number % 3)]
}

fn step() -> impl Strategy<Value = Step> {
    let page = || prop_oneof![0..PAGES as u64 + 2, STACKS - 1..END + 1];
    let count = || 0_u64..8;
    prop_oneof![
        (count(), any::<u8>()).prop_map(|(n, a)| Step::Map(n, a)),
        (count(), 0_u64..4).prop_map(|(n, g)| Step::MapStack(n, g)),
        (page(), count()).prop_map(|(p, n)| Step::Discard(p, n)),
        (page(), count(), any::<u8>()).prop_map(|(p, n, a)| Step::MapAt(p, n, a)),
        (page(), count()).prop_map(|(p, n)| Step::Unmap(p, n)),
        (page(), count(), any::<u8>()).prop_map(|(p, n, a)| Step::Protect(p, n, a)),
        (page(), count(), count()).prop_map(|(p, n, m)| Step::Resize(p, n, m)),
        (page(), 1..=u8::MAX).prop_map(|(p, v)| Step::Write(p, v)),
        (0_u64..4).prop_map(Step::Keep),
    ]
}

/// What must be true: for each page that is not free its access, if it is the program's, and its content.
type Model = BTreeMap<u64, (Option<Access>, u8)>;

/// What the personality has in the pages that it keeps.
const OWN: u8 = 0xa5;

fn pages(first: u64, count: u64) -> impl Iterator<Item = u64> {
    first..first + count
}

fn is_inside(first: u64, count: u64) -> bool {
    first + count <= PAGES as u64 || (first >= STACKS && first + count <= END)
}

/// Whether it may be so accessible.
fn has_memory(first: u64, count: u64, to: u8) -> bool {
    access(to) == Access::None || !pages(first, count).any(is_hole)
}

/// The lowest stack of which nothing is used, if it is large enough, so that the highest of the pages below are the lowest of it; else the heap.
fn take_stack(model: &mut Model, count: u64, guard: u64) -> Option<u64> {
    let skipped = GUARD.saturating_sub(guard);
    let to = (Some(if guard == 0 { Access::ReadWrite } else { Access::None }), 0);
    let is_unused = |first: &u64| pages(*first, STRIDE).all(|page| !model.contains_key(&page));
    let mut places = (0..COUNT).map(|index| STACKS + index * STRIDE);
    match places.find(is_unused).filter(|_| (1..=STRIDE - skipped).contains(&count)) {
        Some(first) => {
            model.extend(pages(first + skipped, count).map(|page| (page, to)));
            Some(first + skipped)
        }
        None => take(model, count, to),
    }
}

/// Whether all of the range are the program's.
fn is_mapped(model: &Model, first: u64, count: u64) -> bool {
    is_inside(first, count) && pages(first, count).all(|page| model.get(&page).is_some_and(|of| of.0.is_some()))
}

fn is_without_kept(model: &Model, first: u64, count: u64) -> bool {
    is_inside(first, count) && pages(first, count).all(|page| model.get(&page).is_none_or(|of| of.0.is_some()))
}

/// The lowest place with so many free pages in a row, which get what is said.
fn take(model: &mut Model, count: u64, to: (Option<Access>, u8)) -> Option<u64> {
    let free = |first: &u64| pages(*first, count).all(|page| !model.contains_key(&page));
    let first = (0..PAGES as u64).filter(|first| count > 0 && is_inside(*first, count)).find(free)?;
    model.extend(pages(first, count).map(|page| (page, to)));
    Some(first)
}

/// Does the step to the model; the first page that `map` must give, or whether the step must succeed.
fn act(model: &mut Model, step: &Step) -> Option<u64> {
    match *step {
        Step::Map(count, to) => take(model, count, (Some(access(to)), 0)),
        Step::Keep(count) => take(model, count, (None, OWN)),
        Step::MapStack(count, guard) => take_stack(model, count, guard),
        Step::Discard(first, count) => (count > 0 && is_mapped(model, first, count)).then(|| {
            pages(first, count).for_each(|page| model.get_mut(&page).unwrap().1 = 0);
            first
        }),
        Step::MapAt(first, count, to) => {
            let is_right = count > 0 && is_without_kept(model, first, count) && has_memory(first, count, to);
            is_right.then(|| {
                model.extend(pages(first, count).map(|page| (page, (Some(access(to)), 0))));
                first
            })
        }
        Step::Unmap(first, count) => (count > 0 && is_without_kept(model, first, count)).then(|| {
            model.retain(|page, _| !pages(first, count).any(|gone| gone == *page));
            first
        }),
        Step::Protect(first, count, to) => {
            let is_right = is_mapped(model, first, count) && has_memory(first, count, to);
            (count == 0 || is_right).then(|| {
                for page in pages(first, count) {
                    model.get_mut(&page).unwrap().0 = Some(access(to));
                }
                first
            })
        }
        Step::Resize(first, old, new) => {
            let grown = new.saturating_sub(old);
            let is_free =
                is_inside(first + old, grown) && pages(first + old, grown).all(|page| !model.contains_key(&page));
            let to = model.get(&first).and_then(|of| of.0);
            let has_memory = to == Some(Access::None) || !pages(first + old, grown).any(is_hole);
            (old > 0 && is_mapped(model, first, old) && new > 0 && is_free && has_memory).then(|| {
                model.extend(pages(first + old, grown).map(|page| (page, (to, 0))));
                model.retain(|page, _| *page < first + new || *page >= first + old);
                first
            })
        }
        Step::Write(..) => None,
    }
}

proptest! {
    #[test]
    fn areas_under_random_calls_equal_a_map_of_pages(steps in proptest::collection::vec(step(), 0..60)) {
        let (mut heap, mut model) = (Heap::new(), Model::new());
        let at = |page: u64| BASE + page * PAGE;
        for step in &steps {
            let expected = act(&mut model, step);
            let got = match *step {
                Step::Map(count, to) => {
                    heap.with(|areas, zero| areas.map(count * PAGE, access(to), &mut |a, b| zero(a, b))).ok()
                }
                Step::MapStack(count, guard) => {
                    let mapped = heap.with(|areas, zero| {
                        areas.map_stack(count * PAGE, guard * PAGE, &mut |a, b| zero(a, b))
                    });
                    mapped.ok()
                }
                Step::Discard(page, count) => {
                    let discarded = heap.with(|areas, zero| {
                        areas.discard(at(page), count * PAGE, &mut |a, b| zero(a, b))
                    });
                    discarded.ok().map(|()| at(page))
                }
                Step::MapAt(page, count, to) => {
                    heap.with(|areas, zero| areas.map_at(at(page), count * PAGE, access(to), &mut |a, b| zero(a, b))).ok()
                }
                Step::Unmap(page, count) => heap.areas.unmap(at(page), count * PAGE).ok().map(|()| at(page)),
                Step::Protect(page, count, to) => {
                    heap.areas.protect(at(page), count * PAGE, access(to)).ok().map(|()| at(page))
                }
                Step::Resize(page, old, new) => {
                    let resized = heap.with(|areas, zero| {
                        areas.resize(at(page), old * PAGE, new * PAGE, &mut |a, b| zero(a, b))
                    });
                    resized.ok().map(|()| at(page))
                }
                Step::Keep(count) => heap.areas.keep(count * PAGE).ok().map(|kept| {
                    let (address, bytes) = kept.into_parts();
                    let first = ((address - BASE) / PAGE) as usize;
                    heap.content[first..first + (bytes / PAGE) as usize].fill(OWN);
                    address
                }),
                Step::Write(page, value) => {
                    // Only what the program may write; the model learns of it too.
                    if let Some((Some(Access::ReadWrite), content)) = model.get_mut(&page) {
                        *content = value;
                        heap.content[page as usize] = value;
                    }
                    None
                }
            };
            prop_assert_eq!(got, expected.map(at), "{:?}", step);
            for page in (0..PAGES as u64).chain(STACKS..END) {
                let is_unmapped = heap.areas.is_unmapped(at(page), PAGE).unwrap();
                prop_assert_eq!(is_unmapped, !model.contains_key(&page));
                if let Some((access, content)) = model.get(&page) {
                    prop_assert_eq!(heap.areas.access_of(at(page), 1), access.ok_or(Errno::EFAULT));
                    prop_assert_eq!(heap.content[page as usize], *content, "page {} after {:?}", page, step);
                }
            }
        }
        let taken = model.keys().filter(|page| **page < STACKS).count() as u64;
        prop_assert_eq!(heap.areas.free_bytes(), (PAGES as u64 - taken) * PAGE);
    }

    #[test]
    fn areas_of_hostile_numbers_never_panic(address in any::<u64>(), bytes in any::<u64>(), new in any::<u64>()) {
        let mut heap = Heap::new();
        for address in [address, BASE, BASE + PAGE, BASE + STACKS * PAGE, BASE + (END - 1) * PAGE, u64::MAX - 4095] {
            for bytes in [bytes, u64::MAX, PAGE] {
                let _ = heap.areas.unmap(address, bytes);
                let _ = heap.areas.protect(address, bytes, Access::Read);
                let _ = heap.areas.is_unmapped(address, bytes);
                heap.with(|areas, zero| {
                    let _ = areas.map_at(address, bytes, Access::ReadWrite, &mut |a, b| zero(a, b));
                    let _ = areas.resize(address, bytes, new, &mut |a, b| zero(a, b));
                    let _ = areas.map_stack(bytes, new, &mut |a, b| zero(a, b));
                    let _ = areas.discard(address, bytes, &mut |a, b| zero(a, b));
                    let _ = areas.contains(address);
                    let _ = areas.stacks().hold(address, bytes);
                });
            }
        }
    }
}

#[test]
fn map_without_room_fails_and_unmapping_makes_room() {
    let mut heap = Heap::new();
    let all = PAGES as u64 * PAGE;
    heap.with(|areas, zero| {
        assert_eq!(areas.map(all + 1, Access::ReadWrite, &mut |a, b| zero(a, b)), Err(Errno::ENOMEM));
        assert_eq!(areas.map(all, Access::ReadWrite, &mut |a, b| zero(a, b)), Ok(BASE));
        assert_eq!(areas.map(1, Access::ReadWrite, &mut |a, b| zero(a, b)), Err(Errno::ENOMEM));
        areas.unmap(BASE + PAGE, PAGE).unwrap();
        assert_eq!(areas.map(1, Access::ReadWrite, &mut |a, b| zero(a, b)), Ok(BASE + PAGE));
    });
}

#[test]
fn what_was_kept_is_refused_by_every_call_with_the_error_of_what_is_not_in_the_heap() {
    let mut heap = Heap::new();
    heap.with(|areas, zero| {
        assert_eq!(areas.map(PAGE, Access::ReadWrite, &mut |a, b| zero(a, b)), Ok(BASE));
        let kept = areas.keep(PAGE + 1).unwrap();
        assert_eq!(kept.into_parts(), (BASE + PAGE, 2 * PAGE));
        for (address, bytes) in [(BASE, 2 * PAGE), (BASE + PAGE, PAGE), (BASE + 2 * PAGE, 2 * PAGE)] {
            assert_eq!(areas.unmap(address, bytes), Err(Errno::EINVAL));
            let mapped = areas.map_at(address, bytes, Access::Read, &mut |a, b| zero(a, b));
            assert_eq!(mapped, Err(Errno::ENOMEM));
            assert_eq!(areas.protect(address, bytes, Access::Read), Err(Errno::ENOMEM));
            assert_eq!(areas.resize(address, bytes, PAGE, &mut |a, b| zero(a, b)), Err(Errno::EFAULT));
            assert_eq!(areas.access_of(address, bytes), Err(Errno::EFAULT));
            assert_eq!(areas.is_unmapped(address, bytes), Ok(false));
        }
        assert_eq!(areas.resize(BASE, PAGE, 2 * PAGE, &mut |a, b| zero(a, b)), Err(Errno::ENOMEM));
        assert_eq!(areas.unmap(BASE, PAGE), Ok(()), "what is beside stays the program's");
    });
}

#[test]
fn only_what_lies_in_one_stack_is_held_by_it() {
    let (first, bytes) = (BASE + (STACKS + GUARD) * PAGE, (STRIDE - GUARD) * PAGE);
    for (address, end, is_held) in [
        (first, first + bytes, true),
        (first + bytes, first + bytes, false),
        (first - 1, first + 1, false),
        (first, first + bytes + 1, false),
        (first + STRIDE * PAGE, first + STRIDE * PAGE + 1, true),
        (first, first + STRIDE * PAGE + 1, false),
        (first + COUNT * STRIDE * PAGE, first + COUNT * STRIDE * PAGE + 1, false),
        (first + 1, first, false),
        (BASE, BASE + 1, false),
    ] {
        assert_eq!(stacks().hold(address, end), is_held, "{address:#x} to {end:#x}");
        assert!(!Stacks::default().hold(address, end));
    }
}

#[test]
fn a_stack_that_was_unmapped_is_the_next_ones_and_zero_and_its_lowest_pages_stay_closed() {
    let mut heap = Heap::new();
    let guarded = heap.with(|areas, zero| {
        let guarded = areas.map_stack(STRIDE * PAGE, GUARD * PAGE, &mut |a, b| zero(a, b)).unwrap();
        assert_eq!(guarded, BASE + STACKS * PAGE);
        areas.protect(guarded + GUARD * PAGE, PAGE, Access::ReadWrite).unwrap();
        for page in 0..GUARD {
            assert_eq!(areas.protect(guarded + page * PAGE, PAGE, Access::Read), Err(Errno::ENOMEM));
        }
        guarded
    });
    let lowest = (STACKS + GUARD) as usize;
    heap.content[lowest] = 7;
    heap.with(|areas, zero| {
        // Part of one is none for another.
        areas.unmap(guarded + GUARD * PAGE, PAGE).unwrap();
        assert_eq!(areas.map_stack(PAGE, 0, &mut |a, b| zero(a, b)), Ok(guarded + (STRIDE + GUARD) * PAGE));
        areas.unmap(guarded, STRIDE * PAGE).unwrap();
        assert_eq!(areas.map_stack(2 * PAGE, PAGE, &mut |a, b| zero(a, b)), Ok(guarded + PAGE), "a thin guard");
    });
    assert_eq!(heap.content[lowest], 0);
}
