//! What an earlier collector has left in OUT: sessions whose end it has not seen, and files that are not
//! whole.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::time::SystemTime;

use super::desk::Desk;
use super::folder;
use super::record::{self, End, SessionRecord};
use crate::files;
use crate::files::atomic::{self, TEMPORARY};
use crate::files::bounded;
use crate::session::Identity;

/// Most bytes of a `session.json` that is believed: it has a command line, and a hundred notes.
const MOST_RECORD: u64 = 8 << 20;

/// Sessions whose process still lives, by process and start of the program.
#[derive(Debug, Default)]
pub(super) struct Before(HashMap<(u32, String), SessionRecord>);

impl Before {
    /// Reads OUT. Sessions whose process has ended are closed: they get their lines, and healthy ones go.
    /// Those that had ended before stay until [`super::disk::Disk`] needs their room. Gives the number of
    /// them, too.
    pub(super) fn read(desk: &Desk) -> (Before, u64) {
        let sessions = desk.options.out.join("sessions");
        remove_temporary(&desk.options.out, 1);
        let (mut living, mut closed) = (HashMap::new(), 0);
        let mut healthy = vec![];
        for entry in std::fs::read_dir(&sessions).into_iter().flatten().flatten() {
            let dir = entry.path();
            // A link is not ours.
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            remove_temporary(&dir, 2);
            let Some(record) = read_record(&dir) else { continue };
            if record.end != End::Open {
                if record.is_healthy() && folder::dumps(&dir).next().is_none() {
                    healthy.push((record.ended, dir));
                }
                continue;
            }
            if record.lives() {
                living.insert((record.pid, record.started.clone()), record);
            } else {
                close(desk, &dir, record);
                closed += 1;
            }
        }
        healthy.sort();
        desk.disk.found(healthy.into_iter().map(|(_, dir)| dir));
        (Before(living), closed)
    }

    /// The record of this program, to go on with.
    pub(super) fn take(&mut self, pid: u32, identity: &Identity) -> Option<SessionRecord> {
        let started = record::stamp(record::started(identity));
        self.0.remove(&(pid, started)).filter(|record| record.start_ticks == identity.fixed.start_ticks)
    }
}

/// The record of a session's folder. It names its folder: that is this one, or the record is not believed.
fn read_record(dir: &Path) -> Option<SessionRecord> {
    // Somebody may have put another file, or a link, in its place.
    let file = files::folder::open(&dir.join("session.json"), File::options().read(true)).ok()?;
    let bytes = bounded::at_most(file, MOST_RECORD).ok()?;
    let record: SessionRecord = serde_json::from_slice(&bytes).ok()?;
    let name = dir.file_name()?.to_str()?;
    (record.folder == format!("sessions/{name}")).then_some(record)
}

/// Writes the end of a session that nobody has seen.
fn close(desk: &Desk, dir: &Path, record: SessionRecord) {
    let why = "it ended while no collector was there, and how it ended is not known";
    let ended = Some(record::stamp(SystemTime::now()));
    let mut record = SessionRecord { end: End::Lost, why: Some(why.into()), ended, ..record };
    let healthy = record.is_healthy() && folder::dumps(dir).next().is_none();
    record.folded = healthy && desk.disk.folds();
    if !record.folded
        && let Err(error) = atomic::write_json(&dir.join("session.json"), &record)
    {
        desk.failed(&error);
    }
    desk.disk.ended(dir, healthy, 0);
    desk.ended(&record);
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
