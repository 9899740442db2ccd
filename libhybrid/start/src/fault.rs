//! The order to fail on purpose, as one word of the page of peers; only images of the fault campaign read it.
//!
//! | bits | content |
//! |---|---|
//! | 0–7 | the [`Deed`] |
//! | 8–15 | the [`Step`] at which it is done |
//! | 16–31 | at which passing of that step, from 1 |
//! | 32–63 | number of the order, so that the same one can be given twice |

/// The word of the page of [`peers`](crate::peers) with the newest order; 0: none.
pub const ORDER: usize = 3;

/// What an instance is to do to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Panic.
    Panic,
    /// Loop for ever.
    Hang,
    /// Take all of the heap and never give it back.
    Heap,
    /// Take all of the heap, and then need some.
    Need,
    /// Take all empty capability slots and never give them back.
    Slots,
    /// Write to the log what finds no room there.
    Flood,
    /// Look at nothing until the next ping, so that what others send piles up.
    Stall,
}

/// Where in the runtime's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Before it waits for an event.
    Wait,
    /// Bells rang, and the component was not told yet.
    Bell,
    /// A request arrived that is not decoded yet.
    Request,
    /// The request is decoded, its handler not yet called.
    Handler,
    /// Between two calls of one handler.
    Between,
    /// The handler is done, its answer not yet sent.
    Answer,
    /// The answer was sent.
    Answered,
    /// Before a call of its own.
    Call,
    /// Its own call was sent; the answer will find nobody.
    Sent,
    /// The answer to its own call is there.
    Returned,
}

/// Deeds by the names of orders; the place, from 1, is the number in the word.
pub const DEEDS: [(&str, Deed); 7] = [
    ("panic", Deed::Panic),
    ("hang", Deed::Hang),
    ("heap", Deed::Heap),
    ("slots", Deed::Slots),
    ("flood", Deed::Flood),
    ("stall", Deed::Stall),
    ("need", Deed::Need),
];

/// Steps by the names of orders; the place, from 1, is the number in the word.
pub const STEPS: [(&str, Step); 10] = [
    ("wait", Step::Wait),
    ("bell", Step::Bell),
    ("request", Step::Request),
    ("handler", Step::Handler),
    ("between", Step::Between),
    ("answer", Step::Answer),
    ("answered", Step::Answered),
    ("call", Step::Call),
    ("sent", Step::Sent),
    ("returned", Step::Returned),
];

/// One order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// What to do.
    pub deed: Deed,
    /// Where.
    pub step: Step,
    /// At which passing, from 1.
    pub passing: u16,
}

impl Order {
    /// Reads `DEED/STEP/PASSING`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split('/');
        let (deed, step) = (words.next()?, words.next()?);
        let passing = words.next()?.parse().ok().filter(|passing| *passing > 0)?;
        let order = Self { deed: named(&DEEDS, deed)?, step: named(&STEPS, step)?, passing };
        words.next().is_none().then_some(order)
    }

    /// The word for it, as order number `number`.
    #[must_use]
    pub fn word(self, number: u32) -> u64 {
        let place = |found: Option<usize>| found.map_or(0, |index| index as u64 + 1);
        let deed = place(DEEDS.iter().position(|(_, deed)| *deed == self.deed));
        let step = place(STEPS.iter().position(|(_, step)| *step == self.step));
        deed | step << 8 | u64::from(self.passing) << 16 | u64::from(number) << 32
    }

    /// What a word says.
    #[must_use]
    pub fn from_word(word: u64) -> Option<Self> {
        let [deed, step, low, high, ..] = word.to_le_bytes();
        let (_, deed) = DEEDS.get(usize::from(deed).checked_sub(1)?)?;
        let (_, step) = STEPS.get(usize::from(step).checked_sub(1)?)?;
        Some(Self { deed: *deed, step: *step, passing: u16::from_le_bytes([low, high]) })
    }
}

fn named<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table.iter().find(|(found, _)| *found == name).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_in_words_is_the_order_in_a_word() {
        for (deed, step) in DEEDS.iter().flat_map(|deed| STEPS.iter().map(move |step| (deed, step))) {
            let order = Order::parse(&std::format!("{}/{}/700", deed.0, step.0)).expect("is one");
            assert_eq!((order.deed, order.step, order.passing), (deed.1, step.1, 700));
            assert_eq!(Order::from_word(order.word(9)), Some(order));
            assert_ne!(order.word(1), order.word(2));
        }
    }

    #[test]
    fn what_is_no_order_is_none() {
        for text in
            ["", "panic", "panic/wait", "panic/wait/0", "panic/wait/x", "panic/wait/1/2", "burn/wait/1", "panic/x/1"]
        {
            assert_eq!(Order::parse(text), None, "{text}");
        }
        assert_eq!((Order::from_word(0), Order::from_word(u64::MAX), Order::from_word(0x0b01)), (None, None, None));
    }
}
