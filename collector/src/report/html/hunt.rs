//! The page of a hunt: OUT of `hunt` and of `snap`, and the pages of its hangs.

use std::path::Path;

use maud::{Markup, html};

use super::bundle::{self, Around};
use super::doc::Doc;
use super::files::Files;
use super::job_words::Job;
use super::piece::{FILE, Table, code, in_code, name, of_both, page_in as link, said};
use super::strip::{Kind, Lane, Mark, strip};
use super::words::Html;
use super::{counters, drawing, plot};
use crate::analysis::stirred::by_strategy;
use crate::analysis::verdict::{arms, hang_sentence, percent};
use crate::analysis::{Conclusion, HuntFacts, RunFacts, RunOutcome};
use crate::console::out;
use crate::evidence::threads_file::ThreadsFile;
use crate::files::atomic::WriteError;
use crate::files::free;
use crate::report::extra::Extra;
use crate::report::{graph, shards};
use crate::text::merge::MergeLine;
use crate::text::message::{Lang, Say as _, Text, say};

/// Most rows of a table of runs: all are in `runs.jsonl`.
const MOST_ROWS: usize = 200;

/// Writes the page of OUT, and the pages of its hangs again: a hunt knows more of them than they did.
///
/// # Errors
/// [`WriteError`] of the first that could not be written; the others are tried all the same.
pub(crate) fn write(
    out: &Path,
    facts: &HuntFacts,
    conclusion: &Conclusion,
    extra: &Extra,
    snapshots: &[(String, ThreadsFile)],
) -> Result<(), WriteError> {
    let files = Files::of_out(out, snapshots.iter().map(|(name, _)| &**name));
    let name = out.file_name().and_then(|name| name.to_str()).unwrap_or(".");
    let page = page(&Input { facts, conclusion, extra, snapshots, files, name, lang: out::lang() });
    let mut written = vec![free::write_page(&out.join(FILE), &page)];
    for run in &facts.runs {
        let of = run.hang.as_ref().and_then(|hang| snapshots.iter().find(|(name, _)| *name == hang.snapshot));
        if let Some((name, file)) = of {
            let around = Around { facts, conclusion, extra, run, up: bundle::ABOVE };
            written.push(bundle::write_with(&out.join(name), file, Some(around)));
        }
    }
    written.into_iter().collect()
}

pub(super) struct Input<'a> {
    pub(super) facts: &'a HuntFacts,
    pub(super) conclusion: &'a Conclusion,
    pub(super) extra: &'a Extra,
    pub(super) snapshots: &'a [(String, ThreadsFile)],
    pub(super) files: Files,
    /// Name of OUT.
    pub(super) name: &'a str,
    pub(super) lang: Lang,
}

/// The HTML of the page. Reads no file.
pub(super) fn page(input: &Input<'_>) -> String {
    let Input { facts, conclusion, extra, snapshots, files, .. } = input;
    let about = html! { (name(input.name)) " · " (said(&say!(Job::AboutHunt { runs: facts.runs.len() }))) };
    let title = format!("{}: {}", input.name, facts.name);
    let mut doc = Doc::new(input.lang, &title, about, head(facts, conclusion, snapshots));
    doc.section("evidence", Html::Evidence {}, bundle::sentences(files, |lang| conclusion.evidence(lang)));
    doc.section("hangs", Html::Hangs {}, Some(hangs(facts, snapshots)));
    if !facts.is_snap() {
        doc.section("runs", Html::Runs {}, Some(runs(facts, conclusion)));
    }
    doc.section("waits", Html::WaitGraph {}, reported(facts, conclusion, snapshots));
    doc.section("counters", Html::Counters {}, counters::section(&extra.lanes));
    let change = bundle::sentences(files, |lang| conclusion.would_change_it(lang));
    doc.section("change", Html::WouldChange {}, change);
    doc.section("settings", Html::Settings {}, Some(settings(facts, extra)));
    doc.section("files", Html::Files {}, bundle::list(files));
    doc.finish()
}

fn head(facts: &HuntFacts, conclusion: &Conclusion, snapshots: &[(String, ThreadsFile)]) -> Markup {
    let about = about(facts, conclusion, snapshots);
    html! {
        p.badges { (bundle::verdict_badge(conclusion.verdict)) " " span.badge { (name(&facts.name)) } }
        h1 { (of_both(&Text::of(|lang| conclusion.headline(lang)), in_code)) }
        @if let Some((_, file)) = about { (super::piece::facts(&bundle::key_facts(file))) }
        (bundle::short(facts, conclusion))
    }
}

