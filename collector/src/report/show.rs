//! `hangscope show DIR`: the verdict, the wait graph, and the stacks, equal ones together.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::console::out::Style;
use crate::console::wrap::wrap;
use crate::evidence::group::{Group, groups};
use crate::evidence::stacks;
use crate::evidence::threads_file::ThreadsFile;
use crate::report::tree;

/// Why a bundle cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShowError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}; give the folder that a hunt, a session or snap left behind", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {source}; it was not written by this version of hangscope", path.display())]
    Parse {
        /// Which.
        path: PathBuf,
        /// Where.
        source: serde_json::Error,
    },
}

/// Renders a bundle: OUT of a hunt (`verdict.json` and its snapshots), or a single snapshot (`threads.json`).
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
    let headline = value.get("headline").and_then(|h| h.as_str()).unwrap_or("no headline in verdict.json");
    pen.wrapped(headline, Paint::Bold);
    for key in ["evidence", "would_change_it"] {
        let lines = value.get(key).and_then(|v| v.as_array()).into_iter().flatten();
        let lines: Vec<&str> = lines.filter_map(|l| l.as_str()).collect();
        if !lines.is_empty() {
            pen.blank();
            pen.wrapped(&format!("{}:", key.replace('_', " ")), Paint::Dim);
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

/// A bundle as data: the verdict, if it is OUT of a hunt, and its snapshots by folder (`.`: the folder itself); a snapshot
/// is null where it cannot be read.
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

/// Renders one snapshot.
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
        let finding = &file.finding;
        self.wrapped(
            &format!(
                "pid {}: {} ({}), {} threads, {} in futex waits, {} running",
                file.pid,
                finding.class,
                finding.confidence,
                finding.threads.all,
                finding.threads.futex_wait,
                finding.threads.running
            ),
            Paint::Bold,
        );
        finding.why.iter().for_each(|why| self.wrapped(&format!("  {why}"), Paint::Plain));
        finding.missing.iter().for_each(|m| self.wrapped(&format!("  missing: {m}"), Paint::Dim));
        for dso in file.dsos.iter().filter(|d| d.allocator) {
            self.wrapped(&format!("  {}: {}, {}", dso.path, dso.integrity, dso.reason), Paint::Plain);
        }
        let graph = tree::lines(file);
        if !graph.is_empty() {
            self.blank();
            self.wrapped("who waits for whom:", Paint::Dim);
            for line in graph {
                let paint = if line.root { Paint::Red } else { Paint::Plain };
                self.cut(&format!("{}{}", "  ".repeat(line.depth + 1), line.text), paint);
            }
        }
        self.blank();
        for group in groups(&file.threads) {
            self.wrapped(&stacks::heading(&group.threads), Paint::Bold);
            for (line, frame) in stacks::frames(group.first()).iter().zip(frames_of(&group)) {
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
        let width = self.style.width.max(20);
        if line.chars().count() <= width {
            return self.put(line, paint);
        }
        let short: String = line.chars().take(width - 3).chain("...".chars()).collect();
        self.put(&short, paint);
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
