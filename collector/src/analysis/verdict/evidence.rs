//! The facts that a verdict rests on, and what would change it.

use std::collections::BTreeMap;

use super::arms::{self, Test};
use super::decided;
use super::ends::{self, EndLine};
use super::headline::{chain, given, percent};
use super::lines::Line;
use super::rules::{Because, Ruling};
use super::sentence::Sentence;
use super::shards;
use super::tally::{self, Sorted, Tally, exposed};
use crate::analysis::crash::signal_name;
use crate::analysis::decision::{self, Stopped};
use crate::analysis::facts::{HuntFacts, RunFacts, RunOutcome, SideBySide, run_name};
use crate::analysis::finding::Finding;
use crate::analysis::judged::{Program, Told};
use crate::analysis::stats::{
    CONFIDENCE, PerHour, RATE, Spread, fisher_more, outliers, power, runs_to_exclude, spread,
};
use crate::analysis::why::Why;
use crate::analysis::words::{Class, Confidence, Integrity, Verdict};
use crate::text::message::{Say as _, Text, ranges, say};

/// The highest number of sentences of one kind. Further ones are only counted.
const MOST_ALIKE: usize = 5;

pub(super) fn evidence(
    facts: &HuntFacts,
    sorted: &Sorted<'_>,
    runs: &Tally,
    ruling: &Ruling<'_>,
) -> Vec<Sentence> {
    let mut sentences = shards::evidence(facts);
    numbers(&mut sentences, facts, sorted, runs);
    dso(&mut sentences, facts, sorted, ruling.run);
    if let Some(run) = ruling.run {
        hang(&mut sentences, run);
    }
    others(&mut sentences, sorted, ruling);
    sentences.extend(ends::evidence(facts, sorted).into_iter().map(Sentence::End));
    arm_rates(&mut sentences, sorted);
    arm_tests(&mut sentences, facts, sorted);
    figures(&mut sentences, facts, sorted);
    if let Some(decision) = decision::of(facts) {
        sentences.extend(decided::evidence(&decision).into_iter().map(Sentence::Line));
    }
    sentences
}

fn numbers(sentences: &mut Vec<Sentence>, facts: &HuntFacts, sorted: &Sorted<'_>, runs: &Tally) {
    if facts.is_snap() {
        sentences.push(line(say!(Line::SnapOnly { snapshot: snapshot(sorted) })));
        return;
    }
    let Tally { planned, made, ok, hung, slow, crashed, failed, .. } = *runs;
    sentences.push(line(say!(Line::RunsMade { made, planned, ok, hung, slow, crashed, failed })));
    if runs.could_hang() > 0 {
        let rate = runs.rate();
        let (low, high) = (percent(rate.low), percent(rate.high));
        let method = rate.method;
        sentences.push(line(say!(Line::RateIs { hung: rate.hung, of: rate.of, low, high, method })));
    }
    could_see(sentences, facts, sorted, runs);
    if facts.interrupted {
        // Which shards were, and which are missing, is said above.
        sentences.extend(facts.shards.is_none().then(|| line(Line::Interrupted {})));
    } else if facts.shards.is_none() && facts.stop_at_first && hung > 0 && made < planned {
        sentences.push(line(say!(Line::StoppedEarly { made, planned })));
    } else if let (Stopped::MaxTime, Some(time)) = (facts.stopped(), facts.time_over_s) {
        sentences.push(line(say!(Line::TimeOver { seconds: time, made, planned })));
    }
    side_by_side(sentences, facts);
    if let Some(plan) = facts.stir {
        sentences.push(line(say!(Line::Stirred { options: plan.options() })));
    }
    let seen = sorted.all.iter().filter(|r| r.hello_seen).count();
    sentences.push(line(say!(Line::HelloSeen { seen, of: sorted.all.len() })));
}

