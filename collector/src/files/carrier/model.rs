//! What a carrier holds.

use std::io;
use std::path::{Path, PathBuf};

use crate::files::pin;

/// What the loader puts in the place of the carrier's folder (ld.so(8)).
const ORIGIN: &str = "$ORIGIN/";

/// A carrier. Paths are as written in the file: absolute, or with `$ORIGIN/` in front.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Carrier {
    pub(crate) soname: String,
    pub(crate) shim: String,
    pub(crate) allocator: String,
    /// Names of the shim's variables, and values.
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) made_of: MadeOf,
}

/// What a carrier was made of. Empty texts: it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MadeOf {
    /// Short name of the allocator.
    pub(crate) name: String,
    /// The allocator's file that was pinned.
    pub(crate) source: String,
    pub(crate) allocator_sha1: String,
    pub(crate) shim_sha1: String,
    /// hangscope's version.
    pub(crate) version: String,
}

/// The allocator of a carrier is not as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error(
        "cannot read {}, the allocator of the carrier {}: {source}; make the carrier again with hangscope wrap",
        allocator.display(), carrier.display()
    )]
    Unreadable { carrier: PathBuf, allocator: PathBuf, source: io::Error },
    #[error(
        "{} is not the allocator that the carrier {} was made with (sha1 {is}, not {was}); make the carrier \
         again with hangscope wrap",
        allocator.display(), carrier.display()
    )]
    Changed { carrier: PathBuf, allocator: PathBuf, is: String, was: String },
}

impl Carrier {
    /// The path of the allocator, where the carrier is at `carrier`. The loader takes the folder of the path
    /// that it was given, also where that is a link.
    ///
    /// # Errors
    /// The allocator is not there, or it is not the one that the carrier was made with.
    pub(crate) fn allocator(&self, carrier: &Path) -> Result<PathBuf, Broken> {
        let allocator = placed(&self.allocator, carrier);
        let bytes = pin::bytes_of(&allocator).map_err(|source| Broken::Unreadable {
            carrier: carrier.to_owned(),
            allocator: allocator.clone(),
            source,
        })?;
        let (is, was) = (pin::sha1_hex(&bytes), &self.made_of.allocator_sha1);
        if is != *was && !was.is_empty() {
            return Err(Broken::Changed { carrier: carrier.to_owned(), allocator, is, was: was.clone() });
        }
        Ok(allocator)
    }
}

/// A path of a carrier that is at `carrier`.
fn placed(path: &str, carrier: &Path) -> PathBuf {
    let Some(below) = path.strip_prefix(ORIGIN) else { return PathBuf::from(path) };
    let carrier = std::path::absolute(carrier).unwrap_or_else(|_| carrier.to_owned());
    carrier.parent().unwrap_or(Path::new("/")).join(below)
}

/// A path in the folder of the carrier, as it is written in the file.
pub(crate) fn beside(below: &str) -> String {
    format!("{ORIGIN}{below}")
}
