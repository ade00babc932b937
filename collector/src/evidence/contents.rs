//! What a bundle is made from.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::analysis::History;
use crate::capture::{Part, PerfOptions};
use crate::session::Dump;
use crate::symbolize::{KeptNames, Sources};

/// Looks at a live process from outside for what its dump lacks. Gives a dump that holds only that; none if
/// nothing is missing.
pub(super) type Supplement = fn(pid: u32, dump: &Dump, sources: &Sources) -> Option<Dump>;

/// What the later steps are made from.
#[derive(Debug)]
pub struct Contents<'a> {
    /// The dump; else why there is none.
    pub dump: Result<DumpFrames<'a>, String>,
    /// Process ids and frames of other processes that sent dumps.
    pub other_dumps: Vec<(u32, Vec<u8>)>,
    /// Heartbeats before the dump.
    pub history: &'a History,
    pub allocator: Allocator<'a>,
    /// Copies of further DSOs; each gives names to the DSO whose build-id it has.
    pub copies: Vec<PathBuf>,
    /// Names that earlier bundles asked for.
    pub kept: KeptNames,
    /// Whether the process is still there.
    pub alive: bool,
    /// None: the dump is taken as it is.
    pub supplement: Option<Supplement>,
    /// Whether `dump.bin` keeps everything, however large.
    pub full: bool,
    /// How perf records; else why it does not.
    pub perf: Result<&'a PerfOptions, &'a str>,
}

/// A dump and the frames that it was read from.
#[derive(Debug)]
pub struct DumpFrames<'a> {
    /// The frames of `dump.bin`.
    pub frames: Cow<'a, [u8]>,
    /// The last dump in the frames.
    pub dump: &'a Dump,
}

/// The allocator of the process.
#[derive(Debug)]
pub struct Allocator<'a> {
    /// Path of the DSO in the process; none if it is not known.
    pub path: Option<PathBuf>,
    /// The bytes as they were when the process started; else why there are none.
    pub bytes: Result<AllocatorBytes<'a>, String>,
}

#[derive(Debug)]
pub enum AllocatorBytes<'a> {
    InMemory(&'a [u8]),
    /// A file with these bytes. The bundle gets a link to it, or a copy where no link can be made.
    InFile(&'a Path),
}

impl<'a> Allocator<'a> {
    /// From bytes in memory.
    pub(crate) fn new(path: Option<&str>, bytes: &'a Part) -> Self {
        let bytes = bytes.as_ref().map(|bytes| AllocatorBytes::InMemory(bytes)).map_err(String::clone);
        Allocator { path: path.map(PathBuf::from), bytes }
    }
}