/// What runs side by side mean, and which of them were ended.
fn side_by_side(sentences: &mut Vec<Sentence>, facts: &HuntFacts) {
    let Some(SideBySide { cpus }) = &facts.side_by_side else { return };
    sentences.push(line(say!(Line::SideBySide { jobs: cpus.len(), sets: cpus.join(" / ") })));
    let ended = facts.runs.iter().filter(|run| run.outcome == RunOutcome::Interrupted).count();
    if ended > 0 && !facts.interrupted {
        sentences.push(line(say!(Line::EndedWithTheHang { count: ended })));
    }
}

/// The detection power of the runs, and the hangs per hour.
fn could_see(sentences: &mut Vec<Sentence>, facts: &HuntFacts, sorted: &Sorted<'_>, runs: &Tally) {
    let of = runs.could_hang();
    if of == 0 {
        if runs.made > 0 {
            sentences.push(line(say!(Line::CouldSeeNothing { made: runs.made })));
        }
        return;
    }
    if runs.hung == 0 {
        let rate = facts.until.map_or(RATE, |until| until.rate);
        let (high, power) = (percent(runs.rate().high), percent(power(rate, of)));
        sentences.push(line(say!(Line::CouldSee { of, high, rate: given(rate), power })));
    }
    let Some(hours) = per_hour(sorted) else {
        return sentences.push(line(Line::NoTime {}));
    };
    let figure = |x: f64| match x {
        0.0 => "0".to_owned(),
        ..100.0 => format!("{x:.2}"),
        _ => format!("{x:.0}"),
    };
    let (hung, seconds) = (hours.hung, figure(hours.hours * 3600.0));
    let (rate, low, high) = (figure(hours.rate), figure(hours.low), figure(hours.high));
    let method = hours.method;
    sentences.push(line(say!(Line::PerHour { hung, seconds, rate, low, high, method })));
}

/// Hangs of the main arm per hour of benchmark time. None: no run ended without a hang, so the time
/// that a run takes is not known.
pub(super) fn per_hour(sorted: &Sorted<'_>) -> Option<PerHour> {
    tally::per_hour(&sorted.main, tally::usual(&sorted.main))
}

fn dso(sentences: &mut Vec<Sentence>, facts: &HuntFacts, sorted: &Sorted<'_>, run: Option<&RunFacts>) {
    let (path, sha1) = (&facts.dso.path, &facts.dso.sha1);
    if facts.is_snap() {
        let (snapshot, word) =
            (snapshot(sorted), sorted.main.first().map_or(Integrity::Unknown, |r| r.integrity()));
        let sha1 = if sha1.is_empty() { "?" } else { sha1 };
        let file = format!("{snapshot}/{}.so", facts.name);
        sentences.push(line(say!(Line::NotPinned { path, sha1, file })));
        sentences.push(line(say!(Line::SnapDso { word, snapshot })));
        return;
    }
    let file = format!("{}_so.sha1", facts.name);
    let proven = proven(facts, sorted, run);
    sentences.push(line(match facts.dso.pinned {
        true if !proven.is_proven => say!(Line::PinnedNotProven { path }),
        true => say!(Line::Pinned { path, sha1, file }),
        false => say!(Line::NotPinned { path, sha1, file }),
    }));
    sentences.extend(proven_in(sorted, &proven).map(line));
    let not_proven = Tally::of(0, sorted.main.iter().copied()).not_proven;
    if not_proven > 0 {
        let chain = chain(sorted.main.iter().copied());
        sentences.push(line(say!(Line::NotProvenRuns { count: not_proven, chain })));
    }
    let all = sorted.main.len();
    let by_word = |word: Integrity| sorted.main.iter().filter(|r| r.integrity() == word).count();
    if all > 0 && by_word(Integrity::Intact) == all {
        sentences.push(line(say!(Line::IntactInAll { runs: all })));
    } else {
        for word in Integrity::ALL.iter().rev().filter(|word| by_word(**word) > 0) {
            sentences.push(line(say!(Line::IntegrityCount { word, runs: by_word(*word), of: all })));
        }
    }
    if facts.dso.pinned && facts.dso.original_integrity.is_changed() {
        let (path, word) = (&facts.dso.original, facts.dso.original_integrity);
        sentences.push(line(say!(Line::OriginalMoved { path, word })));
    }
}

