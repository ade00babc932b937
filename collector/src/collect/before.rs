//! What an earlier collector has left in OUT: sessions whose end it has not seen, and files that are not
//! whole.

use std::collections::HashMap;
use std::path::Path;
use std::time::SystemTime;

use hangscope_reader::task::Stat;

use super::desk::Desk;
use super::record::{self, End, SessionRecord};
use crate::files::atomic::{self, TEMPORARY};
use crate::files::bounded;
use crate::session::Identity;

/// Sessions whose process still lives, by process and start of the program.
#[derive(Debug, Default)]
pub(super) struct Before(HashMap<(u32, String), SessionRecord>);

impl Before {
    /// Reads OUT. Sessions whose process has ended are closed: they get their lines, and `healthy` ones go.
    /// Gives the number of them, too.
    pub(super) fn read(desk: &Desk) -> (Before, u64) {
        let sessions = desk.options.out.join("sessions");
        remove_temporary(&desk.options.out, 1);
        let (mut living, mut closed) = (HashMap::new(), 0);
        for entry in std::fs::read_dir(&sessions).into_iter().flatten().flatten() {
            let dir = entry.path();
            // A link is not ours.
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            remove_temporary(&dir, 2);
            let record = bounded::read(&dir.join("session.json")).ok();
            let record = record.and_then(|bytes| serde_json::from_slice::<SessionRecord>(&bytes).ok());
            let Some(record) = record.filter(|record| record.end == End::Open) else { continue };
            // The record names its folder. It is this one, or it is not believed.
            if !dir.ends_with(&record.folder) || record.folder.contains("..") {
                continue;
            }
            if lives(&record) {
                living.insert((record.pid, record.started.clone()), record);
            } else {
                close(desk, &dir, record);
                closed += 1;
            }
        }
        (Before(living), closed)
    }

    /// The record of this program, to go on with.
    pub(super) fn take(&mut self, pid: u32, identity: &Identity) -> Option<SessionRecord> {
        let started = record::stamp(record::started(identity));
        self.0.remove(&(pid, started)).filter(|record| record.start_ticks == identity.fixed.start_ticks)
    }
}

/// Whether the process still runs. A record of an older version has no start.
fn lives(record: &SessionRecord) -> bool {
    let stat = std::fs::read(format!("/proc/{}/stat", record.pid)).unwrap_or_default();
    let stat = Stat::parse(&stat).filter(|stat| !matches!(stat.state, b'Z' | b'X'));
    stat.is_some_and(|stat| stat.start_ticks == record.start_ticks)
}

/// Writes the end of a session that nobody has seen.
fn close(desk: &Desk, dir: &Path, record: SessionRecord) {
    let healthy = !record.hung && record.dump_folders.is_empty() && !has_dump(dir);
    let why = "it ended while no collector was there, and how it ended is not known";
    let record = SessionRecord {
        end: End::Lost,
        why: Some(why.into()),
        ended: Some(record::stamp(SystemTime::now())),
        folded: healthy && desk.disk.folds(),
        ..record
    };
    if !record.folded
        && let Err(error) = atomic::write_json(&dir.join("session.json"), &record)
    {
        desk.failed(&error);
    }
    desk.disk.ended(dir, healthy, 0);
    desk.ended(&record);
}

fn has_dump(dir: &Path) -> bool {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().starts_with("dump_"))
}

/// Removes files that a killed collector was writing, in a folder and so many levels below it.
fn remove_temporary(dir: &Path, levels: u32) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_file() && entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            let _ = std::fs::remove_file(entry.path());
        } else if kind.is_dir() && levels > 1 {
            remove_temporary(&entry.path(), levels - 1);
        }
    }
}
