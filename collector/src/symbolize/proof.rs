//! The proof that a file is the mapped one.
//!
//! For a DSO of the snapshot from init, the proof is the build-id in memory at that time. For a DSO
//! without a build-id, the proof is a file at its path that still has the device, inode, size and change
//! time of the snapshot. For a file that was mapped later, the proof is the inode in maps: the file was
//! not deleted, and not changed since the process started.

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use hangscope_protocol::record::DsoRecord;

use super::elf::{Bytes, Elf, MOST_BYTES};
use crate::files::facts::{self, device};
use crate::session::maps::Mapping;

/// What is known of a mapped file.
pub(super) struct Mapped<'m> {
    /// The snapshot from init, if the file was mapped then.
    pub(super) init: Option<&'m DsoRecord>,
    /// The first line of maps, if maps is known.
    pub(super) line: Option<&'m Mapping>,
    /// Wall clock at init, ns since the epoch.
    pub(super) wall_ns: u64,
}

impl Mapped<'_> {
    /// Reads the file at a path, if it is proven to be the mapped file.
    pub(super) fn proven(&self, path: &Path, candidate: Candidate) -> Result<Elf, Refused> {
        // By now, the path may name anything, for example a pipe without a writer.
        let file =
            File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(|e| {
                match e.kind() {
                    io::ErrorKind::NotFound => "its file is gone".into(),
                    _ => Refused::Unreadable(e),
                }
            })?;
        let meta = file.metadata().map_err(Refused::Unreadable)?;
        if !meta.is_file() {
            return Err("its path is no file any more".into());
        }
        if meta.len() > MOST_BYTES {
            return Err("its file is larger than 2 GiB".into());
        }
        let bytes = Bytes::copy_of(&file).map_err(Refused::Unreadable)?;
        // Check after reading: a write to the file in the meantime changes its ctime.
        let after = file.metadata().map_err(Refused::Unreadable)?;
        let still =
            (after.len(), after.ctime(), after.ctime_nsec()) == (meta.len(), meta.ctime(), meta.ctime_nsec());
        let elf = Elf::parse(bytes).map_err(Refused::Not)?;
        let ctime_ns = meta.ctime().saturating_mul(1_000_000_000).saturating_add(meta.ctime_nsec());
        match (self.init, self.line) {
            (Some(init), _) if init.build_id_len > 0 => {
                let id = init.build_id_bytes();
                // The record holds only the first 32 bytes of a build-id.
                let same = elf.build_id == id || (id.len() == 32 && elf.build_id.starts_with(id));
                if same { Ok(elf) } else { Err("its file is another build now".into()) }
            }
            (Some(init), _) => match candidate {
                Candidate::OfAllocator if init.size == 0 || init.size == meta.len() => Ok(elf),
                Candidate::InPlace
                    if still
                        && init.errno == 0
                        && (init.dev, init.ino, init.size)
                            == (device(meta.dev()), meta.ino(), meta.len())
                        && init.ctime_ns == ctime_ns =>
                {
                    Ok(elf)
                }
                _ => Err("it has no build-id, and its file was changed since the start".into()),
            },
            (None, Some(line)) => {
                let unchanged = still && facts::is_older(ctime_ns, self.wall_ns);
                match candidate {
                    Candidate::InPlace if !line.deleted && line.ino == meta.ino() && unchanged => Ok(elf),
                    _ => Err("it was mapped later, and its file is not proven to be the same".into()),
                }
            }
            (None, None) => Err("nothing is known of it".into()),
        }
    }
}

/// What kind of file a candidate is. This decides which proof is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Candidate {
    /// The file at the path that was mapped.
    InPlace,
    /// The shim's copy of the allocator from init.
    OfAllocator,
    Copy,
    /// The kernel's own link to the file that is mapped.
    Link,
}

impl Candidate {
    /// The name of the candidate for messages.
    pub(super) fn called(self, path: &Path) -> String {
        match self {
            Candidate::OfAllocator | Candidate::Copy => format!("the copy {}", path.display()),
            Candidate::InPlace | Candidate::Link => path.display().to_string(),
        }
    }

    /// Whether this error is normal for most users.
    pub(super) fn is_closed_by(self, error: &io::Error) -> bool {
        self == Candidate::Link && error.kind() == io::ErrorKind::PermissionDenied
    }
}

/// Why a file is not used for a mapping.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("its file cannot be read: {0}")]
    Unreadable(io::Error),
    /// The file does not exist, or is not the mapped one.
    #[error("{0}")]
    Not(String),
}

impl From<&str> for Refused {
    fn from(why: &str) -> Self {
        Refused::Not(why.to_owned())
    }
}
