//! Names that were found before. In a night of hangs the dumps ask for the same functions of the same files again
//! and again, and reading debug information is most of what an analysis costs.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One function at an address, innermost first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) function: Option<String>,
    /// Where the function begins in the file.
    pub(super) start: Option<u64>,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) inlined: bool,
}

/// Addresses that are kept: some tens of megabytes. Beyond that all are dropped.
const MOST: usize = 100_000;

/// Names of several dumps; all copies share them.
#[derive(Clone, Debug, Default)]
pub struct KeptNames(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    addresses: usize,
    files: HashMap<FileKey, HashMap<u64, Vec<Name>>>,
}

/// What the names of a file come from: its bytes, and where its debug file is looked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileKey {
    pub(super) build_id: Vec<u8>,
    pub(super) len: usize,
    pub(super) crc: u32,
    pub(super) path: String,
    pub(super) debug_dirs: Vec<PathBuf>,
}

impl KeptNames {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names at an address of a file, empty if it has none; None if they are not known.
    pub(super) fn at(&self, file: &FileKey, address: u64) -> Option<Vec<Name>> {
        self.kept().files.get(file)?.get(&address).cloned()
    }

    pub(super) fn keep(&self, file: FileKey, names: impl IntoIterator<Item = (u64, Vec<Name>)>) {
        let mut kept = self.kept();
        if kept.addresses > MOST {
            *kept = Kept::default();
        }
        let of_file = kept.files.entry(file).or_default();
        let before = of_file.len();
        of_file.extend(names);
        let added = of_file.len() - before;
        kept.addresses += added;
    }
}
