//! The file of the database: locked, opened, checked, set aside.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use rusqlite::Connection;
use rusqlite_migration::{Error as MigrationError, MigrationDefinitionError};

use super::error::{StoreError, sql};
use super::kind::{self, Kind};
use super::model::now;
use super::place::is_on_network;
use super::schema::{APPLICATION, MIGRATIONS};
use super::uri::{open, uri};
use crate::files::stamp;

/// Refuses a file that is no history before anything is made beside it.
///
/// # Errors
/// [`StoreError::Foreign`], or the file cannot be read.
pub(crate) fn refuse_foreign(path: &Path) -> Result<(), StoreError> {
    match kind::of(path)? {
        Kind::Foreign => Err(StoreError::Foreign(path.to_owned())),
        _ => Ok(()),
    }
}

/// One process at a time makes the tables, or sets a damaged file aside. The lock ends with the process.
///
/// # Errors
/// Another process holds it for longer than `patience`; the file is no history; no lock can be made beside
/// it.
pub(super) fn lock(path: &Path, patience: Duration) -> Result<Flock<File>, StoreError> {
    // Between two tries: nothing tells when another process leaves a lock.
    const PAUSE: Duration = Duration::from_millis(50);
    refuse_foreign(path)?;
    let beside = suffixed(path, ".lock");
    let file = File::options().create(true).truncate(false).write(true).open(&beside);
    let mut file = file.map_err(|cause| StoreError::Io { path: beside.clone(), cause })?;
    let until = Instant::now() + patience;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => return Ok(locked),
            Err((again, Errno::EWOULDBLOCK | Errno::EINTR)) if Instant::now() < until => {
                file = again;
                std::thread::sleep(PAUSE);
            }
            Err((_, Errno::EWOULDBLOCK)) => return Err(StoreError::Locked { path: beside, patience }),
            Err((_, errno)) => return Err(StoreError::Io { path: beside, cause: errno.into() }),
        }
    }
}

/// Another file beside the database.
pub(super) fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// An open database with the newest tables. Call it under the lock.
///
/// # Errors
/// The file is no history, is damaged, or is a newer hangscope's; that of SQLite.
pub(super) fn connect(path: &Path, patience: Duration) -> Result<Connection, StoreError> {
    let failed = |source| sql(path, source);
    let kind = kind::of(path)?;
    if kind == Kind::Foreign {
        return Err(StoreError::Foreign(path.to_owned()));
    }
    let mut connection = open(&uri(path, "mode=rwc")).map_err(failed)?;
    connection.busy_timeout(patience).map_err(failed)?;
    if kind == Kind::Nothing {
        // Before there is a log: the header of the file has it from the beginning.
        connection.pragma_update(None, "application_id", APPLICATION).map_err(failed)?;
    }
    let mode = if is_on_network(path) { "DELETE" } else { "WAL" };
    connection.pragma_update_and_check(None, "journal_mode", mode, |_| Ok(())).map_err(failed)?;
    // A loss of power may cost the last runs, a kill costs none (sqlite.org/pragma.html#pragma_synchronous).
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(failed)?;
    migrated(path, &mut connection)?;
    Ok(connection)
}

/// Brings the tables of a database up to the newest.
///
/// # Errors
/// [`StoreError`] of the file `path`.
pub(super) fn migrated(path: &Path, connection: &mut Connection) -> Result<(), StoreError> {
    MIGRATIONS.to_latest(connection).map_err(|error| match error {
        MigrationError::RusqliteError { err, .. } => sql(path, err),
        MigrationError::MigrationDefinition(MigrationDefinitionError::DatabaseTooFarAhead) => {
            StoreError::Newer(path.to_owned())
        }
        other => StoreError::Damaged { path: path.to_owned(), reason: other.to_string() },
    })
}

/// Reads the whole file for damage.
///
/// # Errors
/// [`StoreError::Damaged`], or that of SQLite.
pub(super) fn check(path: &Path, connection: &Connection) -> Result<(), StoreError> {
    let first = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match first.map_err(|source| sql(path, source))?.as_str() {
        "ok" => Ok(()),
        reason => Err(StoreError::Damaged { path: path.to_owned(), reason: reason.to_owned() }),
    }
}

/// Sets the file aside if it is still this one that is damaged. Call it under the lock.
///
/// # Errors
/// It cannot be renamed.
pub(super) fn set_aside_if_damaged(path: &Path, patience: Duration) -> Result<Option<PathBuf>, StoreError> {
    match connect(path, patience).and_then(|new| check(path, &new)) {
        Err(StoreError::Damaged { .. }) => set_aside(path).map(Some),
        _ => Ok(None),
    }
}

/// Renames the database and the files that belong to it. Call it under the lock.
fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let suffix = format!(".damaged-{}-{}", stamp::stamp(now() as u64), std::process::id());
    let aside = suffixed(path, &suffix);
    let cannot = |cause| StoreError::Io { path: aside.clone(), cause };
    // The log first: alone it means nothing, beside a new database it would be taken for its log.
    for of in ["-wal", "-shm"] {
        match std::fs::rename(suffixed(path, of), suffixed(&aside, of)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(cannot(e)),
            _ => {}
        }
    }
    std::fs::rename(path, &aside).map_err(cannot)?;
    Ok(aside)
}
