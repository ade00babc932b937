//! Runs that died or failed: how many, by what, where; of all arms.

use super::arms::p_of_change;
use super::tally::Sorted;
use crate::analysis::crash::signal_name;
use crate::analysis::facts::{HuntFacts, RunFacts, RunOutcome, STATS};
use crate::analysis::stats::{CONFIDENCE, Counts, fisher_more};
use crate::analysis::words::Integrity;
use crate::text::message::{Lang, Say as _, Text, messages, say};

messages! {
    /// How runs ended.
    pub(crate) EndLine {
        DiedBy { signal } => "died by {signal}", "{signal} で異常終了";
        DiedIn { signal, place } => "died by {signal} in {place}", "{place} で {signal} により異常終了";
        DiedMostlyIn { signal, place } => "died by {signal}, most often in {place}",
            "{signal} で異常終了 (最も多い場所は {place})";
        FailedWith { rc } => "failed with exit status {rc}", "終了ステータス {rc} で失敗";
        NotStarted {} => "could not be started", "起動できず";
        SoMany { count, how } => "{count} {how}", "{count} 回は {how}";
        TheOnly { how } => "the only run {how}", "1 回だけの実行が {how}";
        AllOf { made: "run", how } => "all {made} {how}", "{made} 回すべてが {how}";
        NoneOf { made: "run", list } => "none of {made} ended well: {list}",
            "{made} 回のうち正常に終わった実行はない: {list}";
        SomeOf { made: "run", list } => "inconclusive: no run hung, but of {made} {list}",
            "判定できず: ハングはないが、{made} 回のうち {list}";
        Others { list } => "; {list}", "。ほかに、{list}";
        LastWords { words } => ", last line on stderr: \"{words}\"", "。stderr の最後の行: 「{words}」";
        LeftDaemon {} => "left a daemon at work", "デーモンを残して終了";
        AllDaemons { left, made: "run" } => "inconclusive: {left} of {made} ended and left a daemon at work, which hangscope stopped",
            "判定できず: {made} 回中 {left} 回はデーモンを残して終わり、hangscope が停止させた";
        // Of arms.
        OneArm { arm, ends } => "{arm} {ends}", "{arm} は {ends}";
        ArmHung { hung, of } => "{hung}/{of} hung", "{of} 回中 {hung} 回ハング";
        ArmDied { bad, of, how } => "{bad}/{of} {how}", "{of} 回中 {bad} 回が {how}";
        ArmWell { of } => "0/{of}", "{of} 回中 0 回";
        ADied { arms } => "A, wrong DSO: {arms}", "A: 実行中に DSO が変わると異常終了する。{arms}";
        // Evidence, and what would change it.
        LastLine { run, words, file } => "last line of run {run} on stderr: \"{words}\" ({file})",
            "実行 {run} の stderr の最後の行: 「{words}」 ({file})";
        CrashAt { run, tid, how, file } => "run {run}: tid {tid} {how} ({file})", "実行 {run}: tid {tid} が {how} ({file})";
        ArmDies { arm, bad, of, control, control_of, p } => "arm {arm}, runs whose DSO was not intact: {bad} of {of} died or failed, \
            of the pinned arm {control} of {control_of}: Fisher's exact test, one-sided, p = {p} (runs.jsonl)",
            "アーム {arm} (DSO が変わった実行): {of} 回中 {bad} 回が異常終了または失敗、pinned は {control_of} 回中 {control} 回: Fisher の\
            正確検定 (片側) p = {p} (runs.jsonl)";
        LeftADaemon { count: "run", runs } => "{count} ended while processes of its own ran on (a daemon); hangscope stopped them: run \
            {runs} (runs.jsonl)",
            "プロセス (デーモン) を残して終わった実行が {count} 件。残ったプロセスは hangscope が停止させた: 実行 {runs} (runs.jsonl)";
        PinnedDeathWould {} => "a run of the pinned arm that dies as well would point at the code",
            "pinned の実行も異常終了するなら、コードの問題が疑われる";
        ForegroundWould {} => "a command that stays in the foreground would be watched to its end",
            "フォアグラウンドで動くコマンドなら、最後まで観測できる";
        OtherAllocatorWould {} => "a crash of the same command under another allocator would point at the benchmark",
            "同じコマンドが別のアロケータでも異常終了すれば、ベンチマークが疑われる";
    }
}