/// Whether the DSO is proven to be the malloc of the program that the verdict is about, and in which program.
pub(super) struct Proven {
    pub(super) is_proven: bool,
    /// None: of a snap, and of runs of an older version, nobody looked.
    pub(super) program: Option<Program>,
}

/// Of the reported run, else of any run of the main arm.
pub(super) fn proven(facts: &HuntFacts, sorted: &Sorted<'_>, run: Option<&RunFacts>) -> Proven {
    let of_one = |run: &RunFacts| {
        let program = run.judged.as_ref().and_then(|judged| judged.program()).filter(|p| p.is_proven());
        Proven { is_proven: run.has_dso(), program: program.filter(|_| run.has_dso()).cloned() }
    };
    match run {
        Some(run) => of_one(run),
        None if facts.is_snap() => Proven { is_proven: true, program: None },
        None => {
            let counts = |r: &&&RunFacts| matches!(r.outcome, RunOutcome::Ok | RunOutcome::Slow);
            let runs = || sorted.main.iter().filter(counts);
            let best = runs().find(|r| r.is_proven()).or_else(|| sorted.main.first());
            best.map_or(Proven { is_proven: false, program: None }, |run| of_one(run))
        }
    }
}

fn proven_in(sorted: &Sorted<'_>, proven: &Proven) -> Option<Line> {
    let Program { exe, pid, told, .. } = proven.program.as_ref()?;
    let how = match told {
        Told::Proven { same_file: true, same_bytes: true } => Line::SameFileAndBytes {},
        Told::Proven { same_file: true, .. } => Line::SameFile {},
        _ => Line::SameBytes {},
    };
    let seen = sorted.main.iter().filter(|r| r.has_dso()).count();
    Some(say!(Line::ProvenIn { exe, pid, how, seen, of: sorted.main.len() }))
}

/// The folder of the first snapshot; empty: there is none.
fn snapshot(sorted: &Sorted<'_>) -> String {
    let hang = sorted.all.iter().find_map(|r| r.hang.as_ref());
    hang.map_or_else(String::new, |h| h.snapshot.clone())
}

fn hang(sentences: &mut Vec<Sentence>, run: &RunFacts) {
    let Some(hang) = &run.hang else { return };
    let (number, snapshot) = (run.name(), &hang.snapshot);
    let Some(finding) = &hang.finding else {
        sentences.push(line(say!(Line::NoFinding { run: number, snapshot })));
        return;
    };
    let (class, confidence) = (finding.class, finding.confidence);
    sentences.push(line(say!(Line::HangClass { run: number.as_str(), class, confidence, snapshot })));
    let whys = finding.said.iter().cloned();
    sentences.extend(whys.map(|why| Sentence::Why { run: number.clone(), snapshot: snapshot.clone(), why }));
}

