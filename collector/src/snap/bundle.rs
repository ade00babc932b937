//! A snap on disk: the files of a hunt's hang in a folder of their own, and the report beside it.

use std::path::Path;
use std::time::Duration;

use super::{NotPossible, Options, remark};
use crate::analysis::facts::SNAP;
use crate::analysis::integrity::judge;
use crate::analysis::{
    Class, Conclusion, DsoFacts, HangFacts, History, HuntFacts, Integrity, RunFacts, RunOutcome,
};
use crate::capture::{self, PerfOptions};
use crate::console::cancel::Cancel;
use crate::evidence::dump_files;
use crate::evidence::examine::examine;
use crate::evidence::threads_file::ThreadsFile;
use crate::files::atomic;
use crate::files::atomic::WriteError;
use crate::files::pin;
use crate::profile::Profile;
use crate::report;
use crate::report::Extra;
use crate::session::{Dump, record};
use crate::symbolize::{self, Sources};
use crate::text::message::Say as _;
use crate::text::note::Note;

/// Folder of the snapshot in OUT.
pub(crate) const SNAPSHOT: &str = "hang_snap";

/// What could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapError {
    /// The process may not be looked at.
    #[error(transparent)]
    NotPossible(#[from] NotPossible),
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// A snap that was written.
#[derive(Debug)]
pub(crate) struct Snapped {
    /// The facts: a hunt of one run.
    pub(crate) facts: HuntFacts,
    /// What follows from them.
    pub(crate) conclusion: Conclusion,
    /// The snapshot, to be shown.
    pub(crate) threads: ThreadsFile,
}

/// Looks at a process from outside, writes OUT and says what was found. Nothing is written if the process may not
/// be looked at.
///
/// # Errors
/// [`SnapError`].
pub(crate) fn snap(
    pid: u32,
    out: &Path,
    name: Option<&str>,
    profile: Option<Profile>,
    options: &Options,
    perf: Option<&PerfOptions>,
    cancel: &Cancel,
) -> Result<Snapped, SnapError> {
    let dump = super::take(pid, options)?;
    let path = dump.allocator().map(|dso| dso.path.clone());
    let profile = profile.unwrap_or_else(|| match &path {
        Some(path) => Profile::for_dso(Path::new(path), name),
        None => Profile::plain(name.unwrap_or("allocator")),
    });
    let name = name.unwrap_or(&profile.name);
    let dir = out.join(SNAPSHOT);
    atomic::make_dir(&dir)?;

    let dso = path.iter().map(Into::into).collect();
    let outside = capture::outside(pid, &capture::Options { name, profile: &profile, dso });
    outside.write(&dir)?;
    atomic::write(&dir.join("dump.bin"), &record::frames(&dump))?;
    let sources = Sources { live_pid: Some(pid), same_boot: true, ..Sources::default() };
    let bytes = symbolize::allocator_bytes(&dump, &sources);
    let copy = dir.join(format!("{name}.so"));
    let why = |why: &String| format!("the allocator's bytes are not to be had: {why}");
    capture::write_part(&copy, &bytes.clone().map_err(|e| why(&e)))?;
    let (traces, finding) = examine(&dir, &dump, &sources, &History::default())?;
    match (perf, capture::hot::of_dump(&dump)) {
        (None, _) => capture::perf::refuse(&dir, "not asked for (--no-perf)")?,
        (_, Err(why)) => capture::perf::refuse(&dir, &why)?,
        (Some(perf), Ok(hot)) => {
            let copies = path.iter().filter(|_| bytes.is_ok()).map(|p| (p.into(), copy.clone())).collect();
            let maps = outside.maps.clone().unwrap_or_default();
            capture::perf(&dir, hot.tid, &PerfOptions { maps, copies, ..perf.clone() }, cancel)?;
            // Again: perf may disagree.
            dump_files::write_dump(&dir, &dump, &traces, &finding)?;
        }
    }

    let threads = ThreadsFile::of(&dump, &traces, &finding);
    let hang = HangFacts {
        snapshot: SNAPSHOT.into(),
        finding: Some(finding),
        dump_ms: dump.end.map(|end| end.first_look_ns as f64 / 1e6),
    };
    let facts = facts(&dump, name, bytes.ok().as_deref(), hang);
    let extra = Extra { notes: dump.notes.iter().map(remark::said).collect(), ..Extra::default() };
    let conclusion = report::write_hunt(out, &facts, &extra)?;
    Ok(Snapped { facts, conclusion, threads })
}

/// A hunt of one run, which is the process as it was found.
fn facts(dump: &Dump, name: &str, bytes: Option<&[u8]>, hang: HangFacts) -> HuntFacts {
    let judged = dump.allocator().map(|dso| judge(dso, None));
    let integrity = judged.as_ref().map_or(Integrity::Unknown, |j| j.integrity);
    let allocator = dump.allocator();
    let path = allocator.map_or_else(String::new, |dso| dso.path.clone());
    let build_id = allocator.map(|dso| hex::encode(dso.init.build_id_bytes()));
    let seconds = Duration::from_nanos(dump.begin.since_init_ns).as_secs_f64();
    let slow = hang.finding.as_ref().is_some_and(|f| f.class == Class::Slow);
    let run = RunFacts {
        pid: Some(dump.identity.fixed.pid),
        outcome: if slow { RunOutcome::Slow } else { RunOutcome::Hung },
        seconds,
        max_rss_kib: Some(dump.begin.rss_kib).filter(|rss| *rss > 0),
        // What is intact now, by its change time, was so then. Of all else the beginning is not known.
        integrity_start: if integrity == Integrity::Intact { integrity } else { Integrity::Unknown },
        integrity_end: integrity,
        deleted_seen: judged.is_some_and(|j| j.deleted_seen),
        note: Some(Note::SnapOnce {}.said()),
        hang: Some(hang),
        ..RunFacts::new(1, SNAP)
    };
    let dso = DsoFacts {
        original: path.clone(),
        path,
        pinned: false,
        sha1: bytes.map(pin::sha1_hex).unwrap_or_default(),
        build_id: build_id.filter(|id| !id.is_empty()),
        original_integrity: integrity,
    };
    HuntFacts {
        hang_after_s: seconds,
        planned: 1,
        runs: vec![run],
        stop_at_first: true,
        ..HuntFacts::new(name, &dump.identity.command, dso)
    }
}
