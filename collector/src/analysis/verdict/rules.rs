//! Which verdict it is.

use super::arms::p_of_change;
use super::ends;
use super::tally::{Sorted, Tally, exposed};
use crate::analysis::class::Why;
use crate::analysis::decision;
use crate::analysis::facts::{HuntFacts, RunFacts, RunOutcome};
use crate::analysis::finding::Finding;
use crate::analysis::sequential::Answer;
use crate::analysis::stats::CONFIDENCE;
use crate::analysis::words::{Blame, Class, Confidence, Integrity, NextAction, Verdict};

/// A verdict, and the run that shows it best.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ruling<'a> {
    pub(super) verdict: Verdict,
    pub(super) next_action: NextAction,
    pub(super) because: Because,
    /// The run that the headline reports.
    pub(super) run: Option<&'a RunFacts>,
}

/// The reason for the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Because {
    Hang,
    /// Nothing hangs: the finding says what the threads wait for.
    NotHung,
    /// The DSO of the hung run was changed, and there is no clean control.
    NotIntact,
    /// Nobody knows whether the DSO of the hung run was intact.
    IntegrityUnknown,
    /// The program that was judged is not proven to run the DSO.
    NotProven,
    /// Nobody knows whether the hung run is stuck in the allocator.
    PlaceUnknown,
    ClassUnknown,
    /// The program has a way out of a call of the allocator, with which it may have kept the lock.
    EitherSide,
    NothingFromInside,
    NoHang,
    NoRuns,
    /// Most runs were killed by SIGKILL.
    Killed,
    /// Most runs crashed, or no other run could have hung.
    Crashes,
    /// Runs crashed with a changed DSO.
    CrashesNotIntact,
    AllFailed,
    /// The change of the DSO makes runs die, and none hangs.
    ChangeKills,
    /// No run could have hung, and some were stopped at the deadline while they were working.
    AllCutOff,
}

pub(super) fn decide<'a>(facts: &'a HuntFacts, sorted: &Sorted<'a>, runs: &Tally) -> Ruling<'a> {
    // A hang of another build counts only if the pinned build has none.
    let mut hung = sorted.hung();
    if hung.iter().any(|r| !facts.is_other_build(&r.arm)) {
        hung.retain(|r| !facts.is_other_build(&r.arm));
    }
    let ruling = if hung.is_empty() {
        not_hung(sorted, runs).unwrap_or_else(|| without_hang(facts, sorted, runs))
    } else {
        with_hang(facts, sorted, &hung)
    };
    // What is decided needs no more runs.
    let decided = || decision::of(facts).is_some_and(|decision| decision.answer.is_some());
    match ruling.next_action {
        NextAction::MoreRuns if decided() => Ruling { next_action: NextAction::None, ..ruling },
        _ => ruling,
    }
}

