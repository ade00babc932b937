//! The verdict in one sentence: which verdict, how often, and what waits for what.

use super::doing::{doing, named};
use super::ends;
use super::innocent;
use super::lines::Line;
use super::rules::{Because, Ruling};
use super::tally::{Sorted, Tally};
use crate::analysis::class::{self, Why};
use crate::analysis::facts::{HuntFacts, RunFacts, RunOutcome, STATS};
use crate::analysis::finding::{Finding, Hot, Lock, RingEdge, ThreadWait};
use crate::analysis::stir::StirPlan;
use crate::analysis::words::{Blame, Cause, Class, Confidence, Integrity, Verdict};
use crate::text::message::{Lang, Say as _, Text, say, tight};

/// The headline in both languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Headline {
    en: String,
    ja: String,
}

impl Headline {
    pub(super) fn of(facts: &HuntFacts, sorted: &Sorted<'_>, runs: &Tally, ruling: &Ruling<'_>) -> Self {
        let text = |lang| sentence(facts, sorted, runs, ruling, lang);
        Headline { en: text(Lang::En), ja: tight(&text(Lang::Ja)) }
    }

    pub(super) fn text(&self, lang: Lang) -> String {
        match lang {
            Lang::En => self.en.clone(),
            Lang::Ja => self.ja.clone(),
        }
    }
}

fn sentence(facts: &HuntFacts, sorted: &Sorted<'_>, runs: &Tally, ruling: &Ruling<'_>, lang: Lang) -> String {
    let mut lead = lead(facts, sorted, runs, ruling, lang);
    lead += ends_beside(facts, sorted, ruling).text(lang);
    if let Some(StirPlan { choice, .. }) = facts.stir {
        lead += &say!(Line::UnderStir { choice }).text(lang);
    }
    let (colon, comma, stop) = marks(lang);
    let clauses = match ruling.run {
        Some(run) => about(run, ruling.because, lang),
        None => vec![],
    };
    if clauses.is_empty() { lead + stop } else { lead + colon + &clauses.join(comma) + stop }
}

/// What else ended badly: other runs of the main arm, and the other arms.
fn ends_beside(facts: &HuntFacts, sorted: &Sorted<'_>, ruling: &Ruling<'_>) -> Text {
    if facts.is_snap() {
        return Text::default();
    }
    let main = sorted.main.first().map_or("", |run| run.arm.as_str());
    let arm = ruling.run.map_or(main, |run| &run.arm);
    let dead = if ruling.because == Because::NoHang { ends::others(&sorted.main) } else { Text::default() };
    let told: Vec<&str> = match ruling.because {
        Because::ChangeKills => return Text::default(),
        Because::Crashes | Because::AllFailed if ends::none_ended_well(&sorted.all) => {
            return Text::default();
        }
        // The lead has the changed runs, and the pinned ones.
        Because::Hang if ruling.verdict == Verdict::DsoMixup && facts.arms.len() == 2 => vec![main, arm],
        Because::Hang if facts.is_other_build(arm) => vec![main, arm],
        Because::Hang if ruling.verdict == Verdict::DsoMixup => vec![],
        _ => vec![arm],
    };
    let arms = ends::in_arms(facts, sorted, &told);
    Text::of(|lang| format!("{}{}", dead.text(lang), arms.text(lang)))
}

fn marks(lang: Lang) -> (&'static str, &'static str, &'static str) {
    match lang {
        Lang::En => (": ", ", ", "."),
        Lang::Ja => ("。", "。", "。"),
    }
}

/// One sentence for a single hang: what waits for what.
pub(crate) fn hang_sentence(run: &RunFacts, lang: Lang) -> String {
    let known = run.hang.as_ref().is_some_and(|hang| hang.finding.is_some());
    let because = if known { Because::Hang } else { Because::NothingFromInside };
    let (_, comma, stop) = marks(lang);
    let text = about(run, because, lang).join(comma) + stop;
    if lang == Lang::Ja { tight(&text) } else { text }
}

