//! The bundle: the folder of one dump. A hunt, a collector and a snap write the same files in the same order.
//!
//! 1. The outside view. It is cheap, and it is wrong a moment later.
//! 2. `dump.bin`: the frames of the dump. `dump_{pid}.bin`: those of other processes.
//! 3. `{name}.so`: the allocator's bytes.
//! 4. `dump_outside.bin`: what the dump lacks and the process still shows.
//! 5. The finding: `threads.json`, `stacks.txt`, `samples.folded`, `recording.json.gz`.
//! 6. perf of the hottest thread. It takes seconds, and the process must still hang.
//! 7. The files of step 5 again, with a note if perf disagrees with the samples.
//!
//! If the program is killed in the middle, the files of the steps before are there. A step that cannot be
//! done leaves one line in its file that says why.

use std::borrow::Cow;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::analysis::{Finding, History, analyse};
use crate::capture::{self, NameSources, Outside, Part, PerfOptions, Perfed, hot, write_part};
use crate::console::cancel::Cancel;
use crate::evidence::names::{DUMP, DUMP_OUTSIDE};
use crate::evidence::threads_file::ThreadsFile;
use crate::evidence::{finding_files, recording};
use crate::files::atomic::{self, WriteError};
use crate::proc::namespace;
use crate::session::trace::Traces;
use crate::session::{Dump, packed, record};
use crate::symbolize::{Sources, symbolize};

/// Between two looks at the CPU times of threads, where the dump has only one.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// Looks at a live process from outside for what its dump lacks. Gives a dump that holds only that; none if
/// nothing is missing.
pub type Supplement = fn(pid: u32, dump: &Dump, sources: &Sources) -> Option<Dump>;

/// A bundle with its outside view: the first step.
#[derive(Debug)]
pub struct Bundle {
    dir: PathBuf,
    pid: u32,
    /// Short name of the allocator.
    name: String,
    outside: Outside,
    disturbed: Cell<bool>,
}

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

struct Analysed<'a> {
    dump: Cow<'a, Dump>,
    traces: Traces,
    finding: Finding,
}

impl Bundle {
    /// Makes the folder, looks at the process from outside, and writes what it saw.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn begin(dir: &Path, pid: u32, options: &capture::Options<'_>) -> Result<Bundle, WriteError> {
        atomic::make_dir(dir)?;
        let outside = capture::outside(pid, options);
        outside.write(dir)?;
        Ok(Bundle {
            dir: dir.to_owned(),
            pid,
            name: options.name.to_owned(),
            outside,
            disturbed: Cell::new(false),
        })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Threads were stopped for what the dump lacked. That may have ended a wait.
    pub(crate) fn disturbed(&self) -> bool {
        self.disturbed.get()
    }

    /// What the first step saw.
    pub(crate) fn outside(&self) -> &Outside {
        &self.outside
    }

    /// Moves the folder.
    ///
    /// # Errors
    /// [`WriteError`]; the folder stays where it was.
    pub(crate) fn move_to(&mut self, dir: PathBuf) -> Result<(), WriteError> {
        std::fs::rename(&self.dir, &dir).map_err(|source| WriteError { path: dir.clone(), source })?;
        self.dir = dir;
        Ok(())
    }

    /// Does the later steps, in their order. Gives `threads.json`, with the finding; none without a dump.
    ///
    /// # Errors
    /// [`WriteError`]; the files of the steps before stay.
    pub fn finish(
        &self,
        contents: &Contents<'_>,
        cancel: &Cancel,
    ) -> Result<Option<ThreadsFile>, WriteError> {
        self.write_frames(contents)?;
        let copy = self.write_allocator(&contents.allocator.bytes)?;
        let sources = self.sources(contents, copy.as_deref());
        let dump = match &contents.dump {
            Ok(DumpFrames { dump, .. }) => self.supplement(dump, contents, &sources)?,
            Err(reason) => {
                finding_files::refuse(&self.dir, reason)?;
                self.perf(contents, copy.as_deref(), cancel)?;
                return Ok(None);
            }
        };
        let (analysed, file) = self.analyse(dump, contents, &sources)?;
        match self.perf(contents, copy.as_deref(), cancel)? {
            Some(Perfed::Recorded { .. }) => {
                let Analysed { dump, traces, finding } = &analysed;
                finding_files::write(&self.dir, dump, traces, finding).map(Some)
            }
            _ => Ok(Some(file)),
        }
    }

    fn write_frames(&self, contents: &Contents<'_>) -> Result<(), WriteError> {
        let frames = contents
            .dump
            .as_ref()
            .map(|DumpFrames { frames, dump }| packed::pack(frames, Some(*dump).filter(|_| !contents.full)));
        write_part(&self.dir.join(DUMP), frames)?;
        contents.other_dumps.iter().try_for_each(|(pid, frames)| {
            atomic::write(&self.dir.join(format!("dump_{pid}.bin")), &packed::pack(frames, None))
        })
    }

