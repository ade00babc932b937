//! The folder of a hang: `hang_run_8/`. Each file is whole, or one line that says why there is none.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::config::Config;
use super::lane::Lane;
use super::watch::{Watch, Watched};
use crate::analysis::counters::rest::{self, Restless};
use crate::analysis::{Finding, History};
use crate::capture::{self, Outside};
use crate::evidence::examine::examine;
use crate::files::atomic;
use crate::files::atomic::WriteError;
use crate::session::{self, Dump};
use crate::snap;
use crate::symbolize::Sources;

/// What a dump shows, and which thread may call a function of the allocator's.
pub(super) type Examined = (Finding, Result<u32, Restless>);

/// A folder of evidence.
#[derive(Debug)]
pub(super) struct Bundle<'a> {
    config: &'a Config,
    lane: &'a Lane,
    name: String,
    dir: PathBuf,
}

impl<'a> Bundle<'a> {
    /// Makes it, in OUT.
    pub(super) fn new(config: &'a Config, lane: &'a Lane, name: &str) -> Result<Bundle<'a>, WriteError> {
        let dir = config.out.join(name);
        atomic::make_dir(&dir)?;
        Ok(Bundle { config, lane, name: name.to_owned(), dir })
    }

    /// Its name in OUT.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its path.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Gives it another name in OUT.
    pub(super) fn rename(&mut self, name: &str) -> Result<(), WriteError> {
        let to = self.config.out.join(name);
        std::fs::rename(&self.dir, &to).map_err(|source| WriteError { path: to.clone(), source })?;
        (self.name, self.dir) = (name.to_owned(), to);
        Ok(())
    }

    /// The outside view of a process.
    pub(super) fn outside(&self, pid: u32) -> Result<Outside, WriteError> {
        let config = self.config;
        let dso = vec![self.lane.dso.clone(), config.so.clone()];
        let options = capture::Options { name: &config.name, profile: &config.profile, dso };
        let outside = capture::outside(pid, &options);
        outside.write(&self.dir)?;
        Ok(outside)
    }

    /// `dump.bin` of the process that it is about (if it sent none, the one that was taken from outside), and
    /// `dump_{pid}.bin` of the others.
    pub(super) fn dumps(
        &self,
        watch: &Watch,
        subject: Option<&Watched>,
        snapped: Option<&Dump>,
        why_not: &str,
    ) -> Result<(), WriteError> {
        let all = |process: &Watched| -> Vec<u8> {
            process.dumps.iter().flat_map(|d| d.raw.iter().copied()).collect()
        };
        for process in watch.processes().filter(|p| !p.dumps.is_empty()) {
            if !subject.is_some_and(|s| std::ptr::eq(s, process)) {
                atomic::write(&self.dir.join(format!("dump_{}.bin", process.pid)), &all(process))?;
            }
        }
        let part = match (subject.filter(|s| !s.dumps.is_empty()), snapped) {
            (Some(subject), _) => Ok(all(subject)),
            (None, Some(dump)) => Ok(session::record::frames(dump)),
            (None, None) => Err(format!("no dump: {why_not}")),
        };
        capture::write_part(&self.dir.join("dump.bin"), &part)
    }

    /// Path of the copy of the allocator.
    pub(super) fn copy_path(&self) -> PathBuf {
        self.dir.join(format!("{}.so", self.config.name))
    }

    /// `{name}.so`: the allocator's bytes as they were when the process started: from the process itself, else from the
    /// pinned copy, if it still has the bytes that were pinned.
    pub(super) fn copy(&self, process: Option<&Watched>) -> Result<Option<Vec<u8>>, WriteError> {
        let sent = process.and_then(|p| p.copy.as_ref()).map(|(record, fd)| session::copy::read(fd, record));
        let part = match sent {
            Some(Ok(bytes)) => Ok(bytes),
            other => {
                let why = match other {
                    Some(Err(e)) => e.to_string(),
                    _ => "the process sent no copy of its allocator".to_owned(),
                };
                match self.lane.bytes() {
                    Ok(Some(bytes)) => Ok(bytes),
                    Ok(None) => Err(format!("{why}, and the pinned one has other bytes by now")),
                    Err(e) => Err(format!("{why}, and the pinned one cannot be read: {e}")),
                }
            }
        };
        capture::write_part(&self.copy_path(), &part)?;
        Ok(part.ok())
    }

    /// What a dump shows: stacks with names, then the class of the hang; `threads.json`, `stacks.txt`, `samples.folded`. `live` is the
    /// process, while it lives: some files only it can still see. Also gives the thread that may call a function of the
    /// allocator's.
    pub(super) fn examine(
        &self,
        dump: Option<&Dump>,
        history: &History,
        live: Option<u32>,
        why_not: &str,
    ) -> Result<Option<Examined>, WriteError> {
        let Some(dump) = dump else {
            for file in ["threads.json", "stacks.txt", "samples.folded"] {
                capture::write_part(&self.dir.join(file), &Err(format!("no dump: {why_not}")))?;
            }
            return Ok(None);
        };
        let sources = Sources {
            allocator_copy: Some(self.copy_path()),
            copies: self.lane.files(),
            live_pid: live,
            same_boot: true,
            ..Sources::default()
        };
        let dump = live.map_or(Ok(Cow::Borrowed(dump)), |pid| snap::complete(pid, dump, &self.dir))?;
        let (traces, finding) = examine(&self.dir, &dump, &sources, history)?;
        Ok(Some((finding, rest::caller(&dump, &traces))))
    }
}
