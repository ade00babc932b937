//! A recorded dump, analysed again: from `dump.bin` alone, or with the bundle that it is in, and with what was seen from
//! outside beside it; or from a [`recording`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::analysis;
use crate::analysis::{Finding, History};
use crate::evidence::recording;
use crate::evidence::recording::{BadRecording, Recording};
use crate::session::trace::Traces;
use crate::session::{BadDump, Dump, read_dumps};
use crate::symbolize::{Sources, symbolize};

/// Name of the file in a bundle.
pub(crate) const FILE: &str = "dump.bin";
/// What was seen from outside beside it, in the same form: answers of threads that took no signal, samples. Only there if
/// there was something to add.
pub(crate) const OUTSIDE: &str = "dump_outside.bin";
/// Largest file that is read.
const MOST: u64 = 4 << 30;

/// It could not be read.
#[derive(Debug, thiserror::Error)]
pub enum NotRead {
    /// No such file, or no right.
    #[error("cannot read {}: {source}; give a dump.bin, a recording.json.gz, or the folder of a bundle", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The bundle has no dump: the file says why.
    #[error("no dump in {}: {reason}", path.display())]
    Refused {
        /// Which.
        path: PathBuf,
        /// What the file says.
        reason: String,
    },
    /// It is no dump.
    #[error("not a dump: {}: {source}", path.display())]
    Bad {
        /// Which.
        path: PathBuf,
        /// Where, and what is wrong.
        source: BadDump,
    },
    /// It is no recording.
    #[error("{}: {source}", path.display())]
    BadRecording {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        source: BadRecording,
    },
    /// There are several.
    #[error("several dumps below {}: give one of {}", path.display(), names.join(", "))]
    Several {
        /// The folder.
        path: PathBuf,
        /// Folders in it.
        names: Vec<String>,
    },
}

/// A recorded dump with what is known beside it.
#[derive(Debug)]
pub struct Recorded {
    /// The `dump.bin`, or the recording.
    pub(crate) path: PathBuf,
    /// Its dumps, in order, with what was seen from outside; at least one.
    pub dumps: Vec<Dump>,
    /// DSOs in the bundle's folder: `{name}.so`, the allocator's bytes.
    pub(crate) copies: Vec<PathBuf>,
    /// What heartbeats told before one of the dumps, as its recording has it, and which that is.
    history: Option<(Which, History)>,
    /// The names, where a recording was given, and nothing else.
    traces: Option<Traces>,
}

