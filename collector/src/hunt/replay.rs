//! How a run of an earlier hunt was disturbed, for `--stir-replay`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::analysis::Stir;
use crate::analysis::facts::run_name;
use crate::files::bounded;

/// Name of the file with the runs of a hunt.
const RUNS: &str = "runs.jsonl";

/// What is needed of a line of the file.
#[derive(Debug, Deserialize)]
struct Run {
    run: u32,
    arm: String,
    #[serde(default)]
    stir: Option<Stir>,
    #[serde(default)]
    preferred_sites: BTreeSet<u32>,
    #[serde(default)]
    hang: Option<Hang>,
}

#[derive(Debug, Deserialize)]
struct Hang {
    snapshot: String,
}

impl Run {
    fn name(&self) -> String {
        run_name(&self.arm, self.run)
    }
}

/// Which run is meant.
#[derive(Debug)]
enum Which {
    /// The one with this folder in OUT.
    Snapshot(PathBuf),
    /// The one with this name: `8`, `deleted/8`.
    Name(String),
}

impl Which {
    fn is(&self, run: &Run) -> bool {
        match self {
            Which::Snapshot(folder) => {
                run.hang.as_ref().is_some_and(|hang| Path::new(&hang.snapshot) == folder)
            }
            Which::Name(name) => run.name() == *name,
        }
    }

    fn text(&self) -> String {
        match self {
            Which::Snapshot(folder) => format!("with the folder {}", folder.display()),
            Which::Name(name) => name.clone(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum NoReplay {
    #[error("give the folder of a hang of a hunt, as OUT/hang_run_8, or OUT:8")]
    NoRun,
    #[error("no {RUNS} in {} or above it: give the folder of a hang of a hunt, or OUT:8", .0.display())]
    NoHunt(PathBuf),
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}:{line}: no run of a hunt: {source}", path.display())]
    Line { path: PathBuf, line: usize, source: serde_json::Error },
    #[error("{} has no run {name}: it has {runs}", path.display())]
    NoSuchRun { path: PathBuf, name: String, runs: String },
    #[error("run {0} was not disturbed: choose a run of a hunt with --stir")]
    NotStirred(String),
}

/// How the run that `text` names was disturbed, and its preferred sites: the folder of a hang
/// (`OUT/hang_run_8`), or `OUT:8`, `OUT/runs.jsonl:8`; with the arm of the run, `OUT:deleted/8`.
///
/// # Errors
/// [`NoReplay`]: no such run, or it was not disturbed.
pub(crate) fn stir_of(text: &str) -> Result<(Stir, BTreeSet<u32>), NoReplay> {
    let folder = Path::new(text);
    let (file, which) = if folder.is_dir() {
        let folder =
            std::path::absolute(folder).map_err(|source| NoReplay::Read { path: folder.into(), source })?;
        let out = folder.ancestors().skip(1).find(|above| above.join(RUNS).is_file());
        let out = out.ok_or_else(|| NoReplay::NoHunt(folder.clone()))?;
        (out.join(RUNS), Which::Snapshot(folder.strip_prefix(out).unwrap_or(&folder).to_owned()))
    } else {
        let (out, name) =
            text.rsplit_once(':').filter(|(_, name)| !name.is_empty()).ok_or(NoReplay::NoRun)?;
        let out = Path::new(out);
        let file = if out.is_dir() { out.join(RUNS) } else { out.to_owned() };
        (file, Which::Name(name.to_owned()))
    };
    let bytes = bounded::read_text(&file).map_err(|source| NoReplay::Read { path: file.clone(), source })?;
    let mut runs = vec![];
    for (line, text) in (1..).zip(bytes.lines()) {
        let read = |source| NoReplay::Line { path: file.clone(), line, source };
        runs.push(serde_json::from_str::<Run>(text).map_err(read)?);
    }
    let Some(run) = runs.iter().find(|run| which.is(run)) else {
        let runs = match &runs[..] {
            [] => "none".to_owned(),
            [one] => one.name(),
            [first, .., last] => format!("{} to {}", first.name(), last.name()),
        };
        return Err(NoReplay::NoSuchRun { path: file, name: which.text(), runs });
    };
    let stir = run.stir.ok_or_else(|| NoReplay::NotStirred(run.name()))?;
    Ok((stir, run.preferred_sites.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{HangFacts, RunFacts, RunOutcome};
    use crate::hunt::run_files;

    #[test]
    fn a_run_is_named_by_its_folder_or_its_number() {
        let dir = tempfile::tempdir().unwrap();
        let stirred = |seed| Some(Stir { strategy: "calls:3".parse().unwrap(), seed });
        let hang =
            |snapshot: &str| Some(HangFacts { snapshot: snapshot.to_owned(), finding: None, dump_ms: None });
        let runs = [
            RunFacts { stir: stirred(7), preferred_sites: BTreeSet::from([5]), ..RunFacts::new(1, "pinned") },
            RunFacts {
                outcome: RunOutcome::Hung,
                stir: stirred(8),
                hang: hang("hang_run_2"),
                ..RunFacts::new(2, "pinned")
            },
            RunFacts { stir: stirred(9), hang: hang("arms/x/hang_run_2"), ..RunFacts::new(2, "x") },
            RunFacts::new(3, "pinned"),
        ];
        let lines: String = runs.iter().map(|run| run_files::object(run).to_string() + "\n").collect();
        std::fs::write(dir.path().join(RUNS), lines).unwrap();
        for folder in ["hang_run_2", "hang_run_9", "arms/x/hang_run_2"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        let at = |text: &str| stir_of(&format!("{}{text}", dir.path().display()));
        let seed = |text: &str| at(text).unwrap().0.seed;
        assert_eq!(
            [seed(":1"), seed("/runs.jsonl:2"), seed("/hang_run_2"), seed("/hang_run_2/")],
            [7, 8, 8, 8]
        );
        assert_eq!([seed(":x/2"), seed("/arms/x/hang_run_2")], [9, 9]);
        assert_eq!(at(":1").unwrap().1, BTreeSet::from([5]));
        let error = |text: &str| at(text).unwrap_err().to_string();
        assert!(error(":9").ends_with("has no run 9: it has 1 to 3"), "{}", error(":9"));
        assert!(
            error("/hang_run_9").contains("has no run with the folder hang_run_9"),
            "{}",
            error("/hang_run_9")
        );
        assert_eq!(error(":3"), "run 3 was not disturbed: choose a run of a hunt with --stir");
        assert!(error("/none:1").contains("cannot read"));
        assert!(stir_of("8").unwrap_err().to_string().contains("OUT:8"));
        std::fs::write(dir.path().join(RUNS), "{}\n").unwrap();
        assert!(error(":1").contains("runs.jsonl:1: no run of a hunt: missing field"));
    }
}
