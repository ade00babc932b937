//! What git says, and a work tree of its own for each build. The user's checkout and index are not touched.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde::{Deserialize, Serialize};

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Commit {
    /// Hash, hex.
    pub(crate) hash: String,
    /// The first line of its message.
    pub(crate) subject: String,
    /// Author date, RFC 3339.
    pub(crate) date: String,
    /// It has several parents.
    pub(crate) merge: bool,
}

impl Commit {
    /// The first 12 digits of the hash.
    pub(crate) fn short(&self) -> &str {
        self.hash.get(..12).unwrap_or(&self.hash)
    }
}

/// A repository of the user.
#[derive(Clone, Debug)]
pub(crate) struct Repository(PathBuf);

impl Repository {
    /// The repository that a folder is in.
    ///
    /// # Errors
    /// One line for the user.
    pub(crate) fn of(dir: &Path) -> Result<Repository, String> {
        let top = Repository(dir.to_owned()).ask(&["rev-parse", "--show-toplevel"])?;
        Ok(Repository(top.into()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The commit that a name stands for.
    ///
    /// # Errors
    /// One line for the user.
    pub(crate) fn commit(&self, name: &str) -> Result<Commit, String> {
        let hash = self
            .ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{name}^{{commit}}")])
            .map_err(|_| format!("{name} is no commit of {}", self.0.display()))?;
        let mut commits = self.log(&["--no-walk", &hash])?;
        commits.pop().ok_or_else(|| format!("git log shows nothing for {name}"))
    }

    /// The commits from `good` to `bad`, both included, along the first parents of `bad`.
    ///
    /// # Errors
    /// `good` is not on this line; one line for the user.
    pub(crate) fn line(&self, good: &str, bad: &str) -> Result<Vec<Commit>, String> {
        let (from, to) = (self.commit(good)?, self.commit(bad)?);
        if from.hash == to.hash {
            return Err(format!("--good and --bad are the same commit, {}", from.short()));
        }
        let range = format!("{}..{}", from.hash, to.hash);
        let after = self.log(&["--first-parent", "--reverse", &range])?;
        let parent = after.first().map(|first| self.ask(&["rev-parse", &format!("{}^1", first.hash)]));
        if parent.is_none_or(|parent| parent.as_deref() != Ok(&from.hash)) {
            return Err(format!(
                "--good {good} is not on the line of first parents of --bad {bad}: the search needs one line of \
                 commits; give a --good that `git log --first-parent {bad}` shows"
            ));
        }
        Ok(std::iter::once(from).chain(after).collect())
    }

    fn log(&self, words: &[&str]) -> Result<Vec<Commit>, String> {
        let format = ["log", "--no-show-signature", "--format=%H%x1f%P%x1f%aI%x1f%s"];
        let text = self.ask(&[&format[..], words, &["--"]].concat())?;
        let commits = text.lines().filter_map(|line| {
            let mut parts = line.splitn(4, '\u{1f}');
            let (hash, parents, date) = (parts.next()?, parts.next()?, parts.next()?);
            Some(Commit {
                hash: hash.to_owned(),
                subject: parts.next()?.to_owned(),
                date: date.to_owned(),
                merge: parents.contains(' '),
            })
        });
        Ok(commits.collect())
    }

    /// Checks a commit out into a new work tree.
    ///
    /// # Errors
    /// One line for the user.
    pub(crate) fn add(&self, tree: &Path, hash: &str) -> Result<(), String> {
        // A hook of the user is for the user's own checkouts.
        let words = ["-c", "core.hooksPath=/dev/null", "worktree", "add", "--quiet", "--detach", "--force"];
        let tree = tree.to_string_lossy();
        self.ask(&[&words[..], &[&tree, hash]].concat()).map(drop)
    }

    /// Removes a work tree, and what git knows of it. There need not be one.
    ///
    /// # Errors
    /// The folder cannot be removed.
    pub(crate) fn remove(&self, tree: &Path) -> io::Result<()> {
        let words = ["worktree", "remove", "--force", "--force"];
        // git refuses a folder that it does not know; that is removed below.
        let _ = self.ask(&[&words[..], &[&tree.to_string_lossy()]].concat());
        match std::fs::remove_dir_all(tree) {
            Ok(()) => {
                // git may still have an entry for the folder.
                let _ = self.ask(&["worktree", "prune"]);
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Runs git. Gives what it prints, without the last line end.
    fn ask(&self, words: &[&str]) -> Result<String, String> {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.0).args(words).stdin(Stdio::null());
        without_git(&mut command);
        let Output { status, stdout, stderr } =
            command.output().map_err(|e| format!("cannot run git: {e}; install git"))?;
        if status.success() {
            return Ok(String::from_utf8_lossy(&stdout).trim_end_matches('\n').to_owned());
        }
        let said = String::from_utf8_lossy(&stderr);
        let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("git failed");
        Err(format!("{}: {}", self.0.display(), line.trim_start_matches("fatal: ")))
    }
}

/// Takes the variables away that make git work elsewhere: a hook of git sets them.
pub(super) fn without_git(command: &mut Command) {
    for name in
        ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"]
    {
        command.env_remove(name);
    }
}
