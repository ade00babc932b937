//! The sessions of OUT, for the report of a night: from `sessions.jsonl`, and from the folders of those that
//! have no line, or whose line says that they are open. Nothing is changed, so the collector may be at work.

use std::collections::HashMap;
use std::path::Path;

use super::lines::SESSIONS;
use super::record::{self, End, SessionRecord, is_of_a_stop};
use crate::analysis::Class;
use crate::analysis::crash::signal_name;
use crate::files::lines::{self, Line};
use crate::files::{bounded, pin};
use crate::report::night::model::{Damaged, Evidence, Found, Hang, Outcome, Run, Source};
use crate::report::sessions::{Sessions, is_name};
use crate::text::message::Say as _;

/// Reads the sessions of OUT. `last`: of `sessions.jsonl` only so many bytes at its end are read. `at_work`: a
/// collector works there, so a session without an end is open.
pub(crate) fn read(out: &Path, last: Option<u64>, at_work: bool) -> Found {
    let mut reading =
        Reading { out, at_work, sessions: Sessions::default(), damaged: vec![], names: HashMap::new() };
    let read = lines::each(&out.join(SESSIONS), last, |line| reading.line(line));
    let left_out = match read {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => {
            reading.damaged(SESSIONS.to_owned(), None, Some(error.to_string()));
            0
        }
    };
    // The folders of sessions whose lines were left out are not looked at either.
    if left_out == 0 {
        reading.folders();
    }
    let name = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
    Found {
        name: name.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        source: Source::Sessions,
        runs: reading.sessions.all.into_iter().map(|(_, run)| run).collect(),
        damaged: reading.damaged,
        left_out: (left_out > 0).then(|| (SESSIONS.to_owned(), left_out)),
    }
}

/// Whether OUT has the list of a collector, or the record of a session. A list without a line is one beside
/// the folder of the sessions.
pub(crate) fn is_night(out: &Path) -> bool {
    let is_record = |bytes: &[u8]| serde_json::from_slice::<SessionRecord>(bytes).is_ok();
    let (mut record, mut any) = (false, false);
    let list = lines::each(&out.join(SESSIONS), None, |line| {
        record = record || is_record(line.bytes);
        any = true;
    });
    let folder = out.join("sessions");
    let of_session =
        |dir: &Path| bounded::read(&dir.join("session.json")).is_ok_and(|bytes| is_record(&bytes));
    record
        || list.is_ok() && !any && folder.is_dir()
        || std::fs::read_dir(&folder).is_ok_and(|dirs| dirs.flatten().any(|dir| of_session(&dir.path())))
}

struct Reading<'a> {
    out: &'a Path,
    at_work: bool,
    sessions: Sessions<Run>,
    damaged: Vec<Damaged>,
    /// Short names of allocators, by path: a look into the folder of each would be slow.
    names: HashMap<String, String>,
}

