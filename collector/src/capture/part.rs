//! A file of a bundle: its bytes, or one line that says why there are none.

use std::path::Path;

use crate::files::atomic::{self, WriteError};

/// Bytes of a file, or the reason why there are none.
pub(crate) type Part = Result<Vec<u8>, String>;

/// Writes the bytes, or the reason. A file is never empty and never missing without a word.
///
/// # Errors
/// [`WriteError`].
pub(crate) fn write_part(
    path: &Path,
    part: Result<impl AsRef<[u8]>, impl AsRef<str>>,
) -> Result<(), WriteError> {
    match part {
        Ok(bytes) if !bytes.as_ref().is_empty() => atomic::write(path, bytes.as_ref()),
        Ok(_) => write_reason(path, "there was nothing in it"),
        Err(reason) => write_reason(path, reason.as_ref()),
    }
}

/// Writes the line of a step that could not be done.
///
/// # Errors
/// [`WriteError`].
pub(crate) fn write_reason(path: &Path, reason: &str) -> Result<(), WriteError> {
    atomic::write_text(path, &reason_line(reason))
}

/// `# reason`, on one line.
pub(crate) fn reason_line(reason: &str) -> String {
    let words: Vec<&str> = reason.split_whitespace().collect();
    format!("# {}\n", words.join(" "))
}
