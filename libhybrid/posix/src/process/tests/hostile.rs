//! Any call with any arguments on any thread: nothing panics, and no thread is lost.
use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn calls_with_hostile_numbers_never_panic_and_never_lose_a_thread(
        calls in proptest::collection::vec((0_u64..480, proptest::array::uniform6(argument()), 0_u8..4), 0..40)
    ) {
        let mut program = Program::new();
        let mut running = 1_u8;
        for (number, args, thread) in calls {
            if running >> thread & 1 == 0 || program.process.slots[usize::from(thread)].is_free() {
                continue;
            }
            match program.process.call(&mut program.world, thread, number, args) {
                Outcome::Park => {
                    prop_assert_eq!(program.process.take_result(thread), None);
                    running &= !(1 << thread);
                }
                Outcome::Ended(_) => return Ok(()),
                _ => {}
            }
            if let Ok(begun) = program.process.begin_thread(&mut program.world, args[0], args[1], args[2]) {
                running |= 1 << begun;
            }
            // All that wait with an end in time come back at the end of time.
            if number % 7 == 0 {
                program.at(u64::MAX);
                prop_assert_eq!(program.process.next_deadline(), None);
            }
            for woken in 0..4 {
                if program.process.take_result(woken).is_some() {
                    running |= 1 << woken;
                }
            }
        }
    }
}

/// Numbers that mean something somewhere, and any.
pub(super) fn argument() -> impl Strategy<Value = u64> {
    prop_oneof![
        0_u64..20,
        proptest::sample::select(vec![
            AT,
            AT + 8,
            BASE,
            BASE + PAGE,
            BASE + 3,
            STACK.1 - 4,
            u64::MAX,
            THREAD,
            ANONYMOUS,
            4096,
            8192,
            137
        ]),
        any::<u64>(),
    ]
}
