//! Which verdict it is.

use super::arms::p_of_change;
use super::tally::{Sorted, Tally};
use crate::analysis::class::Why;
use crate::analysis::decision;
use crate::analysis::facts::{HuntFacts, RunFacts, RunOutcome};
use crate::analysis::finding::Finding;
use crate::analysis::sequential::Answer;
use crate::analysis::stats::CONFIDENCE;
use crate::analysis::words::{Class, Confidence, Integrity, NextAction, Verdict};

/// A verdict, and the run that tells most about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decided<'a> {
    pub(super) verdict: Verdict,
    pub(super) next_action: NextAction,
    /// Why it is not more than inconclusive, or which kind of it.
    pub(super) because: Because,
    pub(super) told: Option<&'a RunFacts>,
}

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Because {
    Hang,
    /// Hung, but the DSO was not intact, and there is no control.
    NotIntact,
    /// Hung, and it is not known whether the DSO was intact.
    IntegrityUnknown,
    /// Hung inside who knows what.
    PlaceUnknown,
    ClassUnknown,
    NothingFromInside,
    NoHang,
    NoRuns,
    Killed,
    Crashes,
    CrashesNotIntact,
    AllFailed,
    AllCutOff,
}

pub(super) fn decide<'a>(facts: &'a HuntFacts, sorted: &Sorted<'a>, runs: &Tally) -> Decided<'a> {
    // A hang of another build is told only if the pinned one has none.
    let mut hung = sorted.hung();
    if hung.iter().any(|r| !facts.is_other_build(&r.arm)) {
        hung.retain(|r| !facts.is_other_build(&r.arm));
    }
    if hung.is_empty() { without_hang(sorted, runs) } else { with_hang(facts, sorted, &hung) }
}

/// What a single hang says, were its DSO intact.
fn verdict_of(finding: &Finding) -> (Verdict, Because) {
    match (finding.class, finding.in_allocator) {
        _ if finding.said.iter().any(is_stop) => (Verdict::Environment, Because::Hang),
        // Who waits in clone waits for a child that the same code started; other waits of that kind are the
        // disk's, the memory's, a driver's.
        (Class::KernelWait, Some(inside)) if finding.said.iter().any(is_child) => {
            (if inside { Verdict::AllocatorBug } else { Verdict::HarnessBug }, Because::Hang)
        }
        (Class::OutsideAllocator, _) => (Verdict::HarnessBug, Because::Hang),
        (Class::KernelWait, _) => (Verdict::Environment, Because::Hang),
        (Class::Unknown | Class::Slow, _) => (Verdict::Inconclusive, Because::ClassUnknown),
        (_, Some(true)) => (Verdict::AllocatorBug, Because::Hang),
        (_, Some(false)) => (Verdict::HarnessBug, Because::Hang),
        (_, None) => (Verdict::Inconclusive, Because::PlaceUnknown),
    }
}

/// A signal or a debugger keeps threads from going on.
fn is_stop(why: &Why) -> bool {
    matches!(why, Why::Stopped {} | Why::OwnerStopped { .. })
}

fn is_child(why: &Why) -> bool {
    matches!(why, Why::WaitsForChild { .. })
}

