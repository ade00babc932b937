//! The bundle: the folder of one dump. A hunt, a collector and a snap write the same files in the same order.
//! Small files come first and large ones last, so that a full disk costs the least evidence:
//!
//! 1. The outside view. It is cheap, and it is wrong a moment later.
//! 2. The finding: `threads.json`, `stacks.txt`, `samples.folded`, `recording.json.gz`.
//! 3. perf of the hottest thread. It takes seconds, and the process must still hang.
//! 4. `threads.json`, `stacks.txt` and `samples.folded` again, with a note if perf disagrees with the
//!    samples.
//! 5. `{name}.so`: the allocator's bytes. `dump_outside.bin`: what the dump lacks and the process still
//!    shows. `dump_{pid}.bin`: the frames of other processes. Last `dump.bin`: the frames of the dump.
//!
//! With plenty of room on the disk, the files of step 5 are written before perf: if the program is killed in
//! the seconds that perf takes, they are there.
//!
//! A file that cannot be written does not stop those after it. [`Bundle::not_written`] gives it. A step that
//! cannot be done leaves one line in its file that says why.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hangscope_protocol::record::dump_reason;

use crate::analysis::{Finding, History, analyse};
use crate::capture::{self, NameSources, Outside, Perfed, hot};
use crate::console::cancel::Cancel;
use crate::evidence::large::{Copy, Large};
use crate::evidence::missing::NotWritten;
use crate::evidence::threads_file::ThreadsFile;
use crate::evidence::{finding_files, recording};
use crate::files::atomic::{self, WriteError};
use crate::proc::namespace;
use crate::session::Dump;
use crate::session::lists::ListHeads;
use crate::session::trace::Traces;
use crate::symbolize::{Debuginfod, Sources, symbolize};

pub use super::contents::{Allocator, AllocatorBytes, Contents, DumpFrames};

/// Between two looks at the CPU times of threads, where the dump has only one.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// A bundle with its outside view: the first step.
#[derive(Debug)]
pub struct Bundle {
    dir: PathBuf,
    pid: u32,
    /// Short name of the allocator.
    name: String,
    outside: Outside,
    /// Where the allocator keeps the heads of its lists.
    lists: Vec<ListHeads>,
    disturbed: Cell<bool>,
    not_written: RefCell<Vec<WriteError>>,
}

struct Analysed<'a> {
    dump: Cow<'a, Dump>,
    traces: Traces,
    finding: Finding,
}

impl Bundle {
    /// Makes the folder, looks at the process from outside, and writes what it saw. Without the folder, all
    /// that follows is not written, and there is a finding all the same.
    pub fn begin(dir: &Path, pid: u32, options: &capture::Options<'_>) -> Bundle {
        let made = atomic::make_dir(dir).err();
        Bundle::with(dir, pid, options, capture::outside(pid, options), made)
    }

    /// The same without a process: of the dump of a core. `why`: a line for the files of the outside view.
    pub(crate) fn without_process(
        dir: &Path,
        dump: &Dump,
        why: &str,
        options: &capture::Options<'_>,
    ) -> Bundle {
        let made = atomic::make_dir(dir).err();
        let pid = dump.identity.fixed.pid;
        let outside = capture::without_process(pid, &dump.maps, why, options);
        Bundle::with(dir, pid, options, outside, made)
    }

