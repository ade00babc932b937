//! What a path is that shall be shown, and what is read of it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::evidence::saved::{NotRead, SavedDumps};
use crate::evidence::threads_file::ThreadsFile;
use crate::files::bounded;
use crate::report::file_names::markdown_name;
use crate::report::markdown::{self, Sentences};
use crate::report::sessions::Sessions;
use crate::report::shrink::ShrinkFile;
use crate::text::message::{Lang, say};
use crate::text::view::View;

/// Most sessions of a collector whose folders are named.
const MOST_SESSIONS: usize = 50;

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShowError {
    #[error("cannot read {}: {source}; give OUT of a hunt, a collect, a shrink or a snap, the folder of a session or of a hang, or a recording.json.gz", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file is not what it should be.
    #[error("{}: {source}; it is damaged, or was not written by this version of hangscope", path.display())]
    Parse { path: PathBuf, source: serde_json::Error },
    /// A dump or a recording.
    #[error(transparent)]
    Saved(#[from] NotRead),
}

/// What is shown, whatever it was read from.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// What it all comes to. Empty: the sentence of the hang says it.
    pub(super) head: Vec<String>,
    /// Lists, each with its heading.
    pub(super) lists: Vec<(View, Vec<String>)>,
    /// Folders of dumps by their names, and what is in them.
    pub(super) snapshots: Vec<(String, ThreadsFile)>,
    /// Why a folder cannot be read.
    pub(super) missing: Vec<String>,
    /// `verdict.json`, if it is OUT of a hunt or a snap.
    pub(super) verdict: Option<Value>,
}

/// Reads what there is at a path.
///
/// # Errors
/// [`ShowError`] if there is nothing that could be shown.
pub(super) fn read_path(path: &Path, lang: Lang) -> Result<Shown, ShowError> {
    let has = |name: &str| path.join(name).exists();
    if path.is_file() {
        saved(path)
    } else if has("verdict.json") {
        hunt(path, lang)
    } else if has("shrink.json") {
        shrink(path, lang)
    } else if has("session.json") {
        session(path, lang)
    } else if has("sessions.jsonl") || has("sessions") {
        sessions(path, lang)
    } else if has("threads.json") {
        Ok(Shown { snapshots: vec![(".".to_owned(), read(&path.join("threads.json"))?)], ..Shown::default() })
    } else if has("dump.bin") || has("recording.json.gz") {
        saved(path)
    } else {
        let path = path.join("verdict.json");
        let source = fs::metadata(&path).err().unwrap_or_else(|| io::ErrorKind::NotFound.into());
        Err(ShowError::Read { path, source })
    }
}

pub(in crate::report) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ShowError> {
    let bytes = bounded::read(path).map_err(|source| ShowError::Read { path: path.to_owned(), source })?;
    serde_json::from_slice(&bytes).map_err(|source| ShowError::Parse { path: path.to_owned(), source })
}

/// A dump or a recording: analysed again.
fn saved(path: &Path) -> Result<Shown, ShowError> {
    let saved = SavedDumps::read(path)?;
    let snapshots = last(&saved).map(|file| (format!("dump {}", file.dump), file));
    Ok(Shown { snapshots: snapshots.into_iter().collect(), ..Shown::default() })
}

fn last(saved: &SavedDumps) -> Option<ThreadsFile> {
    let dump = saved.dumps.last()?;
    let (traces, finding) = saved.analyse(dump);
    Some(ThreadsFile::of(dump, &traces, &finding).with_history(dump, &saved.history(dump)))
}

/// `threads.json` of a bundle that has none.
fn again(bundle: &Path) -> Option<ThreadsFile> {
    let missing = !bundle.join("threads.json").exists();
    missing.then(|| SavedDumps::read(bundle).ok()).flatten().as_ref().and_then(last)
}

fn hunt(dir: &Path, lang: Lang) -> Result<Shown, ShowError> {
    let verdict: Value = read(&dir.join("verdict.json"))?;
    let Sentences { headline, evidence, would_change } = sentences(dir, &verdict, lang);
    let mut names: Vec<String> = names(&verdict).map(str::to_owned).collect();
    let mut shown = Shown {
        head: vec![headline],
        lists: vec![(View::Evidence {}, evidence), (View::WouldChange {}, would_change)],
        verdict: Some(verdict),
        ..Shown::default()
    };
    if names.is_empty() {
        // What is no hang and was kept all the same: a run at Ctrl-C, looks that somebody asked for.
        names = folders(dir, &["interrupted_", "dump_"]);
        names.sort();
    }
    shown.take(dir, names);
    Ok(shown)
}

/// What a verdict says. `verdict.json` has it in English, the report in each language.
fn sentences(dir: &Path, verdict: &Value, lang: Lang) -> Sentences {
    if lang != Lang::En
        && let Ok(report) = bounded::read_text(&dir.join(markdown_name(lang)))
        && let Some(sentences) = markdown::sentences(&report, lang)
    {
        return sentences;
    }
    let lines = |key: &str| {
        let lines = verdict.get(key).and_then(|v| v.as_array()).into_iter().flatten();
        lines.filter_map(|l| l.as_str()).map(str::to_owned).collect()
    };
    let headline = verdict.get("headline").and_then(|h| h.as_str()).map(str::to_owned);
    Sentences {
        headline: headline.unwrap_or_else(|| View::NoHeadline {}.text(lang)),
        evidence: lines("evidence"),
        would_change: lines("would_change_it"),
    }
}

/// Folders of a verdict's hangs.
fn names(verdict: &Value) -> impl Iterator<Item = &str> {
    let hangs = verdict.get("hangs").and_then(|h| h.as_array()).into_iter().flatten();
    hangs.filter_map(|h| h.get("snapshot")?.as_str())
}