fn lead(facts: &HuntFacts, sorted: &Sorted<'_>, runs: &Tally, ruling: &Ruling<'_>, lang: Lang) -> String {
    let (hung, of) = (ruling.run.map_or(0, |run| of_arm(sorted, run).0), runs.made);
    let of = ruling.run.map_or(of, |run| of_arm(sorted, run).1);
    match ruling.because {
        Because::Crashes | Because::AllFailed => return ends::lead(sorted).text(lang).to_owned(),
        Because::ChangeKills => return ends::a_died(facts, sorted).text(lang).to_owned(),
        Because::AllCutOff => {
            if let Some(lead) = ends::left_daemons(&sorted.main) {
                return lead.text(lang).to_owned();
            }
        }
        _ => {}
    }
    let line = match (ruling.verdict, ruling.because) {
        (Verdict::AllocatorBug, _) if facts.is_snap() => Line::SnapB {},
        (Verdict::HarnessBug, _) if facts.is_snap() && inside(ruling) => Line::SnapHarnessInside {},
        (Verdict::HarnessBug, _) if facts.is_snap() => Line::SnapHarness {},
        (Verdict::HarnessBug, _) if inside(ruling) => say!(Line::LeadHarnessInside { hung, of }),
        (Verdict::Environment, Because::Hang) if facts.is_snap() => Line::SnapEnvironment {},
        (Verdict::Inconclusive | Verdict::NotReproduced, _) if facts.is_snap() => Line::SnapInconclusive {},
        (Verdict::NotHung, _) if facts.is_snap() => Line::SnapNotHung {},
        (Verdict::NotHung, _) => say!(Line::LeadNotHung { slow: of_arm_slow(sorted, ruling), of }),
        (Verdict::AllocatorBug, _) if ruling.run.is_some_and(|run| facts.is_other_build(&run.arm)) => {
            let arm = ruling.run.map_or("", |run| run.arm.as_str());
            let (pinned, pinned_of) = (runs.hung, runs.made);
            match arm {
                STATS => say!(Line::LeadBStats { hung, of, pinned, pinned_of }),
                arm => say!(Line::LeadBOther { arm, hung, of, pinned, pinned_of }),
            }
        }
        (Verdict::AllocatorBug, _) => {
            let dso = if facts.dso.pinned { Line::PinnedDso {} } else { Line::ItsDso {} };
            say!(Line::LeadB { hung, of, dso: dso.text(lang) })
        }
        (Verdict::DsoMixup, _) => {
            let (exposed, control) = (sorted.exposed(), sorted.control());
            say!(Line::LeadA { hung: exposed.hung, of: exposed.of, control: control.of })
        }
        (Verdict::HarnessBug, _) => say!(Line::LeadHarness { hung, of }),
        (Verdict::NotReproduced, _) => {
            let rate = runs.rate();
            say!(Line::NotReproduced { of: rate.of, high: percent(rate.high) })
        }
        (_, Because::Killed) => {
            let killed = sorted.main.iter().filter(|r| r.signal == Some(9)).count();
            say!(Line::AllKilled { killed, made: runs.made })
        }
        (Verdict::Environment, _) => say!(Line::LeadEnvironment { hung, of }),
        (_, Because::NoRuns) => Line::NoRuns {},
        (_, Because::CrashesNotIntact) => {
            let crashed = sorted.main.iter().filter(|r| r.outcome == RunOutcome::Crashed);
            let bad: Vec<_> = crashed.map(|r| r.integrity()).filter(|i| i.is_changed()).collect();
            let word = bad.iter().max().copied().unwrap_or(Integrity::Unknown);
            say!(Line::CrashesNotIntact { crashed: bad.len(), made: runs.made, word })
        }
        (_, Because::AllCutOff) => say!(Line::AllCutOff { cut: runs.cut_off, made: runs.made }),
        (_, Because::NotProven) if ruling.run.is_none() => {
            say!(Line::NotProven { made: runs.made, chain: chain(sorted.main.iter().copied()) })
        }
        (Verdict::Inconclusive, _) => say!(Line::LeadInconclusive { hung, of }),
    };
    line.text(lang)
}

/// The programs of the first run whose malloc is not proven.
pub(super) fn chain<'a>(runs: impl IntoIterator<Item = &'a RunFacts>) -> Text {
    let not_proven = |run: &RunFacts| run.judged.as_ref().filter(|judged| judged.doubt.is_some()).cloned();
    runs.into_iter().find_map(not_proven).map_or_else(Text::default, |judged| judged.chain())
}