fn with_hang<'a>(facts: &'a HuntFacts, sorted: &Sorted<'a>, hung: &[&'a RunFacts]) -> Decided<'a> {
    let finding = |run: &RunFacts| run.hang.as_ref().and_then(|h| h.finding.clone());
    // The best of the hangs with the DSO intact: allocator first, then what says most, then the first.
    let intact = hung.iter().filter(|r| r.integrity() == Integrity::Intact);
    let mut told: Vec<(u8, u32, &RunFacts, Verdict, Because)> = intact
        .map(|run| {
            let Some(finding) = finding(run) else {
                return (9, run.run, *run, Verdict::Inconclusive, Because::NothingFromInside);
            };
            let (verdict, because) = verdict_of(&finding);
            let rank = match verdict {
                Verdict::AllocatorBug => 0,
                Verdict::HarnessBug => 2,
                Verdict::Environment => 4,
                _ => 6,
            };
            let likely = u8::from(finding.confidence == Confidence::Likely);
            (rank + likely, run.run, *run, verdict, because)
        })
        .collect();
    // The pinned arm's before those that hung before anything happened to their DSO.
    let is_main = |run: &RunFacts| sorted.main.iter().any(|main| std::ptr::eq(*main, run));
    told.sort_by_key(|t| (t.0, !is_main(t.2), t.1));
    if let Some((_, _, run, verdict, because)) = told.first().copied() {
        let next_action = match verdict {
            Verdict::AllocatorBug => NextAction::FixCode,
            Verdict::HarnessBug => NextAction::FixBenchmark,
            Verdict::Environment => NextAction::FixProcedure,
            _ => NextAction::MoreRuns,
        };
        return Decided { verdict, next_action, because, told: Some(run) };
    }
    // Of those that were not intact the one that says most.
    let says_little = |run: &RunFacts| match finding(run) {
        Some(f) => (f.class == Class::Unknown, f.confidence == Confidence::Likely),
        None => (true, true),
    };
    let bad = hung.iter().filter(|r| r.integrity().is_changed()).min_by_key(|r| says_little(r));
    let Some(run) = bad else {
        let because = if hung[0].hello_seen { Because::IntegrityUnknown } else { Because::NothingFromInside };
        let (verdict, next_action) = (Verdict::Inconclusive, NextAction::MoreRuns);
        return Decided { verdict, next_action, because, told: Some(hung[0]) };
    };
    let control = sorted.control();
    let clean = facts.dso.pinned && control.hung == 0 && control.of > 0;
    let next_action = NextAction::FixProcedure;
    // Fisher's test is one of so many runs as were planned beforehand. Where it stopped when it was decided, that is.
    let significant = match decision::of(facts).filter(|_| !facts.arms.is_empty()) {
        Some(decision) => decision.change == Some(Answer::ChangeHangs),
        None => p_of_change(sorted, control) < 1.0 - CONFIDENCE,
    };
    if clean && significant {
        return Decided { verdict: Verdict::DsoMixup, next_action, because: Because::Hang, told: Some(run) };
    }
    Decided { verdict: Verdict::Inconclusive, next_action, because: Because::NotIntact, told: Some(run) }
}

fn without_hang<'a>(sorted: &Sorted<'a>, runs: &Tally) -> Decided<'a> {
    // Other arms change the DSO on purpose: their crashes are no surprise, and say nothing about this one.
    let crashed = || sorted.main.iter().filter(|r| r.outcome == RunOutcome::Crashed);
    let killed = crashed().filter(|r| r.signal == Some(KILL)).count() as u32;
    let bad = crashed().any(|r| r.integrity().is_changed());
    let (verdict, next_action, because) = if runs.made == 0 {
        (Verdict::Inconclusive, NextAction::MoreRuns, Because::NoRuns)
    } else if bad {
        (Verdict::Inconclusive, NextAction::FixProcedure, Because::CrashesNotIntact)
    } else if killed * 2 > runs.made {
        (Verdict::Environment, NextAction::FixProcedure, Because::Killed)
    } else if runs.crashed * 2 > runs.made || runs.crashed > 0 && runs.could_hang() == 0 {
        (Verdict::Inconclusive, NextAction::FixCode, Because::Crashes)
    } else if runs.could_hang() == 0 && runs.cut_off > 0 {
        (Verdict::Inconclusive, NextAction::FixProcedure, Because::AllCutOff)
    } else if runs.could_hang() == 0 {
        (Verdict::Inconclusive, NextAction::FixProcedure, Because::AllFailed)
    } else {
        (Verdict::NotReproduced, NextAction::MoreRuns, Because::NoHang)
    };
    Decided { verdict, next_action, because, told: None }
}

/// SIGKILL, that the hunt did not send: the kernel's, when memory is short, or somebody's.
const KILL: i32 = 9;
