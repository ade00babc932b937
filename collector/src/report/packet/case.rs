//! What a packet is made from: a hang, and the hunt that it belongs to.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::analysis::counters::LaneCounters;
use crate::analysis::{Conclusion, HuntFacts, RunFacts, conclude, file_name};
use crate::evidence::saved::NotRead;
use crate::files::bounded;
use crate::report::extra::Extra;
use crate::report::hang::Hang;
use crate::report::same::Same;
use crate::report::{reread, show};
use crate::text::message::Lang;

/// A hang with what is around it.
pub(crate) struct Case {
    /// The bundle.
    path: PathBuf,
    pub(crate) hang: Hang,
    /// None: the bundle is of no hunt, or the files of the hunt are not there.
    pub(super) hunt: Option<Hunt>,
    /// Lines of environ.txt, without LD_PRELOAD.
    pub(super) environment: Vec<String>,
    /// Why perf did not record, where it did not.
    pub(super) no_perf: Option<String>,
    /// `core.zst` is there.
    pub(super) has_core: bool,
}

pub(super) struct Hunt {
    pub(super) out: PathBuf,
    pub(super) facts: HuntFacts,
    pub(super) conclusion: Conclusion,
    /// With the counters.
    pub(super) extra: Extra,
    /// Index in the facts of the run that hung.
    run: Option<usize>,
}

/// The part of counters.json that is read.
#[derive(Deserialize)]
struct Counters {
    lanes: Vec<LaneCounters>,
}

impl Case {
    /// Reads the bundle of a hang. OUT of a hunt stands for its first hang.
    ///
    /// # Errors
    /// [`NotRead`]: there is no hang at the path.
    pub(crate) fn read(path: &Path) -> Result<Case, NotRead> {
        let of_out = path.join("verdict.json").exists().then(|| reread::facts(path).ok()).flatten();
        let first = of_out.and_then(|facts| facts.runs.into_iter().find_map(|run| run.hang));
        let path = first.map_or_else(|| path.to_owned(), |hang| path.join(hang.snapshot));
        let hang = Hang::read(&path)?;
        let lines = |name: &str| {
            bounded::read_text(&path.join(name)).map(|text| text.lines().map(str::to_owned).collect())
        };
        let environment: Vec<String> = lines("environ.txt").unwrap_or_default();
        let is_told = |line: &&String| !line.starts_with("LD_PRELOAD=") && !line.starts_with('#');
        let perf: Vec<String> = lines("perf_hot_tid.txt").unwrap_or_default();
        let reason = perf.first().and_then(|line| line.strip_prefix("# perf: ")).filter(|_| perf.len() == 1);
        Ok(Case {
            hunt: Hunt::around(&path),
            environment: environment.iter().filter(is_told).cloned().collect(),
            no_perf: reason.map(str::to_owned),
            has_core: path.join("core.zst").exists(),
            path,
            hang,
        })
    }

    /// Name of the bundle's folder, with that of the hunt before it.
    pub(super) fn folder(&self) -> String {
        let path = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        let names: Vec<String> = path
            .components()
            .rev()
            .take(if self.hunt.is_some() { 2 } else { 1 })
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .collect();
        names.into_iter().rev().collect::<Vec<_>>().join("/")
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Short name of the allocator; without a hunt, that of the program.
    pub(super) fn name(&self) -> String {
        let program = || file_name(&self.hang.file.exe).to_owned();
        self.hunt.as_ref().map_or_else(program, |hunt| hunt.facts.name.clone())
    }

    /// The command, quoted for a shell.
    pub(super) fn command(&self) -> String {
        let command = match &self.hunt {
            Some(hunt) if !hunt.facts.command.is_empty() => &hunt.facts.command,
            _ => &self.hang.file.command,
        };
        quoted(command)
    }

    /// The run that hung.
    pub(super) fn run(&self) -> Option<&RunFacts> {
        let hunt = self.hunt.as_ref()?;
        hunt.facts.runs.get(hunt.run?)
    }

    /// The headline of the hunt, if it is about this hang; else the sentence of the hang.
    pub(super) fn headline(&self, lang: Lang) -> String {
        let hunt = self.hunt.as_ref().zip(self.run());
        let about = hunt.filter(|(hunt, run)| hunt.conclusion.is_about(run));
        about.map_or_else(
            || Same { names: vec!["."], file: &self.hang.file }.sentence(lang),
            |(hunt, _)| hunt.conclusion.headline(lang),
        )
    }
}

impl Hunt {
    /// The hunt of which the bundle is a part: `OUT/hang_run_8`, `OUT/arms/deleted/hang_run_8`.
    fn around(bundle: &Path) -> Option<Hunt> {
        let bundle = std::path::absolute(bundle).ok()?;
        let out = bundle.ancestors().skip(1).take(3).find(|folder| folder.join("verdict.json").exists())?;
        let facts = reread::facts(out).ok()?;
        let name = bundle.strip_prefix(out).ok()?.to_string_lossy().into_owned();
        let is_it = |run: &RunFacts| run.hang.as_ref().is_some_and(|hang| hang.snapshot == name);
        let counters: Option<Counters> = show::read(&out.join("counters.json")).ok();
        let extra = Extra { lanes: counters.map_or_else(Vec::new, |file| file.lanes), ..Extra::default() };
        let run = facts.runs.iter().position(is_it);
        Some(Hunt { conclusion: conclude(&facts), out: out.to_owned(), facts, extra, run })
    }
}

/// Words for a shell. A word that no shell can take is left out.
pub(super) fn quoted(words: &[String]) -> String {
    let quoted = words.iter().filter_map(|word| shlex::try_quote(word).ok());
    quoted.collect::<Vec<_>>().join(" ")
}