/// The number of hangs and of runs in the arm of a run. If the run hung with an intact DSO in an arm with a
/// change, only the runs with an intact DSO count.
fn of_arm(sorted: &Sorted<'_>, run: &RunFacts) -> (u32, u32) {
    let changed = sorted.arms.get(run.arm.as_str()).filter(|_| run.integrity() == Integrity::Intact);
    if let Some(runs) = changed.filter(|runs| runs.iter().any(|r| r.integrity().is_changed())) {
        let intact = runs.iter().filter(|r| r.integrity() == Integrity::Intact).copied();
        let tally = Tally::of(0, intact);
        return (tally.hung, tally.made);
    }
    let arm = sorted.arms.get(run.arm.as_str()).unwrap_or(&sorted.main);
    let tally = Tally::of(0, arm.iter().copied());
    (tally.hung, tally.made)
}

/// Whether the reported hang is the program's, although the allocator is on the stacks.
fn inside(ruling: &Ruling<'_>) -> bool {
    let finding = ruling.run.and_then(|run| run.hang.as_ref()?.finding.as_ref());
    finding.is_some_and(|finding| finding.in_allocator != Some(false))
}

/// The runs that were past their deadline and did not hang, in the arm of the reported run.
fn of_arm_slow(sorted: &Sorted<'_>, ruling: &Ruling<'_>) -> u32 {
    let arm = ruling.run.and_then(|run| sorted.arms.get(run.arm.as_str())).unwrap_or(&sorted.main);
    Tally::of(0, arm.iter().copied()).slow
}

/// What waits for what in the reported run.
fn about(run: &RunFacts, because: Because, lang: Lang) -> Vec<String> {
    let mut clauses = match because {
        Because::NotIntact => vec![say!(Line::NotIntactHang { word: run.integrity() })],
        Because::IntegrityUnknown => vec![Line::IntegrityUnknown {}],
        Because::NothingFromInside => vec![Line::NothingFromInside {}],
        Because::NotProven => vec![say!(Line::NotProvenHang { chain: chain([run]) })],
        Because::ClassUnknown
        | Because::PlaceUnknown
        | Because::EitherSide
        | Because::NotHung
        | Because::Hang => vec![],
        _ => return vec![],
    };
    if let Some(finding) = run.hang.as_ref().and_then(|h| h.finding.as_ref()) {
        clauses.extend(stuck(finding, lang));
        if because == Because::PlaceUnknown {
            clauses.push(Line::PlaceUnknown {});
        }
        if because == Because::EitherSide {
            let functions = finding.said_missing.iter().find_map(|why| match why {
                Why::WaysOut { functions } => Some(functions.clone()),
                _ => None,
            });
            clauses.extend(functions.map(|functions| say!(Line::EitherSide { functions })));
        }
        let mut texts: Vec<String> = clauses.iter().map(|c| c.text(lang)).collect();
        if finding.confidence == Confidence::Likely && finding.class != Class::Unknown {
            let last = texts.last_mut().map(|t| t.push_str(&Line::Likely {}.text(lang)));
            debug_assert!(last.is_some(), "a finding has at least one clause");
        }
        return texts;
    }
    clauses.iter().map(|c| c.text(lang)).collect()
}

