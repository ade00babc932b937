//! `hangscope show DIR`: the verdict, the wait graph, and the stacks, equal ones together.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::analysis::class::Why;
use crate::analysis::integrity::Reason;
use crate::console::out::Style;
use crate::console::wrap::{cut, wrap};
use crate::evidence::group::{Group, groups};
use crate::evidence::stacks;
use crate::evidence::threads_file::ThreadsFile;
use crate::report::markdown::{self, Sentences};
use crate::report::tree;
use crate::text::message::{Lang, in_both, say, tight};
use crate::text::view::View;

/// Why a bundle cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShowError {
    #[error("cannot read {}: {source}; give the folder that a hunt, a session or snap left behind", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file is not what it should be.
    #[error("{}: {source}; it was not written by this version of hangscope", path.display())]
    Parse { path: PathBuf, source: serde_json::Error },
}

/// Renders a bundle: OUT of a hunt (`verdict.json` and its snapshots), or a single snapshot
/// (`threads.json`).
///
/// # Errors
/// [`ShowError`] if there is nothing in the folder that could be shown.
pub(crate) fn show(dir: &Path, style: Style) -> Result<String, ShowError> {
    let mut pen = Pen { text: String::new(), style };
    let verdict = dir.join("verdict.json");
    if !verdict.exists() {
        pen.snapshot(&read(&dir.join("threads.json"))?);
        return Ok(pen.text);
    }
    let value: Value = read(&verdict)?;
    let Sentences { headline, evidence, would_change } = sentences(dir, &value, style.lang);
    pen.wrapped(&headline, Paint::Bold);
    for (heading, lines) in [(View::Evidence {}, evidence), (View::WouldChange {}, would_change)] {
        if !lines.is_empty() {
            pen.blank();
            pen.wrapped(&heading.text(style.lang), Paint::Dim);
            lines.iter().for_each(|l| pen.wrapped(&format!("  {l}"), Paint::Plain));
        }
    }
    for snapshot in names(&value) {
        pen.blank();
        pen.wrapped(snapshot, Paint::Bold);
        match read::<ThreadsFile>(&dir.join(snapshot).join("threads.json")) {
            Ok(file) => pen.snapshot(&file),
            Err(e) => pen.wrapped(&e.to_string(), Paint::Plain),
        }
    }
    Ok(pen.text)
}

/// What a verdict says. `verdict.json` has it in English, the report in each language.
fn sentences(dir: &Path, verdict: &Value, lang: Lang) -> Sentences {
    if lang != Lang::En
        && let Ok(report) = fs::read_to_string(dir.join(markdown::markdown_name(lang)))
        && let Some(sentences) = markdown::sentences(&report, lang)
    {
        return sentences;
    }
    let lines = |key: &str| {
        let lines = verdict.get(key).and_then(|v| v.as_array()).into_iter().flatten();
        lines.filter_map(|l| l.as_str()).map(str::to_owned).collect()
    };
    let headline = verdict.get("headline").and_then(|h| h.as_str()).map(str::to_owned);
    Sentences {
        headline: headline.unwrap_or_else(|| View::NoHeadline {}.text(lang)),
        evidence: lines("evidence"),
        would_change: lines("would_change_it"),
    }
}

/// Sentences of a finding: as they stand in the file, or said again in another language.
fn sentences_of(english: &[String], said: &[Why], lang: Lang) -> Vec<String> {
    match lang {
        Lang::Ja if said.len() == english.len() => said.iter().map(|why| tight(&why.text(lang))).collect(),
        _ => english.to_vec(),
    }
}

/// A bundle as data: the verdict, if it is OUT of a hunt, and its snapshots by folder (`.`: the folder
/// itself); a snapshot is null where it cannot be read.
///
/// # Errors
/// [`ShowError`] if there is nothing in the folder that could be shown.
pub(crate) fn bundle(dir: &Path) -> Result<Bundle, ShowError> {
    let path = dir.join("verdict.json");
    if !path.exists() {
        let snapshot = read(&dir.join("threads.json"))?;
        return Ok(Bundle { verdict: None, snapshots: [(".".to_owned(), Some(snapshot))].into() });
    }
    let verdict: Value = read(&path)?;
    let snapshot = |name: &str| (name.to_owned(), read(&dir.join(name).join("threads.json")).ok());
    let snapshots = names(&verdict).map(snapshot).collect();
    Ok(Bundle { verdict: Some(verdict), snapshots })
}