/// How a run came to a bad end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BadEnd {
    Signal(i32),
    Exit(i32),
    NotStarted,
}

impl BadEnd {
    /// None for a run that hung, was slow or ended well.
    fn of(run: &RunFacts) -> Option<BadEnd> {
        match (run.outcome, run.signal, run.rc) {
            (RunOutcome::Crashed, Some(signal), _) => Some(BadEnd::Signal(signal)),
            (RunOutcome::Crashed | RunOutcome::Failed, _, Some(rc)) => Some(BadEnd::Exit(rc)),
            (RunOutcome::Crashed | RunOutcome::Failed, _, None) => Some(BadEnd::NotStarted),
            _ => None,
        }
    }
}

/// Runs with the same bad end.
struct Group<'a> {
    end: BadEnd,
    runs: Vec<&'a RunFacts>,
}

/// The most frequent end first.
fn groups<'a>(runs: &[&'a RunFacts]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = vec![];
    for (run, end) in runs.iter().filter_map(|run| Some((*run, BadEnd::of(run)?))) {
        match groups.iter_mut().find(|group| group.end == end) {
            Some(group) => group.runs.push(run),
            None => groups.push(Group { end, runs: vec![run] }),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.runs.len()));
    groups
}

impl Group<'_> {
    /// `died by SIGSEGV in `foo` (foo.c:85)`.
    fn how(&self) -> Text {
        match self.end {
            BadEnd::Signal(signal) => died(signal, &self.runs),
            BadEnd::Exit(rc) => say!(EndLine::FailedWith { rc }).said(),
            BadEnd::NotStarted => EndLine::NotStarted {}.said(),
        }
    }
}

fn died(signal: i32, runs: &[&RunFacts]) -> Text {
    let mut places: Vec<(u32, String)> = vec![];
    for place in runs.iter().filter_map(|run| place(run)) {
        match places.iter_mut().find(|(_, known)| *known == place) {
            Some((count, _)) => *count += 1,
            None => places.push((1, place)),
        }
    }
    let signal = signal_name(signal);
    let most = places.iter().max_by_key(|(count, _)| *count);
    match (most, places.len()) {
        (Some((_, place)), 1) => say!(EndLine::DiedIn { signal, place }).said(),
        (Some((_, place)), _) => say!(EndLine::DiedMostlyIn { signal, place }).said(),
        (None, _) => say!(EndLine::DiedBy { signal }).said(),
    }
}

/// ```` `hz4_mid_malloc` (hz4_mid.c:85) ````.
fn place(run: &RunFacts) -> Option<String> {
    let crash = run.crash.as_ref()?;
    let source = crash.source.as_ref().map_or_else(String::new, |source| format!(" ({source})"));
    crash.function.as_ref().map(|function| format!("`{function}`{source}"))
}

fn so_many(group: &Group<'_>) -> Text {
    say!(EndLine::SoMany { count: group.runs.len(), how: group.how() }).said()
}

