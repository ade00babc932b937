//! Reads dumps again, and analyses them again: from a `dump.bin`, with the files beside it in its bundle, or
//! from a [`recording`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::analysis::{self, Finding, History};
use crate::evidence::names::{DUMP, DUMP_OUTSIDE};
use crate::evidence::recording::{self, BadRecording, Recording};
use crate::files::bounded;
use crate::session::trace::Traces;
use crate::session::{BadDump, Dump, read_dumps};
use crate::symbolize::{Debuginfod, Sources, symbolize};

/// Why no dump could be read.
#[derive(Debug, thiserror::Error)]
pub enum NotRead {
    /// There is no such file, or it may not be read.
    #[error("cannot read {}: {source}; give a dump.bin, a recording.json.gz, or the folder of a bundle", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// The bundle has no dump. Its `dump.bin` says why.
    #[error("no dump in {}: {reason}", path.display())]
    Refused { path: PathBuf, reason: String },
    /// It could not be written, or was taken away; the finding is there.
    #[error(
        "{} has no dump.bin and no recording.json.gz (a full disk?); `hangscope show` shows what its threads.json has",
        .0.display()
    )]
    OnlyFinding(PathBuf),
    #[error("not a dump: {}: {source}", path.display())]
    Bad { path: PathBuf, source: BadDump },
    #[error("{}: {source}", path.display())]
    BadRecording { path: PathBuf, source: BadRecording },
    /// The folder holds several bundles: `names` are their folders.
    #[error("several dumps below {}: give one of {}", path.display(), names.join(", "))]
    Several { path: PathBuf, names: Vec<String> },
}

/// Dumps of one process that were saved, and the files beside them.
#[derive(Debug)]
pub struct SavedDumps {
    /// The `dump.bin`, or the recording.
    pub(crate) path: PathBuf,
    /// In order, with what was added to them from outside; at least one.
    pub dumps: Vec<Dump>,
    /// DSOs in the bundle's folder: `{name}.so`, the allocator's bytes.
    pub(crate) copies: Vec<PathBuf>,
    /// Heartbeats before one of the dumps, from its recording.
    history: Option<(DumpKey, History)>,
    /// The names, if only a recording was read.
    traces: Option<Traces>,
}

impl SavedDumps {
    /// Reads a `dump.bin` or a recording. The path is that of the file, of its bundle, or of a folder that
    /// holds one bundle.
    ///
    /// # Errors
    /// [`NotRead`].
    pub fn read(path: &Path) -> Result<SavedDumps, NotRead> {
        let path = locate(path)?;
        let bytes = bytes_of(&path)?;
        // No dump.bin begins as a gzip file does.
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let Recording { dump, traces, history, .. } = recording_in(&path, &bytes)?;
            let (history, traces) = (Some((key(&dump), history)), Some(traces));
            return Ok(SavedDumps { path, dumps: vec![dump], copies: vec![], history, traces });
        }
        let mut dumps = dumps_in(&path, &bytes)?;
        let outside = path.with_file_name(DUMP_OUTSIDE);
        if outside.exists() && outside != path {
            for outside in dumps_in(&outside, &bytes_of(&outside)?)? {
                if let Some(dump) = dumps.iter_mut().find(|dump| key(dump) == key(&outside)) {
                    *dump = dump.with_outside(&outside);
                }
            }
        }
        let copies = path.parent().map_or(vec![], copies);
        let beside = path.with_file_name(recording::FILE);
        let recording = beside.exists().then(|| bytes_of(&beside).and_then(|b| recording_in(&beside, &b)));
        let recording = recording.and_then(|recording| {
            recording.inspect_err(|e| tracing::warn!("{e}: analysed without what heartbeats told")).ok()
        });
        // Frames have no limits.
        for dump in &mut dumps {
            let of = recording.as_ref().map(|recording| &recording.dump).filter(|of| key(of) == key(dump));
            dump.limits = of.and_then(|of| of.limits.clone());
        }
        let history = recording.map(|recording| (key(&recording.dump), recording.history));
        Ok(SavedDumps { path, dumps, copies, history, traces: None })
    }

    /// Names and a finding for one of the dumps. Heartbeats before the dump come from its recording: a
    /// dump.bin has only those that came in the middle of it.
    pub fn analyse(&self, dump: &Dump) -> (Traces, Finding) {
        let history = self.history(dump);
        let sources = || Sources {
            allocator_copy: self.copies.first().cloned(),
            copies: self.copies.clone(),
            same_boot: same_boot(dump),
            debuginfod: Debuginfod::from_environment(),
            ..Sources::default()
        };
        let traces = self.traces.clone().unwrap_or_else(|| symbolize(dump, &sources()));
        let finding = analysis::analyse(dump, &traces, &history);
        (traces, finding)
    }

    /// The heartbeats before one of the dumps; an empty history where they are not known.
    pub(crate) fn history(&self, dump: &Dump) -> History {
        let history = self.history.as_ref().filter(|(of, _)| *of == key(dump));
        history.map_or_else(History::default, |(_, history)| history.clone())
    }
}

