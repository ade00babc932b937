//! The page of a night: the sessions of a collector, or the runs of a matrix or a hunt.

use maud::{Markup, html};

use super::doc::Doc;
use super::job_words::Job;
use super::piece::{Table, clipped, code, in_code, name, of_both, page_in, said};
use super::strip::{Kind, Lane, Mark, duration, strip};
use super::words::Html;
use crate::report::night::lines;
use crate::report::night::model::{Bug, Night, Outcome, Run, Source};
use crate::text::message::{Lang, Text, say};
use crate::text::night::NightLine;

/// Most rows by allocator. Rows with a hang or a crash are all there.
const MOST_CELLS: usize = 200;
/// Most sessions in the table of all sessions.
const MOST_ROWS: usize = 500;
/// Most lanes of the strip.
const MOST_LANES: usize = 12;
/// Most hangs of one bug that have their sentence. The others have their links.
const MOST_SENTENCES: usize = 40;
/// Most lines of a list of remarks.
const MOST_LINES: usize = 200;

/// The HTML of the page. Reads no file.
pub(crate) fn page(night: &Night, lang: Lang) -> String {
    let head = html! {
        p.badges { (badge(night)) }
        h1 { (said(&lines::headline(night))) }
    };
    let about = html! { (name(&night.found.name)) " · " (said(&about(night))) };
    let mut doc = Doc::new(lang, &night.found.name, about, head);
    overview(&mut doc, night);
    let remarks = remarks(night);
    doc.section("remarks", Html::Remarks {}, remark_lists(&remarks.iter().collect::<Vec<_>>()));
    timeline(&mut doc, night);
    if night.found.source == Source::Sessions {
        doc.section("sessions", Html::Sessions {}, Some(sessions(night)));
    }
    doc.finish()
}

fn about(night: &Night) -> Job {
    match night.found.source {
        Source::Sessions => Job::AboutNight {},
        Source::Matrix => Job::AboutMatrix {},
        Source::Hunt => say!(Job::AboutHunt { runs: night.found.runs.len() }),
    }
}

/// How many runs hung, at the top of the page.
pub(super) fn badge(night: &Night) -> Markup {
    let hung = night.bugs.iter().map(|bug| bug.hangs.len()).sum::<usize>();
    html! {
        @if night.runs().next().is_none() { } @else if hung == 0 { span.badge.good { (said(&Html::NotHung {})) } } @else { span.badge.alarm { (said(&Job::KindHung {})) " " (hung) } }
    }
}

/// The table by allocator, and the hangs.
pub(super) fn overview(doc: &mut Doc, night: &Night) {
    doc.section("overview", Html::ByAllocator {}, (!night.rows.is_empty()).then(|| by_allocator(night)));
    doc.section("hangs", Html::Hangs {}, (!night.bugs.is_empty()).then(|| bugs(night)));
}

fn by_allocator(night: &Night) -> Markup {
    let heads = lines::heads(night.found.source);
    let mut table = Table::of("by-allocator", &NightLine::Table {}, &heads).quiet();
    let (rows, more) = lines::first_rows(night, MOST_CELLS);
    for row in rows.iter().chain(&night.totals) {
        let class = if row.hung > 0 { "changed" } else { "" };
        table.row_of(class, lines::cells(row).iter().map(said));
    }
    html! {
        (table)
        @if more > 0 { p.note { (said(&say!(NightLine::MoreRows { more }))) } }
        @for note in lines::notes(night) { p.note { (said(&note)) } }
    }
}

fn bugs(night: &Night) -> Markup {
    let mut table = Table::of("bugs", &NightLine::BugTable {}, &lines::BUG_HEADS);
    for bug in &night.bugs {
        let (labels, allocators) = (lines::names(&bug.groups), lines::names(&bug.allocators));
        table.row([
            html! { strong.alarm { (bug.hangs.len()) } },
            html! {
                (said(&lines::signature(bug)))
                @if let Some(id) = bug.id() { br; code.dim { (id) } }
                @if bug.is_bare() { br; (said(&NightLine::Bare {})) }
            },
            of_both(&bug.sentence, in_code),
            said(&say!(NightLine::Where { labels, allocators })),
            said(&lines::builds(&bug.builds)),
            said(&lines::between(bug)),
        ]);
    }
    html! { (table) @for bug in &night.bugs { (hangs(night, bug)) } }
}

/// The hangs of a bug, folded.
fn hangs(night: &Night, bug: &Bug) -> Markup {
    html! {
        details {
            summary { (said(&say!(NightLine::Times { times: bug.hangs.len() }))) (said(&lines::signature(bug))) }
            ul {
                @for (n, run) in night.hangs(bug).enumerate() {
                    li {
                        strong { (said(&run.name)) } " "
                        span.dim { (run.group) " " @if let Some(allocator) = &run.allocator { (allocator) } @if let Some(at) = run.at { " " (lines::stamp(at)) } }
                        " " (evidence(run))
                        @if let (true, Some(hang)) = (n < MOST_SENTENCES, &run.hang) { br; (of_both(&hang.sentence, in_code)) }
                    }
                }
            }
        }
    }
}