/// The verdict of a single hang with an intact DSO.
fn verdict_of(finding: &Finding) -> (Verdict, Because) {
    match finding.blame {
        Some(Blame::Allocator) => return (Verdict::AllocatorBug, Because::Hang),
        Some(Blame::Program) => return (Verdict::HarnessBug, Because::Hang),
        Some(Blame::Environment) => return (Verdict::Environment, Because::Hang),
        Some(Blame::Either) => return (Verdict::Inconclusive, Because::EitherSide),
        Some(Blame::Nobody) => return (Verdict::NotHung, Because::NotHung),
        None => {}
    }
    match (finding.class, finding.in_allocator) {
        _ if finding.said.iter().any(is_stop) => (Verdict::Environment, Because::Hang),
        // A thread that waits in clone waits for a child that the same code started. Other uninterruptible
        // waits are caused by the disk, the memory or a driver.
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

/// A verdict about the allocator or the benchmark needs the proof that the program that hangs runs the DSO.
fn proven_or_not(run: &RunFacts, (verdict, because): (Verdict, Because)) -> (Verdict, Because) {
    match verdict {
        Verdict::Environment => (verdict, because),
        // Its threads are in the DSO, whatever runs beside it.
        Verdict::AllocatorBug if run.has_dso() => (verdict, because),
        _ if run.is_proven() => (verdict, because),
        _ => (Verdict::Inconclusive, Because::NotProven),
    }
}

/// A signal or a debugger keeps threads from going on.
fn is_stop(why: &Why) -> bool {
    matches!(why, Why::Stopped {} | Why::OwnerStopped { .. })
}

fn is_child(why: &Why) -> bool {
    matches!(why, Why::WaitsForChild { .. })
}

fn with_hang<'a>(facts: &'a HuntFacts, sorted: &Sorted<'a>, hung: &[&'a RunFacts]) -> Ruling<'a> {
    let finding = |run: &RunFacts| run.hang.as_ref().and_then(|h| h.finding.clone());
    // The best hang with an intact DSO: the allocator's first, then proven before likely, then by number.
    let intact = hung.iter().filter(|r| r.integrity() == Integrity::Intact);
    let mut ranked: Vec<(u8, u32, &RunFacts, Verdict, Because)> = intact
        .map(|run| {
            let Some(finding) = finding(run) else {
                let unknown = (Verdict::Inconclusive, Because::NothingFromInside);
                let (verdict, because) = proven_or_not(run, unknown);
                return (9, run.run, *run, verdict, because);
            };
            let (verdict, because) = proven_or_not(run, verdict_of(&finding));
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
    // The main arm goes first. In the other arms, these runs hung before their DSO was changed.
    let is_main = |run: &RunFacts| sorted.main.iter().any(|main| std::ptr::eq(*main, run));
    ranked.sort_by_key(|t| (t.0, !is_main(t.2), t.1));
    if let Some((_, _, run, verdict, because)) = ranked.first().copied() {
        let next_action = match verdict {
            Verdict::AllocatorBug => NextAction::FixCode,
            Verdict::HarnessBug => NextAction::FixBenchmark,
            Verdict::Environment => NextAction::FixProcedure,
            Verdict::NotHung => NextAction::None,
            _ if because == Because::NotProven => NextAction::FixProcedure,
            // More runs would show no more than this hang.
            _ if finding(run).is_some_and(|finding| finding.is_whole()) => NextAction::None,
            _ => NextAction::MoreRuns,
        };
        return Ruling { verdict, next_action, because, run: Some(run) };
    }
    // The best hang with a changed DSO: a known class first, then proven before likely.
    let uncertainty = |run: &RunFacts| match finding(run) {
        Some(f) => (f.class == Class::Unknown, f.confidence == Confidence::Likely),
        None => (true, true),
    };
    let bad =
        hung.iter().filter(|r| r.integrity().is_changed() && r.is_proven()).min_by_key(|r| uncertainty(r));
    let Some(run) = bad else {
        // Whatever the program is, it goes on when it is let go.
        if finding(hung[0]).is_some_and(|finding| finding.said.contains(&Why::Stopped {})) {
            let (verdict, next_action) = (Verdict::Environment, NextAction::FixProcedure);
            return Ruling { verdict, next_action, because: Because::Hang, run: Some(hung[0]) };
        }
        let because = match hung[0] {
            run if !run.is_proven() => Because::NotProven,
            run if run.hello_seen || finding(run).is_some() => Because::IntegrityUnknown,
            _ => Because::NothingFromInside,
        };
        let next_action = match because {
            Because::NotProven => NextAction::FixProcedure,
            // A run with a pinned copy would show what this one cannot.
            _ if finding(hung[0]).is_some_and(|finding| finding.is_whole()) => NextAction::FixProcedure,
            _ => NextAction::MoreRuns,
        };
        let verdict = Verdict::Inconclusive;
        return Ruling { verdict, next_action, because, run: Some(hung[0]) };
    };
    let control = sorted.control();
    let clean = facts.dso.pinned && control.hung == 0 && control.of > 0;
    let next_action = NextAction::FixProcedure;
    // Fisher's p-value is valid only for a number of runs that was fixed beforehand. A hunt that stops at its
    // decision has the sequential test instead.
    let significant = match decision::of(facts).filter(|_| !facts.arms.is_empty()) {
        Some(decision) => decision.change == Some(Answer::ChangeHangs),
        None => p_of_change(sorted, control, |runs| exposed(runs.iter())) < 1.0 - CONFIDENCE,
    };
    if clean && significant {
        return Ruling { verdict: Verdict::DsoMixup, next_action, because: Because::Hang, run: Some(run) };
    }
    Ruling { verdict: Verdict::Inconclusive, next_action, because: Because::NotIntact, run: Some(run) }
}

/// No run of the main arm came to its end before its deadline, and one of them shows why: what it waits for will come.
fn not_hung<'a>(sorted: &Sorted<'a>, runs: &Tally) -> Option<Ruling<'a>> {
    let waits = |run: &&&RunFacts| {
        let finding = run.hang.as_ref().and_then(|hang| hang.finding.as_ref());
        // A thread that ran was at work: the run was only slow.
        let waited = |f: &Finding| f.blame == Some(Blame::Nobody) && f.threads.running == 0;
        run.outcome == RunOutcome::Slow && finding.is_some_and(waited)
    };
    let run = sorted.main.iter().find(waits).filter(|_| runs.slow > 0 && runs.slow == runs.made)?;
    let (verdict, next_action) = (Verdict::NotHung, NextAction::None);
    Some(Ruling { verdict, next_action, because: Because::NotHung, run: Some(run) })
}

