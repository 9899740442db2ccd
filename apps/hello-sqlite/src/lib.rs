//! The transfers that `hello-sqlite` books, for the program and for the judge of its databases; books nothing.
#![forbid(unsafe_code)]

/// Accounts of each database, numbered from 1.
pub const ACCOUNTS: i64 = 20;

/// The accounts that booking `number` takes `number` from, and gives it to.
#[must_use]
pub const fn parties(number: i64) -> (i64, i64) {
    (1 + number % ACCOUNTS, 1 + (number * 7 + 3) % ACCOUNTS)
}

#[cfg(test)]
mod tests {
    use super::{ACCOUNTS, parties};
    use std::collections::BTreeSet;

    #[test]
    fn bookings_reach_every_account_and_none_gives_to_who_pays() {
        let all: BTreeSet<i64> = (1..=ACCOUNTS).collect();
        let (debits, credits): (BTreeSet<i64>, BTreeSet<i64>) = (1..=ACCOUNTS).map(parties).unzip();
        assert_eq!((debits, credits), (all.clone(), all));
        assert_eq!((1..=ACCOUNTS).map(parties).filter(|(debit, credit)| debit == credit).count(), 0);
    }
}
