//! The page of a hang: what stands in the folder of a dump.

use std::path::Path;

use maud::{Markup, html};

use super::doc::Doc;
use super::files::Files;
use super::piece::{FILE, code, facts, in_code, name, of_both, said};
use super::words::Html;
use super::{counters, drawing, dsos, flame, holds, hot_loop, ring, stacks, timeline};
use crate::analysis::facts::SNAP;
use crate::analysis::file_name;
use crate::analysis::verdict::hang_sentence;
use crate::analysis::{
    Conclusion, DsoFacts, HangFacts, HuntFacts, Integrity, RunFacts, RunOutcome, Verdict, conclude,
};
use crate::console::out;
use crate::evidence::bundle::Bundle;
use crate::evidence::threads_file::ThreadsFile;
use crate::files::atomic::WriteError;
use crate::files::{bounded, free};
use crate::report::extra::Extra;
use crate::report::graph::{Graph, place};
use crate::report::reread;
use crate::report::show::{sentences_of, would_change};
use crate::report::terminal::short_report;
use crate::text::message::{Lang, Say as _, Text, say};

/// The page of the hunt, as the page of a bundle names it.
pub(super) const ABOVE: &str = "../report.html";

/// What is known of the run beside its dump.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Around<'a> {
    pub(crate) facts: &'a HuntFacts,
    pub(crate) conclusion: &'a Conclusion,
    pub(crate) extra: &'a Extra,
    /// The run of the dump.
    pub(crate) run: &'a RunFacts,
    /// The page of the whole, relative.
    pub(crate) up: &'a str,
}

/// Writes the page of a bundle that has just been finished, last of all: no evidence waits for it. Of an error
/// the bundle takes note. A job writes the page again at its end, with what it knows of all runs.
pub(crate) fn add_to(bundle: &Bundle, file: Option<&ThreadsFile>) {
    if let Some(file) = file {
        bundle.also(write(bundle.dir(), file));
    }
}

/// Writes the page of a bundle, in the language of the command.
///
/// # Errors
/// [`WriteError`]; the file is written whole or not at all.
pub(crate) fn write(dir: &Path, file: &ThreadsFile) -> Result<(), WriteError> {
    write_with(dir, file, None)
}

/// The page of a bundle again. If it is that of a hunt that is over, with what the hunt knows.
///
/// # Errors
/// [`WriteError`]; the file is written whole or not at all.
pub(crate) fn write_again(dir: &Path, file: &ThreadsFile) -> Result<(), WriteError> {
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let above = dir.parent().and_then(|out| reread::facts(out).ok());
    let name = dir.file_name().and_then(|name| name.to_str());
    let is_own = |run: &&RunFacts| run.hang.as_ref().is_some_and(|hang| Some(&*hang.snapshot) == name);
    let around = above.as_ref().and_then(|facts| Some((facts, facts.runs.iter().find(is_own)?)));
    match around {
        Some((facts, run)) => {
            let (conclusion, extra) = (conclude(facts), Extra::default());
            write_with(
                &dir,
                file,
                Some(Around { facts, conclusion: &conclusion, extra: &extra, run, up: ABOVE }),
            )
        }
        None => write(&dir, file),
    }
}

/// The same, with what a hunt knows.
///
/// # Errors
/// [`WriteError`]
pub(crate) fn write_with(
    dir: &Path,
    file: &ThreadsFile,
    around: Option<Around<'_>>,
) -> Result<(), WriteError> {
    let samples = bounded::read_text(&dir.join("samples.folded")).ok();
    let page = page(&Input {
        file,
        around,
        samples: samples.as_deref(),
        files: Files::of_bundle(dir),
        name: dir.file_name().and_then(|name| name.to_str()).unwrap_or("."),
        lang: out::lang(),
    });
    free::write_page(&dir.join(FILE), &page)
}

/// What a page is made from.
pub(super) struct Input<'a> {
    pub(super) file: &'a ThreadsFile,
    pub(super) around: Option<Around<'a>>,
    /// `samples.folded`.
    pub(super) samples: Option<&'a str>,
    pub(super) files: Files,
    /// Name of the folder.
    pub(super) name: &'a str,
    pub(super) lang: Lang,
}

