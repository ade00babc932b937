//! A snap on disk: the bundle, and the report beside it.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use super::core::{self, BadCore};
use super::notes;
use super::permit::NotPossible;
use super::take::{Options, take};
use crate::analysis::facts::SNAP;
use crate::analysis::integrity::judge;
use crate::analysis::{
    Conclusion, DsoFacts, Finding, HangFacts, History, HuntFacts, Integrity, RunFacts, RunOutcome,
};
use crate::capture::{self, PerfOptions};
use crate::console::cancel::Cancel;
use crate::evidence::bundle::{Allocator, Bundle, Contents, DumpFrames};
use crate::evidence::threads_file::ThreadsFile;
use crate::files::atomic::WriteError;
use crate::files::pin;
use crate::profile::Profile;
use crate::report::{self, Extra};
use crate::session::{Dump, record};
use crate::symbolize::{self, KeptNames, Sources};
use crate::text::message::{Say as _, Text, say};
use crate::text::note::Note;
use hangscope_protocol::record::dump_reason;

/// Why files of a core's bundle have no contents.
const FROM_CORE: &str = "read from a core, which does not tell";
/// Folder of the bundle in OUT.
const BUNDLE: &str = "hang_snap";

/// What to look at, and where to write.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) of: Of<'a>,
    pub(crate) out: &'a Path,
    /// Short name of the allocator; none: that of the profile.
    pub(crate) name: Option<&'a str>,
    /// None: the profile for the allocator that is found.
    pub(crate) profile: Option<Profile>,
    /// Whether `dump.bin` keeps everything, however large.
    pub(crate) full: bool,
}

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Of<'a> {
    Process {
        pid: u32,
        options: &'a Options,
        /// None: no perf.
        perf: Option<&'a PerfOptions>,
        /// Most bytes of a core of it, as a file. None: no core.
        core: Option<u64>,
    },
    Core(core::From<'a>),
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapError {
    #[error(transparent)]
    NotPossible(#[from] NotPossible),
    #[error(transparent)]
    BadCore(#[from] BadCore),
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// A snap that was written.
#[derive(Debug)]
pub(crate) struct Snapped {
    pub(crate) facts: HuntFacts,
    pub(crate) conclusion: Conclusion,
    /// `threads.json`.
    pub(crate) threads: Option<ThreadsFile>,
    /// What of the bundle could not be written.
    pub(crate) lacks: Option<Text>,
    /// What became of the core, if one was wanted.
    pub(crate) core: Option<Text>,
}

fn write_core(dir: &Path, pid: u32, limit: u64, cancel: &Cancel) -> Text {
    match core::write(dir, pid, limit, cancel) {
        Ok(written) => {
            let (size, seconds) = (core::size(written.bytes), written.took.as_secs_f64());
            say!(Note::Core { size, seconds: format!("{seconds:.2}"), snapshot: BUNDLE }).said()
        }
        Err(why) => say!(Note::NoCore { snapshot: BUNDLE, why }).said(),
    }
}

/// Looks at a process from outside, writes OUT and gives what was found. Writes nothing if the process may
/// not be looked at.
///
/// # Errors
/// [`SnapError`].
pub(crate) fn snap(request: Request<'_>, cancel: &Cancel) -> Result<Snapped, SnapError> {
    let Request { of, out, name, profile, full } = request;
    let core::Read { dump, copies } = match of {
        Of::Process { pid, options, .. } => core::Read { dump: take(pid, options)?, copies: vec![] },
        Of::Core(from) => core::read(from)?,
    };
    let path = dump.allocator().map(|dso| dso.path.as_str());
    let profile = profile.unwrap_or_else(|| match path {
        Some(path) => Profile::for_dso(Path::new(path), name),
        None => Profile::plain(name.unwrap_or("allocator")),
    });
    let name = name.unwrap_or(&profile.name);
    let dso = path.iter().map(Into::into).collect();
    let shim_tid = Some(dump.identity.fixed.watchdog_tid).filter(|tid| *tid != 0);
    let options = capture::Options { name, profile: &profile, dso, shim_tid };
    let dir = out.join(BUNDLE);
    let live_pid = if let Of::Process { pid, .. } = of { Some(pid) } else { None };
    let bundle = match live_pid {
        Some(pid) => Bundle::begin(&dir, pid, &options),
        None => Bundle::without_process(&dir, &dump, FROM_CORE, &options),
    };

    let same_boot = live_pid.is_some();
    let sources = Sources { live_pid, same_boot, copies: copies.clone(), ..Sources::default() };
    let bytes = symbolize::allocator_bytes(&dump, &sources)
        .map_err(|why| format!("the allocator's bytes are not to be had: {why}"));
    let contents = Contents {
        dump: Ok(DumpFrames { frames: Cow::Owned(record::frames(&dump)), dump: &dump }),
        other_dumps: vec![],
        history: &History::default(),
        allocator: Allocator::new(path, &bytes),
        copies,
        kept: KeptNames::default(),
        alive: live_pid.is_some(),
        supplement: live_pid.map(|_| super::supplement::memory as _),
        full,
        perf: match of {
            Of::Process { perf, .. } => perf.ok_or("not asked for (--no-perf)"),
            Of::Core(_) => Err(FROM_CORE),
        },
    };
    let threads = bundle.finish(&contents, cancel);
    let lacks = bundle.not_written().note(BUNDLE);
    let core = match of {
        Of::Process { pid, core: Some(limit), .. } => Some(write_core(&dir, pid, limit, cancel)),
        _ => None,
    };
    let finding = threads.as_ref().map(|file| file.finding.clone());
    let dump_ms = dump.end.filter(|_| live_pid.is_some()).map(|end| end.first_look_ns as f64 / 1e6);
    let hang = HangFacts { snapshot: BUNDLE.into(), finding, dump_ms };
    let facts = facts(&dump, name, bytes.ok().as_deref(), hang);
    let notes = notes::said(&dump).into_iter().chain(lacks.clone()).chain(core.clone()).collect();
    let conclusion = report::write_hunt(out, &facts, &Extra { notes, ..Extra::default() })?;
    Ok(Snapped { facts, conclusion, threads, lacks, core })
}

/// A hunt of one run: the process as it was found.
fn facts(dump: &Dump, name: &str, bytes: Option<&[u8]>, hang: HangFacts) -> HuntFacts {
    let judged = dump.allocator().map(|dso| judge(dso, None));
    let integrity = judged.as_ref().map_or(Integrity::Unknown, |j| j.integrity);
    let allocator = dump.allocator();
    let path = allocator.map_or_else(String::new, |dso| dso.path.clone());
    let build_id = allocator.map(|dso| hex::encode(dso.init.build_id_bytes()));
    let seconds = Duration::from_nanos(dump.begin.since_init_ns).as_secs_f64();
    let slow = hang.finding.as_ref().is_some_and(Finding::is_no_hang);
    let run = RunFacts {
        pid: Some(dump.identity.fixed.pid),
        outcome: if slow { RunOutcome::Slow } else { RunOutcome::Hung },
        seconds,
        max_rss_kib: Some(dump.begin.rss_kib).filter(|rss| *rss > 0),
        // A DSO that is intact now, by its change time, was intact at the start. Else the start is not known.
        integrity_start: if integrity == Integrity::Intact { integrity } else { Integrity::Unknown },
        integrity_end: integrity,
        deleted_seen: judged.is_some_and(|j| j.deleted_seen),
        note: (dump.begin.reason != dump_reason::CORE).then(|| Note::SnapOnce {}.said()),
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
