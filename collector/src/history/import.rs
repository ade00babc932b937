//! One history, added to another.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::error::{StoreError, sql};
use super::file::check;
use super::source::Source;
use super::store::Store;

impl Store {
    /// Adds all jobs and runs of another database that are not there yet. Twice is no more than once. Returns
    /// the number of runs that are new.
    ///
    /// # Errors
    /// [`StoreError`] of either file; the other file is left as it is.
    pub(crate) fn import(&mut self, other: &Path) -> Result<u64, StoreError> {
        let id = |path: &Path| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
        let Some(source) = Source::find(other)? else {
            return if other.exists() { Ok(0) } else { Err(StoreError::Missing(other.to_owned())) };
        };
        if id(other) == id(self.path()) {
            return Err(StoreError::Itself(other.to_owned()));
        }
        import(&mut self.connection, &source.uri).map_err(|error| match sql(self.path(), error) {
            // Which of the two.
            damaged @ StoreError::Damaged { .. } => {
                let checked = source.open().map_err(|error| sql(other, error));
                checked.and_then(|open| check(other, &open)).err().unwrap_or(damaged)
            }
            error => error,
        })
    }
}

fn import(connection: &mut Connection, other: &str) -> rusqlite::Result<u64> {
    connection.execute("ATTACH DATABASE ?1 AS other", [other])?;
    let copy = |connection: &mut Connection| {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(
            "INSERT OR IGNORE INTO signature SELECT * FROM other.signature;
             INSERT INTO job(key, kind, name, node, kernel, out, started, ended, verdict, headline, series)
               SELECT key, kind, name, node, kernel, out, started, ended, verdict, headline, series FROM other.job WHERE true
               ON CONFLICT(key) DO UPDATE SET ended = excluded.ended, verdict = excluded.verdict, headline = excluded.headline
               WHERE main.job.ended IS NULL;",
        )?;
        let columns = "name, arm, allocator, sha1, build_id, path, lane, label, command, stir, pid, started, seconds, outcome, \
                       counts, ops_s, max_rss_kib, rc, class, bundle, signature";
        let of_run = columns.split(", ").map(|column| format!("r.{column}")).collect::<Vec<_>>().join(", ");
        let new = transaction.execute(
            &format!(
                "INSERT OR IGNORE INTO run(key, job, {columns}) SELECT r.key, mine.id, {of_run} FROM other.run r \
                 JOIN other.job theirs ON theirs.id = r.job JOIN main.job mine ON mine.key = theirs.key"
            ),
            [],
        )?;
        transaction.commit()?;
        Ok(new as u64)
    };
    let copied = copy(connection);
    connection.execute("DETACH DATABASE other", [])?;
    copied
}
