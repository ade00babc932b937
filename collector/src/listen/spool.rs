//! The frames of a dump, in a file without a name while they arrive: a dump is not held in memory. The kernel
//! removes the file with its last descriptor, also after a kill.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use hangscope_protocol::record::{DumpBeginRecord, DumpEndRecord};

use crate::files::{bounded, free};
use crate::session::{Dump, read_dumps};

/// Most bytes of one dump that stay in memory, where no file can be written.
const MOST_IN_MEMORY: usize = 16 << 20;
/// The same of all dumps that are being received.
const MOST_OF_ALL: usize = 64 << 20;

/// Bytes of dumps in memory that are being received. Those that were received count as what waits.
static IN_MEMORY: AtomicUsize = AtomicUsize::new(0);

#[derive(Clone, Debug)]
pub struct RecordedDump {
    pub dump: Dump,
    /// `dump.bin`: the frames with the hello, notes and DSOs from before the dump, then every frame from the
    /// beginning of the dump to its end. [`crate::session::read_dumps`] reads the same dump from it.
    pub raw: Vec<u8>,
}

/// A dump that is being received.
#[derive(Debug)]
pub(super) struct Spool {
    begin: DumpBeginRecord,
    /// None: no file can be written, and the bytes are in `memory`.
    file: Option<File>,
    memory: Vec<u8>,
    len: usize,
    /// Its part of [`IN_MEMORY`].
    counted: usize,
}

impl Drop for Spool {
    fn drop(&mut self) {
        IN_MEMORY.fetch_sub(self.counted, Ordering::Relaxed);
    }
}

impl Spool {
    /// In the folder, if its disk has plenty of room: the last of it is for what is kept. Else in the
    /// system's folder for such files; else in memory.
    pub(super) fn new(begin: DumpBeginRecord, folder: Option<&Path>) -> Spool {
        let folder = folder.filter(|folder| free::is_plenty(folder, 0));
        let made = folder.map_or_else(tempfile::tempfile, tempfile::tempfile_in);
        let made = made.or_else(|_| tempfile::tempfile());
        if let Err(error) = &made {
            tracing::warn!("a dump stays in memory: {error}");
        }
        Spool { begin, file: made.ok(), memory: vec![], len: 0, counted: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// # Errors
    /// The reason: no file can be written, and the bytes are too many for memory.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), String> {
        if let Some(file) = &mut self.file {
            match file.write_all_at(bytes, self.len as u64) {
                Ok(()) => {
                    self.len += bytes.len();
                    return Ok(());
                }
                Err(error) => {
                    tracing::warn!("a dump stays in memory: {error}");
                    self.memory = bounded::start_of(file, self.len as u64).map_err(|e| e.to_string())?;
                    self.file = None;
                }
            }
        }
        let more = self.len + bytes.len() - self.counted;
        self.counted += more;
        let all = IN_MEMORY.fetch_add(more, Ordering::Relaxed) + more;
        if self.counted > MOST_IN_MEMORY || all > MOST_OF_ALL {
            return Err(format!(
                "no file can be written for a dump of more than {} MiB, or for so many at once",
                MOST_IN_MEMORY >> 20
            ));
        }
        let _ = self.memory.write_all(bytes);
        self.len += bytes.len();
        Ok(())
    }

    /// What has arrived so far.
    ///
    /// # Errors
    /// No descriptor is free.
    pub(super) fn so_far(&self) -> io::Result<Spooled> {
        let bytes = match &self.file {
            Some(file) => Bytes::InFile(file.try_clone()?),
            None => Bytes::InMemory(self.memory.clone()),
        };
        Ok(Spooled { begin: self.begin, end: None, bytes, len: self.len })
    }

    /// All that arrived. `end` is none if the dump was cut off.
    pub(super) fn finish(mut self, end: Option<DumpEndRecord>) -> Spooled {
        let memory = std::mem::take(&mut self.memory);
        let bytes = self.file.take().map_or(Bytes::InMemory(memory), Bytes::InFile);
        Spooled { begin: self.begin, end, bytes, len: self.len }
    }
}

/// A dump that arrived: read it when it is needed.
#[derive(Debug)]
pub struct Spooled {
    pub(crate) begin: DumpBeginRecord,
    /// None if the dump was cut off.
    #[cfg_attr(not(test), expect(dead_code, reason = "whoever reads the dump has it there"))]
    pub(crate) end: Option<DumpEndRecord>,
    bytes: Bytes,
    len: usize,
}

#[derive(Debug)]
enum Bytes {
    InFile(File),
    InMemory(Vec<u8>),
    #[cfg(test)]
    Read(Box<RecordedDump>),
}

impl Spooled {
    /// Bytes of its frames.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of memory that it takes unread.
    pub(super) fn held(&self) -> usize {
        match &self.bytes {
            Bytes::InMemory(bytes) => bytes.len(),
            _ => 0,
        }
    }

    /// Reads the frames, and the dump that they are.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self) -> io::Result<RecordedDump> {
        let raw = match &self.bytes {
            Bytes::InFile(file) => bounded::start_of(file, self.len as u64)?,
            Bytes::InMemory(bytes) => bytes.clone(),
            #[cfg(test)]
            Bytes::Read(dump) => return Ok((**dump).clone()),
        };
        let dumps = read_dumps(&raw).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        let dump: Option<Dump> = dumps.into_iter().next_back();
        let dump = dump.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        Ok(RecordedDump { dump, raw })
    }

    #[cfg(test)]
    pub(crate) fn of(dump: RecordedDump) -> Spooled {
        let (begin, end, len) = (dump.dump.begin, dump.dump.end, dump.raw.len());
        Spooled { begin, end, bytes: Bytes::Read(Box::new(dump)), len }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::fake_shim::{Frames, zero};

    #[test]
    fn without_a_file_a_dump_stays_in_memory_and_has_a_limit() {
        let mut frames = Frames::default();
        let all: Vec<Vec<u8>> = frames.hello(1).into_iter().chain(frames.dump(1, 3, 100)).collect();
        for with_file in [true, false] {
            let mut spool = Spool::new(zero(), None);
            if !with_file {
                spool.file = None;
            }
            all.iter().for_each(|frame| spool.push(frame).unwrap());
            assert_eq!(spool.so_far().unwrap().read().unwrap().dump.threads.len(), 3);
            let done = spool.finish(Some(zero()));
            assert_eq!((done.held() == 0, done.len()), (with_file, all.iter().map(Vec::len).sum()));
            assert_eq!(done.read().unwrap().raw, all.concat());
        }
        let mut spool = Spool::new(zero(), None);
        spool.file = None;
        assert!(spool.push(&vec![0; MOST_IN_MEMORY + 1]).unwrap_err().contains("more than 16 MiB"));
    }

    #[test]
    fn a_full_disk_moves_the_dump_into_memory() {
        // /dev/full takes no byte, and reads as zeros.
        let full = File::options().read(true).write(true).open("/dev/full").unwrap();
        let mut spool = Spool::new(zero(), None);
        spool.file = Some(full);
        spool.push(b"said").unwrap();
        assert!(spool.file.is_none());
        assert_eq!((spool.memory.as_slice(), spool.len()), (&b"said"[..], 4));
    }
}
