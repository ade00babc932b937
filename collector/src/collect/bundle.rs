//! The folder of one dump: the view from outside, what the shim sent, the hottest thread. Written file by file,
//! the dearest last: whoever ends the collector in the middle keeps what was there.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::analysis::{Class, Confidence, Finding, History};
use crate::capture::{self, Outside, PerfOptions, hot};
use crate::console::cancel::Cancel;
use crate::evidence::dump_files;
use crate::evidence::examine::examine;
use crate::files::atomic;
use crate::files::atomic::WriteError;
use crate::listen::RecordedDump;
use crate::profile::Profile;
use crate::session::Dump;
use crate::session::trace::Traces;
use crate::snap;
use crate::symbolize::Sources;

/// A folder that is being written.
#[derive(Debug)]
pub struct Bundle {
    dir: PathBuf,
    pid: u32,
    name: String,
    outside: Outside,
    /// Path of the allocator's DSO in the process.
    allocator: Option<PathBuf>,
}

/// What is in a finished bundle, for a line on the terminal.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Threads of the first look.
    pub(crate) threads: usize,
    /// It came to its end.
    pub(crate) complete: bool,
    /// From the trigger to the end of the first look, ms; none if the end did not come.
    pub(crate) first_look_ms: Option<f64>,
    /// What kind of hang it is.
    pub(crate) class: Class,
    /// How sure that is.
    pub(crate) confidence: Confidence,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}), {} threads", self.class, self.confidence, self.threads)?;
        match self.first_look_ms {
            Some(ms) => write!(f, ", first look {ms:.1} ms"),
            None => f.write_str(", cut off"),
        }
    }
}

impl Bundle {
    /// Begins: looks at the process from outside and writes that.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn begin(
        dir: &Path,
        pid: u32,
        profile: &Profile,
        allocator: Option<&str>,
    ) -> Result<Bundle, WriteError> {
        atomic::make_dir(dir)?;
        let allocator = allocator.map(PathBuf::from);
        let dso = allocator.iter().cloned().collect();
        let options = capture::Options { name: &profile.name, profile, dso };
        let outside = capture::outside(pid, &options);
        outside.write(dir)?;
        Ok(Bundle { dir: dir.to_owned(), pid, name: profile.name.clone(), outside, allocator })
    }

    /// The folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The dump has come: `dump.bin`, the allocator's bytes (`copy`, a file), stacks with names and what they show, perf
    /// of the hottest thread.
    ///
    /// # Errors
    /// [`WriteError`]; what was written before it stays.
    pub fn finish(
        &self,
        recorded: &RecordedDump,
        copy: Option<&Path>,
        history: &History,
        perf: Option<&PerfOptions>,
        cancel: &Cancel,
    ) -> Result<Summary, WriteError> {
        atomic::write(&self.dir.join("dump.bin"), &recorded.raw)?;
        self.keep_allocator(copy)?;
        let dump = snap::complete(self.pid, &recorded.dump, &self.dir)?;
        let (traces, finding) = self.examine(&dump, copy.is_some(), history)?;
        self.record_hot(recorded, copy.is_some(), perf, cancel)?;
        // Again: perf may disagree.
        dump_files::write_dump(&self.dir, &dump, &traces, &finding)?;
        Ok(Summary {
            threads: dump.threads.len(),
            complete: dump.end.is_some(),
            first_look_ms: dump.end.map(|end| end.first_look_ns as f64 / 1e6),
            class: finding.class,
            confidence: finding.confidence,
        })
    }

    /// Where the allocator's bytes are kept.
    fn copy(&self) -> PathBuf {
        self.dir.join(format!("{}.so", self.name))
    }

    fn keep_allocator(&self, copy: Option<&Path>) -> Result<(), WriteError> {
        let path = self.copy();
        let Some(copy) = copy else {
            let reason = "the process sent no copy of the allocator".to_owned();
            return capture::write_part(&path, &Err(reason));
        };
        // The same bytes for every dump of the session.
        let _ = std::fs::remove_file(&path);
        if std::fs::hard_link(copy, &path).is_ok() {
            return Ok(());
        }
        let fail = |source| WriteError { path: path.clone(), source };
        atomic::write(&path, &std::fs::read(copy).map_err(fail)?)
    }

    /// `threads.json`, `stacks.txt`, `samples.folded`, the recording, and what they show.
    fn examine(&self, dump: &Dump, copied: bool, history: &History) -> Result<(Traces, Finding), WriteError> {
        let sources = Sources {
            allocator_copy: copied.then(|| self.copy()),
            live_pid: Some(self.pid),
            same_boot: true,
            ..Sources::default()
        };
        examine(&self.dir, dump, &sources, history)
    }

    fn record_hot(
        &self,
        recorded: &RecordedDump,
        copied: bool,
        perf: Option<&PerfOptions>,
        cancel: &Cancel,
    ) -> Result<(), WriteError> {
        let Some(options) = perf else { return capture::perf::refuse(&self.dir, "not wanted (--no-perf)") };
        let second = std::time::Duration::from_secs(1);
        let hottest = hot::of_dump(&recorded.dump)
            .or_else(|_| hot::look_twice(self.pid, &self.outside.cpu(), second, cancel));
        let hottest = match hottest {
            Ok(hottest) => hottest,
            Err(why) => return capture::perf::refuse(&self.dir, &why),
        };
        let maps = self.outside.maps.clone().unwrap_or_default();
        // From the copy perf can name what is `(deleted)` or overwritten by now.
        let allocator = self.allocator.iter().filter(|_| copied);
        let copies = allocator.map(|path| (path.clone(), self.copy())).collect();
        let options = PerfOptions { maps, copies, ..options.clone() };
        capture::perf(&self.dir, hottest.tid, &options, cancel).map(drop)
    }
}
