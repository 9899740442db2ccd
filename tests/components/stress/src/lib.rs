//! What a stress component does next, from a random sequence; makes no system call.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

/// A SplitMix64 sequence: repeatable.
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }

    /// A number as hostile code would choose it.
    pub fn value(&mut self) -> u64 {
        match self.below(8) {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << self.below(64),
            3 => self.below(SLOTS),
            4 => 64,
            5 => 0x2000_0000 + (self.below(0x8000) << 12),
            6 => 0xffff_8000_0000_0000 | self.roll() >> 16,
            _ => self.roll(),
        }
    }
}

/// Slots of the component's capability space: one with an own CNode (docs/capabilities.md).
pub const SLOTS: u64 = 256;
/// Its own CNode.
pub const OWN_CNODE: u64 = 1;
/// Its notification.
pub const OWN_BELL: u64 = 4;
/// From here on nothing was granted.
pub const FREE: u64 = 128;

/// One system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shot {
    /// x7.
    pub number: i64,
    /// x0 to x5: capability, message info, first words.
    pub registers: [u64; 6],
    /// x6, x8.
    pub x6: u64,
    /// See `x6`.
    pub x8: u64,
    /// Words of the IPC buffer from the fourth on.
    pub words: [u64; 8],
    /// Capabilities that go along.
    pub caps: [u64; 3],
}

/// The numbers of calls that neither wait for others nor fault, whatever the capability.
const SAFE: [i64; 2] = [NB_SEND, NB_WAIT_OWN];
const CALL: i64 = -1;
const SEND: i64 = -5;
const NB_SEND: i64 = -6;
const NB_WAIT_OWN: i64 = -10;
const YIELD: i64 = -11;

impl Shot {
    /// The next call of an instance that must go on: it may fail, but not block for ever nor fault.
    #[must_use]
    pub fn careful(dice: &mut Dice) -> Self {
        let mut shot = Self::wild(dice);
        match dice.below(10) {
            // Any label on any slot: granted ones are endpoints of servers, which answer, and bells.
            0..=3 => {
                shot.number = CALL;
                shot.registers[0] = dice.below(FREE);
                // Extra capabilities that do not resolve would be a fault.
                shot.caps = core::array::from_fn(|_| dice.below(SLOTS));
            }
            // A Yield costs the rest of a period, so there are few.
            4 => shot.number = if dice.below(100) == 0 { YIELD } else { SAFE[usize::from(dice.below(2) != 0)] },
            5 => {
                shot.number = SEND;
                // A Send to a server's endpoint would wait for it to receive, which it does; nothing else waits.
                shot.registers[0] = dice.below(FREE);
                shot.caps = core::array::from_fn(|_| dice.below(SLOTS));
            }
            _ => shot.own_cnode(dice),
        }
        if shot.number == NB_WAIT_OWN {
            shot.registers[0] = OWN_BELL;
        }
        if shot.number != CALL || shot.registers[0] != OWN_CNODE {
            return shot;
        }
        // Deletes what was granted only now and then, so that something is left to stress with.
        let label = shot.registers[1] >> 12;
        let is_ending = matches!(label, REVOKE | DELETE | MOVE..=ROTATE);
        if is_ending && (shot.registers[2] & 0xff < FREE || shot.registers[4] & 0xff < FREE) {
            shot.registers[1] = 0;
        }
        shot
    }

    /// An operation on the own CNode that could succeed.
    fn own_cnode(&mut self, dice: &mut Dice) {
        let label = REVOKE + dice.below(8);
        let (length, caps) = if label < COPY { (2, 0) } else { (6, 1) };
        let (to, from) = (FREE + dice.below(FREE), dice.below(SLOTS));
        let target = if label < COPY { FREE + dice.below(FREE) } else { to };
        self.number = CALL;
        self.registers = [OWN_CNODE, label << 12 | caps << 7 | length, target, 64, from, 64];
        self.words[0] = dice.below(16);
        self.words[1] = dice.value();
        self.caps = [OWN_CNODE; 3];
    }

    /// Anything at all.
    #[must_use]
    pub fn wild(dice: &mut Dice) -> Self {
        let label = if dice.below(8) == 0 { dice.roll() >> 12 } else { dice.below(60) };
        let info = label << 12 | dice.below(8) << 9 | dice.below(4) << 7 | dice.below(128);
        let mut registers = core::array::from_fn(|_| dice.value());
        registers[0] = if dice.below(4) == 0 { dice.value() } else { dice.below(SLOTS) };
        registers[1] = info;
        Self {
            number: if dice.below(8) == 0 { dice.value().cast_signed() } else { -1 - (dice.below(36).cast_signed()) },
            registers,
            x6: dice.value(),
            x8: dice.value(),
            words: core::array::from_fn(|_| dice.value()),
            caps: core::array::from_fn(|_| dice.value()),
        }
    }
}

const REVOKE: u64 = 18;
const DELETE: u64 = 19;
const COPY: u64 = 21;
const MOVE: u64 = 23;
const ROTATE: u64 = 25;

#[cfg(test)]
mod tests {
    use super::{CALL, Dice, FREE, NB_SEND, NB_WAIT_OWN, OWN_BELL, SEND, Shot, YIELD};

    #[test]
    fn careful_calls_never_wait_and_never_fault() {
        let mut dice = Dice(7);
        for _ in 0..100_000 {
            let shot = Shot::careful(&mut dice);
            match shot.number {
                CALL | SEND => {
                    assert!(shot.registers[0] < FREE);
                    assert!(shot.caps.iter().all(|cap| *cap < 2 * FREE));
                }
                NB_WAIT_OWN => assert_eq!(shot.registers[0], OWN_BELL),
                number => assert!(matches!(number, NB_SEND | YIELD)),
            }
        }
    }

    #[test]
    fn wild_calls_differ() {
        let mut dice = Dice(7);
        assert_ne!(Shot::wild(&mut dice), Shot::wild(&mut dice));
    }
}
