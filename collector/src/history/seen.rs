//! Whether a hang came before.

use rusqlite::OptionalExtension as _;
use serde::Serialize;

use super::error::{StoreError, sql};
use super::store::Store;
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
}

/// `seen 4 times since 2026-02-13, first with hz4 4ed7a1c2`, or that it was never seen.
pub(super) fn said(words: &str, seen: Option<&Seen>) -> Text {
    let Some(seen) = seen else { return say!(HistoryLine::NeverSeen { words }).said() };
    let build = format!("{} {}", seen.allocator, short(seen.sha1.as_deref().unwrap_or("?")));
    say!(HistoryLine::SeenBefore { words, times: seen.times, since: day(seen.first), build }).said()
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
    /// The signatures of a job's hangs in words, and what is known of earlier hangs with each. A signature
    /// of which only the class is known is left out. A run is earlier if another job made it, and it began
    /// before the first own run with this hang. Another start of the same job is no other job.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn known_again(&self, job: i64) -> Result<Vec<(String, Option<Seen>)>, StoreError> {
        let of = || -> rusqlite::Result<_> {
            let mut own = self.connection.prepare(
                "SELECT id, words FROM signature WHERE bare = 0
                 AND id IN (SELECT signature FROM run WHERE job = ?1 AND signature IS NOT NULL) ORDER BY words",
            )?;
            let mut earlier = self.connection.prepare(
                "SELECT count(*) OVER (), run.started, allocator, sha1 FROM run JOIN job ON job.id = run.job
                 WHERE signature = ?1 AND job.id <> ?2
                   AND (series IS NULL OR series IS NOT (SELECT series FROM job WHERE id = ?2))
                   AND run.started < (SELECT min(started) FROM run WHERE signature = ?1 AND job = ?2)
                 ORDER BY run.started LIMIT 1",
            )?;
            let signatures =
                own.query_map([job], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
            let mut known = vec![];
            for signature in signatures {
                let (id, words) = signature?;
                let seen = earlier.query_row((&id, job), |row| {
                    Ok(Seen {
                        times: row.get(0)?,
                        first: row.get(1)?,
                        allocator: row.get(2)?,
                        sha1: row.get(3)?,
                    })
                });
                known.push((words, seen.optional()?));
            }
            Ok(known)
        };
        of().map_err(|source| sql(self.path(), source))
    }
}
