//! What goes wrong with a history.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::ErrorCode;

/// How long a writer waits for another one. A transaction takes some milliseconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A line without a remedy: the caller knows which options there are.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("{}: {cause}", path.display())]
    Sql { path: PathBuf, cause: rusqlite::Error },
    #[error("cannot make {}: {cause}", path.display())]
    Io { path: PathBuf, cause: io::Error },
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable { path: PathBuf, cause: io::Error },
    #[error("{} is no history of hangscope, and is left alone", .0.display())]
    Foreign(PathBuf),
    #[error("another process has held {} for {} s", path.display(), patience.as_secs())]
    Locked { path: PathBuf, patience: Duration },
    #[error("there is no {}", .0.display())]
    Missing(PathBuf),
    #[error("{} is this history itself", .0.display())]
    Itself(PathBuf),
    #[error("{} has a log beside it (-wal) that cannot be read where it is: copy both to a folder that can be written to", .0.display())]
    Log(PathBuf),
    #[error("{} was written by a newer hangscope: use that one", .0.display())]
    Newer(PathBuf),
    #[error("{} is damaged ({reason}); `sqlite3 FILE .recover` may save some of it", path.display())]
    Damaged { path: PathBuf, reason: String },
}

/// The error of SQLite at the file `path`.
pub(super) fn sql(path: &Path, cause: rusqlite::Error) -> StoreError {
    match cause.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Damaged { path: path.to_owned(), reason: cause.to_string() }
        }
        _ => StoreError::Sql { path: path.to_owned(), cause },
    }
}