    fn with(
        dir: &Path,
        pid: u32,
        options: &capture::Options<'_>,
        outside: Outside,
        made: Option<WriteError>,
    ) -> Bundle {
        Bundle {
            dir: dir.to_owned(),
            pid,
            name: options.name.to_owned(),
            not_written: RefCell::new(made.into_iter().chain(outside.write(dir)).collect()),
            outside,
            lists: options.profile.lists.clone(),
            disturbed: Cell::new(false),
        }
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

    /// The files that could not be written so far, each once. Its `threads.json` has a note of them.
    pub(crate) fn not_written(&self) -> NotWritten {
        NotWritten::of(&self.dir, &self.not_written.borrow())
    }

    /// Takes note of another file of the folder that could not be written.
    pub(crate) fn also(&self, written: Result<(), WriteError>) {
        self.missing(written.err().into_iter().collect());
    }

    /// Does the later steps, in their order. Gives `threads.json`, with the finding; none without a dump.
    pub fn finish(&self, contents: &Contents<'_>, cancel: &Cancel) -> Option<ThreadsFile> {
        let mut large = Large::new(&self.dir, contents);
        let copy = self.tried(large.allocator(&self.name, &contents.allocator.bytes)).unwrap_or_default();
        let sources = self.sources(contents, copy.path());
        let analysed = match &contents.dump {
            Ok(DumpFrames { dump, .. }) => {
                let outside = contents.supplement.filter(|_| contents.alive);
                let outside = outside.and_then(|supplement| supplement(self.pid, dump, &sources));
                self.disturbed.set(outside.as_ref().is_some_and(|outside| !outside.probes.is_empty()));
                let dump = match &outside {
                    Some(outside) => Cow::Owned(dump.with_outside(outside)),
                    None => Cow::Borrowed(*dump),
                };
                large.outside(outside);
                Some(self.analyse(dump, contents, &sources))
            }
            Err(reason) => {
                self.missing(finding_files::refuse(&self.dir, reason));
                None
            }
        };
        if large.has_plenty() {
            self.missing(large.write());
        }
        let perfed = self.tried(self.perf(contents, &copy, cancel)).flatten();
        let mut file = analysed.map(|(analysed, file)| match perfed {
            Some(Perfed::Recorded { .. }) => self.write_finding(&analysed, contents.history),
            _ => file,
        });
        self.missing(large.write());
        if let (Some(file), Some(note)) = (&mut file, self.not_written().note("this folder")) {
            file.notes.push(note.en().to_owned());
            let _ = finding_files::write_again(&self.dir, file);
        }
        file
    }

    fn tried<T>(&self, tried: Result<T, WriteError>) -> Option<T> {
        tried.map_err(|error| self.missing(vec![error])).ok()
    }

    fn missing(&self, errors: Vec<WriteError>) {
        self.not_written.borrow_mut().extend(errors);
    }

    fn sources(&self, contents: &Contents<'_>, copy: Option<&Path>) -> Sources {
        let from_core = contents.dump.as_ref().is_ok_and(|of| of.dump.begin.reason == dump_reason::CORE);
        Sources {
            allocator_copy: copy.map(Path::to_owned),
            copies: contents.copies.clone(),
            live_pid: contents.alive.then_some(self.pid),
            same_boot: !from_core,
            debuginfod: Debuginfod::from_environment().filter(|_| from_core),
            kept: contents.kept.clone(),
            lists: self.lists.clone(),
            ..Sources::default()
        }
    }

    fn analyse<'d>(
        &self,
        dump: Cow<'d, Dump>,
        contents: &Contents<'_>,
        sources: &Sources,
    ) -> (Analysed<'d>, ThreadsFile) {
        let traces = symbolize(&dump, sources);
        let finding = analyse(&dump, &traces, contents.history);
        let analysed = Analysed { dump, traces, finding };
        let file = self.write_finding(&analysed, contents.history);
        self.tried(recording::write(&self.dir, &analysed.dump, &analysed.traces, contents.history));
        (analysed, file)
    }

    /// Writes the files of a finding, with what perf says of it, if it has said something. Gives
    /// `threads.json`.
    fn write_finding(&self, analysed: &Analysed<'_>, history: &History) -> ThreadsFile {
        let Analysed { dump, traces, finding } = analysed;
        let file = finding_files::contents(&self.dir, dump, traces, finding, history);
        self.missing(finding_files::write_all(&self.dir, dump, traces, &file));
        file
    }

    /// None if perf did not begin; its files say why.
    fn perf(
        &self,
        contents: &Contents<'_>,
        copy: &Copy,
        cancel: &Cancel,
    ) -> Result<Option<Perfed>, WriteError> {
        let options = contents.perf.map_err(str::to_owned);
        let (options, tid) = match options.and_then(|o| Ok((o, self.hottest(contents, cancel)?))) {
            Ok(both) => both,
            Err(reason) => {
                self.missing(capture::perf::refuse(&self.dir, &reason));
                return Ok(None);
            }
        };
        // From the copy perf can name code whose file is removed or overwritten.
        let path = contents.allocator.path.iter().cloned();
        let names = NameSources {
            maps: self.outside.maps.clone().unwrap_or_default(),
            copies: path.zip(copy.lasting().map(Path::to_owned)).collect(),
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
