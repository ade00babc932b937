//! The runs of a hunt as a night.

use std::path::Path;

use crate::analysis::crash::signal_name;
use crate::analysis::{HuntFacts, RunFacts, RunOutcome};
use crate::report::night::model::{Evidence, Found, Hang, Outcome, Run, Source};
use crate::text::message::Say as _;

/// The runs of the hunt in OUT, by arm.
pub(super) fn found(out: &Path, facts: &HuntFacts) -> Found {
    let name = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
    Found {
        name: name.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        source: Source::Hunt,
        runs: facts.runs.iter().map(|of| run(out, facts, of)).collect(),
        damaged: vec![],
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
        allocator: Some(facts.name.clone()),
        build: Some(sha1.clone()),
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