fn evidence(run: &Run) -> Markup {
    html! {
        @if run.evidence.is_empty() { (said(&NightLine::NoBundle {})) }
        @for evidence in &run.evidence {
            @if evidence.page { a href=(page_in(&evidence.folder)) { (name(&evidence.folder)) } } @else { (code(&evidence.folder)) }
            " "
        }
    }
}

/// Headings and lines of what is neither good nor a hang.
pub(super) fn remarks(night: &Night) -> Vec<(Text, Vec<Text>)> {
    let remarks = lines::remarks(night, MOST_LINES);
    remarks.into_iter().map(|remark| (remark.heading.clone(), remark.all_lines())).collect()
}

pub(super) fn remark_lists(remarks: &[&(Text, Vec<Text>)]) -> Option<Markup> {
    (!remarks.is_empty()).then(|| {
        html! {
            @for (heading, lines) in remarks { h3 { (said(heading)) } ul { @for line in lines { li { (said(line)) } } } }
        }
    })
}

/// The runs by time and outcome, as far as their times are known.
pub(super) fn timeline(doc: &mut Doc, night: &Night) {
    let lanes = lanes(night);
    let lead = match night.found.source {
        Source::Sessions => Job::SessionsLead {},
        Source::Matrix | Source::Hunt => Job::RunsLeadNight {},
    };
    let body = (!lanes.is_empty()).then(|| html! { p.lead { (said(&lead)) } (strip(&lanes)) });
    doc.section("strip", Html::Timeline {}, body);
}

fn kind(run: &Run) -> Kind {
    match run.outcome {
        Outcome::Ok => Kind::Ok,
        Outcome::Hung => Kind::Hung,
        Outcome::Slow => Kind::Slow,
        Outcome::Crashed => Kind::Crashed,
        Outcome::Failed => Kind::Failed,
        Outcome::Stopped | Outcome::Open | Outcome::Lost => Kind::Open,
    }
}

/// Sessions by label; runs by allocator.
fn lanes(night: &Night) -> Vec<Lane> {
    let by_allocator = night.found.source == Source::Matrix;
    let mut lanes: Vec<Lane> = vec![];
    for run in &night.found.runs {
        let Some(at) = run.at else { continue };
        let what = if run.command.is_empty() { run.group.clone() } else { clipped(&run.command, 120) };
        let page = run.evidence.iter().find(|evidence| evidence.page);
        let mark = Mark {
            at,
            seconds: run.seconds,
            kind: kind(run),
            label: format!("{what}: {}, {}", run.name.en(), run.end),
            link: page.map(|evidence| page_in(&evidence.folder)),
        };
        let group = if by_allocator { run.allocator.as_ref() } else { None }.unwrap_or(&run.group);
        let group = clipped(group, 60);
        let full = lanes.len() >= MOST_LANES;
        match lanes.iter_mut().position(|lane| lane.name == group) {
            Some(at) => lanes[at].marks.push(mark),
            None if full => {
                if let Some(last) = lanes.last_mut() {
                    "…".clone_into(&mut last.name);
                    last.marks.push(mark);
                }
            }
            None => lanes.push(Lane { name: group, marks: vec![mark] }),
        }
    }
    lanes
}

/// The last sessions.
fn sessions(night: &Night) -> Markup {
    let head = [
        Job::ColStarted {},
        Job::ColCommand {},
        Job::ColEnd {},
        Job::ColClass {},
        Job::ColSeconds {},
        Job::ColDso {},
        Job::ColDumps {},
    ];
    let mut table = Table::of("all-sessions", &Job::SessionTable {}, &head);
    let all = &night.found.runs;
    for run in all.iter().rev().take(MOST_ROWS) {
        let hung = run.outcome == Outcome::Hung;
        table.row_of(
            if hung { "changed" } else { "" },
            [
                html! { @if let Some(at) = run.at { (lines::stamp(at)) } },
                html! { (code(&run.command)) br; span.dim { (said(&run.name)) } },
                name(&run.end),
                html! { @if let Some(class) = &run.class { @if hung { span.badge.alarm { (class) } } @else { (class) } } },
                html! { (duration(run.seconds)) },
                said(&run.integrity.said()),
                html! { @if !run.evidence.is_empty() { (evidence(run)) } },
            ],
        );
    }
    let more = all.len().saturating_sub(MOST_ROWS);
    html! {
        (table)
        @if more > 0 { p.note { (said(&say!(Job::MoreSessions { more }))) } }
    }
}
