//! The runs of a hunt as a night.

use std::path::Path;

use crate::analysis::crash::signal_name;
use crate::analysis::{DsoFacts, HuntFacts, Integrity, RunFacts, RunOutcome};
use crate::report::night::model::{Damaged, Evidence, Found, Hang, Outcome, Run, Source};
use crate::report::reread::{self, VERDICT};
use crate::text::message::Say as _;

/// A hunt that was read.
#[derive(Debug)]
pub(super) struct Hunt {
    /// Without a verdict they have no more than the runs.
    pub(super) facts: HuntFacts,
    pub(super) damaged: Vec<Damaged>,
    /// Its verdict can be read. It is not there while the hunt is at work, and of a hunt that was killed.
    pub(super) has_verdict: bool,
}

impl Hunt {
    /// Reads what is in OUT.
    pub(super) fn read(out: &Path) -> Hunt {
        let (mut runs, mut damaged) = reread::runs(out);
        let known = reread::facts(out);
        let has_verdict = known.is_ok();
        if let (Err(error), true) = (&known, damaged.is_empty() && out.join(VERDICT).exists()) {
            damaged.push(Damaged { file: VERDICT.to_owned(), line: None, error: Some(error.to_string()) });
        }
        let dso = DsoFacts {
            original: String::new(),
            path: String::new(),
            pinned: false,
            sha1: String::new(),
            build_id: None,
            original_integrity: Integrity::Unknown,
        };
        let facts = known.unwrap_or_else(|_| {
            runs.iter_mut().for_each(|run| reread::find(out, run));
            HuntFacts { runs, ..HuntFacts::new("", &[], dso) }
        });
        Hunt { facts, damaged, has_verdict }
    }
}

/// The runs of the hunt in OUT, by arm.
pub(super) fn found(out: &Path, hunt: &Hunt) -> Found {
    let name = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
    Found {
        name: name.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        source: Source::Hunt,
        runs: hunt.facts.runs.iter().map(|of| run(out, &hunt.facts, of)).collect(),
        damaged: hunt.damaged.clone(),
        left_out: None,
    }
}

fn run(out: &Path, facts: &HuntFacts, run: &RunFacts) -> Run {
    let outcome = match run.outcome {
        RunOutcome::Ok => Outcome::Ok,
        RunOutcome::Hung => Outcome::Hung,
        RunOutcome::Slow => Outcome::Slow,
        RunOutcome::Crashed => Outcome::Crashed,
        RunOutcome::Failed => Outcome::Failed,
        RunOutcome::Interrupted => Outcome::Stopped,
    };
    let sha1 = facts.arm(&run.arm).map_or(&facts.dso.sha1, |arm| &arm.sha1);
    let finding = run.hang.as_ref().and_then(|hang| hang.finding.as_ref());
    Run {
        name: run.name().said(),
        group: run.arm.clone(),
        allocator: Some(facts.name.clone()).filter(|name| !name.is_empty()),
        build: Some(sha1.clone()).filter(|sha1| !sha1.is_empty()),
        command: String::new(),
        at: run.started,
        seconds: run.seconds,
        outcome,
        end: match (run.signal, run.rc) {
            (Some(signal), _) => signal_name(signal),
            (None, Some(rc)) => format!("exit {rc}"),
            (None, None) => String::new(),
        },
        counts: true,
        in_rate: run.could_hang(),
        no_memory: false,
        stuck_s: None,
        ops: run.ops.filter(|_| facts.side_by_side.is_none()),
        rss_kib: run.max_rss_kib,
        integrity: run.integrity(),
        class: finding.map(|finding| finding.class.to_string()),
        hang: (outcome == Outcome::Hung).then(|| Hang::of(finding)),
        evidence: run.hang.iter().map(|hang| Evidence::of(out, hang.snapshot.clone())).collect(),
    }
}
