//! Under which settings it hung, and the commands that repeat it.

use super::case::{Case, Hunt, quoted};
use super::size::item;
use crate::analysis::integrity::Reason;
use crate::analysis::verdict::percent;
use crate::analysis::{HuntFacts, file_name};
use crate::evidence::threads_file::FramePart;
use crate::report::page::Page;
use crate::text::message::{Lang, in_both, say};
use crate::text::packet::Packet;

/// File name of the shim.
const SHIM: &str = "libhangscope.so";

pub(super) fn settings(page: &mut Page, case: &Case) {
    let file = &case.hang.file;
    page.heading(&Packet::Settings {});
    item(page, &say!(Packet::Command { command: case.command() }));
    if let Some(hunt) = &case.hunt {
        let dso = &hunt.facts.dso;
        item(page, &say!(Packet::Allocator { path: dso.original }));
        if dso.pinned {
            item(page, &say!(Packet::Pinned { path: dso.path }));
        }
        let build_id = dso.build_id.as_deref().unwrap_or("-");
        item(page, &say!(Packet::Bytes { sha1: dso.sha1, build_id }));
    }
    for dso in file.dsos.iter().filter(|dso| dso.allocator) {
        if case.hunt.is_none() {
            item(page, &say!(Packet::Allocator { path: dso.path }));
        }
        item(page, &say!(Packet::Intact { word: dso.integrity, why: in_both::<Reason>(&dso.reason) }));
    }
    let threads = file.finding.threads;
    let (all, futex, running) = (threads.all, threads.futex_wait, threads.running);
    item(page, &say!(Packet::Threads { all, futex, running }));
    if let Some(hunt) = case.hunt.as_ref().filter(|hunt| hunt.facts.hang_after_s > 0.0) {
        item(page, &say!(Packet::Deadline { seconds: hunt.facts.hang_after_s }));
    }
    item(page, &say!(Packet::After { seconds: format!("{:.1}", file.since_start_s) }));
    item(
        page,
        &match file.between_looks_s {
            Some(seconds) => say!(Packet::Looks { seconds: format!("{seconds:.1}") }),
            None => Packet::OneLook {},
        },
    );
    for line in &case.environment {
        item(page, &say!(Packet::Env { name: line }));
    }
    let of_shim = |frame: &FramePart| frame.dso.as_deref().is_some_and(|dso| file_name(dso) == SHIM);
    if file.threads.iter().flat_map(|thread| &thread.frames).any(of_shim) {
        item(page, &Packet::OwnFrames {});
    }
    item(page, &say!(Packet::Version { version: env!("CARGO_PKG_VERSION") }));
    match case.run().map(|run| run.stir) {
        Some(Some(stir)) => {
            item(page, &say!(Packet::Stir { strategy: stir.strategy, seed: stir.seed }));
        }
        Some(None) => item(page, &Packet::NoStir {}),
        None => {}
    }
}

pub(super) fn commands(page: &mut Page, case: &Case) {
    page.heading(&Packet::Repeat {});
    let lang = page.lang;
    let mut lines = vec![];
    match &case.hunt {
        Some(hunt) if !hunt.facts.is_snap() => {
            let rate = hunt.conclusion.rate;
            let (low, high) = (percent(rate.low), percent(rate.high));
            if rate.of > 0 {
                page.line(&say!(Packet::Rate { hung: rate.hung, of: rate.of, low, high }));
                page.raw("\n");
            }
            if facts_are_relative(&hunt.facts) {
                page.line(&Packet::Relative {});
                page.raw("\n");
            }
            lines.extend(hunt_again(case, hunt, lang));
        }
        _ => {
            page.line(&Packet::NotRun {});
            page.raw("\n");
        }
    }
    lines.push(format!("# {}", Packet::RepeatShow {}.text(lang)));
    let bundle = quoted(&[case.path().display().to_string()]);
    lines.push(format!("hangscope show {bundle} --stacks"));
    if case.has_core {
        let program = quoted(std::slice::from_ref(&case.hang.file.exe));
        lines.push(format!("# {}", Packet::RepeatCore {}.text(lang)));
        lines.push(format!("zstd -d {bundle}/core.zst -o core && gdb {program} core"));
    }
    page.raw(&format!("```sh\n{}\n```\n", lines.join("\n")));
}

/// The command or the DSO has a relative path.
fn facts_are_relative(facts: &HuntFacts) -> bool {
    let program = facts.command.first().is_some_and(|program| program.contains('/'));
    let paths = facts.command.first().filter(|_| program).into_iter().chain([&facts.dso.original]);
    paths.into_iter().any(|path| !path.starts_with('/'))
}

fn hunt_again(case: &Case, hunt: &Hunt, lang: Lang) -> Vec<String> {
    let facts = &hunt.facts;
    let run = case.run();
    // The DSO of the run's arm: another build has its own.
    let arm = run.and_then(|run| facts.arm(&run.arm)).filter(|arm| arm.other_build);
    let so = arm.map_or(&facts.dso.original, |arm| &arm.path);
    let deadline = match facts.hang_after_s {
        0.0 => "off".to_owned(),
        seconds => format!("{seconds}s"),
    };
    let words = |out: &str, more: &[&str]| {
        let mut words: Vec<String> =
            ["hangscope", "hunt", "--so", so, "--name", &facts.name].map(str::to_owned).into();
        words.extend(["--runs".to_owned(), facts.planned.max(1).to_string()]);
        words.extend(["--hang-after".to_owned(), deadline.clone(), "--out".to_owned(), out.to_owned()]);
        words.extend(more.iter().map(|word| (*word).to_owned()));
        words.push("--".to_owned());
        words.extend(facts.command.iter().cloned());
        let environment: String = case.environment.iter().filter_map(|line| assignment(line)).collect();
        format!("{environment}{}", quoted(&words))
    };
    let heading = |what: &Packet| format!("# {}", what.text(lang));
    let mut lines = vec![heading(&Packet::RepeatRuns {})];
    match run.and_then(|run| run.stir.map(|stir| (run, stir))) {
        Some((run, stir)) => {
            let strategy = stir.strategy.to_string();
            let seed = stir.seed.to_string();
            lines.push(words("again", &["--stir", &strategy, "--stir-seed", &seed]));
            lines.push(heading(&Packet::RepeatStir {}));
            let replay = format!("{}:{}", hunt.out.display(), run.name());
            lines.push(words("same", &["--stir-replay", &replay]));
        }
        None => lines.push(words("again", &[])),
    }
    lines.push(heading(&Packet::RepeatKeep {}));
    lines.push(words("keep", &["--on-hang", "keep"]));
    lines.push(heading(&Packet::RepeatControl {}));
    let runs = facts.planned.max(1);
    let limit =
        if facts.hang_after_s > 0.0 { format!("timeout {} ", facts.hang_after_s) } else { String::new() };
    lines.push(format!("for run in $(seq {runs}); do {limit}{} || break; done", quoted(&facts.command)));
    lines
}

/// `HZ4_X=1 ` for a shell; none where it is no assignment.
fn assignment(line: &str) -> Option<String> {
    let (name, value) = line.split_once('=')?;
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    Some(format!("{name}={} ", shlex::try_quote(value).ok()?)).filter(|_| is_name && !name.is_empty())
}