/// Identifies a dump: pid, start of the process in ticks, number of the dump.
type DumpKey = (u32, u64, u32);

fn key(dump: &Dump) -> DumpKey {
    (dump.identity.fixed.pid, dump.identity.fixed.start_ticks, dump.begin.number)
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, NotRead> {
    let unreadable = |source| NotRead::Read { path: path.to_owned(), source };
    bounded::read(path).map_err(unreadable)
}

fn dumps_in(path: &Path, bytes: &[u8]) -> Result<Vec<Dump>, NotRead> {
    // A step that could not be done left its reason.
    if let Some(reason) = bytes.strip_prefix(b"# ") {
        let reason = String::from_utf8_lossy(reason).trim().chars().take(300).collect();
        return Err(NotRead::Refused { path: path.to_owned(), reason });
    }
    read_dumps(bytes).map_err(|source| NotRead::Bad { path: path.to_owned(), source })
}

fn recording_in(path: &Path, bytes: &[u8]) -> Result<Recording, NotRead> {
    Recording::read(bytes).map_err(|source| NotRead::BadRecording { path: path.to_owned(), source })
}

fn locate(path: &Path) -> Result<PathBuf, NotRead> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let here = path.join(DUMP);
    if here.exists() {
        return Ok(here);
    }
    if path.join(recording::FILE).exists() {
        return Ok(path.join(recording::FILE));
    }
    if path.join("threads.json").exists() {
        return Err(NotRead::OnlyFinding(path.to_owned()));
    }
    let entries = fs::read_dir(path).map_err(|source| NotRead::Read { path: path.to_owned(), source })?;
    let is_bundle = |dir: &Path| [DUMP, recording::FILE].iter().any(|file| dir.join(file).exists());
    let folders = entries.flatten().filter(|entry| is_bundle(&entry.path()));
    let mut names: Vec<String> =
        folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    match names.as_slice() {
        [] => Err(NotRead::Read { path: here, source: io::ErrorKind::NotFound.into() }),
        [one] => locate(&path.join(one)),
        _ => Err(NotRead::Several { path: path.to_owned(), names }),
    }
}

fn copies(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut copies: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "so")).collect();
    copies.sort();
    copies
}

/// Whether the dump was taken on this machine since its last boot: then the vdso is the same.
fn same_boot(dump: &Dump) -> bool {
    let fixed = &dump.identity.fixed;
    let Ok(monotonic) = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC) else { return false };
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let here = wall.checked_sub(Duration::from(monotonic));
    let there = Duration::from_nanos(fixed.wall_ns).checked_sub(Duration::from_nanos(fixed.init_ns));
    // Somebody may have set the wall clock a little.
    here.zip(there).is_some_and(|(here, there)| here.abs_diff(there) < Duration::from_secs(5))
}

#[cfg(test)]
mod tests {
    use hangscope_protocol::record::{DumpBeginRecord, ProbeRecord, probe_outcome};

    use crate::evidence::saved::*;
    use crate::session::Probe;
    use crate::session::record::frames;
    use crate::snap::notes::OutsideNote;
    use crate::testkit::fake_shim::Frames;

    fn dump_bin() -> Vec<u8> {
        let mut frames = Frames::default();
        let mut all = frames.hello(2);
        all.extend(frames.dump(1, 3, 64));
        all.concat()
    }