fn joined(groups: &[Group<'_>]) -> Text {
    listed(&groups.iter().map(so_many).collect::<Vec<_>>())
}

fn listed(all: &[Text]) -> Text {
    Text::of(|lang| {
        let comma = if lang == Lang::Ja { "、" } else { ", " };
        all.iter().map(|text| text.text(lang)).collect::<Vec<_>>().join(comma)
    })
}

/// The lead of a headline about runs that died or failed: of all arms if none of them had a good end.
pub(super) fn lead(sorted: &Sorted<'_>) -> Text {
    let runs = if none_ended_well(&sorted.all) { &sorted.all } else { &sorted.main };
    let (groups, made) = (groups(runs), runs.len());
    let bad: usize = groups.iter().map(|group| group.runs.len()).sum();
    let lead = match &groups[..] {
        [one] if bad == made && made == 1 => say!(EndLine::TheOnly { how: one.how() }).said(),
        [one] if bad == made => say!(EndLine::AllOf { made, how: one.how() }).said(),
        groups if bad == made => say!(EndLine::NoneOf { made, list: joined(groups) }).said(),
        groups => say!(EndLine::SomeOf { made, list: joined(groups) }).said(),
    };
    let words = groups.first().and_then(|group| group.runs.iter().find_map(|run| run.last_words.as_ref()));
    let words = words.map(|words| say!(EndLine::LastWords { words }).said()).unwrap_or_default();
    Text::of(|lang| format!("{}{}", lead.text(lang), words.text(lang)))
}

/// `; 5 died by SIGSEGV`, for a headline that is about other runs; empty if all of them ended well.
pub(super) fn others(runs: &[&RunFacts]) -> Text {
    let mut ends: Vec<Text> = groups(runs).iter().map(so_many).collect();
    let daemons = daemons(runs);
    if daemons > 0 {
        ends.push(say!(EndLine::SoMany { count: daemons, how: EndLine::LeftDaemon {} }).said());
    }
    if ends.is_empty() { Text::default() } else { say!(EndLine::Others { list: listed(&ends) }).said() }
}

/// Runs that left a daemon at work.
fn daemons(runs: &[&RunFacts]) -> usize {
    runs.iter().filter(|run| run.left_behind > 0).count()
}

/// The lead where no run counts, and runs left daemons; none if no run did.
pub(super) fn left_daemons(runs: &[&RunFacts]) -> Option<Text> {
    let left = daemons(runs);
    (left > 0).then(|| say!(EndLine::AllDaemons { left, made: runs.len() }).said())
}

/// Whether there are runs, and all of them died or failed.
pub(super) fn none_ended_well(runs: &[&RunFacts]) -> bool {
    !runs.is_empty() && runs.iter().all(|run| BadEnd::of(run).is_some())
}

/// ` (deleted 2/2 hung, overwritten 6/6 died by SIGBUS)`: the arms but for those named in `told`.
pub(super) fn in_arms(facts: &HuntFacts, sorted: &Sorted<'_>, told: &[&str]) -> Text {
    let arms = facts.arms.iter().map(|arm| arm.name.as_str()).filter(|name| !told.contains(name));
    let arms: Vec<Text> =
        arms.filter_map(|name| one_arm(name, sorted.all.iter().filter(|r| r.arm == name))).collect();
    if arms.is_empty() {
        return Text::default();
    }
    let arms = listed(&arms);
    Text::of(|lang| format!(" ({})", arms.text(lang)))
}

/// `overwritten 6/6 died by SIGBUS`; none without runs.
fn one_arm<'a, 'b: 'a>(name: &str, runs: impl Iterator<Item = &'a &'b RunFacts>) -> Option<Text> {
    let runs: Vec<&RunFacts> = runs.copied().collect();
    let of = runs.len();
    let hung = runs.iter().filter(|run| run.outcome == RunOutcome::Hung).count();
    let groups = groups(&runs);
    let mut ends = vec![];
    if hung > 0 {
        ends.push(say!(EndLine::ArmHung { hung, of }).said());
    }
    let dead =
        |group: &Group<'_>| say!(EndLine::ArmDied { bad: group.runs.len(), of, how: group.how() }).said();
    ends.extend(groups.iter().map(dead));
    if ends.is_empty() {
        ends.push(say!(EndLine::ArmWell { of }).said());
    }
    (of > 0).then(|| say!(EndLine::OneArm { arm: name, ends: listed(&ends) }).said())
}

/// The lead of A where the change of the DSO does not make runs hang but die.
pub(super) fn a_died(facts: &HuntFacts, sorted: &Sorted<'_>) -> Text {
    let changed = |name: &str| facts.arm(name).is_some_and(|arm| arm.change.is_some());
    let (exposed, others): (Vec<_>, Vec<_>) = facts.arms.iter().partition(|arm| changed(&arm.name));
    let touched = exposed.iter().map(|arm| {
        one_arm(&arm.name, sorted.all.iter().filter(|r| r.arm == arm.name && r.integrity().is_changed()))
    });
    let others = others.iter().map(|arm| one_arm(&arm.name, sorted.all.iter().filter(|r| r.arm == arm.name)));
    let arms: Vec<Text> = touched.chain(others).flatten().collect();
    say!(EndLine::ADied { arms: listed(&arms) }).said()
}