fn stuck(finding: &Finding, lang: Lang) -> Vec<Line> {
    let joins = finding.waits.iter().filter(|w| w.kind == "join").count();
    let workers = (finding.threads.all as usize).saturating_sub(joins);
    let hot = finding.hot.as_ref();
    let mut lines = vec![];
    if !finding.ring.is_empty() {
        lines.extend(ring_lines(finding, lang));
        lines.extend(cause(finding, hot));
        lines.extend(others(finding));
        return lines;
    }
    if let Some(lock) = &finding.lock {
        let waiters = lock.waiters.len();
        lines.push(stuck_line(waiters, workers, &lock_text(finding, lock)));
    }
    let owner = finding.lock.as_ref().and_then(|l| l.owner_tid);
    match finding.class {
        Class::Deadlock if is_over_vfork(finding) => {
            lines.extend(owner.map(|tid| say!(Line::HeldBy { tid })));
        }
        // The holder's own wait names no lock.
        Class::Deadlock if owner.is_some() => lines.extend(holder_waits(finding, lang)),
        // Over locks that record no owner.
        Class::Deadlock => {
            let named_hot = hot.filter(|h| h.function.is_some());
            lines.extend(named_hot.map(|hot| say!(Line::At { tid: hot.tid, place: named(hot, lang) })));
            lines.extend(beside(finding));
        }
        Class::Reentry => lines.extend(hot.map(|hot| alone(finding, hot, lang))),
        Class::OwnerSpinning => {
            lines.extend(match (owner, hot) {
                (Some(tid), Some(hot)) => {
                    let (doing, place, time) = doing(finding, hot, lang);
                    Some(say!(Line::Holder { tid, doing, place, time }))
                }
                (Some(tid), None) => Some(say!(Line::HeldBy { tid })),
                (None, hot) => hot.map(|hot| alone(finding, hot, lang)),
            });
            lines.extend(hot.and_then(samples));
            if finding.lock.is_none() && finding.spinning > 0 {
                lines.push(say!(Line::Spin { count: finding.spinning }));
            }
            lines.extend(finding.said.iter().find_map(|why| match why {
                Why::Retries { tids, place, .. } => Some(say!(Line::RetryBehind { tids, place })),
                _ => None,
            }));
        }
        Class::OwnerBlocked if finding.cause == Some(Cause::ProcessShared) => {
            lines.extend(finding.said.iter().find_map(|why| match why {
                Why::HeldElsewhere { owner, pid, comm, state, .. } => {
                    Some(say!(Line::HeldInProcess { tid: owner, pid, comm, state }))
                }
                _ => None,
            }));
        }
        Class::OwnerBlocked => {
            let stopped = finding.said.iter().any(|w| matches!(w, Why::OwnerStopped { .. }));
            lines.extend(match (owner, hot) {
                (Some(tid), Some(hot)) if stopped => {
                    Some(say!(Line::StoppedOwner { tid, place: named(hot, lang) }))
                }
                (Some(tid), Some(hot)) => Some(blocked(finding, tid, hot, lang)),
                (owner, _) => owner.map(|tid| say!(Line::HeldBy { tid })),
            });
            lines.extend(finding.said.iter().find_map(|why| match why {
                Why::ReadersOverlap { tids, .. } => Some(say!(Line::ReadersGoOn { tids })),
                _ => None,
            }));
        }
        Class::OwnerLeft if owner.is_none() => lines.push(Line::NotReleased {}),
        Class::OwnerLeft => lines.extend(owner.map(|tid| {
            let now = match (finding.waits.iter().find(|wait| wait.tid == tid), hot) {
                (Some(wait), Some(hot)) => say!(Line::NowWaits { wait: &wait.said, place: named(hot, lang) }),
                (None, Some(hot)) => say!(Line::NowRuns { place: named(hot, lang) }),
                (_, None) => Line::NowElsewhere {},
            };
            say!(Line::OwnerHasLeft { tid, now: now.text(lang) })
        })),
        Class::OwnerGone => {
            let inherited = finding.cause == Some(Cause::ForkInherited);
            let shared = finding.cause == Some(Cause::ProcessShared);
            lines.extend(owner.map(|tid| match inherited {
                true => say!(Line::HeldAtFork { tid }),
                false if shared => say!(Line::OwnerDied { tid }),
                false => say!(Line::OwnerIsGone { tid }),
            }));
            let readers = |why: &Why| matches!(why, Why::ReadersLeft { .. });
            lines.extend(finding.said.iter().any(readers).then_some(Line::ReaderUnknown {}));
        }
        Class::LostWakeup => {
            lines.push(Line::NobodyWakes {});
            lines.extend(beside(finding).into_iter().filter(|_| may_lock(finding)));
        }
        Class::SpinWait => {
            lines.push(say!(Line::Spin { count: spinning(finding) }));
            lines.extend(hot.map(|hot| {
                let wait = wait_of(finding, hot.tid);
                say!(Line::SleepingSuspect { tid: hot.tid, wait, place: named(hot, lang) })
            }));
        }
        Class::Livelock => lines.extend(hot.map(|hot| {
            let (doing, place, time) = doing(finding, hot, lang);
            // Threads that sleep between their attempts do not run in the look.
            let spinners = finding.said.iter().find_map(|why| match why {
                Why::Spinners { tids } if finding.threads.running < 2 => Some(tids),
                _ => None,
            });
            match spinners {
                Some(tids) => say!(Line::ManyNamed { tids, doing, place, time }),
                None => say!(Line::Many { count: spinning(finding), doing, place, time }),
            }
        })),
        Class::Runaway => {
            lines.extend(hot.map(|hot| alone(finding, hot, lang)));
            lines.extend(hot.and_then(samples));
        }
        Class::KernelWait => lines.extend(hot.map(|hot| {
            let wait = wait_of(finding, hot.tid);
            say!(Line::InKernel { tid: hot.tid, wait, place: named(hot, lang) })
        })),
        Class::OutsideAllocator => lines.extend(outside(finding, lang)),
        Class::Slow if finding.blame == Some(Blame::Nobody) => lines.extend(outside(finding, lang)),
        Class::Slow => lines.push(Line::SlowOnly {}),
        Class::Unknown if finding.said.contains(&Why::Stopped {}) => lines.push(Line::AllStopped {}),
        Class::Unknown => {
            lines.extend(known_waits(finding));
            lines.push(Line::ClassUnknown {});
        }
    }
    lines.extend(cause(finding, hot));
    lines.extend(innocent::cause(finding));
    lines
}

