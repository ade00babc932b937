//! `report.html` of a collector: its sessions, from `sessions.jsonl`.

use std::path::Path;

use super::record::{End, SessionRecord};
use crate::analysis::crash::signal_name;
use crate::console::out;
use crate::files::atomic::{self, WriteError};
use crate::files::bounded;
use crate::report::html::{FILE, Kind, night};

/// Name of the list of sessions in OUT.
pub(super) const SESSIONS: &str = "sessions.jsonl";
/// Most sessions that are read: the last ones of the list. The page of more would be of no use.
const MOST: usize = 20_000;

/// Writes the page of OUT.
///
/// # Errors
/// [`WriteError`].
pub(crate) fn write(out: &Path) -> Result<(), WriteError> {
    let text = bounded::read_text(&out.join(SESSIONS)).unwrap_or_default();
    let skip = text.lines().count().saturating_sub(MOST);
    let lines = text.lines().skip(skip);
    let records = lines.filter_map(|line| serde_json::from_str::<SessionRecord>(line).ok());
    let sessions = records.map(|record| session(out, &record)).collect();
    let name = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
    let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let page = night::page(&night::Night { name, lang: out::lang(), sessions });
    atomic::write_text(&out.join(FILE), &page)
}

fn session(out: &Path, record: &SessionRecord) -> night::Session {
    let exe = record.exe.rsplit('/').next().unwrap_or(&record.exe);
    let at = humantime::parse_rfc3339_weak(&record.started).ok();
    let at = at.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let pages = record.dump_folders.iter().map(|name| format!("{}/{name}", record.folder));
    night::Session {
        folder: record.folder.clone(),
        pid: record.pid,
        group: if record.label.is_empty() { exe.to_owned() } else { record.label.clone() },
        command: record.command.join(" "),
        started: record.started.clone(),
        at: at.map_or(0.0, |at| at.as_secs_f64()),
        seconds: record.seconds,
        kind: kind(record),
        class: record.class.map(|class| class.to_string()),
        end: end(record),
        integrity: record.integrity.said(),
        pages: pages.filter(|folder| out.join(folder).join(FILE).exists()).collect(),
    }
}

fn kind(record: &SessionRecord) -> Kind {
    match record.end {
        _ if record.hung => Kind::Hung,
        End::Signal => Kind::Crashed,
        End::Exit if record.rc.is_some_and(|rc| rc != 0) => Kind::Failed,
        End::Exit => Kind::Ok,
        End::Lost | End::Open => Kind::Open,
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
