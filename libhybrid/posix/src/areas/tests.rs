//! The area map against memory that a test can look into.
#![expect(clippy::cast_possible_truncation, reason = "offsets in a test's few pages")]
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const BASE: u64 = 0x1000_0000;
const PAGES: usize = 24;

/// Pages as a program sees them: one byte stands for the content of each.
struct Heap {
    areas: Areas<Vec<u8>>,
    content: Vec<u8>,
}

impl Heap {
    fn new() -> Self {
        Self { areas: Areas::new(BASE, vec![0xff; PAGES], Stacks::default()), content: vec![0; PAGES] }
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Areas<Vec<u8>>, &mut dyn FnMut(u64, u64)) -> T) -> T {
        let content = &mut self.content;
        let mut zero = |address: u64, bytes: u64| {
            let first = ((address - BASE) / PAGE) as usize;
            content[first..first + (bytes / PAGE) as usize].fill(0);
        };
        act(&mut self.areas, &mut zero)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Map(u64, u8),
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
    let page = || 0..PAGES as u64 + 2;
    let count = || 0_u64..8;
    prop_oneof![
        (count(), any::<u8>()).prop_map(|(n, a)| Step::Map(n, a)),
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
    first + count <= PAGES as u64
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
        Step::MapAt(first, count, to) => (count > 0 && is_without_kept(model, first, count)).then(|| {
            model.extend(pages(first, count).map(|page| (page, (Some(access(to)), 0))));
            first
        }),
        Step::Unmap(first, count) => (count > 0 && is_without_kept(model, first, count)).then(|| {
            model.retain(|page, _| !pages(first, count).any(|gone| gone == *page));
            first
        }),
        Step::Protect(first, count, to) => (count == 0 || is_mapped(model, first, count)).then(|| {
            for page in pages(first, count) {
                model.get_mut(&page).unwrap().0 = Some(access(to));
            }
            first
        }),
        Step::Resize(first, old, new) => {
            let grown = new.saturating_sub(old);
            let is_free =
                is_inside(first + old, grown) && pages(first + old, grown).all(|page| !model.contains_key(&page));
            (old > 0 && is_mapped(model, first, old) && new > 0 && is_free).then(|| {
                let to = model[&first].0;
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
            for page in 0..PAGES as u64 {
                let is_unmapped = heap.areas.is_unmapped(at(page), PAGE).unwrap();
                prop_assert_eq!(is_unmapped, !model.contains_key(&page));
                if let Some((access, content)) = model.get(&page) {
                    prop_assert_eq!(heap.areas.access_of(at(page), 1), access.ok_or(Errno::EFAULT));
                    prop_assert_eq!(heap.content[page as usize], *content, "page {} after {:?}", page, step);
                }
            }
        }
        let taken = model.len() as u64;
        prop_assert_eq!(heap.areas.free_bytes(), (PAGES as u64 - taken) * PAGE);
    }

    #[test]
    fn areas_of_hostile_numbers_never_panic(address in any::<u64>(), bytes in any::<u64>(), new in any::<u64>()) {
        let mut heap = Heap::new();
        for address in [address, BASE, BASE + PAGE, u64::MAX - 4095] {
            for bytes in [bytes, u64::MAX, PAGE] {
                let _ = heap.areas.unmap(address, bytes);
                let _ = heap.areas.protect(address, bytes, Access::Read);
                let _ = heap.areas.is_unmapped(address, bytes);
                heap.with(|areas, zero| {
                    let _ = areas.map_at(address, bytes, Access::ReadWrite, &mut |a, b| zero(a, b));
                    let _ = areas.resize(address, bytes, new, &mut |a, b| zero(a, b));
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
