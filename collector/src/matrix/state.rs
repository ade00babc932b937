//! `matrix.json`: what a matrix began with, so that it goes on with the same: its DSOs, and the order of its
//! runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::config::{Allocator, Matrix};
use crate::analysis::{DsoFacts, Integrity};
use crate::console::exit::{Ended, Status};
use crate::files::atomic::{self, WriteError};
use crate::files::bounded;
use crate::files::pin::{self, PinError, Pinned};
use crate::history::new_series;

/// Name of the file in OUT.
pub(crate) const FILE: &str = "matrix.json";
const SCHEMA: &str = "hangscope/matrix/1";
const SCHEMAS: &str = "hangscope/matrix/";
/// Folder of the pinned DSOs in OUT.
const DSOS: &str = "dso";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    schema: String,
    /// Folder of its file, absolute.
    pub(crate) dir: PathBuf,
    /// Of the order of the runs.
    pub(crate) seed: u64,
    /// Of this matrix and no other; the same when it goes on. Empty: it was begun before there was one.
    #[serde(default)]
    pub(crate) series: String,
    /// Every preload was verified.
    pub(crate) verified: bool,
    /// The shim's own share of the memory, KiB, by allocator; as the verification found it.
    #[serde(default)]
    pub(crate) shim_kib: BTreeMap<String, u64>,
    /// In the order of the allocators.
    dsos: Vec<KeptDso>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KeptDso {
    allocator: String,
    /// The file that runs: the pinned copy, or the system's libc.
    path: PathBuf,
    /// The file that it is a copy of.
    source: PathBuf,
    sha1: String,
}

impl State {
    /// Whether OUT has one, of whatever version.
    pub(crate) fn is_there(out: &Path) -> bool {
        let bytes = bounded::read(&out.join(FILE)).unwrap_or_default();
        let value = serde_json::from_slice::<serde_json::Value>(&bytes).unwrap_or_default();
        value
            .get("schema")
            .and_then(|schema| schema.as_str())
            .is_some_and(|schema| schema.starts_with(SCHEMAS))
    }

    /// Reads the state in OUT. None: there is none.
    ///
    /// # Errors
    /// One line on what is wrong with the file.
    pub(crate) fn load(out: &Path) -> Result<Option<State>, String> {
        let path = out.join(FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(format!("cannot read {}: {e}", path.display())),
        };
        match serde_json::from_slice::<State>(&bytes) {
            Ok(state) if state.schema == SCHEMA => Ok(Some(state)),
            Ok(_) => Err(format!("{}: of another version; begin anew with another --out", path.display())),
            Err(e) => Err(format!("{}: {e}; begin anew with another --out", path.display())),
        }
    }

    pub(crate) fn write(&self, out: &Path) -> Result<(), WriteError> {
        atomic::write_json(&out.join(FILE), self)
    }

    /// A new one, for DSOs that were pinned just now.
    pub(crate) fn new(dir: &Path, seed: u64, pinned: &[Pinned]) -> State {
        let kept = |pinned: &Pinned| KeptDso {
            allocator: pinned.name.clone(),
            path: pinned.path.clone(),
            source: pinned.source.clone(),
            sha1: pinned.sha1.clone(),
        };
        let dsos = pinned.iter().map(kept).collect();
        State {
            schema: SCHEMA.to_owned(),
            dir: dir.to_owned(),
            seed,
            series: new_series(),
            verified: false,
            shim_kib: BTreeMap::new(),
            dsos,
        }
    }

    /// The DSOs of a matrix that goes on.
    ///
    /// # Errors
    /// One is gone, or has other bytes.
    pub(crate) fn pinned(&self, out: &Path) -> anyhow::Result<Vec<Pinned>> {
        let again = |kept: &KeptDso| -> anyhow::Result<Pinned> {
            let changed = |what: &str| {
                let (path, allocator) = (kept.path.display(), &kept.allocator);
                let what = format!(
                    "matrix: {path}, with which {allocator} began, {what}: the runs would not be of one allocator; \
                     begin anew with another --out"
                );
                anyhow::Error::new(Ended::new(Status::DsoNotIntact, what))
            };
            let pinned =
                match kept.path.starts_with(std::fs::canonicalize(out.join(DSOS)).unwrap_or_default()) {
                    true => pin_one(&kept.path, out, &kept.allocator),
                    false => pin::in_place(&kept.path, &kept.allocator),
                };
            let pinned = pinned.map_err(|e| changed(&format!("cannot be used any more ({e})")))?;
            match pinned.sha1 == kept.sha1 {
                true => Ok(Pinned { source: kept.source.clone(), ..pinned }),
                false => Err(changed("has other bytes by now")),
            }
        };
        self.dsos.iter().map(again).collect()
    }

