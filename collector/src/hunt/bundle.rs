//! What a hunt puts into the bundle of a hang: `hang_run_8/`.

use std::borrow::Cow;
use std::path::Path;

use super::config::Config;
use super::lane::Lane;
use super::running::Job;
use super::watch::{Watch, Watched};
use crate::capture::{self, Part};
use crate::evidence::bundle::{Bundle, DumpFrames};
use crate::session::{self, Dso, Dump};
use crate::snap;
use crate::text::message::{Say as _, Text, say};
use crate::text::note::Note;
use crate::text::progress::JobLine;

/// Begins a bundle in OUT: looks at the process from outside.
pub(super) fn begin(config: &Config, lane: &Lane, name: &str, pid: u32, process: Option<&Watched>) -> Bundle {
    let dso = vec![lane.dso.clone(), config.so.clone()];
    let shim_tid = process.map(|p| p.identity.fixed.watchdog_tid);
    let options = capture::Options { name: &config.name, profile: &config.profile, dso, shim_tid };
    Bundle::begin(&config.out.join(name), pid, &options)
}

impl Job<'_> {
    /// Writes a core of a process into its bundle, and says how to open it. Gives a line for the report.
    pub(super) fn core(&self, dir: &Path, pid: u32, limit: u64) -> Text {
        let snapshot = dir.file_name().unwrap_or_default().to_string_lossy();
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let note = match snap::core::write(dir, pid, limit, self.cancel) {
            Ok(written) => {
                let file = dir.join(snap::core::FILE);
                self.screen
                    .say(&say!(JobLine::CoreWritten { file: file.display(), program: program.display() }));
                let (size, seconds) = (snap::core::size(written.bytes), written.took.as_secs_f64());
                return say!(Note::Core { size, seconds: format!("{seconds:.2}"), snapshot }).said();
            }
            Err(why) => say!(Note::NoCore { snapshot, why }),
        };
        self.screen.say(&note);
        note.said()
    }

    /// Says what of a bundle could not be written, for the report too.
    pub(super) fn lacks(&self, bundle: &Bundle) -> Option<Text> {
        let name = bundle.dir().file_name().unwrap_or_default().to_string_lossy();
        let note = bundle.not_written().note(name)?;
        self.screen.say(&note);
        Some(note)
    }
}

/// The last dump of a process, with the frames of all its dumps; else the dump that was taken from outside.
pub(super) fn dump_frames<'a>(
    process: Option<&'a Watched>,
    snapped: Option<&'a Dump>,
) -> Option<DumpFrames<'a>> {
    if let Some((process, last)) = process.and_then(|p| Some((p, p.dumps.last()?))) {
        return Some(DumpFrames { frames: all_frames(process), dump: &last.dump });
    }
    snapped.map(|dump| DumpFrames { frames: Cow::Owned(session::record::frames(dump)), dump })
}

/// Process ids and frames of the other processes that sent dumps.
pub(super) fn other_dumps(watch: &Watch, subject: Option<&Watched>) -> Vec<(u32, Vec<u8>)> {
    let is_subject = |process: &Watched| subject.is_some_and(|s| std::ptr::eq(s, process));
    let others = watch.processes().filter(|p| !p.dumps.is_empty() && !is_subject(p));
    others.map(|p| (p.pid, all_frames(p).into_owned())).collect()
}

fn all_frames(process: &Watched) -> Cow<'_, [u8]> {
    match &process.dumps[..] {
        [one] => Cow::Borrowed(&one.raw),
        all => Cow::Owned(all.iter().flat_map(|d| d.raw.iter().copied()).collect()),
    }
}

/// The allocator's bytes as they were when the process started: its file, from the process. Else what was
/// pinned, if the process mapped that build. Else its memory, which has relocated words and no symbols; else
/// the pinned copy, if that is still in place.
pub(super) fn allocator_bytes(lane: &Lane, process: Option<&Watched>) -> Part {
    let copy = process.and_then(|p| p.copy.as_ref());
    if let Some(Ok(copied)) = copy
        && copied.of_file
    {
        return Ok(copied.bytes.clone());
    }
    if maps_the_pinned_build(lane, process)
        && let Ok(Some(bytes)) = lane.pinned_bytes()
    {
        return Ok(bytes);
    }
    let why = match copy {
        Some(Ok(copied)) => return Ok(copied.bytes.clone()),
        Some(Err(e)) => e.to_string(),
        None => "the process sent no copy of its allocator".to_owned(),
    };
    match lane.bytes_in_place() {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(format!("{why}, and the pinned one has other bytes by now")),
        Err(e) => Err(format!("{why}, and the pinned one cannot be read: {e}")),
    }
}

fn maps_the_pinned_build(lane: &Lane, process: Option<&Watched>) -> bool {
    let build_id = process.and_then(Watched::allocator).and_then(Dso::build_id);
    build_id.is_some() && build_id.as_deref() == lane.wanted.build_id()
}