/// The holder of the lock, and what it waits for itself.
fn holder_waits(finding: &Finding, lang: Lang) -> Option<Line> {
    let tid = finding.lock.as_ref()?.owner_tid?;
    Some(match finding.hot.as_ref().filter(|hot| hot.tid == tid) {
        Some(hot) => say!(Line::BlockedIn { tid, wait: wait_of(finding, tid), place: named(hot, lang) }),
        None => say!(Line::HeldBy { tid }),
    })
}

/// Whether the semaphores that the threads wait for may be locks.
fn may_lock(finding: &Finding) -> bool {
    finding.said_missing.iter().any(|why| matches!(why, Why::SemaphoresMayLock { .. }))
}

/// What the threads wait for that do not wait for the lock of the finding.
fn beside(finding: &Finding) -> Vec<Line> {
    let waiters = finding.lock.as_ref().map_or(&[][..], |lock| &lock.waiters);
    let groups = groups(finding, |tid| !waiters.contains(&tid)).into_iter().take(MOST_NAMED);
    groups.map(|(count, what)| say!(Line::OthersWait { count, what })).collect()
}

/// The threads that spin; where the finding does not count them, those that run.
fn spinning(finding: &Finding) -> u32 {
    let waiters = finding.lock.as_ref().map_or(0, |lock| lock.waiters.len() as u32);
    [finding.spinning, waiters, finding.threads.running].into_iter().find(|n| *n > 0).unwrap_or(0)
}

/// What came between the program and its lock: a callback, a signal handler.
fn cause(finding: &Finding, hot: Option<&Hot>) -> Option<Line> {
    // The line before names the place already.
    let named = |place: &str| match &finding.ring[..] {
        [] => hot.and_then(|hot| hot.function.as_ref()).is_some_and(|f| place.contains(&format!("`{f}`"))),
        [edge] => edge.at.as_ref().is_some_and(|at| class::place(at) == place),
        _ => false,
    };
    finding.said.iter().find_map(|why| match why {
        Why::CalledBack { place, .. } if named(place.en()) => Some(Line::IsCallback {}),
        Why::CalledBack { tid, place } => Some(say!(Line::InCallback { tid, place })),
        Why::MallocInHandler { tid, place } => Some(say!(Line::AgainInHandler { tid, place })),
        Why::InHandler { tid, place } => Some(say!(Line::InHandler { tid, place })),
        Why::InHandlerCut { tid, place } => Some(say!(Line::InHandlerCut { tid, place })),
        Why::VforkWaits { tid, child, .. } => Some(say!(Line::OverVfork { child, tid })),
        _ => None,
    })
}

/// Most threads of a ring, and most groups of waiting threads, that a headline names.
const MOST_NAMED: usize = 4;