/// The other hangs, crashes and failures, and what speaks against the verdict.
fn others(sentences: &mut Vec<Sentence>, sorted: &Sorted<'_>, ruling: &Ruling<'_>) {
    let reported = ruling.run.map(|r| (r.run, r.arm.as_str()));
    let hung = sorted.hung().into_iter().filter(|r| Some((r.run, r.arm.as_str())) != reported);
    let mut classes: BTreeMap<(&str, Class, Confidence), Vec<u32>> = BTreeMap::new();
    let mut silent = vec![];
    for run in hung {
        match run.hang.as_ref().map(|h| (h.finding.as_ref(), &h.snapshot)) {
            Some((Some(f), _)) => classes.entry((&run.arm, f.class, f.confidence)).or_default().push(run.run),
            Some((None, snapshot)) => silent.push(say!(Line::NoFinding { run: run.name(), snapshot })),
            None => {}
        }
    }
    for ((arm, class, confidence), runs) in classes {
        let count = runs.len();
        sentences.push(line(say!(Line::OtherHangs {
            count,
            class,
            confidence,
            runs: Text::of(|lang| of_arm(arm, ranges(&runs).text(lang)))
        })));
    }
    some(sentences, silent);
    let slow = sorted.main.iter().filter(|r| r.outcome == RunOutcome::Slow && r.left_behind == 0);
    let slow: Vec<u32> = slow.map(|r| r.run).collect();
    if !slow.is_empty() {
        sentences.push(line(say!(Line::SlowRuns { count: slow.len(), runs: ranges(&slow) })));
    }
    let cut_off = sorted.main.iter().filter(|r| r.cut_off).count();
    if cut_off > 0 {
        sentences.push(line(say!(Line::CutOff { count: cut_off })));
    }
    let crashed = sorted.main.iter().filter(|r| r.outcome == RunOutcome::Crashed).map(|r| {
        let signal = r.signal.map_or_else(|| "?".to_owned(), signal_name);
        say!(Line::Crashed { run: r.run, signal, word: r.integrity() })
    });
    some(sentences, crashed.collect());
    let failed = sorted.main.iter().filter(|r| r.outcome == RunOutcome::Failed).map(|r| {
        let status = || r.rc.map_or_else(|| "?".said(), |rc| say!(Line::ExitStatus { rc }).said());
        say!(Line::Failed { run: r.run, note: r.note.clone().unwrap_or_else(status) })
    });
    some(sentences, failed.collect());
    let deleted = sorted.all.iter().any(|r| r.deleted_seen);
    if deleted && ruling.verdict == Verdict::AllocatorBug {
        sentences.push(line(Line::DeletedHarmless {}));
    }
}

/// A list of run numbers with the arm in front, as in [`run_name`].
fn of_arm(arm: &str, runs: &str) -> String {
    run_name(arm, 0).strip_suffix('0').map_or_else(String::new, str::to_owned) + runs
}

fn some(sentences: &mut Vec<Sentence>, lines: Vec<Line>) {
    let more = lines.len().saturating_sub(MOST_ALIKE);
    sentences.extend(lines.into_iter().take(MOST_ALIKE).map(Sentence::Line));
    if more > 0 {
        sentences.push(line(say!(Line::MoreSuch { more })));
    }
}

fn arm_rates(sentences: &mut Vec<Sentence>, sorted: &Sorted<'_>) {
    for (arm, runs) in &sorted.arms {
        let rate = Tally::of(0, runs.iter().copied()).rate();
        let (low, high) = (percent(rate.low), percent(rate.high));
        sentences.push(line(say!(Line::ArmRate { arm, hung: rate.hung, of: rate.of, low, high })));
    }
    let (exposed, control) = (sorted.exposed(), sorted.control());
    // The changes that the arms make are tested arm by arm.
    let by_accident = sorted.main.iter().any(|r| r.integrity().is_changed());
    if by_accident && exposed.of > 0 && control.of > 0 {
        sentences.push(line(say!(Line::Fisher {
            exposed: exposed.hung,
            exposed_of: exposed.of,
            control: control.hung,
            control_of: control.of,
            p: format!("{:.2e}", fisher_more(exposed, control)),
        })));
    }
}