/// The hang that the headline is about.
fn about<'a>(
    facts: &HuntFacts,
    conclusion: &Conclusion,
    snapshots: &'a [(String, ThreadsFile)],
) -> Option<&'a (String, ThreadsFile)> {
    let run = facts.runs.iter().find(|run| conclusion.is_about(run))?;
    let snapshot = &run.hang.as_ref()?.snapshot;
    snapshots.iter().find(|(name, _)| name == snapshot)
}

/// The graph of the hang that the headline is about.
fn reported(
    facts: &HuntFacts,
    conclusion: &Conclusion,
    snapshots: &[(String, ThreadsFile)],
) -> Option<Markup> {
    let (folder, file) = about(facts, conclusion, snapshots)?;
    let drawn = drawing::section(&graph::Graph::of(file))?;
    Some(html! { p { a href=(link(folder)) { (name(folder)) } } (drawn) })
}

fn hangs(facts: &HuntFacts, snapshots: &[(String, ThreadsFile)]) -> Markup {
    let head = [Job::ColRun {}, Job::ColClass {}, Job::ColWhat {}, Job::ColPage {}];
    let mut table = Table::of("hang-table", &Job::HangTable {}, &head);
    let seen =
        |run: &&RunFacts| matches!(run.outcome, RunOutcome::Hung | RunOutcome::Slow) && run.hang.is_some();
    for run in facts.runs.iter().filter(seen).take(MOST_ROWS) {
        let Some(hang) = &run.hang else { continue };
        let there = snapshots.iter().any(|(name, _)| *name == hang.snapshot);
        let class = hang.finding.as_ref().map_or("unknown", |finding| finding.class.as_str());
        table.row([
            name(&run.name()),
            html! { span.badge.alarm { (class) } },
            of_both(&Text::of(|lang| hang_sentence(run, lang)), in_code),
            if there {
                html! { a href=(link(&hang.snapshot)) { (name(&hang.snapshot)) } }
            } else {
                name(&hang.snapshot)
            },
        ]);
    }
    html! { @if table.is_empty() { p { (said(&Job::NoHangs {})) } } @else { (table) } }
}

/// When each run began: as it is known, else one after the other.
fn lanes(facts: &HuntFacts) -> Vec<Lane> {
    let mut lanes: Vec<Lane> = vec![];
    let mut clock = 0.0;
    for run in &facts.runs {
        let at = run.started.unwrap_or(clock);
        clock = at + run.seconds;
        let kind = Kind::of(run.outcome);
        let word = kind.word().en();
        let ops = run.ops.map(|ops| format!(", {} ops/s", super::piece::grouped(ops))).unwrap_or_default();
        let mark = Mark {
            at,
            seconds: run.seconds,
            kind,
            label: format!("{}: {word}, {:.2} s{ops}", run.name(), run.seconds),
            link: run.hang.as_ref().map(|hang| link(&hang.snapshot)),
        };
        match lanes.iter_mut().find(|lane| lane.name == run.arm) {
            Some(lane) => lane.marks.push(mark),
            None => lanes.push(Lane { name: run.arm.clone(), marks: vec![mark] }),
        }
    }
    lanes
}

fn runs(facts: &HuntFacts, conclusion: &Conclusion) -> Markup {
    let figures: Vec<(String, f64)> =
        facts.runs.iter().filter_map(|run| Some((run.name(), run.ops?))).collect();
    html! {
        p.lead { (said(&Job::RunsLead {})) }
        (strip(&lanes(facts)))
        @match &conclusion.ops {
            Some((spread, _)) if facts.side_by_side.is_none() => {
                h3 { (said(&Job::OpsTitle {})) }
                p { (said(&say!(Job::OpsLead { count: figures.len(), median: super::piece::grouped(spread.median) }))) }
                (plot::along(&figures, spread))
            }
            _ if facts.side_by_side.is_some() => p.note { (said(&Job::NoFigures {})) },
            _ => {}
        }
        (arm_table(facts))
        (strategies(facts))
        (shard_tables(facts))
        (others(facts))
    }
}

