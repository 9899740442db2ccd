//! Books transfers in two SQLite databases, one with a rollback journal, one with an exclusive write-ahead log.
//!
//! Whatever dies in between: each database passes SQLite's own check, the accounts come to nothing together, and no booking that was said to be
//! kept is missing.
#![forbid(unsafe_code)]

use hello_sqlite::{ACCOUNTS, parties};
use rusqlite::{Connection, Result};
use std::time::Duration;

/// Every so many bookings it says how far it is, unless its argument says another number.
const TELL: i64 = 5;
/// Pages of the write-ahead log that are enough to bring them into the database: SQLite's own number is more than a quota of a mebibyte.
const LOG_PAGES: i64 = 60;

fn main() {
    println!("SQLite {}", rusqlite::version());
    let tell = std::env::args().nth(1).and_then(|text| text.parse().ok()).filter(|tell| *tell > 0).unwrap_or(TELL);
    loop {
        if let Err(error) = books(tell) {
            println!("the databases are away: {error}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Books until something fails, the file server's death for instance.
fn books(tell: i64) -> Result<()> {
    let mut journal = opened("/journal.db", "DELETE")?;
    let mut log = opened("/log.db", "WAL")?;
    check("journal", &journal)?;
    check("log", &log)?;
    loop {
        for (name, database) in [("journal", &mut journal), ("log", &mut log)] {
            let number = book(database)?;
            if number % tell == 0 {
                println!("{name} kept {number}");
            }
        }
    }
}

fn opened(path: &str, mode: &str) -> Result<Connection> {
    let database = Connection::open(path)?;
    database.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    let got: String = database.pragma_update_and_check(None, "journal_mode", mode, |row| row.get(0))?;
    if !got.eq_ignore_ascii_case(mode) {
        println!("WENT WRONG: the journal's mode is {got}, not {mode}");
    }
    database.pragma_update(None, "synchronous", "FULL")?;
    database.query_row(&format!("PRAGMA wal_autocheckpoint = {LOG_PAGES}"), [], |_| Ok(()))?;
    // The tables come with their content or not at all.
    database.execute_batch(&format!(
        "BEGIN IMMEDIATE;
         CREATE TABLE IF NOT EXISTS account (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL, note TEXT NOT NULL);
         CREATE TABLE IF NOT EXISTS booking (number INTEGER PRIMARY KEY, debit INTEGER NOT NULL, credit INTEGER NOT NULL);
         CREATE INDEX IF NOT EXISTS note ON account (note);
         WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < {ACCOUNTS})
         INSERT OR IGNORE INTO account SELECT id, 0, hex(randomblob(100)) FROM n;
         COMMIT"
    ))?;
    Ok(database)
}

/// What must be so after every loss.
fn check(name: &str, database: &Connection) -> Result<()> {
    let verdict: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    let sum: i64 = database.query_row("SELECT sum(amount) FROM account", [], |row| row.get(0))?;
    let (count, last): (i64, i64) =
        database.query_row("SELECT count(*), coalesce(max(number), 0) FROM booking", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    if verdict != "ok" || sum != 0 || count != last {
        println!("WENT WRONG: {name}: {verdict}, {sum} left over, {count} bookings of {last}");
    }
    println!("{name} found {last}: {verdict}");
    Ok(())
}

/// One transfer, with a few pages changed; its number.
fn book(database: &mut Connection) -> Result<i64> {
    let transaction = database.transaction()?;
    let number: i64 =
        transaction.query_row("SELECT coalesce(max(number), 0) + 1 FROM booking", [], |row| row.get(0))?;
    let (debit, credit) = parties(number);
    transaction.execute("INSERT INTO booking VALUES (?1, ?2, ?3)", [number, debit, credit])?;
    for (account, amount) in [(debit, -number), (credit, number)] {
        let change = "UPDATE account SET amount = amount + ?2, note = hex(randomblob(100)) WHERE id = ?1";
        transaction.execute(change, [account, amount])?;
    }
    transaction.commit()?;
    Ok(number)
}
