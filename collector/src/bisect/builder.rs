//! Makes a build: a work tree, the build command, a pinned copy of the DSO. The work tree is removed then.
//!
//! All builds are made at the same path, one after the other. So paths in the debug information are the same,
//! and two commits with the same code can have the same bytes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::Context as _;
use crossbeam_channel::select;

use super::git::{Repository, without_git};
use super::settings::Settings;
use crate::analysis::bisect::Make;
use crate::console::cancel::Cancel;
use crate::files::atomic;
use crate::files::folder;
use crate::files::pin::{self, PinError, Pinned};
use crate::launch::bench::{AtOurEnd, Bench, TERM_TO_KILL};
use crate::report::bisect::lines::Line;
use crate::text::message::{Say as _, Text, say};

/// Name of the work tree in OUT.
const TREE: &str = "worktree";
/// Name of the output of a build.
const LOG: &str = "build.log";
/// How much of a line of the log is kept, characters.
const MOST_CHARACTERS: usize = 200;
/// A variable of the build, by which its processes are known.
const MARK: &str = "HANGSCOPE_BUILD";

/// Makes builds in OUT.
#[derive(Debug)]
pub(super) struct Builder<'a> {
    pub(super) settings: &'a Settings,
    pub(super) out: &'a Path,
    pub(super) repository: Repository,
    pub(super) cancel: &'a Cancel,
}

impl Builder<'_> {
    /// Folder of a build: `builds/0a1b2c3d4e5f`.
    pub(super) fn folder(&self, build: usize) -> PathBuf {
        self.out.join("builds").join(self.settings.key(build))
    }

    /// The pinned DSO of a build that was made.
    ///
    /// # Errors
    /// It is gone, or has other bytes.
    pub(super) fn pinned(&self, build: usize, sha1: &str) -> Result<Pinned, PinError> {
        let (folder, name) = (self.folder(build), &self.settings.name);
        let file = folder.join(format!("{name}_{}.so", sha1.get(..8).unwrap_or_default()));
        pin::pin_as(&file, &folder, name, &format!("{name}_so.sha1"))
    }

    /// Removes the work tree that a killed search has left.
    pub(super) fn clean(&self) -> anyhow::Result<()> {
        let tree = self.out.join(TREE);
        self.repository.remove(&tree).with_context(|| format!("bisect: cannot remove {}", tree.display()))
    }

    /// Makes a build; none: it was interrupted.
    ///
    /// # Errors
    /// git cannot make a work tree, or a file cannot be written. A build command that fails is no error.
    pub(super) fn make(&self, build: usize) -> anyhow::Result<Option<Make>> {
        self.clean()?;
        let (tree, folder) = (self.out.join(TREE), self.folder(build));
        atomic::make_dir(&folder)?;
        let started = Instant::now();
        let hash = &self.settings.commit(build).hash;
        self.repository.add(&tree, hash).map_err(|e| anyhow::anyhow!("bisect: {e}"))?;
        let made = self.run(build, &tree, &folder);
        self.clean()?;
        Ok(made?.map(|made| Make {
            build,
            seconds: started.elapsed().as_secs_f64(),
            sha1: made.as_ref().ok().map(|pinned| pinned.sha1.clone()),
            failed: made.err(),
        }))
    }

    /// Runs the build command. Gives the DSO, or why there is none.
    fn run(&self, build: usize, tree: &Path, folder: &Path) -> anyhow::Result<Option<Result<Pinned, Text>>> {
        let log = folder.join(LOG);
        let cannot_write = || format!("bisect: cannot write {}", log.display());
        let (out, err) = folder::create(&log)
            .and_then(|file: File| Ok((file.try_clone()?, file)))
            .with_context(cannot_write)?;
        let mark = format!("{}_{build}", std::process::id());
        let mut command = Command::new("sh");
        command.arg("-c").arg(self.settings.build_line(build, tree)).current_dir(tree).env(MARK, &mark);
        without_git(&mut command);
        let mark = format!("{MARK}={mark}");
        let mut bench = Bench::start(command, out, err, None, mark, AtOurEnd::Killed)
            .context("bisect: cannot start sh")?;
        select! {
            recv(bench.ended()) -> _ => {}
            recv(self.cancel.channel()) -> _ => {
                bench.stop(TERM_TO_KILL).context("bisect: stopping the build")?;
                return Ok(None);
            }
        }
        let ended = bench.reap().context("bisect: waiting for the build")?;
        // What a build leaves in the background would take processor time from the runs.
        if !bench.has_no_descendant() {
            bench.stop(TERM_TO_KILL).context("bisect: stopping what the build left")?;
        }
        if ended.code != Some(0) {
            let status = ended.code.or(ended.signal.map(|n| 128 + n)).unwrap_or(1);
            let log = telling_line(&log);
            return Ok(Some(Err(say!(Line::BuildFailed { status, log }).said())));
        }
        let (so, name) = (tree.join(&self.settings.so), &self.settings.name);
        match pin::pin_as(&so, folder, name, &format!("{name}_so.sha1")) {
            Ok(pinned) => Ok(Some(Ok(pinned))),
            Err(PinError::Write(e)) => Err(e.into()),
            Err(_) if !so.exists() => {
                let so = self.settings.so.display();
                Ok(Some(Err(say!(Line::NoDso { so }).said())))
            }
            Err(PinError::NotADso { why, .. }) => {
                let so = self.settings.so.display();
                Ok(Some(Err(say!(Line::NotADso { so, why }).said())))
            }
            Err(e) => Ok(Some(Err(Text::Same(e.to_string())))),
        }
    }
}

fn telling_line(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    told_by(&String::from_utf8_lossy(&text)).chars().take(MOST_CHARACTERS).collect()
}

/// The first line of a log that says what went wrong, as compilers, linkers and make write it; else the last
/// line with text.
fn told_by(log: &str) -> &str {
    const SIGNS: [&str; 6] =
        ["error: ", "error[", "undefined reference", "cannot find -l", "No such file or directory", "*** "];
    let mut lines = log.lines().map(str::trim).filter(|line| !line.is_empty());
    let telling = lines.clone().find(|line| SIGNS.iter().any(|sign| line.contains(sign)));
    telling.or(lines.next_back()).unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use super::told_by;

    #[test]
    fn the_line_that_says_what_went_wrong_is_told_and_not_the_command() {
        let log =
            |line: &str| format!("cc -Werror -O2 -c error.c\n{line}\nmake: *** [Makefile:3: a.o] Error 1\n");
        for line in [
            "error.c:3:1: error: unknown type name 'x'",
            "/usr/bin/ld: a.o: undefined reference to `foo'",
            "error[E0425]: cannot find value `x` in this scope",
            "sh: 1: ./configure: No such file or directory",
        ] {
            assert_eq!(told_by(&log(line)), line);
        }
        assert_eq!(told_by(&log("")), "make: *** [Makefile:3: a.o] Error 1");
        assert_eq!(told_by("cc -Werror\nKilled\n\n"), "Killed");
        assert_eq!(told_by("\n"), "-");
    }
}
