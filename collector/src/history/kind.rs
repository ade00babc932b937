//! Whether a file is a history of hangscope. Nothing else is written to, or set aside.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::error::{StoreError, sql};
use super::schema::{APPLICATION, FIRST_TABLE};
use super::uri::{open, uri};

/// What stands where the database should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// No file, an empty one, or a database without a table.
    Nothing,
    /// A history of hangscope, whole or damaged.
    History,
    /// Anything else.
    Foreign,
}

/// # Errors
/// The file cannot be read.
pub(super) fn of(path: &Path) -> Result<Kind, StoreError> {
    let cannot = |cause| StoreError::Unreadable { path: path.to_owned(), cause };
    match std::fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Kind::Nothing),
        Err(e) => return Err(cannot(e)),
        // To open a pipe would wait for a writer.
        Ok(meta) if !meta.is_file() => return Ok(Kind::Foreign),
        Ok(_) => {}
    }
    let mut head = vec![];
    File::open(path).and_then(|file| file.take(PAGE).read_to_end(&mut head)).map_err(cannot)?;
    match of_head(&head) {
        Some(kind) => Ok(kind),
        None => match of_tables(path).map_err(|source| sql(path, source)) {
            // Nothing in it says that it is ours.
            Err(StoreError::Damaged { .. }) => Ok(Kind::Foreign),
            kind => kind,
        },
    }
}

/// Bytes of a page of SQLite. The first one has the header, and the tables' own SQL.
const PAGE: u64 = 4096;

/// From the first page of the file (sqlite.org/fileformat.html). None: its tables have to be looked at.
fn of_head(head: &[u8]) -> Option<Kind> {
    if head.is_empty() {
        return Some(Kind::Nothing);
    }
    let id = head.get(68..72).and_then(|bytes| bytes.try_into().ok()).map(i32::from_be_bytes);
    match id {
        _ if !head.starts_with(b"SQLite format 3\0") => Some(Kind::Foreign),
        Some(APPLICATION) => Some(Kind::History),
        // A history had no number at first.
        Some(0) if memchr::memmem::find(head, FIRST_TABLE.as_bytes()).is_some() => Some(Kind::History),
        Some(0) => None,
        _ => Some(Kind::Foreign),
    }
}

/// Of a database without a number of an application. Its tables may be in its log only.
fn of_tables(path: &Path) -> rusqlite::Result<Kind> {
    let connection = open(&uri(path, "mode=ro"))?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let (all, ours): (i64, i64) = connection.query_row(
        "SELECT count(*), coalesce(sum(substr(sql, 1, length(?1)) = ?1), 0) FROM sqlite_schema",
        [FIRST_TABLE],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(match (version, all, ours) {
        (0, 0, _) => Kind::Nothing,
        (1.., _, 1) => Kind::History,
        _ => Kind::Foreign,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_page_says_whose_a_file_is() {
        let page = |id: i32, more: &str| {
            let mut page = b"SQLite format 3\0".to_vec();
            page.resize(68, 0);
            page.extend(id.to_be_bytes());
            page.extend(more.as_bytes());
            page
        };
        assert_eq!(of_head(b""), Some(Kind::Nothing));
        for foreign in [&b"\x7fELF"[..], b"run,ops_s\n1,2\n", b"SQLite format 2\0", &page(7, FIRST_TABLE)] {
            assert_eq!(of_head(foreign), Some(Kind::Foreign));
        }
        assert_eq!(of_head(&page(APPLICATION, "")), Some(Kind::History));
        assert_eq!(of_head(&page(0, &format!("...{FIRST_TABLE}..."))), Some(Kind::History));
        assert_eq!(of_head(&page(0, "CREATE TABLE bookmarks(url)")), None);
        // Too short for a number.
        assert_eq!(of_head(b"SQLite format 3\0"), Some(Kind::Foreign));
    }
}