impl Reading<'_> {
    fn damaged(&mut self, file: String, line: Option<u64>, error: Option<String>) {
        self.damaged.push(Damaged { file, line, error });
    }

    /// A line of `sessions.jsonl`.
    fn line(&mut self, line: Line<'_>) {
        if line.bytes.trim_ascii().is_empty() {
            return;
        }
        let why = match serde_json::from_slice::<SessionRecord>(line.bytes) {
            Ok(record) => {
                let run = self.run(&record);
                if self.sessions.ended(&record.folder, record.folded, run) {
                    return;
                }
                Some(format!("it names no folder of a session: {}", record.folder))
            }
            Err(error) => line.whole.then(|| error.to_string()),
        };
        self.damaged(SESSIONS.to_owned(), Some(line.number), why);
    }

    /// Sessions that are open, and those whose lines are lost.
    fn folders(&mut self) {
        let Ok(entries) = std::fs::read_dir(self.out.join("sessions")) else { return };
        let folders = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let mut names: Vec<String> =
            folders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        for folder in names.iter().map(|name| format!("sessions/{name}")) {
            if self.sessions.of_folder(&folder).is_some_and(|run| run.outcome != Outcome::Open) {
                continue;
            }
            let file = format!("{folder}/session.json");
            let bytes = bounded::read(&self.out.join(&file));
            let record = bytes.map_err(|error| error.to_string()).and_then(|bytes| {
                serde_json::from_slice::<SessionRecord>(&bytes).map_err(|error| error.to_string())
            });
            match record {
                Ok(record) => {
                    let run = self.run(&SessionRecord { folder: folder.clone(), ..record });
                    self.sessions.in_folder(&folder, run);
                }
                Err(error) => self.damaged(file, None, Some(error)),
            }
        }
    }

    fn run(&mut self, record: &SessionRecord) -> Run {
        // The collector was killed, or ended before the process.
        let lost = record.end == End::Open && !self.at_work && !record.lives();
        let lost = lost.then(|| SessionRecord { end: End::Lost, ..record.clone() });
        let record = lost.as_ref().unwrap_or(record);
        let exe = record.exe.rsplit('/').next().unwrap_or(&record.exe);
        let outcome = outcome(record);
        let allocator = record.allocator.as_ref().map(|path| {
            self.names.entry(path.clone()).or_insert_with(|| pin::name_of(Path::new(path))).clone()
        });
        Run {
            name: format!("pid {}", record.pid).said(),
            group: if record.label.is_empty() { exe.to_owned() } else { record.label.clone() },
            allocator,
            build: record.sha1.clone(),
            command: record.command.join(" "),
            at: record::seconds(&record.started),
            seconds: record.seconds,
            outcome,
            end: end(record),
            counts: true,
            in_rate: matches!(outcome, Outcome::Ok | Outcome::Hung | Outcome::Slow),
            no_memory: false,
            stuck_s: record.stopped.as_ref().map(|_| record.still_s.unwrap_or_default()),
            // What a program prints, a collector does not see.
            ops: None,
            // No heartbeat has come: not known.
            rss_kib: Some(record.max_rss_kib).filter(|kib| *kib > 0),
            integrity: record.integrity,
            class: record.class.map(|class| class.to_string()),
            hang: record.hung.then(|| self.hang(record)),
            evidence: folders(record).map(|folder| Evidence::of(self.out, folder)).collect(),
        }
    }

    /// From the record; of an older version's from its bundles.
    fn hang(&self, record: &SessionRecord) -> Hang {
        if let Some(sentence) = &record.headline {
            return Hang { signature: record.signature_of.clone(), sentence: sentence.clone() };
        }
        let mut last = None;
        for (hang, finding) in folders(record).filter_map(|folder| Hang::of_bundle(&self.out.join(folder))) {
            let is_it = Some(finding.class) == record.class;
            last = Some(hang);
            if is_it {
                break;
            }
        }
        last.unwrap_or_else(|| Hang::of(None))
    }
}

/// Folders of its dumps, relative to OUT. Nothing outside of OUT is read because of a name in a file.
fn folders(record: &SessionRecord) -> impl Iterator<Item = String> {
    let below = record.folder.strip_prefix("sessions/").is_some_and(is_name);
    let names = record.dump_folders.iter().filter(move |name| below && is_name(name));
    names.map(|name| format!("{}/{name}", record.folder))
}

pub(super) fn outcome(record: &SessionRecord) -> Outcome {
    // An older version does not say whether a dump that showed it slow had come unasked.
    let slow = record.slow.unwrap_or(record.class == Some(Class::Slow));
    match record.end {
        _ if record.hung => Outcome::Hung,
        End::Open => Outcome::Open,
        _ if record.stopped.is_some() => Outcome::Stopped,
        End::Signal if record.signal.is_some_and(is_of_a_stop) => Outcome::Stopped,
        End::Signal => Outcome::Crashed,
        End::Lost => Outcome::Lost,
        End::Exit if record.rc.is_some_and(|rc| rc != 0) => Outcome::Failed,
        End::Exit if slow => Outcome::Slow,
        End::Exit => Outcome::Ok,
    }
}

/// `exit 0`, `SIGKILL`, `open`: words of `session.json`.
fn end(record: &SessionRecord) -> String {
    match (record.end, record.signal, record.rc) {
        (End::Signal, Some(signal), _) => signal_name(signal),
        (End::Exit, _, Some(rc)) => format!("exit {rc}"),
        (End::Exit, ..) => "exit".to_owned(),
        (End::Signal, ..) => "signal".to_owned(),
        (End::Lost, ..) => "lost".to_owned(),
        (End::Open, ..) => "open".to_owned(),
    }
}