/// Every lock of a ring with the place where it is waited for, and what the other threads wait for.
fn ring_lines(finding: &Finding, lang: Lang) -> Vec<Line> {
    let ring = &finding.ring;
    let is_lock = |edge: &&RingEdge| !matches!(edge.kind.as_str(), "join" | "fork" | "clone");
    let held = |tid: u32| ring.iter().filter(is_lock).find(|edge| edge.owner == Some(tid));
    let mut lines = vec![];
    if ring.len() > 1 {
        lines.push(say!(Line::Ring { count: ring.len() }));
    }
    for edge in ring.iter().take(MOST_NAMED) {
        let tid = edge.tid;
        let wanted = match (edge.kind.as_str(), edge.owner) {
            ("join", Some(owner)) => say!(Line::EndOf { tid: owner }).text(lang),
            ("fork" | "clone", Some(child)) => say!(Line::VforkedChild { child }).text(lang),
            _ => format!("`{}`", edge.name),
        };
        let hot = finding.hot.as_ref().filter(|hot| hot.tid == tid && hot.function.is_some());
        let unnamed = || hot.map_or_else(|| Line::NoPlace {}.text(lang), |hot| named(hot, lang));
        let place = edge.at.as_ref().map_or_else(unnamed, class::place);
        lines.push(match held(tid) {
            Some(own) if own.tid == tid => say!(Line::WantsAgain { tid, wanted, place }),
            Some(own) => say!(Line::HoldsWants { tid, held: format!("`{}`", own.name), wanted, place }),
            None => say!(Line::Wants { tid, wanted, place }),
        });
    }
    if ring.len() > MOST_NAMED {
        lines.push(say!(Line::MoreInRing { count: ring.len() - MOST_NAMED }));
    }
    lines
}

fn is_over_vfork(finding: &Finding) -> bool {
    finding.said.iter().any(|why| matches!(why, Why::VforkWaits { .. }))
}

/// What the threads outside the ring wait for.
fn others(finding: &Finding) -> Vec<Line> {
    let outside = |tid: u32| finding.ring.iter().all(|edge| edge.tid != tid);
    let groups = groups(finding, outside).into_iter().take(MOST_NAMED);
    groups.map(|(count, what)| say!(Line::OthersWait { count, what })).collect()
}

/// The waits of the threads, equal ones together: the largest group first, joins last.
fn groups(finding: &Finding, which: impl Fn(u32) -> bool) -> Vec<(usize, Text)> {
    let mut groups: Vec<(bool, usize, Text)> = vec![];
    for wait in finding.waits.iter().filter(|wait| which(wait.tid)) {
        let what = what_of(wait);
        match groups.iter_mut().find(|(_, _, group)| *group == what) {
            Some(group) => group.1 += 1,
            None => groups.push((wait.kind == "join", 1, what)),
        }
    }
    groups.sort_by_key(|(join, count, _)| (*join, std::cmp::Reverse(*count)));
    groups.into_iter().map(|(_, count, what)| (count, what)).collect()
}

/// A wait with the symbol of its object. A joined thread is named by its tid.
fn what_of(wait: &ThreadWait) -> Text {
    class::with_symbol(&wait.said, wait.symbol.as_ref().filter(|_| wait.kind != "join"))
}

/// What the threads wait for, where no class fits.
fn known_waits(finding: &Finding) -> Vec<Line> {
    let groups = groups(finding, |_| true);
    let all = finding.threads.all as usize;
    let mut lines = vec![];
    for (at, (count, what)) in groups.into_iter().take(MOST_NAMED).enumerate() {
        let owner = finding.waits.iter().find(|wait| what_of(wait) == what);
        let owner = owner.filter(|wait| at == 0 && wait.kind != "join").and_then(|wait| wait.owner);
        lines.push(if at == 0 {
            stuck_line(count, all, &what)
        } else {
            say!(Line::OthersWait { count, what })
        });
        if let Some(tid) = owner {
            let wait = wait_of(finding, tid);
            lines.push(if wait.en().is_empty() {
                say!(Line::HeldBy { tid })
            } else {
                say!(Line::HeldByWaiter { tid, wait })
            });
        }
    }
    lines
}

fn stuck_line(waiters: usize, workers: usize, lock: &Text) -> Line {
    match waiters {
        1 => say!(Line::StuckOne { workers, lock }),
        _ => say!(Line::Stuck { waiters, workers, lock }),
    }
}

