//! The settings of a job, kept in OUT: the job can be resumed with them.

use std::io;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads the settings of a `job` (`shrink`); none: there is no file. `is_known`: they are of this version,
/// and whole.
///
/// # Errors
/// One line that says what is wrong with the file.
pub(crate) fn load<T: DeserializeOwned>(
    path: &Path,
    job: &str,
    is_known: impl Fn(&T) -> bool,
) -> Result<Option<T>, String> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(e) => return Err(format!("cannot read {}: {e}", path.display())),
    };
    let settings: T = serde_json::from_slice(&bytes).map_err(|e| {
        format!("{}: not the settings of a {job}: {e}; begin anew with another --out", path.display())
    })?;
    match is_known(&settings) {
        true => Ok(Some(settings)),
        false => {
            Err(format!("{}: written by another version; begin anew with another --out", path.display()))
        }
    }
}

/// Whether settings are those that were read from a file. They take the same way through text first: a number
/// may lose its last digit there.
pub(crate) fn are_same<T: Serialize + DeserializeOwned + PartialEq>(settings: &T, read: &T) -> bool {
    let text = serde_json::to_string(settings);
    text.and_then(|text| serde_json::from_str::<T>(&text)).is_ok_and(|again| again == *read)
}
