//! Names that were found before. In a night of hangs the dumps ask for the same functions of the same files
//! again and again, and reading debug information is most of what an analysis costs.

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

    /// The names that are known at addresses of a file, by the address in the file; an empty list where the
    /// file has no name. Each of `addresses` is one in the process and one in the file.
    pub(super) fn known(&self, file: &FileKey, addresses: &[(u64, u64)]) -> HashMap<u64, Vec<Name>> {
        let kept = self.kept();
        let Some(of_file) = kept.files.get(file) else { return HashMap::new() };
        let known = |&(_, in_file): &(u64, u64)| Some((in_file, of_file.get(&in_file)?.clone()));
        addresses.iter().filter_map(known).collect()
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
