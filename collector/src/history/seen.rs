//! Whether a hang came before.

use rusqlite::OptionalExtension as _;
use serde::Serialize;

use super::store::{Store, StoreError, sql};
use crate::text::history::HistoryLine;
use crate::text::message::{Say as _, Text, say};

/// Earlier hangs with one signature.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Seen {
    /// Of other jobs.
    pub(crate) times: u32,
    /// Start of the first of these runs, seconds since the epoch.
    pub(crate) first: f64,
    /// Allocator of that run, and SHA-1 of its DSO.
    pub(crate) allocator: String,
    pub(crate) sha1: Option<String>,
    /// Its evidence. The folder may be gone.
    pub(crate) bundle: Option<String>,
}

impl Seen {
    /// `seen 4 times since 2026-02-13, first with hz4 4ed7a1c2`.
    pub(crate) fn said(&self, words: &str) -> Text {
        let sha1 = self.sha1.as_deref().unwrap_or("?");
        let build = format!("{} {}", self.allocator, short(sha1));
        say!(HistoryLine::SeenBefore { words, times: self.times, since: day(self.first), build }).said()
    }
}

/// The first digits of a SHA-1, as git shows them.
pub(crate) fn short(sha1: &str) -> &str {
    sha1.get(..8).unwrap_or(sha1)
}

/// The date in UTC.
pub(crate) fn day(seconds: f64) -> String {
    let time = chrono::DateTime::from_timestamp(seconds as i64, 0);
    time.map_or_else(|| "?".to_owned(), |time| time.format("%Y-%m-%d").to_string())
}

impl Store {
    /// Hangs with this signature in other jobs than this one. None: there is none.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn seen(&self, signature: &str, job: i64) -> Result<Option<Seen>, StoreError> {
        let of = || {
            let times: u32 = self.connection.query_row(
                "SELECT count(*) FROM run WHERE signature = ?1 AND job <> ?2",
                (signature, job),
                |row| row.get(0),
            )?;
            let first = self.connection.query_row(
                "SELECT started, allocator, sha1, bundle FROM run WHERE signature = ?1 AND job <> ?2 ORDER BY started LIMIT 1",
                (signature, job),
                |row| {
                    Ok(Seen { times, first: row.get(0)?, allocator: row.get(1)?, sha1: row.get(2)?, bundle: row.get(3)? })
                },
            );
            first.optional()
        };
        of().map_err(|source| sql(self.path(), source))
    }
}
