//! One hang that is over, with all that its bundle has: for renderers that need more than `threads.json`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::evidence::recording;
use crate::evidence::saved::{NotRead, SavedDumps};
use crate::evidence::threads_file::ThreadsFile;
use crate::report::show;
use crate::session::trace::{ThreadTrace, Traces};
use crate::session::{Dump, record_text};
use crate::text::escape;

/// The last dump of a bundle.
pub(crate) struct Hang {
    pub(crate) dump: Dump,
    pub(crate) traces: Traces,
    /// As it was written; where it cannot be read, made anew.
    pub(crate) file: ThreadsFile,
    /// By tid, when its samples were taken, CLOCK_MONOTONIC, ns.
    pub(crate) sample_times: BTreeMap<u32, Vec<u64>>,
}

/// A stack of a thread at a moment.
#[derive(Clone, Copy)]
pub(crate) struct Sample<'a> {
    /// Time since the process (or its program) began, ns.
    pub(crate) at_ns: u64,
    pub(crate) trace: &'a ThreadTrace,
}

impl Hang {
    /// Reads a bundle, a dump or a recording. A recording beside a dump comes first: it has the names as they
    /// were found when the DSOs were there.
    ///
    /// # Errors
    /// [`NotRead`].
    pub(crate) fn read(path: &Path) -> Result<Hang, NotRead> {
        let mut saved = SavedDumps::read(path)?;
        let folder = saved.path.parent().unwrap_or(Path::new("")).to_owned();
        let recording = folder.join(recording::FILE);
        if path.is_dir() && saved.path != recording && recording.exists() {
            saved = SavedDumps::read(&recording).unwrap_or(saved);
        }
        let dump = saved.dumps.pop().ok_or_else(|| NotRead::OnlyFinding(path.to_owned()))?;
        let (traces, finding) = saved.analyse(&dump);
        let written = path.is_dir().then(|| show::read::<ThreadsFile>(&folder.join("threads.json")).ok());
        let file = written.flatten().unwrap_or_else(|| ThreadsFile::of(&dump, &traces, &finding));
        Ok(Hang { sample_times: dump.sample_times(), dump, traces, file })
    }

    /// Time since the process began of a time of CLOCK_MONOTONIC, ns.
    pub(crate) fn since_start(&self, monotonic_ns: u64) -> u64 {
        monotonic_ns.saturating_sub(self.dump.identity.fixed.init_ns)
    }

    /// When the first look was made, and the second one (the same, if there was none).
    pub(crate) fn looks(&self) -> [u64; 2] {
        let [first, second] = self.dump.looks_ns;
        let first = self.since_start(if first == 0 { self.dump.begin.trigger_ns } else { first });
        [first, self.since_start(second).max(first)]
    }

    /// The samples of a thread that have a stack, in order of time.
    pub(crate) fn samples(&self, tid: u32) -> Vec<Sample<'_>> {
        let times = self.sample_times.get(&tid).map_or(&[][..], Vec::as_slice);
        let all = self.traces.samples.get(&tid).into_iter().flatten().zip(times);
        let with_stack = all.filter(|(trace, _)| !trace.frames.is_empty());
        with_stack.map(|(trace, at)| Sample { at_ns: self.since_start(*at), trace }).collect()
    }

    /// Name of a thread; `thread` where it has none.
    pub(crate) fn comm(&self, tid: u32) -> String {
        let name = self.dump.thread(tid).map(|t| record_text::padded(&t.comm)).filter(|c| !c.is_empty());
        name.map_or_else(|| "thread".to_owned(), |name| escape::line(&name).into_owned())
    }
}