    /// The DSOs that the matrix began with, as they are noted: the files are not looked at.
    pub(super) fn noted_dsos(&self, matrix: &Matrix) -> Option<Vec<DsoFacts>> {
        let noted = |allocator: &Allocator| {
            let kept = self.dsos.iter().find(|kept| kept.allocator == allocator.name)?;
            Some(DsoFacts {
                original: kept.source.display().to_string(),
                path: kept.path.display().to_string(),
                pinned: allocator.so.is_some(),
                sha1: kept.sha1.clone(),
                build_id: None,
                original_integrity: Integrity::Unknown,
            })
        };
        matrix.allocators.iter().map(noted).collect()
    }

    /// SHA-1 of the allocators' files, by name.
    pub(super) fn builds(&self) -> BTreeMap<&str, &str> {
        self.dsos.iter().map(|kept| (kept.allocator.as_str(), kept.sha1.as_str())).collect()
    }
}

fn pin_one(so: &Path, out: &Path, name: &str) -> Result<Pinned, PinError> {
    pin::pin_as(so, &out.join(DSOS), name, &format!("{name}_so.sha1"))
}

/// Pins the DSO of every allocator in OUT. The system's is used where it is.
///
/// # Errors
/// The first that cannot be had.
pub(crate) fn pin_all(matrix: &Matrix, out: &Path) -> Result<Vec<Pinned>, PinError> {
    let one = |allocator: &Allocator| match &allocator.so {
        Some(so) => pin_one(so, out, &allocator.name),
        None => libc().and_then(|libc| pin::in_place(&libc, &allocator.name)),
    };
    matrix.allocators.iter().map(one).collect()
}

/// The libc of this process: programs of this machine have it, too.
pub(super) fn libc() -> Result<PathBuf, PinError> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let paths = maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..]));
    let mut libcs = paths.filter(|path| {
        let name = path.rsplit('/').next().unwrap_or(path);
        name.starts_with("libc.so") || name.starts_with("libc-2.")
    });
    libcs.next().map(PathBuf::from).ok_or_else(|| PinError::Unreadable {
        path: "libc.so.6".into(),
        source: std::io::Error::other("hangscope itself has none"),
    })
}

/// `dso_sha1.txt`: the files that run, in the format of `sha1sum`.
///
/// # Errors
/// It cannot be written.
pub(crate) fn write_sums(out: &Path, pinned: &[Pinned]) -> Result<(), WriteError> {
    let lines: Vec<u8> = pinned.iter().flat_map(|p| pin::sha1sum_line(&p.sha1, &p.path)).collect();
    atomic::write(&out.join("dso_sha1.txt"), &lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_goes_on_with_the_dsos_that_it_began_with() {
        let dir = tempfile::tempdir().unwrap();
        let (out, so) = (dir.path().join("out"), dir.path().join("libx.so"));
        std::fs::copy(libc().unwrap(), &so).unwrap();
        let pinned =
            vec![pin::in_place(&libc().unwrap(), "system").unwrap(), pin_one(&so, &out, "x").unwrap()];
        assert_eq!(State::load(&out), Ok(None));
        let state = State::new(dir.path(), 7, &pinned);
        state.write(&out).unwrap();
        write_sums(&out, &pinned).unwrap();
        let check = std::process::Command::new("sha1sum")
            .args(["-c", "--status"])
            .arg(out.join("dso_sha1.txt"))
            .status();
        assert!(check.unwrap().success());
        // The user builds another one meanwhile.
        std::fs::write(&so, "no more").unwrap();
        let again = State::load(&out).unwrap().unwrap();
        assert_eq!(again.series, state.series);
        assert_ne!(State::new(dir.path(), 7, &pinned).series, state.series);
        assert_eq!(again, state);
        let paths =
            |all: &[Pinned]| all.iter().map(|p| (p.path.clone(), p.source.clone())).collect::<Vec<_>>();
        assert_eq!(paths(&again.pinned(&out).unwrap()), paths(&pinned));
        std::fs::remove_file(&pinned[1].path).unwrap();
        let gone = again.pinned(&out).unwrap_err();
        assert_eq!(crate::console::exit::status_of(&gone), Status::DsoNotIntact);
        assert!(gone.to_string().contains("cannot be used any more"), "{gone}");
        std::fs::write(out.join(FILE), "{}").unwrap();
        assert!(State::load(&out).unwrap_err().contains("begin anew with another --out"));
    }
}
