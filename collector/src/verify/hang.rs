//! The evidence of a verification run that hangs: a bundle in `preload_verify/`.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::error::VerifyError;
use super::request::{Request, Wanted};
use crate::analysis::verdict::hang_sentence;
use crate::analysis::{Class, HangFacts, History, RunFacts, facts};
use crate::capture;
use crate::console::cancel::Cancel;
use crate::evidence::bundle::{Allocator, Bundle, Contents, DumpFrames};
use crate::report::html;
use crate::session::record;
use crate::snap;
use crate::symbolize::KeptNames;
use crate::text::message::{Text, say};
use crate::text::progress::JobLine;

/// A verification run that hung.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct VerifyHang {
    /// Which, from 1.
    pub(crate) run: u32,
    /// The process that hangs.
    pub(crate) pid: u32,
    /// Folder of the evidence.
    pub(crate) snapshot: PathBuf,
    /// It was only slow: its threads came and went.
    pub(crate) slow: bool,
    /// What waits for what.
    #[serde(skip)]
    sentence: Text,
}

impl VerifyHang {
    pub(crate) fn line(&self) -> JobLine {
        let sentence = &self.sentence;
        if self.slow {
            return say!(JobLine::VerifySlow { run: self.run, snapshot: self.snapshot.display() });
        }
        say!(JobLine::VerifyHangs { run: self.run, sentence, snapshot: self.snapshot.display() })
    }
}

/// Captures a process of a verification run. It is looked at from outside. `shim_tid` is the shim's own thread
/// in it.
///
/// # Errors
/// A file that cannot be written.
pub(super) fn capture(
    request: &Request<'_>,
    wanted: &Wanted,
    run: u32,
    pid: u32,
    shim_tid: Option<u32>,
    cancel: &Cancel,
) -> Result<VerifyHang, VerifyError> {
    let out = request.out.map_or_else(|| default_out(request.name), Path::to_owned);
    let snapshot = out.join("preload_verify").join(format!("hang_run_{run}"));
    let dso = vec![wanted.path.clone(), request.so.to_owned()];
    let options = capture::Options { name: request.name, profile: request.profile, dso, shim_tid };
    let bundle = Bundle::begin(&snapshot, pid, &options);
    let dump = snap::take(pid, &snap::Options::default()).map_err(|why| why.to_string());
    let frames = dump.as_ref().map_err(String::clone);
    let bytes = std::fs::read(&wanted.path).map_err(|error| error.to_string());
    let path = dump.as_ref().ok().and_then(|dump| dump.allocator()).map(|dso| dso.path.as_str());
    let contents = Contents {
        dump: frames.map(|dump| DumpFrames { frames: Cow::Owned(record::frames(dump)), dump }),
        other_dumps: vec![],
        history: &History::default(),
        allocator: Allocator::new(path, &bytes),
        copies: vec![wanted.path.clone()],
        kept: KeptNames::default(),
        alive: true,
        supplement: None,
        full: false,
        perf: Err("not run in a verification"),
    };
    let file = bundle.finish(&contents, cancel);
    html::add_to(&bundle, file.as_ref());
    let finding = file.map(|file| file.finding);
    let slow = finding.as_ref().is_some_and(|finding| finding.class == Class::Slow);
    let hang = HangFacts { snapshot: snapshot.display().to_string(), finding, dump_ms: None };
    let facts = RunFacts { hang: Some(hang), ..RunFacts::new(run, facts::PINNED) };
    let sentence = Text::of(|lang| hang_sentence(&facts, lang));
    let said: Vec<Text> =
        [sentence].into_iter().chain(bundle.not_written().note(snapshot.display())).collect();
    Ok(VerifyHang { run, pid, snapshot, slow, sentence: Text::joined(&said).unwrap_or_default() })
}

/// Where the evidence goes if the user named no folder.
fn default_out(name: &str) -> PathBuf {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = now.map_or(0, |time| time.as_secs());
    let stamp = crate::files::stamp::stamp(seconds);
    PathBuf::from(format!("hangscope_verify_{name}_{stamp}_{}", std::process::id()))
}
