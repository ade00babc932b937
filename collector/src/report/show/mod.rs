//! `hangscope show PATH`: the verdict and who waits for whom, first and last; between them the evidence, and
//! the stacks.
//!
//! - [`source`]: what a path is, and what is read of it
//! - `pen`: lines for a terminal

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

mod pen;
mod source;
#[cfg(test)]
mod tests;

use super::same::{Same, culprits};
use crate::analysis::class::Why;
use crate::analysis::integrity::Reason;
use crate::analysis::{Conclusion, Finding};
use crate::console::out::Style;
use crate::evidence::group::groups;
use crate::evidence::threads_file::{ThreadPart, ThreadsFile};
use crate::evidence::{loop_file, stacks};
use crate::report::tree;
use crate::text::message::{Lang, in_both, say, tight};
use crate::text::view::View;
use pen::{Paint, Pen};
pub(crate) use source::ShowError;
pub(super) use source::read;
use source::{Shown, read_path};

/// The end says what the beginning said, if more lines than these are between them.
const FEW_LINES: usize = 12;
/// Most different hangs whose wait trees are shown.
const MOST_HANGS: usize = 8;

/// Most frames of a stack that is shown alone.
const MOST_FRAMES: usize = 24;

/// Which stacks are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stacks {
    /// Those of the culprit and of a ring.
    Telling,
    All,
}

/// Renders what is at a path: OUT of a hunt, of a collector, of a shrink or of a snap, the folder of a
/// session, a bundle, a dump or a recording.
///
/// # Errors
/// [`ShowError`] if there is nothing that could be shown.
pub(crate) fn show(path: &Path, style: Style, which: Stacks) -> Result<String, ShowError> {
    let shown = read_path(path, style.lang)?;
    let hangs = Same::groups(&shown.snapshots);
    let front = front(&shown, &hangs, style);
    let mut pen = Pen::new(style);
    for (heading, lines) in &shown.lists {
        if !lines.is_empty() {
            pen.blank();
            pen.wrapped(&heading.text(style.lang), Paint::Dim);
            lines.iter().for_each(|l| pen.wrapped(&format!("  {l}"), Paint::Plain));
        }
    }
    for hang in &hangs {
        pen.blank();
        pen.finding(hang.file);
        pen.blank();
        pen.stacks(hang.file, which);
    }
    shown.missing.iter().for_each(|why| pen.wrapped(why, Paint::Plain));
    let more: usize = hangs.iter().map(|hang| hang.file.threads.len()).sum();
    let told: usize = hangs.iter().map(|hang| culprits(hang.file).len()).sum();
    if which == Stacks::Telling && more > told {
        pen.blank();
        let line = say!(View::MoreStacks { count: more - told, path: path.display() });
        pen.wrapped(&line.text(style.lang), Paint::Dim);
    }
    let middle = pen.text;
    let repeat = middle.lines().count() > FEW_LINES && !front.is_empty();
    let gap = if middle.is_empty() || front.is_empty() { "" } else { "\n" };
    let middle = middle.trim_end_matches('\n');
    let end = if middle.is_empty() { "" } else { "\n" };
    Ok(match repeat {
        true => format!("{front}{gap}{middle}{end}{gap}{front}"),
        false => format!("{front}{gap}{middle}{end}"),
    })
}

/// The headline, and who waits for whom in each hang.
fn front(shown: &Shown, hangs: &[Same<'_>], style: Style) -> String {
    let mut pen = Pen::new(style);
    shown.head.iter().for_each(|line| pen.wrapped(line, Paint::Bold));
    for (n, hang) in hangs.iter().take(MOST_HANGS).enumerate() {
        pen.blank();
        // The headline of a hunt is about its first hang.
        if n > 0 || shown.verdict.is_none() {
            pen.wrapped(&hang.sentence(style.lang), Paint::Bold);
        }
        pen.tree(hang);
    }
    if let Some(more) = hangs.len().checked_sub(MOST_HANGS).filter(|more| *more > 0) {
        pen.wrapped(&say!(View::MoreHangs { more }).text(style.lang), Paint::Plain);
    }
    pen.text
}

/// A bundle as data: the verdict, if it is OUT of a hunt, and its snapshots by folder (`.`: the folder
/// itself); a snapshot is null where it cannot be read.
///
/// # Errors
/// [`ShowError`] if there is nothing at the path that could be shown.
pub(crate) fn bundle(path: &Path) -> Result<Bundle, ShowError> {
    let shown = read_path(path, Lang::En)?;
    let mut snapshots = BTreeMap::new();
    for (name, file) in &shown.snapshots {
        snapshots.insert(name.clone(), serde_json::to_value(file).ok());
    }
    for why in &shown.missing {
        let name = why.split(": ").next().unwrap_or_default();
        snapshots.insert(name.to_owned(), None);
    }
    Ok(Bundle { verdict: shown.verdict, snapshots })
}

/// What [`bundle`] gives.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Bundle {
    /// `verdict.json`.
    pub(crate) verdict: Option<Value>,
    /// `threads.json`, by folder.
    pub(crate) snapshots: BTreeMap<String, Option<Value>>,
}

