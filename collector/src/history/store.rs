//! The open database.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, params};
use tempfile::TempDir;

use super::error::{PATIENCE, StoreError, sql};
use super::file::{connect, lock, migrated, set_aside_if_damaged};
use super::model::{JobRow, RunRow, now};
use super::source::Source;

#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    /// How long it waits for another process.
    patience: Duration,
    pub(super) connection: Connection,
    /// Has what the connection reads, if that is a copy.
    _copy: Option<TempDir>,
}

impl Store {
    /// Opens the database, and makes it if it is not there. A damaged one is set aside first: then the
    /// second value is its new name.
    ///
    /// # Errors
    /// [`StoreError`]. A file of a newer version is left as it is, and one that is no history.
    pub(crate) fn open(path: &Path) -> Result<(Store, Option<PathBuf>), StoreError> {
        Store::open_within(path, PATIENCE)
    }

    /// The same with another patience.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub(super) fn open_within(
        path: &Path,
        patience: Duration,
    ) -> Result<(Store, Option<PathBuf>), StoreError> {
        match Store::open_as_it_is(path, patience) {
            Err(StoreError::Damaged { .. }) => {
                let _lock = lock(path, patience)?;
                let aside = set_aside_if_damaged(path, patience)?;
                Ok((Store::of(path, connect(path, patience)?, patience), aside))
            }
            opened => Ok((opened?, None)),
        }
    }

    /// Opens the database, and makes it if it is not there.
    ///
    /// # Errors
    /// As [`lock`] and [`connect`], also of a damaged file; its folder cannot be made.
    fn open_as_it_is(path: &Path, patience: Duration) -> Result<Store, StoreError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let cannot = |cause| StoreError::Io { path: folder.to_owned(), cause };
        std::fs::create_dir_all(folder).map_err(cannot)?;
        let _lock = lock(path, patience)?;
        Ok(Store::of(path, connect(path, patience)?, patience))
    }

    /// Opens the database to add another one to it. It is never set aside.
    ///
    /// # Errors
    /// [`StoreError`], also of a damaged file: it is left as it is.
    pub(crate) fn open_to_add(path: &Path) -> Result<Store, StoreError> {
        Store::open_as_it_is(path, PATIENCE)
    }

    /// Opens the database to read it. One that is not there has no runs, and is not made.
    ///
    /// # Errors
    /// [`StoreError`], also of a damaged file: it is left as it is.
    pub(crate) fn open_to_read(path: &Path) -> Result<Store, StoreError> {
        let failed = |source| sql(path, source);
        let Some(source) = Source::find(path)? else {
            let mut empty = Connection::open_in_memory().map_err(failed)?;
            migrated(path, &mut empty)?;
            return Ok(Store::of(path, empty, PATIENCE));
        };
        let connection = source.open().map_err(failed)?;
        Ok(Store { _copy: source.copy, ..Store::of(path, connection, PATIENCE) })
    }

    fn of(path: &Path, connection: Connection, patience: Duration) -> Store {
        Store { path: path.to_owned(), patience, connection, _copy: None }
    }

    /// After an error of damage: sets the file aside, and begins a new one. Returns the name of the damaged
    /// file; none: another process has done it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn begin_anew(&mut self) -> Result<Option<PathBuf>, StoreError> {
        let _lock = lock(&self.path, self.patience)?;
        let aside = set_aside_if_damaged(&self.path, self.patience)?;
        self.connection = connect(&self.path, self.patience)?;
        Ok(aside)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a job, if it is not there, and what it is a part of. Returns its number in this database.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn begin_job(&mut self, job: &JobRow) -> Result<i64, StoreError> {
        let of = |connection: &Connection| {
            connection.execute(
                "INSERT OR IGNORE INTO job(key, kind, name, node, kernel, out, started) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![job.key(), job.kind, job.name, job.node, job.kernel, job.out, job.started],
            )?;
            connection.execute(
                "UPDATE job SET series = ?2 WHERE key = ?1 AND ?2 IS NOT NULL AND series IS NOT ?2",
                params![job.key(), job.series],
            )?;
            connection.query_row("SELECT id FROM job WHERE key = ?1", [job.key()], |row| row.get(0))
        };
        of(&self.connection).map_err(|source| sql(&self.path, source))
    }

    /// # Errors
    /// [`StoreError`]
    pub(crate) fn end_job(
        &mut self,
        job: i64,
        verdict: Option<&str>,
        headline: Option<&str>,
    ) -> Result<(), StoreError> {
        let ended = self.connection.execute(
            "UPDATE job SET ended = ?2, verdict = ?3, headline = ?4 WHERE id = ?1",
            params![job, now(), verdict, headline],
        );
        ended.map(drop).map_err(|source| sql(&self.path, source))
    }

    /// Adds runs, all of them or none. A run that is there already stays as it is.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn add(&mut self, job: i64, node: &str, runs: &[RunRow]) -> Result<(), StoreError> {
        add(&mut self.connection, job, node, runs).map_err(|source| sql(&self.path, source))
    }
}

fn add(connection: &mut Connection, job: i64, node: &str, runs: &[RunRow]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut signature = transaction
            .prepare_cached("INSERT OR IGNORE INTO signature(id, words, bare) VALUES (?1, ?2, ?3)")?;
        let mut insert = transaction.prepare_cached(
            "INSERT OR IGNORE INTO run(key, job, name, arm, allocator, sha1, build_id, path, lane, label, command, stir, pid, \
             started, seconds, outcome, counts, ops_s, max_rss_kib, rc, class, bundle, signature) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)",
        )?;
        for run in runs {
            let hang = run.hang.as_ref();
            if let Some((hang, id)) = hang.and_then(|hang| Some((hang, hang.signature.as_ref()?))) {
                signature.execute(params![id, hang.words, hang.bare])?;
            }
            let (build, work) = (&run.build, &run.workload);
            insert.execute(params![
                run.key(node),
                job,
                run.name,
                run.arm,
                build.name,
                build.sha1,
                build.build_id,
                build.path,
                work.lane,
                work.label,
                work.command,
                work.stir,
                run.pid,
                run.started,
                run.seconds,
                run.outcome,
                run.counts,
                run.ops_s,
                // SQLite's integers have a sign.
                run.max_rss_kib.and_then(|kib| i64::try_from(kib).ok()),
                run.rc,
                hang.map(|hang| &hang.class),
                hang.map(|hang| &hang.bundle),
                hang.and_then(|hang| hang.signature.as_ref()),
            ])?;
        }
    }
    transaction.commit()
}