    #[test]
    fn a_dump_is_found_by_file_by_bundle_and_by_the_folder_of_one() {
        let dir = tempfile::tempdir().unwrap();
        let bundle = dir.path().join("dump_1");
        fs::create_dir(&bundle).unwrap();
        fs::write(bundle.join(DUMP), dump_bin()).unwrap();
        fs::write(bundle.join("hz4.so"), "x").unwrap();
        for path in [bundle.join(DUMP), bundle.clone(), dir.path().to_owned()] {
            let saved = SavedDumps::read(&path).unwrap();
            assert_eq!((saved.dumps.len(), saved.dumps[0].threads.len()), (1, 3));
            assert_eq!(saved.copies, [bundle.join("hz4.so")]);
            let (_, finding) = saved.analyse(&saved.dumps[0]);
            assert_eq!(finding.threads.futex_wait, 3);
        }
        fs::create_dir(dir.path().join("dump_2")).unwrap();
        fs::write(dir.path().join("dump_2").join(DUMP), dump_bin()).unwrap();
        let error = SavedDumps::read(dir.path()).unwrap_err().to_string();
        assert!(error.ends_with("give one of dump_1, dump_2"), "{error}");
    }

    #[test]
    fn what_was_seen_from_outside_belongs_to_its_dump() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(DUMP), dump_bin()).unwrap();
        let alone = SavedDumps::read(dir.path()).unwrap().dumps.remove(0);
        let tid = alone.threads[0].tid;
        let probe = |sample, outcome| {
            let record =
                ProbeRecord { tid, sample, outcome, stack: 0x7000, ..crate::testkit::fake_shim::zero() };
            Probe { record, stack: vec![7; 256] }
        };
        let deaf = Dump { probes: vec![probe(0, probe_outcome::BLOCKED)], ..alone };
        fs::write(dir.path().join(DUMP), frames(&deaf)).unwrap();
        let outside = |begin| Dump {
            probes: vec![probe(0, probe_outcome::ANSWERED)],
            samples: vec![probe(1, probe_outcome::ANSWERED), probe(2, probe_outcome::READ)],
            notes: vec![OutsideNote::NoMalloc {}.note(0)],
            ..Dump::begun(deaf.identity.clone(), begin)
        };
        let add = |number| {
            let outside = outside(DumpBeginRecord { number, ..deaf.begin });
            fs::write(dir.path().join(DUMP_OUTSIDE), frames(&outside)).unwrap();
            (SavedDumps::read(dir.path()).unwrap().dumps.remove(0), outside)
        };
        let (read, outside) = add(deaf.begin.number);
        assert_eq!((&read.probes, &read.samples), (&outside.probes, &outside.samples));
        assert_eq!(read.notes.last(), outside.notes.last());
        let (read, _) = add(deaf.begin.number + 1);
        assert_eq!((&read.probes, read.samples.len()), (&deaf.probes, 0), "it is about another dump");
        fs::write(dir.path().join(DUMP_OUTSIDE), "x".repeat(100)).unwrap();
        assert!(SavedDumps::read(dir.path()).unwrap_err().to_string().contains(DUMP_OUTSIDE));
    }

    #[test]
    fn what_is_no_dump_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(DUMP);
        let error = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            SavedDumps::read(&path).unwrap_err().to_string()
        };
        assert!(SavedDumps::read(&path).unwrap_err().to_string().contains("give a dump.bin"));
        assert!(error(b"# no dump: not preloaded\n").ends_with("no dump: not preloaded"));
        assert!(error(b"").contains("no dump in it"));
        assert!(error(&[b'x'; 100]).contains("the magic HSC1"));
        fs::remove_file(&path).unwrap();
        fs::write(dir.path().join("threads.json"), "{}").unwrap();
        let error_of = |path: &Path| SavedDumps::read(path).unwrap_err().to_string();
        assert!(error_of(dir.path()).contains("`hangscope show` shows what"), "{}", error_of(dir.path()));
        assert!(error_of(&path).contains("give a dump.bin"));
        let whole = dump_bin();
        fs::write(&path, &whole[..whole.len() - 10]).unwrap();
        assert_eq!(SavedDumps::read(&path).unwrap().dumps[0].end, None, "cut off is legal");
    }
}