/// The finding of one dump, who waits for whom, and stacks.
pub(crate) fn snapshot(file: &ThreadsFile, style: Style, which: Stacks) -> String {
    let mut pen = Pen::new(style);
    pen.finding(file);
    pen.blank();
    pen.tree(&Same { names: vec!["."], file });
    pen.blank();
    pen.stacks(file, which);
    pen.text
}

/// Sentences of a finding: as they stand in the file, or said again in another language.
pub(super) fn sentences_of(english: &[String], said: &[Why], lang: Lang) -> Vec<String> {
    match lang {
        Lang::Ja if said.len() == english.len() => said.iter().map(|why| tight(&why.text(lang))).collect(),
        _ => english.to_vec(),
    }
}

/// What would change a verdict, beside what the finding of the hang lacks.
pub(super) fn would_change(conclusion: &Conclusion, finding: &Finding, lang: Lang) -> Vec<String> {
    let missing = sentences_of(&finding.missing, &finding.said_missing, lang);
    let mut changes = conclusion.would_change_it(lang);
    changes.retain(|what| missing.iter().all(|sentence| !what.contains(sentence)));
    changes
}

impl Pen {
    /// What was found, and the allocator's DSO.
    fn finding(&mut self, file: &ThreadsFile) {
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
        if let Some(one) = &finding.hot_loop {
            self.wrapped(&format!("  {}", loop_file::sentence(one).text(lang)), Paint::Plain);
            loop_file::short(one).iter().for_each(|line| self.cut(&format!("    {line}"), Paint::Dim));
        }
        for dso in file.dsos.iter().filter(|d| d.allocator) {
            let why = in_both::<Reason>(&dso.reason);
            let line = say!(View::Dso { path: dso.path, word: dso.integrity, why });
            self.wrapped(&format!("  {}", line.text(lang)), Paint::Plain);
        }
    }

    fn tree(&mut self, hang: &Same<'_>) {
        let (graph, lang) = (tree::lines(hang.file), self.style.lang);
        let heading = match &hang.names[..] {
            ["."] => View::Graph {},
            [name] => say!(View::GraphOf { name }),
            names => say!(View::GraphTimes { count: names.len(), names: names.join(", ") }),
        };
        if !graph.is_empty() || hang.names != ["."] {
            self.wrapped(&heading.text(lang), Paint::Dim);
        }
        if graph.is_empty() && hang.names != ["."] {
            self.wrapped(&format!("  {}", View::NoGraph {}.text(lang)), Paint::Plain);
        }
        for line in graph {
            let paint = if line.root { Paint::Red } else { Paint::Plain };
            self.cut(&format!("{}{}", "  ".repeat(line.depth + 1), line.text.text(lang)), paint);
        }
    }

    fn stacks(&mut self, file: &ThreadsFile, which: Stacks) {
        match which {
            Stacks::Telling => {
                culprits(file).into_iter().for_each(|thread| self.stack(&[thread], file, MOST_FRAMES))
            }
            Stacks::All => {
                groups(&file.threads).iter().for_each(|group| self.stack(&group.threads, file, usize::MAX));
            }
        }
    }

    /// One stack for threads with equal ones: at most so many frames, the innermost.
    fn stack(&mut self, threads: &[&ThreadPart], file: &ThreadsFile, most: usize) {
        let lang = self.style.lang;
        self.wrapped(stacks::heading(threads, &file.finding).text(lang), Paint::Bold);
        let frames = stacks::frames(threads[0], lang);
        for (line, in_allocator) in frames.iter().zip(in_allocator(threads[0])).take(most) {
            let paint = if in_allocator { Paint::Red } else { Paint::Plain };
            self.cut(&format!("  {line}"), paint);
        }
        if frames.len() > most {
            self.cut("  ...", Paint::Plain);
        }
        self.blank();
    }
}

/// Which lines of a stack are the allocator's; what comes after the frames is not.
fn in_allocator(thread: &ThreadPart) -> impl Iterator<Item = bool> {
    thread.frames.iter().map(|f| f.in_allocator).chain(std::iter::repeat(false))
}