fn shrink(dir: &Path, lang: Lang) -> Result<Shown, ShowError> {
    let file: ShrinkFile = read(&dir.join("shrink.json"))?;
    let mut shown = Shown {
        head: vec![file.headline(lang), format!("    {}", file.after.line)],
        lists: vec![(View::Found {}, file.lines(lang))],
        ..Shown::default()
    };
    // The smallest command's hang tells the most, and stands first where both are the same hang.
    let kept = [&file.after.snapshot, &file.before.snapshot];
    let mut kept: Vec<String> = kept.into_iter().flatten().cloned().collect();
    kept.dedup();
    shown.take(dir, kept);
    Ok(shown)
}

fn session(dir: &Path, lang: Lang) -> Result<Shown, ShowError> {
    let record: Value = read(&dir.join("session.json"))?;
    let mut shown = Shown { head: vec![session_line(&record, lang)], ..Shown::default() };
    shown.lists.push((View::Notes {}, strings(&record, "notes")));
    shown.take(dir, strings(&record, "dump_folders"));
    Ok(shown)
}

/// All sessions of a collector: those that hung, with their last dumps. Sessions that have ended have lines
/// in `sessions.jsonl`; those that are open, or that were not folded, have folders.
fn sessions(dir: &Path, lang: Lang) -> Result<Shown, ShowError> {
    let mut shown = Shown::default();
    let file = dir.join("sessions.jsonl");
    let lines = bounded::read_text(&file).unwrap_or_else(|error| {
        if error.kind() != io::ErrorKind::NotFound {
            shown.missing.push(format!("sessions.jsonl: {error}"));
        }
        String::new()
    });
    // A collector that was killed may have left half a line.
    let mut records = Sessions::default();
    for record in lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let folder = record.get("folder").and_then(Value::as_str).unwrap_or_default().to_owned();
        records.ended(&folder, is(&record, "folded"), record);
    }
    for name in folders(&dir.join("sessions"), &[""]) {
        // A session that is being written has none yet.
        if let Ok(record) = read::<Value>(&dir.join("sessions").join(&name).join("session.json")) {
            records.in_folder(&format!("sessions/{name}"), record);
        }
    }
    let mut records = records.all;
    records.sort_by(|a, b| a.0.cmp(&b.0));
    let hung: Vec<&(String, Value)> = records.iter().filter(|(_, record)| is(record, "hung")).collect();
    let head = say!(View::Sessions { sessions: records.len(), hung: hung.len() }).text(lang);
    shown.head.push(head);
    // A folded session has no folder to look into.
    let line = |(name, record): &(String, Value)| match is(record, "folded") {
        true => session_line(record, lang),
        false => format!("{name}: {}", session_line(record, lang)),
    };
    let listed: Vec<String> = match hung.is_empty() {
        true => records.iter().rev().take(MOST_SESSIONS).map(line).collect(),
        false => hung.iter().take(MOST_SESSIONS).map(|hung| line(hung)).collect(),
    };
    shown.lists.push((if hung.is_empty() { View::LastSessions {} } else { View::HungSessions {} }, listed));
    for (name, record) in hung {
        let last = strings(record, "dump_folders").pop();
        shown.take(dir, last.map(|dump| format!("{name}/{dump}")).into_iter().collect());
    }
    Ok(shown)
}

fn is(record: &Value, key: &str) -> bool {
    record.get(key).and_then(Value::as_bool) == Some(true)
}

/// `pid 4711 ./bench 16: hung, deadlock, exit 0 after 12.3 s`.
fn session_line(record: &Value, lang: Lang) -> String {
    let text = |key: &str| record.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let command = strings(record, "command").join(" ");
    let command = if command.is_empty() { text("exe") } else { command };
    let hung = record.get("hung").and_then(Value::as_bool) == Some(true);
    let what = match (hung, text("class")) {
        (true, class) => say!(View::SessionHung { class }),
        (false, class) if class.is_empty() => View::SessionNoHang {},
        (false, class) => say!(View::SessionSeen { class }),
    };
    let seconds = record.get("seconds").and_then(Value::as_f64).unwrap_or_default();
    let end = match (text("end").as_str(), record.get("rc").and_then(Value::as_i64)) {
        ("open", _) => View::SessionOpen {},
        ("signal", _) => {
            say!(View::SessionSignal { signal: record.get("signal").and_then(Value::as_i64).unwrap_or(0) })
        }
        (_, Some(rc)) => say!(View::SessionExit { rc }),
        _ => View::SessionLost {},
    };
    let pid = record.get("pid").and_then(Value::as_u64).unwrap_or_default();
    let (what, end, seconds) = (what.text(lang), end.text(lang), format!("{seconds:.1}"));
    say!(View::Session { pid, command, what, end, seconds }).text(lang)
}

fn strings(value: &Value, key: &str) -> Vec<String> {
    let all = value.get(key).and_then(Value::as_array).into_iter().flatten();
    all.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Names of the folders below `dir` that begin with one of `starts`.
fn folders(dir: &Path, starts: &[&str]) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    let names = folders.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| starts.iter().any(|start| name.starts_with(start))).collect()
}

impl Shown {
    /// Reads the snapshots of these folders.
    fn take(&mut self, dir: &Path, names: Vec<String>) {
        for name in names {
            let folder = dir.join(&name);
            // What was too large for a full disk may be in a smaller file.
            match read(&folder.join("threads.json")).or_else(|error| again(&folder).ok_or(error)) {
                Ok(file) => self.snapshots.push((name, file)),
                Err(error) => self.missing.push(format!("{name}: {error}")),
            }
        }
    }
}