/// Runs that died or failed, of those that came to an end.
fn bad_of(runs: &[&RunFacts]) -> Counts {
    let ended = || runs.iter().filter(|run| !run.cut_off);
    let bad = ended().filter(|run| BadEnd::of(run).is_some()).count() as u32;
    Counts { hung: bad, of: ended().count() as u32 }
}

/// Runs of the main arm with an intact DSO: how many died or failed.
fn control(sorted: &Sorted<'_>) -> Counts {
    let intact = sorted.main.iter().copied().filter(|run| run.integrity() == Integrity::Intact);
    bad_of(&intact.collect::<Vec<_>>())
}

/// Whether a change of the DSO makes runs die: those of the pinned arm end well, and Fisher's exact test tells
/// the two apart. Nobody stops a hunt because of a death, so the number of runs does not depend on it.
pub(super) fn change_kills(facts: &HuntFacts, sorted: &Sorted<'_>) -> bool {
    let control = control(sorted);
    let asked = facts.arms.iter().any(|arm| arm.change.is_some());
    asked
        && facts.dso.pinned
        && (control.hung, control.of > 0) == (0, true)
        && p_of_change(sorted, control, bad_of) < 1.0 - CONFIDENCE
}

/// The evidence about runs that died or failed.
pub(super) fn evidence(facts: &HuntFacts, sorted: &Sorted<'_>) -> Vec<EndLine> {
    let mut lines = vec![];
    for arm in facts.arms.iter().filter(|arm| arm.change.is_some()) {
        let changed = sorted.all.iter().copied();
        let changed = changed.filter(|r| r.arm == arm.name && r.integrity().is_changed());
        let (exposed, control) = (bad_of(&changed.collect::<Vec<_>>()), control(sorted));
        if exposed.hung > 0 && control.of > 0 {
            lines.push(say!(EndLine::ArmDies {
                arm: &arm.name,
                bad: exposed.hung,
                of: exposed.of,
                control: control.hung,
                control_of: control.of,
                p: super::arms::p_text(fisher_more(exposed, control))
            }));
        }
    }
    let crash = |run: &&RunFacts| {
        let (name, crash) = (run.name(), run.crash.as_ref()?);
        let how = died(crash.signal, &[run]);
        Some(say!(EndLine::CrashAt { run: name, tid: crash.tid, how, file: &crash.file }))
    };
    lines.extend(sorted.all.iter().find_map(crash));
    let words = |run: &&RunFacts| {
        let (name, words) = (run.name(), run.last_words.as_ref()?);
        let file = match name.rsplit_once('/') {
            Some((STATS, number)) => format!("stats_run_{number}.err"),
            Some((arm, number)) => format!("arms/{arm}/run_{number}.err"),
            None => format!("run_{name}.err"),
        };
        Some(say!(EndLine::LastLine { run: name, words, file }))
    };
    lines.extend(sorted.all.iter().find_map(words));
    let left: Vec<String> = sorted.all.iter().filter(|r| r.left_behind > 0).map(|r| r.name()).collect();
    if !left.is_empty() {
        lines.push(say!(EndLine::LeftADaemon { count: left.len(), runs: left.join(", ") }));
    }
    lines
}

/// Whether the crashes are the allocator's, as far as their stacks show; none without a stack.
pub(super) fn in_allocator(sorted: &Sorted<'_>) -> Option<bool> {
    let crashes: Vec<bool> = sorted.main.iter().filter_map(|run| run.crash.as_ref()?.in_allocator).collect();
    (!crashes.is_empty()).then(|| crashes.iter().any(|inside| *inside))
}

#[cfg(test)]
mod tests;
