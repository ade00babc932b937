//! A history that is only read: where it is may not be written to, and its tables may be older ones.

use std::path::Path;

use rusqlite::{Connection, ErrorCode};
use tempfile::TempDir;

use super::error::{PATIENCE, StoreError, sql};
use super::file::{migrated, suffixed};
use super::kind::{self, Kind};
use super::schema::VERSION;
use super::uri::{self, uri};

/// Version of the tables that this hangscope reads.
const NEWEST: i64 = VERSION as i64;

/// How a history is opened for reading.
#[derive(Debug)]
pub(super) struct Source {
    /// For SQLite.
    pub(super) uri: String,
    /// Has a copy of an older one, with the newest tables.
    pub(super) copy: Option<TempDir>,
}

impl Source {
    /// None: nothing is there, or an empty file. Makes no file beside it that stays.
    ///
    /// # Errors
    /// [`StoreError`], also of a damaged file: it is left as it is.
    pub(super) fn find(path: &Path) -> Result<Option<Source>, StoreError> {
        match kind::of(path)? {
            Kind::Nothing => return Ok(None),
            Kind::Foreign => return Err(StoreError::Foreign(path.to_owned())),
            Kind::History => {}
        }
        let failed = |source| sql(path, source);
        // A file that may only be read is opened so by itself.
        let usual = uri(path, "mode=rw");
        let (uri, version) = match version(&usual) {
            Ok(version) => (usual, version),
            Err(error) if needs_files_beside(&error) => {
                if std::fs::metadata(suffixed(path, "-wal")).is_ok_and(|log| log.len() > 0) {
                    return Err(StoreError::Log(path.to_owned()));
                }
                let alone = uri(path, "mode=ro&immutable=1");
                let version = version(&alone).map_err(failed)?;
                (alone, version)
            }
            Err(error) => return Err(failed(error)),
        };
        match version {
            NEWEST => Ok(Some(Source { uri, copy: None })),
            older if older < NEWEST => upgraded(path, &uri).map(Some),
            _ => Err(StoreError::Newer(path.to_owned())),
        }
    }

    /// # Errors
    /// That of SQLite.
    pub(super) fn open(&self) -> rusqlite::Result<Connection> {
        let connection = open(&self.uri)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }
}

fn open(uri: &str) -> rusqlite::Result<Connection> {
    let connection = uri::open(uri)?;
    connection.busy_timeout(PATIENCE)?;
    Ok(connection)
}

/// Version of the tables.
fn version(uri: &str) -> rusqlite::Result<i64> {
    let connection = open(uri)?;
    // Reads the first page, and the log if there is one.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Whether SQLite could not make its log beside a database (sqlite.org/wal.html#read_only_databases).
fn needs_files_beside(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

/// A copy with the newest tables, in a temporary folder.
fn upgraded(path: &Path, older: &str) -> Result<Source, StoreError> {
    let failed = |source| sql(path, source);
    let copy = tempfile::tempdir().map_err(|cause| StoreError::Io { path: std::env::temp_dir(), cause })?;
    let file = copy.path().join("history.db");
    let from = open(older).map_err(failed)?;
    from.execute("VACUUM INTO ?1", [file.to_string_lossy()]).map_err(failed)?;
    let uri = uri(&file, "mode=rw");
    migrated(path, &mut open(&uri).map_err(failed)?)?;
    Ok(Source { uri, copy: Some(copy) })
}
