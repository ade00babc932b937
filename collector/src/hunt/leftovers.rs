//! Evidence of a run that was not finished: hangscope was killed while it captured a hang, or Ctrl-C ended
//! the run. The run is made again, and its evidence would be written to the same folder.

use std::path::{Path, PathBuf};

use super::lane::Lane;
use crate::files::atomic::{self, WriteError};

/// Moves what there is of a run to `folder` in OUT. Returns the new paths.
///
/// # Errors
/// It cannot be moved, and stays where it is.
pub(crate) fn move_away(lane: &Lane, run: u32, folder: &str) -> Result<Vec<PathBuf>, WriteError> {
    let names = [lane.snapshot(run), lane.slow_snapshot(run), lane.interrupted_snapshot(run)];
    let mut moved = vec![];
    for from in names.map(|name| lane.path(&name)).into_iter().filter(|path| path.exists()) {
        // An empty folder is no evidence.
        if std::fs::remove_dir(&from).is_err() {
            moved.push(move_one(&from, &lane.path(folder))?);
        }
    }
    Ok(moved)
}

/// Moves a folder into `to`, under its name and the next free number.
fn move_one(from: &Path, to: &Path) -> Result<PathBuf, WriteError> {
    atomic::make_dir(to)?;
    let name = from.file_name().unwrap_or_default().to_string_lossy();
    let mut paths = (1u32..).map(|number| to.join(format!("{name}_{number}")));
    let path = paths.find(|path| !path.exists()).unwrap_or_default();
    match std::fs::rename(from, &path) {
        Ok(()) => Ok(path),
        Err(source) => Err(WriteError { path: from.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_evidence_is_lost_when_a_run_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let (bundle, to) = (dir.path().join("rss_hz4_1"), dir.path().join("left"));
        for number in ["1", "2"] {
            std::fs::create_dir(&bundle).unwrap();
            std::fs::write(bundle.join("dump.bin"), number).unwrap();
            let path = move_one(&bundle, &to).unwrap();
            assert_eq!(path, to.join(format!("rss_hz4_1_{number}")));
            assert_eq!(std::fs::read_to_string(path.join("dump.bin")).unwrap(), number);
            assert!(!bundle.exists());
        }
        std::fs::create_dir(&bundle).unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(move_one(&bundle, &dir.path().join("file")).is_err());
        assert!(bundle.exists());
    }
}