/// What is stuck outside the allocator: the largest group of waiting threads, and the running thread.
fn outside(finding: &Finding, lang: Lang) -> Vec<Line> {
    let joins: Vec<u32> = finding.waits.iter().filter(|w| w.kind == "join").map(|w| w.tid).collect();
    let groups = groups(finding, |tid| !joins.contains(&tid));
    let workers: usize =
        groups.iter().map(|(count, _)| count).sum::<usize>() + finding.threads.running as usize;
    let mut lines = vec![];
    // Where nothing hangs, what the program waits for is that of one thread. The others wait for it.
    let decides = finding.hot.as_ref().filter(|_| finding.blame == Some(Blame::Nobody));
    let decides = decides.and_then(|hot| finding.waits.iter().find(|w| w.tid == hot.tid)).map(what_of);
    let group = match decides {
        Some(what) => groups.iter().find(|(_, group)| *group == what),
        None => groups.first(),
    };
    if let (None, Some((waiters, lock))) = (&finding.lock, group) {
        lines.push(stuck_line(*waiters, workers, lock));
    }
    let waits = |hot: &Hot| finding.waits.iter().any(|w| w.tid == hot.tid);
    let holds = |hot: &Hot| finding.lock.as_ref().is_some_and(|lock| lock.owner_tid == Some(hot.tid));
    lines.extend(finding.hot.as_ref().map(|hot| match waits(hot) {
        true if holds(hot) => blocked(finding, hot.tid, hot, lang),
        true => say!(Line::At { tid: hot.tid, place: named(hot, lang) }),
        false => alone(finding, hot, lang),
    }));
    // Where something hangs, the waits of the other threads are a part of it.
    if finding.lock.is_none() && finding.blame != Some(Blame::Nobody) {
        let others = groups.iter().skip(1).take(MOST_NAMED - 1);
        lines.extend(others.map(|(count, what)| say!(Line::OthersWait { count: *count, what: what })));
    }
    lines
}

/// The holder of a lock, which waits itself.
fn blocked(finding: &Finding, tid: u32, hot: &Hot, lang: Lang) -> Line {
    let (wait, place) = (wait_of(finding, hot.tid), named(hot, lang));
    if wait.en().is_empty() {
        say!(Line::Dozes { tid, place })
    } else {
        say!(Line::BlockedIn { tid, wait, place })
    }
}

fn alone(finding: &Finding, hot: &Hot, lang: Lang) -> Line {
    let (doing, place, time) = doing(finding, hot, lang);
    say!(Line::Alone { tid: hot.tid, doing, place, time })
}

fn samples(hot: &Hot) -> Option<Line> {
    let enough = hot.samples >= 2;
    enough.then(|| match hot.distinct_pcs {
        1 => say!(Line::SamplesOne { samples: hot.samples }),
        pcs => say!(Line::Samples { samples: hot.samples, pcs }),
    })
}

fn wait_of(finding: &Finding, tid: u32) -> Text {
    finding.waits.iter().find(|w| w.tid == tid).map_or_else(Text::default, |w| w.said.clone())
}

/// ``mutex `g_locks+160` (hz4_mid_malloc, hz4_mid.c:85)``.
fn lock_text(finding: &Finding, lock: &Lock) -> Text {
    let noun = match lock.kind.as_str() {
        "pthread-mutex" => "mutex".said(),
        "low-level-lock" | "rust-lock" => Line::NounLock {}.said(),
        "spin-lock" => Line::NounSpinLock {}.said(),
        "condition" => Line::NounCondition {}.said(),
        "semaphore" => Line::NounSemaphore {}.said(),
        "barrier" => Line::NounBarrier {}.said(),
        // It says who has the lock: a writer, or so many readers.
        "rwlock" => lock.waiters.first().map_or_else(|| "rwlock".said(), |tid| wait_of(finding, *tid)),
        "gil" => Line::NounGil {}.said(),
        kind => kind.said(),
    };
    let name = lock.symbol.as_ref().unwrap_or(&lock.address);
    let at = lock.at.as_ref().map(|frame| {
        let function = frame.function.clone();
        [function, class::source(frame)].into_iter().flatten().collect::<Vec<_>>().join(", ")
    });
    let at = at.filter(|at| !at.is_empty()).map_or_else(String::new, |at| format!(" ({at})"));
    match lock.kind.as_str() {
        "gil" => Text::of(|lang| format!("{}{at}", noun.text(lang))),
        _ => Text::of(|lang| format!("{} `{name}`{at}", noun.text(lang))),
    }
}

/// A share that the user gave, in percent, with all its digits.
pub(crate) fn given(share: f64) -> String {
    format!("{}", (share * 1e10).round() / 1e8)
}

/// A share in percent: two decimals below 0.95 %, else one.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.95 { format!("{percent:.2}") } else { format!("{percent:.1}") }
}