fn without_hang<'a>(facts: &HuntFacts, sorted: &Sorted<'a>, runs: &Tally) -> Ruling<'a> {
    // Other arms change the DSO on purpose. Their crashes say nothing about the main arm.
    let crashed = || sorted.main.iter().filter(|r| r.outcome == RunOutcome::Crashed);
    let killed = crashed().filter(|r| r.signal == Some(KILL)).count() as u32;
    let bad = crashed().any(|r| r.integrity().is_changed());
    let (verdict, next_action, because) = if runs.made == 0 {
        (Verdict::Inconclusive, NextAction::MoreRuns, Because::NoRuns)
    } else if bad {
        (Verdict::Inconclusive, NextAction::FixProcedure, Because::CrashesNotIntact)
    } else if runs.not_proven > 0 && runs.could_hang() == 0 {
        (Verdict::Inconclusive, NextAction::FixProcedure, Because::NotProven)
    } else if killed * 2 > runs.made {
        (Verdict::Environment, NextAction::FixProcedure, Because::Killed)
    } else if runs.crashed * 2 > runs.made || runs.crashed > 0 && runs.could_hang() == 0 {
        let next_action = match ends::in_allocator(sorted) {
            Some(false) => NextAction::FixBenchmark,
            Some(true) | None => NextAction::FixCode,
        };
        (Verdict::Inconclusive, next_action, Because::Crashes)
    } else if runs.could_hang() == 0 && runs.cut_off > 0 {
        (Verdict::Inconclusive, NextAction::FixProcedure, Because::AllCutOff)
    } else if runs.could_hang() == 0 {
        (Verdict::Inconclusive, NextAction::FixProcedure, Because::AllFailed)
    } else if ends::change_kills(facts, sorted) {
        (Verdict::DsoMixup, NextAction::FixProcedure, Because::ChangeKills)
    } else {
        (Verdict::NotReproduced, NextAction::MoreRuns, Because::NoHang)
    };
    Ruling { verdict, next_action, because, run: None }
}

/// SIGKILL, not sent by the hunt: the kernel sends it when memory is short, or a user does.
const KILL: i32 = 9;