fn arm_table(facts: &HuntFacts) -> Table {
    let head = [
        Job::ColArm {},
        Job::ColMade {},
        Job::KindOk {},
        Job::KindHung {},
        Job::KindSlow {},
        Job::KindCrashed {},
        Job::KindFailed {},
        Job::ColRate {},
    ];
    let mut table = Table::of("arms", &Job::ArmTable {}, &head);
    for arm in arms::arms(facts) {
        let (tally, rate) = (&arm.tally, arm.tally.rate());
        table.row([
            name(&arm.name),
            html! { (tally.made) },
            html! { (tally.ok) },
            html! { @if tally.hung > 0 { strong.alarm { (tally.hung) } } @else { "0" } },
            html! { (tally.slow) },
            html! { (tally.crashed) },
            html! { (tally.failed) },
            html! { (rate.hung) "/" (rate.of) " (" (percent(rate.low)) " – " (percent(rate.high)) " %)" },
        ]);
    }
    table
}

fn strategies(facts: &HuntFacts) -> Markup {
    let head =
        [Html::Stirred {}.said(), Job::ColMade {}.said(), Job::KindHung {}.said(), Job::ColSeconds {}.said()];
    let mut table = Table::of("strategies", &Job::StirTable {}, &head);
    for rates in by_strategy(facts) {
        table.row([
            code(&rates.strategy.to_string()),
            html! { (rates.runs.made) },
            html! { (rates.runs.hung) },
            html! { (format!("{:.1}", rates.seconds)) },
        ]);
    }
    html! { @if !table.is_empty() { (table) } }
}

/// The shards that were joined, and their machines.
fn shard_tables(facts: &HuntFacts) -> Markup {
    let Some(joined) = &facts.shards else { return html! {} };
    let mut table = Table::of("shards", &MergeLine::ShardTable {}, &shards::SHARD_HEAD);
    shards::shard_rows(joined).iter().for_each(|row| table.row(row.iter().map(said)));
    let mut nodes = Table::of("machines", &MergeLine::NodeTable {}, &shards::NODE_HEAD);
    shards::node_rows(facts).iter().for_each(|row| nodes.row(row.iter().map(said)));
    html! { (table) (nodes) }
}

fn others(facts: &HuntFacts) -> Markup {
    let head = [Job::ColRun {}, Job::ColEnd {}, Job::ColSeconds {}, Job::ColNote {}];
    let mut table = Table::of("other-runs", &Job::NotOkTable {}, &head);
    let other = |run: &&RunFacts| !matches!(run.outcome, RunOutcome::Ok | RunOutcome::Hung);
    for run in facts.runs.iter().filter(other).take(MOST_ROWS) {
        let rc = run.rc.map(|rc| format!(", rc {rc}")).unwrap_or_default();
        table.row([
            name(&run.name()),
            html! { (said(&Kind::of(run.outcome).word())) (rc) },
            html! { (format!("{:.2}", run.seconds)) },
            html! { @if let Some(note) = &run.note { (said(note)) } @if let Some(words) = &run.last_words { " " (code(words)) } },
        ]);
    }
    html! { @if !table.is_empty() { details { summary { (said(&Job::NotOk {})) } (table) } } }
}

fn settings(facts: &HuntFacts, extra: &Extra) -> Markup {
    let seconds = |seconds: f64| said(&say!(Html::Seconds { seconds: format!("{seconds:.1}") }));
    let mut pairs = vec![
        (Html::Command {}, code(&facts.command.join(" "))),
        (Html::Path {}, code(&facts.dso.path)),
        (Html::Sha1 {}, code(&facts.dso.sha1)),
        (
            Html::Integrity {},
            html! { (code(&facts.dso.original)) ": " strong { (said(&facts.dso.original_integrity.said())) } },
        ),
    ];
    pairs.extend(facts.dso.build_id.as_deref().map(|id| (Html::BuildId {}, code(id))));
    if facts.hang_after_s > 0.0 {
        pairs.push((Html::Deadline {}, seconds(facts.hang_after_s)));
    }
    pairs.extend(
        facts
            .stir
            .as_ref()
            .map(|stir| (Html::Stirred {}, html! { (code(&stir.choice.to_string())) " seed " (stir.seed) })),
    );
    pairs.extend(facts.side_by_side.as_ref().map(|side| (Html::Cpus {}, code(&side.cpus.join("; ")))));
    let notes: Vec<&Text> = extra.notes.iter().collect();
    html! {
        (super::piece::facts(&pairs))
        @if !notes.is_empty() || extra.preload.is_some() {
            h3 { (said(&Html::Notes {})) }
            ul {
                @if let Some(preload) = &extra.preload { li { (name(preload)) } }
                @for note in notes { li { (said(note)) } }
            }
        }
    }
}
