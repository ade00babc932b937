//! The open database.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, params};
use rusqlite_migration::{Error as MigrationError, MigrationDefinitionError};

use super::model::{JobRow, RunRow, now};
use super::place::is_on_network;
use super::schema::MIGRATIONS;
use crate::files::stamp;

/// How long a writer waits for another one. A transaction takes some milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("{}: {source}; give another file with --history FILE, or leave it out with --no-history", path.display())]
    Sql { path: PathBuf, source: rusqlite::Error },
    #[error("cannot make {}: {source}; give another file with --history FILE", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{} was written by a newer hangscope; use that one, or give another file with --history FILE", .0.display())]
    Newer(PathBuf),
    #[error("{} is damaged ({reason}); `sqlite3 FILE .recover` may save some of it", path.display())]
    Damaged { path: PathBuf, reason: String },
}

#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    pub(super) connection: Connection,
}

impl Store {
    /// Opens the database, and makes it if it is not there. A damaged file is set aside first: then the
    /// second value is its new name.
    ///
    /// # Errors
    /// [`StoreError`]. A file of a newer version is left as it is.
    pub(crate) fn open(path: &Path) -> Result<(Store, Option<PathBuf>), StoreError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let cannot = |source| StoreError::Io { path: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(cannot)?;
        let _lock = lock(path)?;
        match connect(path, true) {
            Err(StoreError::Damaged { .. }) => {
                let aside = set_aside(path)?;
                Ok((Store { path: path.to_owned(), connection: connect(path, true)? }, Some(aside)))
            }
            opened => Ok((Store { path: path.to_owned(), connection: opened? }, None)),
        }
    }

    /// Opens a database that must be there.
    ///
    /// # Errors
    /// [`StoreError`], also of a damaged file: it is left as it is.
    pub(crate) fn open_existing(path: &Path) -> Result<Store, StoreError> {
        let _lock = lock(path)?;
        Ok(Store { path: path.to_owned(), connection: connect(path, false)? })
    }

    /// After an error of damage: sets the file aside, and begins a new one. Returns the name of the damaged
    /// file; none: another process has done it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn begin_anew(&mut self) -> Result<Option<PathBuf>, StoreError> {
        let _lock = lock(&self.path)?;
        // Whether it is still this file that is damaged.
        let aside = match connect(&self.path, false).and_then(|new| check(&self.path, &new)) {
            Err(StoreError::Damaged { .. }) => Some(set_aside(&self.path)?),
            _ => None,
        };
        self.connection = connect(&self.path, true)?;
        Ok(aside)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a job, if it is not there. Returns its number in this database.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn begin_job(&mut self, job: &JobRow) -> Result<i64, StoreError> {
        let of = |connection: &Connection| {
            connection.execute(
                "INSERT OR IGNORE INTO job(key, kind, name, node, kernel, out, started) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![job.key(), job.kind, job.name, job.node, job.kernel, job.out, job.started],
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

    /// Adds all jobs and runs of another database that are not there yet. Twice is no more than once. Returns
    /// the number of runs that are new.
    ///
    /// # Errors
    /// [`StoreError`] of either file; the other file is left as it is, but for its schema.
    pub(crate) fn import(&mut self, other: &Path) -> Result<u64, StoreError> {
        drop(Store::open_existing(other)?);
        import(&mut self.connection, other).map_err(|source| sql(&self.path, source))
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

fn import(connection: &mut Connection, other: &Path) -> rusqlite::Result<u64> {
    connection.execute("ATTACH DATABASE ?1 AS other", [other.to_string_lossy()])?;
    let copy = |connection: &mut Connection| {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(
            "INSERT OR IGNORE INTO signature SELECT * FROM other.signature;
             INSERT INTO job(key, kind, name, node, kernel, out, started, ended, verdict, headline)
               SELECT key, kind, name, node, kernel, out, started, ended, verdict, headline FROM other.job WHERE true
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

/// One process at a time makes the tables, or sets a damaged file aside. The lock ends with the process.
fn lock(path: &Path) -> Result<Flock<File>, StoreError> {
    let beside = suffixed(path, ".lock");
    let file = File::options().create(true).truncate(false).write(true).open(&beside);
    let file = file.map_err(|source| StoreError::Io { path: beside.clone(), source })?;
    Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, errno)| StoreError::Io { path: beside, source: errno.into() })
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// An open database with the newest tables. Call it under the lock.
fn connect(path: &Path, create: bool) -> Result<Connection, StoreError> {
    let failed = |source| sql(path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let flags = if create { flags | OpenFlags::SQLITE_OPEN_CREATE } else { flags };
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(PATIENCE).map_err(failed)?;
    let mode = if is_on_network(path) { "DELETE" } else { "WAL" };
    connection.pragma_update_and_check(None, "journal_mode", mode, |_| Ok(())).map_err(failed)?;
    // A loss of power may cost the last runs, a kill costs none (sqlite.org/pragma.html#pragma_synchronous).
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(failed)?;
    MIGRATIONS.to_latest(&mut connection).map_err(|error| match error {
        MigrationError::RusqliteError { err, .. } => failed(err),
        MigrationError::MigrationDefinition(MigrationDefinitionError::DatabaseTooFarAhead) => {
            StoreError::Newer(path.to_owned())
        }
        other => StoreError::Damaged { path: path.to_owned(), reason: other.to_string() },
    })?;
    Ok(connection)
}

/// Reads the whole file for damage.
fn check(path: &Path, connection: &Connection) -> Result<(), StoreError> {
    let first = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match first.map_err(|source| sql(path, source))?.as_str() {
        "ok" => Ok(()),
        reason => Err(StoreError::Damaged { path: path.to_owned(), reason: reason.to_owned() }),
    }
}

/// Renames the database and the files that belong to it. Call it under the lock.
fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let suffix = format!(".damaged-{}-{}", stamp::stamp(now() as u64), std::process::id());
    let aside = suffixed(path, &suffix);
    let cannot = |source| StoreError::Io { path: aside.clone(), source };
    // The log first: alone it means nothing, beside a new database it would be taken for its log.
    for of in ["-wal", "-shm"] {
        match std::fs::rename(suffixed(path, of), suffixed(&aside, of)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(cannot(e)),
            _ => {}
        }
    }
    std::fs::rename(path, &aside).map_err(cannot)?;
    Ok(aside)
}

pub(super) fn sql(path: &Path, source: rusqlite::Error) -> StoreError {
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Damaged { path: path.to_owned(), reason: source.to_string() }
        }
        _ => StoreError::Sql { path: path.to_owned(), source },
    }
}