/// The HTML of the page. Reads no file.
pub(super) fn page(input: &Input<'_>) -> String {
    let Input { file, around, files, .. } = input;
    // Without a hunt, the dump is a hunt of one run.
    let own = own_facts(file);
    let own_conclusion = conclude(&own);
    let extra = Extra::default();
    let alone = Around { facts: &own, conclusion: &own_conclusion, extra: &extra, run: &own.runs[0], up: "" };
    let all = around.unwrap_or(alone);
    let about = html! { (name(input.name)) " · pid " (file.pid) };
    let title = format!("{}: {}", input.name, file.finding.class);
    let mut doc = Doc::new(input.lang, &title, about, head(file, &all));
    if let Some(around) = around {
        doc = doc.up(around.up.to_owned(), Html::UpHunt {}.said());
    }
    doc.section("evidence", Html::Evidence {}, Some(evidence(file, &all, around.is_none(), files)));
    let graph = Graph::of(file);
    let no_graph = || html! { p { (said(&Html::NoGraph {})) } };
    doc.section("waits", Html::WaitGraph {}, Some(drawing::section(&graph).unwrap_or_else(no_graph)));
    doc.section("loop", Html::Loop {}, hot_loop::section(file));
    doc.section("list-ring", Html::Ring {}, ring::section(file));
    doc.section("timeline", Html::Timeline {}, timeline::section(file));
    doc.section("flames", Html::Flames {}, flame::section(file, input.samples));
    doc.section("stacks", Html::Stacks {}, stacks::section(file));
    doc.section("held", Html::Holds {}, holds::section(file));
    doc.section("integrity", Html::Dsos {}, dsos::section(file, around.map(|around| around.run)));
    doc.section("counters", Html::Counters {}, counters::section(&all.extra.lanes));
    doc.section("settings", Html::Settings {}, Some(settings(file, around.as_ref())));
    doc.section("files", Html::Files {}, list(files));
    doc.finish()
}

/// A hunt of one run: the process of the dump.
fn own_facts(file: &ThreadsFile) -> HuntFacts {
    let finding = &file.finding;
    let allocator = file.dsos.iter().find(|dso| dso.allocator);
    let integrity = allocator.map_or(Integrity::Unknown, |dso| dso.integrity);
    let run = RunFacts {
        pid: Some(file.pid),
        outcome: if finding.is_no_hang() { RunOutcome::Slow } else { RunOutcome::Hung },
        seconds: file.since_start_s,
        integrity_start: if integrity == Integrity::Intact { integrity } else { Integrity::Unknown },
        integrity_end: integrity,
        deleted_seen: finding.deleted_seen,
        hang: Some(HangFacts { snapshot: ".".to_owned(), finding: Some(finding.clone()), dump_ms: None }),
        ..RunFacts::new(1, SNAP)
    };
    let path = allocator.map_or_else(String::new, |dso| dso.path.clone());
    let short = file_name(&path).split('.').next().unwrap_or_default().trim_start_matches("lib").to_owned();
    let dso = DsoFacts {
        original: path.clone(),
        path,
        pinned: false,
        sha1: String::new(),
        build_id: None,
        original_integrity: integrity,
    };
    let short = if short.is_empty() { "allocator".to_owned() } else { short };
    HuntFacts {
        hang_after_s: file.since_start_s,
        planned: 1,
        runs: vec![run],
        stop_at_first: true,
        ..HuntFacts::new(&short, &file.command, dso)
    }
}

/// The word of a verdict for the mark at the top, and its class.
pub(super) fn verdict_badge(verdict: Verdict) -> Markup {
    let (word, class) = match verdict {
        Verdict::DsoMixup => (Html::BugA {}, "alarm"),
        Verdict::AllocatorBug => (Html::BugB {}, "alarm"),
        Verdict::HarnessBug => (Html::BugHarness {}, "alarm"),
        Verdict::Environment => (Html::OfEnvironment {}, "warn"),
        Verdict::NotReproduced => (Html::NotReproduced {}, "good"),
        Verdict::NotHung => (Html::NotHung {}, "good"),
        Verdict::Inconclusive => (Html::Inconclusive {}, "warn"),
    };
    html! { span class=(format!("badge {class}")) { (said(&word)) } }
}