/// The comparison of each other arm with the pinned one, and what speaks against the verdict.
fn arm_tests(sentences: &mut Vec<Sentence>, facts: &HuntFacts, sorted: &Sorted<'_>) {
    for result in arms::of(facts, sorted) {
        let (arm, tally) = (result.name.as_str(), result.tally);
        let word = result.facts.as_ref().and_then(|f| f.change);
        let touched = result.changed_runs;
        if word.is_some() && touched < tally.made {
            sentences.push(line(say!(Line::ArmUntouched {
                arm,
                runs: tally.made - touched,
                made: tally.made
            })));
        }
        let Some(Test { arm: counts, control, p, one_sided, alike }) = result.test else { continue };
        let (hung, of, control, control_of) = (counts.hung, counts.of, control.hung, control.of);
        let p = arms::p_text(p);
        let Some(word) = word else {
            sentences.push(line(match one_sided {
                true => say!(Line::ArmChanged { arm, hung, of, control, control_of, p }),
                false => say!(Line::ArmBuild { arm, hung, of, control, control_of, p }),
            }));
            continue;
        };
        sentences.push(line(say!(Line::ArmChanged { arm, hung, of, control, control_of, p })));
        if hung == 0 && tally.crashed > 0 {
            sentences.push(line(say!(Line::ArmKills {
                arm,
                word,
                crashed: tally.crashed,
                made: tally.made
            })));
        } else if hung == 0 {
            sentences.push(line(say!(Line::ArmHarmless { arm, word, of })));
        } else if control > 0 && alike {
            sentences.push(line(say!(Line::ArmAlike { arm, word, hung, of, control, control_of })));
        } else if control > 0 && hung * control_of > control * of {
            sentences.push(line(say!(Line::ArmMore { arm, word, hung, of, control, control_of })));
        }
    }
}

/// The ops/s of the good runs of the main arm, and the numbers of the outliers;
/// none: no good run printed any, or runs went on side by side, whose ops/s are no figures.
pub(super) fn ops(facts: &HuntFacts, sorted: &Sorted<'_>) -> Option<(Spread, Vec<u32>)> {
    if facts.side_by_side.is_some() {
        return None;
    }
    let good: Vec<&&RunFacts> = sorted.main.iter().filter(|r| r.outcome == RunOutcome::Ok).collect();
    let ops: Vec<f64> = good.iter().map(|r| r.ops.unwrap_or(f64::NAN)).collect();
    Some((spread(&ops)?, outliers(&ops).iter().map(|i| good[*i].run).collect()))
}

fn figures(sentences: &mut Vec<Sentence>, facts: &HuntFacts, sorted: &Sorted<'_>) {
    let Some((s, far)) = ops(facts, sorted) else { return };
    let figure = |x: f64| format!("{x:.0}");
    let (median, q1, q3) = (figure(s.median), figure(s.q1), figure(s.q3));
    sentences.push(line(say!(Line::Ops { median, q1, q3, n: s.n })));
    if !far.is_empty() {
        sentences.push(line(say!(Line::FarOutside { runs: ranges(&far) })));
    }
}

/// The numbers of the good runs of the main arm whose ops/s are outliers.
pub(crate) fn unlike_the_others(facts: &HuntFacts) -> Vec<u32> {
    ops(facts, &Sorted::of(facts)).map_or_else(Vec::new, |(_, far)| far)
}

/// It is not known whether a DSO belongs to the allocator. The finding says so.
fn doubts_dso(finding: &Finding) -> bool {
    finding.said_missing.iter().any(|why| matches!(why, Why::DoubtfulDso { .. }))
}

