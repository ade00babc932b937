//! Notes on the hellos of a run: why none came, and what became of the processes that sent one.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::lane::Lane;
use super::watch::Watch;
use crate::analysis::{RunFacts, RunOutcome};
use crate::text::message::{Say as _, Text, say};
use crate::text::note::Note;

/// ld.so's message is looked for in the first part of a longer output, bytes.
const MOST_OUTPUT: u64 = 64 << 20;

pub(super) fn of(watch: &Watch, lane: &Lane, err: &Path) -> Vec<Text> {
    let mut notes = vec![];
    if !watch.hello_seen() {
        let loader = loader_message(err);
        if let Err(why) = &loader {
            notes.push(say!(Note::OutputUnread { path: err.display(), why }).said());
        }
        notes.push(match (loader.ok().flatten(), watch.rejected().first()) {
            (Some(line), _) => line.said(),
            (None, Some(why)) => say!(Note::NoHelloWhy { why }).said(),
            (None, None) => Note::NoHello {}.said(),
        });
    }
    for process in watch.processes() {
        if process.no_descriptor {
            notes.push(say!(Note::NoDescriptor { pid: process.pid }).said());
        }
        if let Some(why) = &process.rejected {
            notes.push(say!(Note::GivenUp { pid: process.pid, why }).said());
        }
        if let Some(other) = process.allocator().filter(|a| Path::new(&a.path) != lane.dso) {
            notes.push(say!(Note::OtherMalloc { pid: process.pid, path: &other.path }).said());
        }
    }
    notes
}

/// A note on a run whose malloc is not proven: which programs it had.
pub(super) fn not_proven(facts: &RunFacts) -> Option<Text> {
    let counts = matches!(facts.outcome, RunOutcome::Ok | RunOutcome::Hung | RunOutcome::Slow);
    let judged = facts.judged.as_ref().filter(|judged| counts && judged.doubt.is_some())?;
    Some(say!(Note::NotProven { chain: judged.chain() }).said())
}

/// ld.so's message about a file that it could not preload. It comes before the program's own output, which
/// may be any bytes.
fn loader_message(err: &Path) -> std::io::Result<Option<String>> {
    let mut bytes = vec![];
    File::open(err)?.take(MOST_OUTPUT).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().find(|line| line.contains("cannot be preloaded")).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loaders_reason_stands_beside_any_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let err = dir.path().join("run_1.err");
        std::fs::write(&err, b"\x80\nld.so: object '\xff' cannot be preloaded (why)\n\xfe").unwrap();
        let line = "ld.so: object '\u{fffd}' cannot be preloaded (why)";
        assert_eq!(loader_message(&err).unwrap().as_deref(), Some(line));
        std::fs::write(&err, "x").unwrap();
        assert_eq!(loader_message(&err).unwrap(), None);
        assert!(loader_message(dir.path()).is_err());
    }
}