fn head(file: &ThreadsFile, all: &Around<'_>) -> Markup {
    let finding = &file.finding;
    // The hunt may report another hang.
    let about = all.conclusion.is_about(all.run);
    let headline = |lang| match about {
        true => all.conclusion.headline(lang),
        false => hang_sentence(all.run, lang),
    };
    html! {
        p.badges {
            @if about || all.facts.is_snap() { (verdict_badge(all.conclusion.verdict)) " " }
            span.badge { (finding.class.as_str()) } " "
            span.badge { (said(&finding.confidence.said())) }
            @if let Some(cause) = finding.cause { " " span.badge.alarm { (cause.as_str()) } }
        }
        h1 { (of_both(&Text::of(headline), in_code)) }
        (facts(&key_facts(file)))
        (short(all.facts, all.conclusion))
    }
}

/// A field of the short report, without the dash of Markdown.
fn field(line: &str) -> Markup {
    in_code(line.strip_prefix("- ").unwrap_or(line))
}

/// The short report, whose fields the readers know.
pub(super) fn short(facts: &HuntFacts, conclusion: &Conclusion) -> Markup {
    let lines: Vec<Text> = {
        let [en, ja] = Lang::ALL.map(|lang| short_report(facts, conclusion, lang));
        en.into_iter().zip(ja).map(|(en, ja)| Text::Both { en, ja }).collect()
    };
    html! {
        section.short aria-labelledby="short-title" {
            h2 id="short-title" { (said(&Html::ShortReport {})) }
            ul { @for line in &lines { li { (of_both(line, field)) } } }
        }
    }
}

pub(super) fn key_facts(file: &ThreadsFile) -> Vec<(Html, Markup)> {
    let finding = &file.finding;
    let mut pairs = vec![];
    if let Some(lock) = &finding.lock {
        let symbol = lock.symbol.as_deref().unwrap_or(&lock.address);
        pairs.push((Html::Lock {}, html! { (code(symbol)) " " span.dim { (name(&lock.kind)) } }));
    }
    let owner = finding.lock.as_ref().and_then(|lock| lock.owner_tid);
    let main = owner.or(finding.hot.as_ref().map(|hot| hot.tid));
    let part = main.and_then(|tid| file.threads.iter().find(|part| part.tid == tid));
    if let Some(tid) = owner {
        let comm = part.map_or("?", |part| &part.comm);
        pairs.push((Html::Holder {}, said(&say!(Html::TidIn { tid, comm }))));
    }
    let hot = finding.hot.as_ref().filter(|hot| Some(hot.tid) == main);
    let (function, source) = match hot {
        Some(hot) => (hot.function.clone(), hot.source.clone()),
        None => part.map(place).unwrap_or_default(),
    };
    if function.is_some() || source.is_some() {
        pairs.push((
            Html::Where {},
            html! { @if let Some(source) = &source { strong { (code(source)) } " " } @if let Some(function) = &function { (code(function)) } },
        ));
    }
    if let Some(hot) = hot.filter(|hot| hot.samples > 0) {
        let percent = format!("{:.0}", hot.cpu_share * 100.0);
        pairs.push((
            Html::Busy {},
            said(&say!(Html::BusyOf { percent, samples: hot.samples, pcs: hot.distinct_pcs })),
        ));
    }
    if let Some(lock) = finding.lock.as_ref().filter(|lock| !lock.waiters.is_empty()) {
        let count = say!(Html::OfAll { count: lock.waiters.len(), all: finding.threads.all });
        pairs.push((Html::Waiting {}, said(&count)));
    } else if finding.threads.all > 0 {
        let counts = finding.threads;
        let text = say!(Html::CountsOf {
            all: counts.all,
            futex: counts.futex_wait,
            running: counts.running,
            other: counts.other
        });
        pairs.push((Html::ThreadCounts {}, said(&text)));
    }
    if let Some(seconds) = finding.hot.as_ref().and_then(|hot| hot.for_s) {
        pairs.push((Html::Since {}, said(&say!(Html::Seconds { seconds: format!("{seconds:.1}") }))));
    }
    if let Some(dso) = file.dsos.iter().find(|dso| dso.allocator) {
        pairs.push((
            Html::Integrity {},
            html! { (name(file_name(&dso.path))) ": " strong { (said(&dso.integrity.said())) } },
        ));
    }
    pairs
}

