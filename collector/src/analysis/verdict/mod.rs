//! The verdict of a hunt: A, B, the benchmark, the environment, not reproduced, or not enough to say.
//!
//! B needs a hang with the DSO intact and what is stuck inside the allocator. A needs hangs with the DSO not
//! intact, none with it intact, and enough runs for Fisher's exact test to tell the two apart. Everything else
//! is one of the other words, and says what would change it.
//!
//! - [`tally`]: counting runs
//! - [`arms`]: each arm held against the pinned one
//! - [`rules`]: which verdict it is
//! - [`headline`]: the one sentence
//! - [`evidence`]: what it rests on
//! - `decided`: what was decided, where a question was to be
//! - [`lines`]: the sentences in both languages

pub(crate) mod arms;
mod decided;
mod evidence;
mod headline;
pub(crate) mod lines;
mod rules;
mod sentence;
pub(crate) mod tally;
#[cfg(test)]
mod tests;

pub(crate) use super::facts::run_name;
pub(crate) use evidence::unlike_the_others;
pub(crate) use headline::{given, hang_sentence, percent};
pub(crate) use tally::Tally;

use sentence::Said;

use super::facts::{HuntFacts, RunFacts, RunOutcome};
use super::stats::{PerHour, Rate, Spread};
use super::words::{Integrity, NextAction, Verdict};
use crate::text::message::Lang;

/// What a hunt says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Conclusion {
    /// The word.
    pub(crate) verdict: Verdict,
    /// What to do.
    pub(crate) next_action: NextAction,
    /// Runs of the main arm.
    pub(crate) runs: Tally,
    /// Their rate of hangs.
    pub(crate) rate: Rate,
    /// Their hangs per hour of benchmark time; none where no run says how long one takes.
    pub(crate) per_hour: Option<PerHour>,
    /// Their ops/s, and the numbers of those that are far outside; none where no good run printed one.
    pub(crate) ops: Option<(Spread, Vec<u32>)>,
    /// Worst integrity of the allocator's DSO over the main arm's runs; unknown if there were none.
    pub(crate) integrity: Integrity,
    /// `(deleted)` was seen in one of them.
    pub(crate) deleted_seen: bool,
    /// Share of futex waits among the workers of the first hang (threads that only join others are not
    /// counted).
    pub(crate) futex_wait_share: Option<(u32, u32)>,
    /// The run that the headline is about, by number and arm.
    pub(crate) told: Option<(u32, String)>,
    headline: headline::Headline,
    evidence: Vec<Said>,
    would_change_it: Vec<Said>,
}

impl Conclusion {
    /// The one sentence.
    pub(crate) fn headline(&self, lang: Lang) -> String {
        self.headline.text(lang)
    }

    /// What it rests on, a sentence a fact, with the file that it is in.
    pub(crate) fn evidence(&self, lang: Lang) -> Vec<String> {
        self.evidence.iter().map(|said| said.text(lang)).collect()
    }

    /// What would change it.
    pub(crate) fn would_change_it(&self, lang: Lang) -> Vec<String> {
        self.would_change_it.iter().map(|said| said.text(lang)).collect()
    }

    /// Whether the headline tells of this run.
    pub(crate) fn is_about(&self, run: &RunFacts) -> bool {
        self.told.as_ref().is_some_and(|(number, arm)| (*number, arm) == (run.run, &run.arm))
    }

    /// A hang was captured.
    pub(crate) fn hung(&self) -> bool {
        self.told.is_some()
    }

    /// Share of futex waits, 0 to 1; 0 without a hang.
    pub(crate) fn futex_share(&self) -> f64 {
        match self.futex_wait_share {
            Some((waits, workers)) if workers > 0 => f64::from(waits) / f64::from(workers),
            _ => 0.0,
        }
    }
}

/// What a hunt says about all that it saw.
pub(crate) fn conclude(facts: &HuntFacts) -> Conclusion {
    let sorted = tally::Sorted::of(facts);
    let runs = Tally::of(facts.planned, sorted.main.iter().copied());
    let decided = rules::decide(facts, &sorted, &runs);
    let told = decided.told;
    let futex_wait_share = told.and_then(share);
    let integrity = sorted.main.iter().map(|r| r.integrity()).max().unwrap_or(Integrity::Unknown);
    Conclusion {
        verdict: decided.verdict,
        next_action: decided.next_action,
        rate: runs.rate(),
        ops: evidence::ops(&sorted),
        per_hour: evidence::per_hour(&sorted).filter(|_| !facts.is_snap()),
        integrity,
        deleted_seen: sorted.main.iter().any(|r| r.deleted_seen),
        futex_wait_share,
        told: told.map(|run| (run.run, run.arm.clone())),
        headline: headline::Headline::of(facts, &sorted, &runs, &decided),
        evidence: evidence::evidence(facts, &sorted, &runs, &decided),
        would_change_it: evidence::would_change_it(facts, &sorted, &runs, &decided),
        runs,
    }
}

/// Futex waits among the workers of a hang: a thread that joins others waits for their end, not for a lock.
fn share(run: &RunFacts) -> Option<(u32, u32)> {
    let finding = run.hang.as_ref()?.finding.as_ref()?;
    let joins = finding.waits.iter().filter(|w| w.kind == "join").count() as u32;
    let threads = finding.threads;
    Some((threads.futex_wait.saturating_sub(joins), threads.all.saturating_sub(joins)))
}

/// Exit status of a hunt: 20 if the DSO was not intact in a run whose arm should have left it alone, else 10 if a hang
/// was captured, else 0.
pub(crate) fn exit_code(facts: &HuntFacts) -> u8 {
    let sorted = tally::Sorted::of(facts);
    let counted = |r: &&&RunFacts| r.outcome != RunOutcome::Failed;
    if sorted.all.iter().filter(counted).any(|r| facts.unwanted_change(r).is_some()) {
        20
    } else if sorted.hung().is_empty() {
        0
    } else {
        10
    }
}