pub(super) fn would_change_it(
    facts: &HuntFacts,
    sorted: &Sorted<'_>,
    runs: &Tally,
    ruling: &Ruling<'_>,
) -> Vec<Sentence> {
    let mut sentences = vec![];
    let finding = ruling.run.and_then(|r| r.hang.as_ref()).and_then(|h| h.finding.as_ref());
    match (ruling.verdict, ruling.because) {
        (Verdict::AllocatorBug, _) => {
            sentences.push(line(Line::OutsideWould {}));
            sentences.push(line(Line::OtherAllocatorWould {}));
        }
        (_, Because::ChangeKills) => sentences.push(Sentence::End(EndLine::PinnedDeathWould {})),
        (Verdict::DsoMixup, _) => sentences.push(line(Line::PinnedHangWould {})),
        (Verdict::HarnessBug, _) if finding.is_some_and(|f| f.in_allocator != Some(false)) => {
            sentences.push(line(Line::OwnCodeWould {}));
        }
        (Verdict::HarnessBug, _) => sentences.push(line(Line::InsideWould {})),
        (_, Because::EitherSide) if finding.is_some_and(doubts_dso) => {}
        (_, Because::EitherSide) => sentences.push(line(Line::NoWayOutWould {})),
        // Every stack is there: no run and no stack would add to it.
        (_, Because::PlaceUnknown | Because::ClassUnknown) if finding.is_some_and(Finding::is_whole) => {
            sentences.push(line(Line::OtherAllocatorWould {}));
        }
        (_, Because::NotIntact) => {
            sentences.push(line(Line::PinnedHangWould {}));
            if let Some(more) = control_needed(facts, sorted) {
                sentences.push(line(say!(Line::ControlWould { runs: more })));
            }
        }
        (Verdict::Environment, _) => sentences.push(line(Line::MemoryWould {})),
        (_, Because::PlaceUnknown | Because::ClassUnknown | Because::NothingFromInside) => {
            sentences.push(line(Line::StacksWould {}));
        }
        (_, Because::NotProven) => sentences.push(line(Line::HelloWould {})),
        (_, Because::IntegrityUnknown) => sentences.push(line(Line::PinnedHangWould {})),
        (_, Because::CrashesNotIntact) => sentences.push(line(Line::NoCopyWould {})),
        (_, Because::Crashes) => sentences.push(match ends::in_allocator(sorted) {
            Some(_) => Sentence::End(EndLine::OtherAllocatorWould {}),
            None => line(Line::CoreWould {}),
        }),
        (_, Because::AllFailed) => sentences.push(line(Line::StartWould {})),
        (_, Because::AllCutOff) => sentences.push(match ends::left_daemons(&sorted.main) {
            Some(_) => Sentence::End(EndLine::ForegroundWould {}),
            None => line(Line::LongerWould {}),
        }),
        _ => {
            if runs.slow > 0 {
                sentences.push(line(Line::LongerWould {}));
            }
            let decided = || decision::of(facts).is_some_and(|decision| decision.answer.is_some());
            if !decided() {
                more_runs(&mut sentences, runs);
            }
        }
    }
    if let Some(decision) = decision::of(facts) {
        sentences.extend(decided::missing(&decision).into_iter().map(Sentence::Line));
    }
    if facts.stir.is_some() && runs.made > 0 {
        sentences.push(line(Line::UnstirredWould {}));
    }
    let missing = finding.map_or(&[][..], |f| &f.said_missing);
    sentences.extend(missing.iter().cloned().map(Sentence::Missing));
    let longer = line(Line::LongerWould {});
    if finding.is_some_and(|f| f.class == Class::Slow) && !sentences.contains(&longer) {
        sentences.push(longer);
    }
    sentences.extend(shards::would_change_it(facts));
    sentences
}

/// Adds how many more runs bring the upper bound below the next two round figures.
fn more_runs(sentences: &mut Vec<Sentence>, runs: &Tally) {
    let reached = runs.rate().high;
    let round = [0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];
    let below = round.iter().copied().filter(|r| *r < reached * 0.8).take(2);
    for rate in below {
        if let Some(needed) = runs_to_exclude(rate, CONFIDENCE) {
            let more = needed.saturating_sub(runs.could_hang());
            sentences.push(line(say!(Line::MoreRunsWould { more, runs: needed, percent: percent(rate) })));
        }
    }
}

/// The number of further runs of the pinned arm that would make the difference significant, if none of them
/// hangs. None for a hunt with a sequential test, which counts rounds.
fn control_needed(facts: &HuntFacts, sorted: &Sorted<'_>) -> Option<u32> {
    let control = sorted.control();
    let sequential = facts.until.is_some() && !facts.arms.is_empty();
    if control.hung > 0 || sequential {
        return None;
    }
    let now = if facts.dso.pinned { control.of } else { 0 };
    let p = |of: u32| {
        let control = crate::analysis::stats::Counts { hung: 0, of };
        arms::p_of_change(sorted, control, |runs| exposed(runs.iter()))
    };
    let needed = (now..now + 2000).find(|of| p(*of) < 1.0 - CONFIDENCE)?;
    Some(needed - now).filter(|more| *more > 0)
}

fn line(line: Line) -> Sentence {
    Sentence::Line(line)
}