impl Recorded {
    /// Reads `dump.bin`, given itself or by its folder; a folder that holds one bundle will do as well.
    ///
    /// # Errors
    /// [`NotRead`].
    pub fn read(path: &Path) -> Result<Recorded, NotRead> {
        let path = locate(path)?;
        let bytes = bytes_of(&path)?;
        // No dump.bin begins like a gzip.
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let Recording { dump, traces, history, .. } = recording_in(&path, &bytes)?;
            let (history, traces) = (Some((which(&dump), history)), Some(traces));
            return Ok(Recorded { path, dumps: vec![dump], copies: vec![], history, traces });
        }
        let mut dumps = dumps_in(&path, &bytes)?;
        let outside = path.with_file_name(OUTSIDE);
        if outside.exists() && outside != path {
            for outside in dumps_in(&outside, &bytes_of(&outside)?)? {
                if let Some(dump) = dumps.iter_mut().find(|dump| which(dump) == which(&outside)) {
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
        let history = recording.map(|recording| (which(&recording.dump), recording.history));
        Ok(Recorded { path, dumps, copies, history, traces: None })
    }

    /// Names and a finding for one of the dumps. What heartbeats told before it is in its recording: they are not in a
    /// dump.bin but for those that came in the middle of it.
    pub fn analyse(&self, dump: &Dump) -> (Traces, Finding) {
        let history = self.history.as_ref().filter(|(of, _)| *of == which(dump));
        let history = history.map_or_else(History::default, |(_, history)| history.clone());
        let sources = || Sources {
            allocator_copy: self.copies.first().cloned(),
            copies: self.copies.clone(),
            same_boot: same_boot(dump),
            ..Sources::default()
        };
        let traces = self.traces.clone().unwrap_or_else(|| symbolize(dump, &sources()));
        let finding = analysis::analyse(dump, &traces, &history);
        (traces, finding)
    }
}

/// What tells a dump from all others: the process, when it started, and which of its dumps.
type Which = (u32, u64, u32);

fn which(dump: &Dump) -> Which {
    (dump.identity.fixed.pid, dump.identity.fixed.start_ticks, dump.begin.number)
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, NotRead> {
    let unreadable = |source| NotRead::Read { path: path.to_owned(), source };
    let meta = fs::metadata(path).map_err(unreadable)?;
    if meta.len() > MOST || !meta.is_file() {
        return Err(unreadable(io::Error::other("not a plain file of a sane size")));
    }
    fs::read(path).map_err(unreadable)
}

/// The dumps of a file.
fn dumps_in(path: &Path, bytes: &[u8]) -> Result<Vec<Dump>, NotRead> {
    // What a step that could not be done leaves.
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
    let here = path.join(FILE);
    if here.exists() {
        return Ok(here);
    }
    if path.join(recording::FILE).exists() {
        return Ok(path.join(recording::FILE));
    }
    let entries = fs::read_dir(path).map_err(|source| NotRead::Read { path: path.to_owned(), source })?;
    let folders = entries.flatten().filter(|entry| entry.path().join(FILE).exists());
    let mut names: Vec<String> =
        folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    match names.as_slice() {
        [] => Err(NotRead::Read { path: here, source: io::ErrorKind::NotFound.into() }),
        [one] => Ok(path.join(one).join(FILE)),
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

/// Whether the dump was taken on a machine that started when this one did: then the kernel's own DSO is the same.
fn same_boot(dump: &Dump) -> bool {
    let fixed = &dump.identity.fixed;
    let Ok(monotonic) = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC) else { return false };
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let here = wall.checked_sub(Duration::from(monotonic));
    let there = Duration::from_nanos(fixed.wall_ns).checked_sub(Duration::from_nanos(fixed.init_ns));
    // The wall clock may have been set a little since.
    here.zip(there).is_some_and(|(here, there)| here.abs_diff(there) < Duration::from_secs(5))
}

#[cfg(test)]
mod tests {
    use hangscope_protocol::record::{DumpBeginRecord, ProbeRecord, probe_outcome};

    use crate::evidence::recorded::*;
    use crate::session::Probe;
    use crate::session::record::frames;
    use crate::snap::remark::Remark;
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
        fs::write(bundle.join(FILE), dump_bin()).unwrap();
        fs::write(bundle.join("hz4.so"), "x").unwrap();
        for path in [bundle.join(FILE), bundle.clone(), dir.path().to_owned()] {
            let recorded = Recorded::read(&path).unwrap();
            assert_eq!((recorded.dumps.len(), recorded.dumps[0].threads.len()), (1, 3));
            assert_eq!(recorded.copies, [bundle.join("hz4.so")]);
            let (_, finding) = recorded.analyse(&recorded.dumps[0]);
            assert_eq!(finding.threads.futex_wait, 3);
        }
        fs::create_dir(dir.path().join("dump_2")).unwrap();
        fs::write(dir.path().join("dump_2").join(FILE), dump_bin()).unwrap();
        let error = Recorded::read(dir.path()).unwrap_err().to_string();
        assert!(error.ends_with("give one of dump_1, dump_2"), "{error}");
    }

    #[test]
    fn what_was_seen_from_outside_belongs_to_its_dump() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), dump_bin()).unwrap();
        let alone = Recorded::read(dir.path()).unwrap().dumps.remove(0);
        let tid = alone.threads[0].tid;
        let probe = |sample, outcome| {
            let record =
                ProbeRecord { tid, sample, outcome, stack: 0x7000, ..crate::testkit::fake_shim::zero() };
            Probe { record, stack: vec![7; 256] }
        };
        let deaf = Dump { probes: vec![probe(0, probe_outcome::BLOCKED)], ..alone };
        fs::write(dir.path().join(FILE), frames(&deaf)).unwrap();
        let outside = |begin| Dump {
            probes: vec![probe(0, probe_outcome::ANSWERED)],
            samples: vec![probe(1, probe_outcome::ANSWERED), probe(2, probe_outcome::READ)],
            notes: vec![Remark::NoMalloc {}.note(0)],
            ..Dump::begun(deaf.identity.clone(), begin)
        };
        let add = |number| {
            let outside = outside(DumpBeginRecord { number, ..deaf.begin });
            fs::write(dir.path().join(OUTSIDE), frames(&outside)).unwrap();
            (Recorded::read(dir.path()).unwrap().dumps.remove(0), outside)
        };
        let (read, outside) = add(deaf.begin.number);
        assert_eq!((&read.probes, &read.samples), (&outside.probes, &outside.samples));
        assert_eq!(read.notes.last(), outside.notes.last());
        let (read, _) = add(deaf.begin.number + 1);
        assert_eq!((&read.probes, read.samples.len()), (&deaf.probes, 0), "it is about another dump");
        fs::write(dir.path().join(OUTSIDE), "x".repeat(100)).unwrap();
        assert!(Recorded::read(dir.path()).unwrap_err().to_string().contains(OUTSIDE));
    }

    #[test]
    fn what_is_no_dump_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let error = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            Recorded::read(&path).unwrap_err().to_string()
        };
        assert!(Recorded::read(&path).unwrap_err().to_string().contains("give a dump.bin"));
        assert!(error(b"# no dump: not preloaded\n").ends_with("no dump: not preloaded"));
        assert!(error(b"").contains("no dump in it"));
        assert!(error(&[b'x'; 100]).contains("the magic HSC1"));
        let whole = dump_bin();
        fs::write(&path, &whole[..whole.len() - 10]).unwrap();
        assert_eq!(Recorded::read(&path).unwrap().dumps[0].end, None, "cut off is legal");
    }
}
