//! What must hold of the databases of `apps/hello-sqlite`, as SQLite finds them with their journals; books nothing.
use crate::tree::Tree;
use anyhow::{Context, Result, ensure};
use hello_sqlite::{ACCOUNTS, parties};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A database, and what belongs to it. What says that there is a write-ahead log is itself written with a rollback journal.
pub(crate) const JOURNAL: [&str; 2] = ["journal.db", "journal.db-journal"];
pub(crate) const LOG: [&str; 3] = ["log.db", "log.db-wal", "log.db-journal"];

/// A folder for databases, gone when dropped.
pub(crate) struct Desk(PathBuf);

impl Desk {
    /// # Errors
    /// There is no room.
    pub(crate) fn new(name: &str) -> Result<Self> {
        // In memory where that can be had: what SQLite syncs here is for nobody.
        let shared = Path::new("/dev/shm");
        let above = if shared.is_dir() { shared.into() } else { std::env::temp_dir() };
        let folder = above.join(format!("hybrid-cuts-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self(folder))
    }

    /// The number of bookings in a database, all of which are whole; 0 if it was not made yet.
    ///
    /// # Errors
    /// It is not as it must be.
    pub(crate) fn bookings(&self, tree: &Tree, files: &[&str]) -> Result<u64> {
        for entry in std::fs::read_dir(&self.0)? {
            std::fs::remove_file(entry?.path())?;
        }
        for name in files {
            if let Some(Some(data)) = tree.get(*name) {
                std::fs::write(self.0.join(name), data)?;
            }
        }
        let path = self.0.join(files[0]);
        if !path.exists() {
            return Ok(0);
        }
        check(&path).with_context(|| files[0].to_string())
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // What stays is memory of the host only.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn check(path: &Path) -> Result<u64> {
    let database = Connection::open(path)?;
    let verdict: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    ensure!(verdict == "ok", "SQLite's check: {verdict}");
    let mut names = database.prepare("SELECT name FROM sqlite_schema ORDER BY name")?;
    let names: Vec<String> = names.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    if names.is_empty() {
        return Ok(0);
    }
    ensure!(names == ["account", "booking", "note"], "half of the tables: {names:?}");
    let amounts = pairs(&database, "SELECT id, amount FROM account WHERE length(note) = 200")?;
    let debits = pairs(&database, "SELECT number, debit FROM booking")?;
    let credits = pairs(&database, "SELECT number, credit FROM booking")?;
    let last = i64::try_from(debits.len())?;
    let mut wanted: BTreeMap<i64, i64> = (1..=ACCOUNTS).map(|id| (id, 0)).collect();
    let (mut wanted_debits, mut wanted_credits) = (BTreeMap::new(), BTreeMap::new());
    for number in 1..=last {
        let (debit, credit) = parties(number);
        wanted_debits.insert(number, debit);
        wanted_credits.insert(number, credit);
        *wanted.entry(debit).or_insert(0) -= number;
        *wanted.entry(credit).or_insert(0) += number;
    }
    ensure!((debits, credits) == (wanted_debits, wanted_credits), "the bookings are not 1 to {last}");
    ensure!(amounts == wanted, "the accounts are not what {last} bookings make");
    Ok(u64::try_from(last)?)
}

fn pairs(database: &Connection, query: &str) -> Result<BTreeMap<i64, i64>> {
    let mut query = database.prepare(query)?;
    Ok(query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
}
