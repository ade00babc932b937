//! Lines of source files around the hot loop and around the places that a finding names. A file that is not
//! there, or is no plain file, gives none.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::analysis::Finding;
use crate::evidence::threads_file::Excerpt;
use crate::files::bounded;
use crate::session::Dump;
use crate::session::trace::{Frame, Traces};

/// Lines before and after a line that is meant.
const AROUND: u32 = 6;
/// Functions of the allocator further out on a stack.
const CALLERS: usize = 4;
/// Most files, most lines of all of them, and most characters of a line.
const MOST_FILES: usize = 8;
const MOST_LINES: usize = 240;
const MOST_CHARS: usize = 200;
/// Most bytes of a source file.
const MOST_BYTES: u64 = 4 << 20;

/// Lines that are meant, by file. The first files are the most important ones.
#[derive(Default)]
struct Wanted {
    files: Vec<(String, Option<String>)>,
    lines: BTreeMap<String, BTreeSet<u32>>,
}

impl Wanted {
    fn add(&mut self, file: Option<&String>, line: Option<u32>, dso: Option<&String>) {
        // A path that is relative to an unknown folder may lead to another file.
        let Some((file, line)) = file.filter(|file| Path::new(file).is_absolute()).zip(line) else { return };
        if line > 0 {
            if !self.lines.contains_key(file) {
                self.files.push((file.clone(), dso.cloned()));
            }
            self.lines.entry(file.clone()).or_default().insert(line);
        }
    }

    fn frame(&mut self, frame: Option<&Frame>) {
        if let Some(frame) = frame {
            self.add(frame.file.as_ref(), frame.line, frame.dso.as_ref());
        }
    }
}

/// The lines around the places of a finding, as the files are now.
pub(crate) fn of(dump: &Dump, traces: &Traces, finding: &Finding) -> Vec<Excerpt> {
    let mut wanted = Wanted::default();
    if let Some(hot) = &finding.hot {
        let line = hot.source.as_deref().and_then(|source| source.rsplit_once(':')?.1.parse().ok());
        wanted.add(hot.file.as_ref(), line, None);
    }
    let hot_loop = finding.hot_loop.iter();
    for (one, i) in hot_loop.flat_map(|one| one.instructions.iter().map(move |i| (one, i))) {
        if i.samples > 0 {
            wanted.add(i.file.as_ref(), i.line, one.dso.as_ref());
        }
    }
    wanted.frame(finding.lock.as_ref().and_then(|lock| lock.at.as_ref()));
    finding.ring.iter().for_each(|edge| wanted.frame(edge.at.as_ref()));
    // Who called them tells how the data came to be as it is.
    let lock = finding.lock.as_ref();
    let waiter = lock.and_then(|lock| lock.waiters.first().copied());
    let hot = finding.hot.as_ref().map(|hot| hot.tid);
    for tid in [hot, lock.and_then(|lock| lock.owner_tid), waiter].into_iter().flatten() {
        let frames = traces.threads.get(&tid).into_iter().flat_map(|trace| &trace.frames);
        frames.filter(|frame| frame.in_allocator).take(CALLERS).for_each(|frame| wanted.frame(Some(frame)));
    }
    for hold in finding.holds.iter().take(2) {
        wanted.add(hold.file.as_ref(), hold.line, None);
    }
    let mut excerpts: Vec<Excerpt> = vec![];
    for (file, dso) in wanted.files.iter().take(MOST_FILES) {
        let left = MOST_LINES.saturating_sub(excerpts.iter().map(|excerpt| excerpt.lines.len()).sum());
        let marked = wanted.lines.get(file).cloned().unwrap_or_default();
        excerpts.extend(of_file(file, &marked, built_ns(dump, dso.as_deref()), left));
    }
    excerpts
}

/// When the DSO was built, ns since the epoch; without its name, the allocator.
fn built_ns(dump: &Dump, dso: Option<&str>) -> Option<i64> {
    let is = |known: &&crate::session::Dso| match dso {
        Some(path) => known.path == path,
        None => known.init.id == dump.identity.fixed.allocator,
    };
    dump.dsos.iter().find(is).map(|dso| dso.init.mtime_ns).filter(|ns| *ns > 0)
}

/// The parts of a file around the lines that are meant: at most `most` lines.
fn of_file(file: &str, marked: &BTreeSet<u32>, built_ns: Option<i64>, most: usize) -> Vec<Excerpt> {
    let Some((text, changed_ns)) = read(Path::new(file)) else { return vec![] };
    let lines: Vec<&str> = text.lines().collect();
    let mut parts: Vec<(u32, u32)> = vec![];
    for line in marked.iter().copied().filter(|line| *line as usize <= lines.len()) {
        let (from, to) = (line.saturating_sub(AROUND).max(1), (line + AROUND).min(lines.len() as u32));
        match parts.last_mut() {
            Some((_, end)) if from <= *end + 1 => *end = to,
            _ => parts.push((from, to)),
        }
    }
    let mut left = most;
    let mut excerpts = vec![];
    for (from, to) in parts {
        let count = (to - from + 1) as usize;
        let Some(rest) = left.checked_sub(count) else { break };
        left = rest;
        let lines = lines.iter().skip(from as usize - 1).take(count);
        excerpts.push(Excerpt {
            file: file.to_owned(),
            first: from,
            lines: lines.map(|line| line.chars().take(MOST_CHARS).collect()).collect(),
            marked: marked.range(from..=to).copied().collect(),
            newer: built_ns.is_some_and(|built| changed_ns > built),
        });
    }
    excerpts
}

/// The text of a plain file, and when it was changed, ns since the epoch.
fn read(file: &Path) -> Option<(String, i64)> {
    let opened = bounded::open(file).ok()?;
    let meta = opened.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let bytes = bounded::at_most(opened, MOST_BYTES).ok()?;
    let changed = meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec());
    Some((String::from_utf8_lossy(&bytes).into_owned(), changed))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn lines_around_are_joined_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.c");
        let mut text = String::new();
        (1..=100).for_each(|n| writeln!(text, "line {n} {}", "x".repeat(300)).unwrap());
        std::fs::write(&path, text).unwrap();
        let file = path.to_str().unwrap();
        let parts = |lines: &[u32], most| {
            let of = of_file(file, &lines.iter().copied().collect(), Some(1), most);
            of.iter().map(|e| (e.first, e.lines.len(), e.marked.clone())).collect::<Vec<_>>()
        };
        assert_eq!(
            parts(&[2, 10, 50, 100, 900], 99),
            [(1, 16, vec![2, 10]), (44, 13, vec![50]), (94, 7, vec![100])]
        );
        assert_eq!(parts(&[2, 50], 14), [(1, 8, vec![2])]);
        let one = &of_file(file, &BTreeSet::from([7]), Some(1), 99)[0];
        assert!(one.newer && one.lines[0].starts_with("line 1 x") && one.lines[0].len() == MOST_CHARS);
        assert!(!of_file(file, &BTreeSet::from([7]), Some(i64::MAX), 99)[0].newer);
        for other in [dir.path(), &dir.path().join("none.c"), Path::new("/dev/zero")] {
            assert_eq!(of_file(other.to_str().unwrap(), &BTreeSet::from([1]), None, 99), []);
        }
    }
}