/// What [`bundle`] gives.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Bundle {
    /// `verdict.json`.
    pub(crate) verdict: Option<Value>,
    /// `threads.json`, by folder.
    pub(crate) snapshots: BTreeMap<String, Option<Value>>,
}

/// Folders of a verdict's hangs.
fn names(verdict: &Value) -> impl Iterator<Item = &str> {
    let hangs = verdict.get("hangs").and_then(|h| h.as_array()).into_iter().flatten();
    hangs.filter_map(|h| h.get("snapshot")?.as_str())
}

pub(crate) fn snapshot(file: &ThreadsFile, style: Style) -> String {
    let mut pen = Pen { text: String::new(), style };
    pen.snapshot(file);
    pen.text
}

pub(super) fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, ShowError> {
    let bytes = fs::read(path).map_err(|source| ShowError::Read { path: path.to_owned(), source })?;
    serde_json::from_slice(&bytes).map_err(|source| ShowError::Parse { path: path.to_owned(), source })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Paint {
    Plain,
    Bold,
    Red,
    Dim,
}

struct Pen {
    text: String,
    style: Style,
}

impl Pen {
    fn snapshot(&mut self, file: &ThreadsFile) {
        let (finding, lang) = (&file.finding, self.style.lang);
        let threads = finding.threads;
        let process = say!(View::Process {
            pid: file.pid,
            class: finding.class,
            confidence: finding.confidence,
            all: threads.all,
            futex: threads.futex_wait,
            running: threads.running,
        });
        self.wrapped(&process.text(lang), Paint::Bold);
        for why in sentences_of(&finding.why, &finding.said, lang) {
            self.wrapped(&format!("  {why}"), Paint::Plain);
        }
        for sentence in sentences_of(&finding.missing, &finding.said_missing, lang) {
            self.wrapped(&format!("  {}", say!(View::Missing { sentence }).text(lang)), Paint::Dim);
        }
        for dso in file.dsos.iter().filter(|d| d.allocator) {
            let why = in_both::<Reason>(&dso.reason);
            let line = say!(View::Dso { path: dso.path, word: dso.integrity, why });
            self.wrapped(&format!("  {}", line.text(lang)), Paint::Plain);
        }
        let graph = tree::lines(file);
        if !graph.is_empty() {
            self.blank();
            self.wrapped(&View::Graph {}.text(lang), Paint::Dim);
            for line in graph {
                let paint = if line.root { Paint::Red } else { Paint::Plain };
                self.cut(&format!("{}{}", "  ".repeat(line.depth + 1), line.text.text(lang)), paint);
            }
        }
        self.blank();
        for group in groups(&file.threads) {
            self.wrapped(stacks::heading(&group.threads, finding).text(lang), Paint::Bold);
            for (line, frame) in stacks::frames(group.first(), lang).iter().zip(frames_of(&group)) {
                let paint = if frame { Paint::Red } else { Paint::Plain };
                self.cut(&format!("  {line}"), paint);
            }
            self.blank();
        }
    }

    fn blank(&mut self) {
        if !self.text.ends_with("\n\n") && !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    /// A line that is continued under itself where it is too long.
    fn wrapped(&mut self, line: &str, paint: Paint) {
        wrap(line, self.style.width).iter().for_each(|line| self.put(line, paint));
    }

    /// A line that is cut where it is too long: frames keep their places.
    fn cut(&mut self, line: &str, paint: Paint) {
        self.put(&cut(line, self.style.width), paint);
    }

    fn put(&mut self, line: &str, paint: Paint) {
        let code = match paint {
            _ if !self.style.colour => None,
            Paint::Plain => None,
            Paint::Bold => Some("1"),
            Paint::Red => Some("31"),
            Paint::Dim => Some("2"),
        };
        match code {
            Some(code) => self.text += &format!("\x1b[{code}m{line}\x1b[0m\n"),
            None => self.text += &format!("{line}\n"),
        }
    }
}

/// Which lines of a group's stack are the allocator's; what comes after the frames is not.
fn frames_of(group: &Group<'_>) -> impl Iterator<Item = bool> {
    group.first().frames.iter().map(|f| f.in_allocator).chain(std::iter::repeat(false))
}