/// Sentences in both languages, with links.
pub(super) fn sentences(files: &Files, of: impl Fn(Lang) -> Vec<String>) -> Option<Markup> {
    let [en, ja] = Lang::ALL.map(of);
    let lines: Vec<Text> = en.into_iter().zip(ja).map(|(en, ja)| Text::Both { en, ja }).collect();
    (!lines.is_empty())
        .then(|| html! { ul.sentences { @for line in &lines { li { (files.linked(line)) } } } })
}

fn evidence(file: &ThreadsFile, all: &Around<'_>, alone: bool, files: &Files) -> Markup {
    let finding = &file.finding;
    let about = all.conclusion.is_about(all.run) && !alone;
    let list = |title: Html, body: Option<Markup>| html! { @if let Some(body) = body { h3 { (said(&title)) } (body) } };
    html! {
        @if about { (sentences(files, |lang| all.conclusion.evidence(lang)).unwrap_or_default()) }
        @else { (list(Html::Why {}, sentences(files, |lang| sentences_of(&finding.why, &finding.said, lang)))) }
        (list(Html::Missing {}, sentences(files, |lang| sentences_of(&finding.missing, &finding.said_missing, lang))))
        @if about || alone { (list(Html::WouldChange {}, sentences(files, |lang| would_change(all.conclusion, finding, lang)))) }
    }
}

fn settings(file: &ThreadsFile, around: Option<&Around<'_>>) -> Markup {
    let yes = |is: bool| said(&if is { Html::Yes {} } else { Html::No {} });
    let seconds = |seconds: f64| said(&say!(Html::Seconds { seconds: format!("{seconds:.1}") }));
    let counts = file.finding.threads;
    let counts = say!(Html::CountsOf {
        all: counts.all,
        futex: counts.futex_wait,
        running: counts.running,
        other: counts.other
    });
    let mut pairs = vec![
        (Html::Command {}, code(&file.command.join(" "))),
        (Html::Program {}, code(&file.exe)),
        (Html::Pid {}, html! { (file.pid) }),
        (Html::ThreadCounts {}, said(&counts)),
        (Html::Reason {}, code(&file.reason)),
        (Html::After {}, seconds(file.since_start_s)),
        (Html::Whole {}, yes(file.whole)),
    ];
    if !file.label.is_empty() {
        pairs.push((Html::Label {}, code(&file.label)));
    }
    pairs.extend(file.between_looks_s.map(|s| (Html::Between {}, seconds(s))));
    if let Some(Around { facts, run, .. }) = around {
        pairs.push((Html::Path {}, code(&facts.dso.path)));
        pairs.push((Html::Sha1 {}, code(&facts.dso.sha1)));
        pairs.extend(facts.dso.build_id.as_deref().map(|id| (Html::BuildId {}, code(id))));
        pairs.push((Html::Deadline {}, seconds(facts.hang_after_s)));
        pairs.extend(run.stir.as_ref().map(|stir| (Html::Stirred {}, code(&stir.strategy.to_string()))));
        pairs.extend(run.cpus.as_deref().map(|cpus| (Html::Cpus {}, code(cpus))));
    }
    html! {
        (facts(&pairs))
        @if !file.notes.is_empty() {
            h3 { (said(&Html::Notes {})) }
            ul { @for note in file.notes.iter().take(60) { li { (name(note)) } } }
        }
    }
}

/// All files of the folder.
pub(super) fn list(files: &Files) -> Option<Markup> {
    // What each run printed is a file of two a run.
    let printed = |name: &str| name.starts_with("run_") && (name.ends_with(".out") || name.ends_with(".err"));
    let own: Vec<(&str, &str)> = files.own().filter(|(name, _)| *name != FILE && !printed(name)).collect();
    (!own.is_empty()).then(|| {
        html! {
            ul.files { @for (name, link) in own { li { a href=(link) { (name) } } } }
        }
    })
}
