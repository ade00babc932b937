//! The settings of a search. `bisect_settings.json` in OUT keeps them, so that the search can be resumed.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::git::Commit;
use crate::analysis::StirPlan;
use crate::analysis::bisect::{Counted, Search, Space, Task};
use crate::analysis::shrink::command::shell_line;
use crate::files::atomic::{self, WriteError};
use crate::files::settings;

/// Name of the file in OUT.
pub(crate) const FILE: &str = "bisect_settings.json";
const SCHEMA: &str = "hangscope/bisect-settings/1";
/// In the build command: the work tree.
pub(crate) const DIR: &str = "{dir}";
/// In the build command: the settings of the build.
pub(crate) const FLAGS: &str = "{flags}";

/// Times are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// `hangscope/bisect-settings/1`.
    pub(crate) schema: String,
    /// Top folder of the user's checkout.
    pub(crate) repository: PathBuf,
    /// From the good one to the bad one; with flags, the one commit that is built.
    pub(crate) commits: Vec<Commit>,
    /// Empty: commits are searched.
    pub(crate) flags: Vec<Flag>,
    /// The build command, for a shell.
    pub(crate) build: String,
    /// The DSO, a path in the work tree.
    pub(crate) so: PathBuf,
    /// Short name of the allocator.
    pub(crate) name: String,
    /// The profile of the user; none: a built-in one.
    pub(crate) profile: Option<PathBuf>,
    /// The working directory of the command.
    pub(crate) dir: PathBuf,
    /// The command of the benchmark.
    pub(crate) command: Vec<String>,
    pub(crate) confidence: f64,
    pub(crate) max_runs: u32,
    pub(crate) counted: Counted,
    /// Deadline; none where only a stall counts.
    pub(crate) hang_after_s: Option<f64>,
    /// A run without progress for this time hangs; none: only the deadline counts.
    pub(crate) stall_s: Option<f64>,
    /// Time between two looks of the shim; none: a quarter of the deadline.
    pub(crate) tick_s: Option<f64>,
    /// How the scheduling of the runs is disturbed; none: not at all.
    pub(crate) stir: Option<StirPlan>,
    /// CPUs of the runs, as in the option.
    pub(crate) cpus: Option<String>,
    /// Environment variables for the benchmark.
    pub(crate) env: Vec<(String, String)>,
    /// Names of the watched programs, as in the option.
    pub(crate) only: Option<String>,
    /// Runs of the preload verification.
    pub(crate) verify_runs: u32,
    /// Arguments of a small run, for the verification.
    pub(crate) verify_args: Option<Vec<String>>,
    /// The shim, as in the option; none: the installed one.
    pub(crate) shim: Option<PathBuf>,
}

/// A setting of the build, with its values: `-DHZ4_A=0,1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Flag {
    /// `-DHZ4_A`.
    pub(crate) name: String,
    pub(crate) values: Vec<String>,
}

impl Flag {
    /// Reads `-DA=0,1 -DB=0,1,2`.
    ///
    /// # Errors
    /// What is wrong, for the user.
    pub(crate) fn parse_all(text: &str) -> Result<Vec<Flag>, String> {
        let words = shlex::split(text).ok_or("a quote is not closed")?;
        let mut flags: Vec<Flag> = vec![];
        for word in words {
            let given = word.split_once('=').filter(|(name, _)| !name.is_empty());
            let (name, values) =
                given.ok_or_else(|| format!("{word}: give NAME=VALUE,VALUE, as in -DHZ4_A=0,1"))?;
            let values: Vec<String> = values.split(',').map(str::to_owned).collect();
            let twice = values.iter().enumerate().any(|(at, value)| values[..at].contains(value));
            if twice || flags.iter().any(|flag| flag.name == name) {
                return Err(format!("{word}: the same setting or value twice"));
            }
            flags.push(Flag { name: name.to_owned(), values });
        }
        let builds = flags.iter().try_fold(1_usize, |all, flag| all.checked_mul(flag.values.len()));
        match builds.filter(|builds| *builds <= MOST_BUILDS) {
            Some(2..) => Ok(flags),
            Some(_) => Err("give two values of a setting at least, as in -DHZ4_A=0,1".into()),
            None => Err(format!("more than {MOST_BUILDS} combinations: give fewer settings or values")),
        }
    }
}

/// Most combinations of settings.
const MOST_BUILDS: usize = 256;

impl Settings {
    pub(crate) fn schema() -> String {
        SCHEMA.to_owned()
    }

    /// Reads the settings of the search in `out`; none: there is no search.
    ///
    /// # Errors
    /// One line that says what is wrong with the file.
    pub(crate) fn load(out: &Path) -> Result<Option<Settings>, String> {
        settings::load(&out.join(FILE), "bisect", |settings: &Settings| {
            settings.schema == SCHEMA && settings.is_whole()
        })
    }

    fn is_whole(&self) -> bool {
        let flags = self.flags.iter().all(|flag| !flag.values.is_empty());
        let commits = if self.flags.is_empty() { self.commits.len() >= 2 } else { self.commits.len() == 1 };
        flags && commits && !self.command.is_empty()
    }

    pub(crate) fn write(&self, out: &Path) -> Result<(), WriteError> {
        atomic::write_json(&out.join(FILE), self)
    }

    pub(crate) fn space(&self) -> Space {
        match self.flags.is_empty() {
            true => Space::line(self.commits.len()),
            false => Space::settings(&self.flags.iter().map(|flag| flag.values.len()).collect::<Vec<_>>()),
        }
    }

    pub(crate) fn task(&self) -> Task {
        let space = self.space();
        let last = space.builds() - 1;
        Task {
            // The bad end first: what its build shows is what the user has seen.
            ends: if self.flags.is_empty() { vec![last, 0] } else { vec![] },
            search: Search { space, confidence: self.confidence, max_runs: self.max_runs },
            counted: self.counted.clone(),
            hang_s: [self.hang_after_s, self.stall_s].into_iter().flatten().fold(f64::INFINITY, f64::min),
        }
    }

    /// The commit of a build.
    pub(crate) fn commit(&self, build: usize) -> &Commit {
        if self.flags.is_empty() { &self.commits[build] } else { &self.commits[0] }
    }

    /// The settings of a build, as the build command gets them; empty for commits.
    pub(crate) fn flags_of(&self, build: usize) -> String {
        let values = self.space().values(build);
        let words = self
            .flags
            .iter()
            .zip(values)
            .map(|(flag, value)| format!("{}={}", flag.name, flag.values[value]));
        words.collect::<Vec<_>>().join(" ")
    }

    /// Name of a build in paths: the commit, and the number of the combination from 1.
    pub(crate) fn key(&self, build: usize) -> String {
        let short = self.commit(build).short();
        if self.flags.is_empty() { short.to_owned() } else { format!("{short}_{}", build + 1) }
    }

    /// Name of a build for people.
    pub(crate) fn label(&self, build: usize) -> String {
        if self.flags.is_empty() { self.commit(build).short().to_owned() } else { self.flags_of(build) }
    }

    /// The build command of a build in this work tree.
    pub(crate) fn build_line(&self, build: usize, tree: &Path) -> String {
        let tree = shell_line(&[tree.to_string_lossy()]);
        self.build.replace(DIR, &tree).replace(FLAGS, &self.flags_of(build))
    }
}
