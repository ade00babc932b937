//! How much of the disk the sessions take: what is kept of healthy ones, and the limit for all.

use std::collections::VecDeque;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Which folders stay. Each session has its line in `sessions.jsonl` in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Those of all sessions.
    All,
    /// Those of sessions with a hang, a dump, a crash, or a DSO that was not intact.
    Hangs,
    /// Those, and those of the last so many others.
    Newest(usize),
}

impl FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Keep, String> {
        match text {
            "all" => Ok(Keep::All),
            "hangs" => Ok(Keep::Hangs),
            number => number.parse().map(Keep::Newest).map_err(|_| "give all, hangs, or a number".into()),
        }
    }
}

#[derive(Debug)]
pub(super) struct Disk {
    keep: Keep,
    /// None: no limit.
    most: Option<u64>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    used: u64,
    /// The same as `healthy`, of earlier collectors. Only the limit removes them.
    earlier: VecDeque<(PathBuf, u64)>,
    /// Folders of healthy sessions that are kept, oldest first, with their bytes.
    healthy: VecDeque<(PathBuf, u64)>,
}

/// What becomes of the folder of a session that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folded {
    /// It is removed: the session's line is all there is.
    Yes,
    No,
}

impl Disk {
    /// `used`: what is there already.
    pub(super) fn new(keep: Keep, most: Option<u64>, used: u64) -> Disk {
        Disk { keep, most, state: Mutex::new(State { used, ..State::default() }) }
    }

    /// Whether the folder of a healthy session goes with its end.
    pub(super) fn folds(&self) -> bool {
        matches!(self.keep, Keep::Hangs | Keep::Newest(0))
    }

    /// Whether heartbeats are written without a hang.
    pub(super) fn keeps_healthy(&self) -> bool {
        !self.folds()
    }

    /// Takes the folders of healthy sessions that an earlier collector has left, the oldest first. They are
    /// counted already. Without a limit they stay as they are.
    pub(super) fn found(&self, dirs: impl IntoIterator<Item = PathBuf>) {
        if self.most.is_some() {
            let sized = |dir: PathBuf| {
                let bytes = size(&dir);
                (dir, bytes)
            };
            let sized: Vec<_> = dirs.into_iter().map(sized).collect();
            self.state().earlier.extend(sized);
        }
    }

    /// Whether another dump may be written. Healthy sessions go first.
    pub(super) fn has_room(&self) -> bool {
        let Some(most) = self.most else { return true };
        let mut state = self.state();
        state.shrink(|state| state.used >= most);
        state.used < most
    }

    /// Counts more bytes on the disk.
    pub(super) fn add(&self, bytes: u64) {
        self.state().used += bytes;
    }

    /// Takes the folder of a session that has ended, of which `counted` bytes are counted already. Removes
    /// it if it is healthy and not to be kept, and older ones where they are too many.
    pub(super) fn ended(&self, dir: &Path, healthy: bool, counted: u64) -> Folded {
        if healthy && self.folds() {
            remove(dir);
            let mut state = self.state();
            state.used = state.used.saturating_sub(counted);
            return Folded::Yes;
        }
        let bytes = size(dir);
        let mut state = self.state();
        state.used = state.used.saturating_sub(counted) + bytes;
        if healthy {
            state.healthy.push_back((dir.to_owned(), bytes));
        }
        if let Keep::Newest(most) = self.keep {
            while state.healthy.len() > most
                && let Some(oldest) = state.healthy.pop_front()
            {
                state.remove(oldest);
            }
        }
        if let Some(most) = self.most {
            state.shrink(|state| state.used > most);
        }
        Folded::No
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Removes healthy sessions, the oldest first, while too much is used.
    fn shrink(&mut self, too_much: impl Fn(&State) -> bool) {
        while too_much(self)
            && let Some(oldest) = self.earlier.pop_front().or_else(|| self.healthy.pop_front())
        {
            self.remove(oldest);
        }
    }

    fn remove(&mut self, (dir, bytes): (PathBuf, u64)) {
        remove(&dir);
        self.used = self.used.saturating_sub(bytes);
    }
}

fn remove(dir: &Path) {
    // A link in the folder is removed and not followed.
    if let Err(error) = std::fs::remove_dir_all(dir)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!("{} cannot be removed: {error}", dir.display());
    }
}

/// Bytes on disk of a folder and all below it. A file with several names counts where it was made: the
/// bundles' allocator is in `dso/`.
pub(super) fn size(dir: &Path) -> u64 {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        // Without following a link.
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_dir() {
            bytes += size(&entry.path());
        } else if meta.nlink() == 1 || dir.file_name().is_some_and(|name| name == "dso") {
            bytes += meta.blocks() * 512;
        }
    }
    bytes + std::fs::metadata(dir).map_or(0, |meta| meta.blocks() * 512)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session's folder of at least 8 KiB.
    fn folder(out: &Path, name: &str) -> PathBuf {
        let dir = out.join(name);
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("session.json"), vec![b'x'; 8 << 10]).unwrap();
        dir
    }

    fn names(out: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(out)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn healthy_sessions_fold_and_hangs_stay() {
        let out = tempfile::tempdir().unwrap();
        for (keep, left) in [("all", "abcd"), ("hangs", "b"), ("0", "b"), ("2", "bcd")] {
            let disk = Disk::new(keep.parse().unwrap(), None, 0);
            for name in ["a", "b", "c", "d"] {
                disk.ended(&folder(out.path(), name), name != "b", 0);
            }
            assert_eq!(names(out.path()).concat(), left, "{keep}");
            names(out.path()).iter().for_each(|name| remove(&out.path().join(name)));
        }
        assert!("some".parse::<Keep>().is_err());
    }

    #[test]
    fn at_the_limit_the_oldest_healthy_go_and_then_there_is_no_room() {
        let out = tempfile::tempdir().unwrap();
        let one = size(&folder(out.path(), "x"));
        remove(&out.path().join("x"));
        let disk = Disk::new(Keep::All, Some(one * 2), 0);
        for (name, healthy) in [("a", true), ("b", false), ("c", true), ("d", false)] {
            disk.ended(&folder(out.path(), name), healthy, 0);
        }
        assert_eq!(names(out.path()), ["b", "d"]);
        assert!(!disk.has_room());
        assert!(Disk::new(Keep::All, Some(one * 3), one * 2).has_room());
        // Those of an earlier collector are older than all of this one.
        let disk = Disk::new(Keep::Newest(1), Some(one * 4), one * 4);
        disk.found(["e", "f"].map(|name| folder(out.path(), name)));
        disk.ended(&folder(out.path(), "g"), true, 0);
        assert_eq!(names(out.path()), ["b", "d", "f", "g"]);
        assert!(disk.has_room() && names(out.path()) == ["b", "d", "g"]);
        assert!(Disk::new(Keep::All, None, u64::MAX).has_room());
    }
}
