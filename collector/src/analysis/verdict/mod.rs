//! The verdict of a hunt: A, B, the benchmark, the environment, not reproduced, or inconclusive.
//!
//! B needs a hang with the DSO intact, and what is stuck must be inside the allocator. A needs hangs with a
//! changed DSO, no hang with an intact one, and enough runs for Fisher's exact test to distinguish the two.
//! Every other verdict says what would change it.
//!
//! - [`tally`]: counts runs
//! - [`arms`]: each arm, compared with the pinned one
//! - [`rules`]: which verdict it is
//! - [`headline`]: the verdict in one sentence; `doing`: its parts about the hot thread; `innocent`: its
//!   clause for a cause that needs no mistake of the allocator
//! - [`evidence`]: the facts that the verdict rests on
//! - `ends`: runs that died or failed
//! - `decided`: the evidence of a hunt with a question (`--until-decided`)
//! - `shards`: the evidence of shards that were joined; [`nodes`]: hangs by machine
//! - `sentence`: one sentence of the evidence
//! - [`lines`]: the texts in both languages

pub(crate) mod arms;
mod decided;
mod doing;
mod ends;
mod evidence;
mod headline;
mod innocent;
pub(crate) mod lines;
pub(crate) mod nodes;
mod rules;
mod sentence;
mod shards;
pub(crate) mod tally;
#[cfg(test)]
mod tests;

pub(crate) use evidence::unlike_the_others;
pub(crate) use headline::{given, hang_sentence, percent};
pub(crate) use shards::sentences as shard_sentences;
pub(crate) use tally::Tally;

use sentence::Sentence;

use super::facts::{HuntFacts, RunFacts, RunOutcome};
use super::stats::{PerHour, Rate, Spread};
use super::words::{Integrity, NextAction, Verdict};
use crate::text::message::Lang;

/// What a hunt found. The main arm is the pinned one, or the only one there is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Conclusion {
    pub(crate) verdict: Verdict,
    pub(crate) next_action: NextAction,
    /// The runs of the main arm.
    pub(crate) runs: Tally,
    /// The rate of hangs of the main arm.
    pub(crate) rate: Rate,
    /// Hangs of the main arm per hour of benchmark time; none: no run shows how long one takes.
    pub(crate) per_hour: Option<PerHour>,
    /// The ops/s of the main arm, and the numbers of the runs that are outliers;
    /// none: no good run printed any.
    pub(crate) ops: Option<(Spread, Vec<u32>)>,
    /// The worst state of the allocator's DSO over the runs of the main arm; unknown without any run.
    pub(crate) integrity: Integrity,
    /// `(deleted)` was seen in a run of the main arm.
    pub(crate) deleted_seen: bool,
    /// In the reported hang: the number of workers in a futex wait, and of all workers. Threads that only
    /// join others are no workers.
    pub(crate) futex_wait_share: Option<(u32, u32)>,
    /// The DSO is proven to be the malloc of the program that the verdict is about.
    pub(crate) proven: bool,
    /// Path and process id of that program, where its hello is known.
    pub(crate) proven_in: Option<(String, u32)>,
    /// The run that the headline reports, by number and arm.
    pub(crate) reported: Option<(u32, String)>,
    headline: headline::Headline,
    evidence: Vec<Sentence>,
    would_change_it: Vec<Sentence>,
}

impl Conclusion {
    /// The verdict in one sentence.
    pub(crate) fn headline(&self, lang: Lang) -> String {
        self.headline.text(lang)
    }

    /// One sentence for each fact that the verdict rests on, with the file that shows the fact.
    pub(crate) fn evidence(&self, lang: Lang) -> Vec<String> {
        self.evidence.iter().map(|said| said.text(lang)).collect()
    }

    /// Sentences that say what would change the verdict.
    pub(crate) fn would_change_it(&self, lang: Lang) -> Vec<String> {
        self.would_change_it.iter().map(|said| said.text(lang)).collect()
    }

    /// The headline reports this run.
    pub(crate) fn is_about(&self, run: &RunFacts) -> bool {
        self.reported.as_ref().is_some_and(|(number, arm)| (*number, arm) == (run.run, &run.arm))
    }

    pub(crate) fn hung(&self) -> bool {
        self.reported.is_some()
    }

    /// [`Conclusion::futex_wait_share`] as a share, 0 to 1; 0 without a hang.
    pub(crate) fn futex_share(&self) -> f64 {
        match self.futex_wait_share {
            Some((waits, workers)) if workers > 0 => f64::from(waits) / f64::from(workers),
            _ => 0.0,
        }
    }
}

pub(crate) fn conclude(facts: &HuntFacts) -> Conclusion {
    let sorted = tally::Sorted::of(facts);
    let runs = Tally::of(facts.planned, sorted.main.iter().copied()).with_all_planned();
    let ruling = rules::decide(facts, &sorted, &runs);
    let run = ruling.run;
    let futex_wait_share = run.and_then(share);
    let integrity = sorted.main.iter().map(|r| r.integrity()).max().unwrap_or(Integrity::Unknown);
    let proven = evidence::proven(facts, &sorted, run);
    Conclusion {
        proven: proven.is_proven,
        proven_in: proven.program.map(|program| (program.exe, program.pid)),
        verdict: ruling.verdict,
        next_action: ruling.next_action,
        rate: runs.rate(),
        ops: evidence::ops(facts, &sorted),
        per_hour: evidence::per_hour(&sorted).filter(|_| !facts.is_snap()),
        integrity,
        deleted_seen: sorted.main.iter().any(|r| r.deleted_seen),
        futex_wait_share,
        reported: run.map(|run| (run.run, run.arm.clone())),
        headline: headline::Headline::of(facts, &sorted, &runs, &ruling),
        evidence: evidence::evidence(facts, &sorted, &runs, &ruling),
        would_change_it: evidence::would_change_it(facts, &sorted, &runs, &ruling),
        runs,
    }
}

/// The workers of a hang in a futex wait, and all workers. A thread that joins others waits for
/// their end, not for a lock.
fn share(run: &RunFacts) -> Option<(u32, u32)> {
    let finding = run.hang.as_ref()?.finding.as_ref()?;
    let joins = finding.waits.iter().filter(|w| w.kind == "join").count() as u32;
    let threads = finding.threads;
    Some((threads.futex_wait.saturating_sub(joins), threads.all.saturating_sub(joins)))
}

/// Runs came to their end, and none of them is proven to have run the DSO.
fn is_proven_nowhere(sorted: &tally::Sorted<'_>) -> bool {
    let runs = Tally::of(0, sorted.all.iter().copied());
    runs.not_proven > 0 && runs.could_hang() == 0
}

/// The exit status of a hunt, over all arms. 20: the DSO changed in a run whose arm leaves it alone, or its
/// change is shown to kill. 10: a hang was captured. 30: no program that is judged is proven to run the DSO. 3: no
/// run came to a good end, of all arms or of the main one. 0: none of these.
pub(crate) fn exit_code(facts: &HuntFacts) -> u8 {
    let sorted = tally::Sorted::of(facts);
    let counted = |r: &&&RunFacts| r.outcome != RunOutcome::Failed;
    if sorted.all.iter().filter(counted).any(|r| facts.unwanted_change(r).is_some()) {
        20
    } else if sorted.hung().iter().any(|r| r.has_dso()) {
        10
    } else if !sorted.hung().is_empty() || is_proven_nowhere(&sorted) {
        30
    } else if ends::none_ended_well(&sorted.main) {
        3
    } else if ends::change_kills(facts, &sorted) {
        20
    } else {
        0
    }
}