    /// Gives the path of `{name}.so` if it has the bytes.
    fn write_allocator(
        &self,
        bytes: &Result<AllocatorBytes<'_>, String>,
    ) -> Result<Option<PathBuf>, WriteError> {
        let to = self.dir.join(format!("{}.so", self.name));
        match bytes {
            Ok(AllocatorBytes::InMemory(bytes)) => atomic::write(&to, bytes)?,
            Ok(AllocatorBytes::InFile(from)) => {
                let _ = std::fs::remove_file(&to);
                if std::fs::hard_link(from, &to).is_err() {
                    let bytes = std::fs::read(from);
                    let fail = |source| WriteError { path: to.clone(), source };
                    atomic::write(&to, &bytes.map_err(fail)?)?;
                }
            }
            Err(reason) => {
                capture::write_reason(&to, reason)?;
                return Ok(None);
            }
        }
        Ok(Some(to))
    }

    /// The dump with what it lacked. `dump_outside.bin` keeps that, so that it can be read again with the
    /// dump.
    fn supplement<'d>(
        &self,
        dump: &'d Dump,
        contents: &Contents<'_>,
        sources: &Sources,
    ) -> Result<Cow<'d, Dump>, WriteError> {
        let supplement = contents.supplement.filter(|_| contents.alive);
        let Some(outside) = supplement.and_then(|supplement| supplement(self.pid, dump, sources)) else {
            return Ok(Cow::Borrowed(dump));
        };
        self.disturbed.set(!outside.probes.is_empty());
        atomic::write(&self.dir.join(DUMP_OUTSIDE), &packed::pack(&record::frames(&outside), None))?;
        Ok(Cow::Owned(dump.with_outside(&outside)))
    }

    fn sources(&self, contents: &Contents<'_>, copy: Option<&Path>) -> Sources {
        Sources {
            allocator_copy: copy.map(Path::to_owned),
            copies: contents.copies.clone(),
            live_pid: contents.alive.then_some(self.pid),
            same_boot: true,
            ..Sources::default()
        }
    }

    fn analyse<'d>(
        &self,
        dump: Cow<'d, Dump>,
        contents: &Contents<'_>,
        sources: &Sources,
    ) -> Result<(Analysed<'d>, ThreadsFile), WriteError> {
        let traces = symbolize(&dump, sources);
        let finding = analyse(&dump, &traces, contents.history);
        let file = finding_files::write(&self.dir, &dump, &traces, &finding)?;
        recording::write(&self.dir, &dump, &traces, contents.history)?;
        Ok((Analysed { dump, traces, finding }, file))
    }

    /// None if perf did not begin; its files say why.
    fn perf(
        &self,
        contents: &Contents<'_>,
        copy: Option<&Path>,
        cancel: &Cancel,
    ) -> Result<Option<Perfed>, WriteError> {
        let options = contents.perf.map_err(str::to_owned);
        let (options, tid) = match options.and_then(|o| Ok((o, self.hottest(contents, cancel)?))) {
            Ok(both) => both,
            Err(reason) => return capture::perf::refuse(&self.dir, &reason).map(|()| None),
        };
        // From the copy perf can name code whose file is removed or overwritten.
        let path = contents.allocator.path.iter().cloned();
        let names = NameSources {
            maps: self.outside.maps.clone().unwrap_or_default(),
            copies: path.zip(copy.map(Path::to_owned)).collect(),
        };
        capture::perf(&self.dir, tid, options, &names, cancel).map(Some)
    }

    fn hottest(&self, contents: &Contents<'_>, cancel: &Cancel) -> Result<u32, String> {
        match &contents.dump {
            Ok(DumpFrames { dump, .. }) if !dump.second.is_empty() => {
                let tid = hot::of_dump(dump)?;
                let here = if dump.has_other_ids() { Some(tid) } else { namespace::here(self.pid, tid) };
                here.ok_or_else(|| {
                    format!("tid {tid} is from another PID namespace, and its id here is not known")
                })
            }
            _ => hot::look_twice(self.pid, &self.outside.cpu(), BETWEEN_LOOKS, cancel),
        }
    }
}

impl<'a> Allocator<'a> {
    /// From bytes in memory.
    pub(crate) fn new(path: Option<&str>, bytes: &'a Part) -> Self {
        let bytes = bytes.as_ref().map(|bytes| AllocatorBytes::InMemory(bytes)).map_err(String::clone);
        Allocator { path: path.map(PathBuf::from), bytes }
    }
}
