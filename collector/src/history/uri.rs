//! Names of databases as SQLite takes them with parameters (sqlite.org/uri.html).

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// Opens a database; its parameter `mode` says what may be done there.
///
/// # Errors
/// That of SQLite.
pub(super) fn open(uri: &str) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri, flags)
}

/// `file:///dir/history.db?mode=ro`, of any path.
pub(super) fn uri(path: &Path, parameters: &str) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut uri = "file://".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            byte => uri += &format!("%{byte:02x}"),
        }
    }
    uri + "?" + parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_one() {
        assert_eq!(uri(Path::new("/a b/h?.db"), "mode=ro"), "file:///a%20b/h%3f.db?mode=ro");
        assert_eq!(uri(Path::new("/履/100%#"), "mode=rw"), "file:///%e5%b1%a5/100%25%23?mode=rw");
    }
}
