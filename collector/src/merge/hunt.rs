//! The shards of a hunt as one hunt.

use std::collections::BTreeMap;
use std::path::Path;

use super::merged::{Found, Merged};
use super::read::Shard;
use super::usage::usage;
use crate::analysis::facts::PINNED;
use crate::analysis::shards::{Joined, PartEnd};
use crate::analysis::{HuntFacts, RunFacts, RunOutcome};
use crate::files::atomic::{self, Lines};
use crate::hunt::arm;
use crate::hunt::run_files::{self, RunFiles};
use crate::report::{Extra, VerdictFile, reread, write_hunt};
use crate::text::merge::MergeLine;
use crate::text::message::{Say as _, Text};
use crate::verify;

/// File with the runs of the counter lane.
const STATS: &str = "stats_runs.jsonl";

/// Writes the files of the joined hunt.
pub(super) fn join(
    shards: Vec<Shard>,
    joined: Joined,
    out: &Path,
    mut notes: Vec<Text>,
) -> anyhow::Result<Merged> {
    let facts = facts(&shards, &joined, out)?;
    runs(&facts, &shards, out)?;
    let counted = shards.iter().any(|shard| shard.folder.join("counters.json").exists());
    notes.extend(counted.then(|| MergeLine::CountersStay {}.said()));
    let extra = Extra { preload: preload(&shards), notes: notes.clone(), ..Extra::default() };
    let conclusion = write_hunt(out, &facts, &extra)?;
    let verdict = Some(VerdictFile::of(&facts, &conclusion));
    Ok(Merged { joined, verdict, found: Found::Hunt(Box::new((facts, conclusion))), notes })
}

/// The facts of all shards, as one hunt in one piece would have them.
fn facts(shards: &[Shard], joined: &Joined, out: &Path) -> anyhow::Result<HuntFacts> {
    let heads: Vec<&HuntFacts> = shards.iter().filter_map(|shard| shard.record.hunt.as_ref()).collect();
    let Some(first) = heads.first() else {
        return Err(usage("no shard has begun its runs: wait for them"));
    };
    let mut runs: Vec<RunFacts> = shards.iter().flat_map(|shard| shard.runs::<RunFacts>().read).collect();
    // Of a run that was broken off and made again, the second counts.
    let made = |runs: &[RunFacts], of: &RunFacts| {
        let same = |run: &RunFacts| (&run.arm, run.run) == (&of.arm, of.run);
        runs.iter().any(|run| run.outcome != RunOutcome::Interrupted && same(run))
    };
    let all = runs.clone();
    runs.retain(|run| run.outcome != RunOutcome::Interrupted || !made(&all, run));
    runs.iter_mut().for_each(|run| reread::find(out, run));
    let planned = shards.first().map_or(0, |shard| shard.record.runs);
    // The first that knows all arms: a shard that was killed early does not.
    let arms = heads.iter().map(|head| &head.arms).max_by_key(|arms| arms.len()).cloned().unwrap_or_default();
    sort(&mut runs, &arms.iter().map(|arm| arm.name.as_str()).collect::<Vec<_>>(), planned, first.seed);
    let mut stats: Vec<RunFacts> = shards.iter().flat_map(|shard| shard.others(STATS).read).collect();
    stats.sort_by_key(|run| run.run);
    if stats.iter().any(|run| run.outcome == RunOutcome::Hung) {
        stats.iter_mut().for_each(|run| reread::find(out, run));
        runs.extend(stats);
    }
    let mut facts = HuntFacts {
        planned,
        runs,
        arms,
        interrupted: !joined.is_whole(),
        stop_at_first: first.stop_at_first && !joined.with(PartEnd::FirstHang).is_empty(),
        time_over_s: heads.iter().find_map(|head| head.time_over_s),
        shards: Some(joined.clone()),
        ..(*first).clone()
    };
    let worst = heads.iter().map(|head| head.dso.original_integrity).max();
    facts.dso.original_integrity = worst.unwrap_or(facts.dso.original_integrity);
    // A limit that only some shards reached did not end the whole.
    if joined.with(PartEnd::MaxTime).is_empty() {
        facts.time_over_s = None;
    }
    Ok(facts)
}

/// Puts the runs in the order of a hunt in one piece.
fn sort(runs: &mut [RunFacts], arms: &[&str], planned: u32, seed: Option<u64>) {
    let arms = if arms.is_empty() { &[PINNED][..] } else { arms };
    let order = arm::rounds(arms.len(), planned, seed.unwrap_or_default());
    let places: BTreeMap<(&str, u32), usize> =
        order.enumerate().map(|(place, (arm, run))| ((arms[arm], run), place)).collect();
    runs.sort_by_key(|run| places.get(&(run.arm.as_str(), run.run)).copied().unwrap_or(usize::MAX));
}

/// Writes `runs.tsv`, `runs.jsonl` and `progress.log`.
fn runs(facts: &HuntFacts, shards: &[Shard], out: &Path) -> anyhow::Result<()> {
    let mut files = RunFiles::begin(out)?;
    for arm in facts.arms.iter().filter(|arm| arm.name != PINNED) {
        atomic::make_dir(&out.join("arms").join(&arm.name))?;
        files.arm(out, &arm.name)?;
    }
    for shard in shards {
        files.progress(&format!("[MERGE] {}", shard.name()))?;
    }
    let stats = |run: &&RunFacts| run.arm == crate::analysis::facts::STATS;
    facts.runs.iter().filter(|run| !stats(run)).try_for_each(|run| files.push(run))?;
    let mut all: Vec<RunFacts> = shards.iter().flat_map(|shard| shard.others(STATS).read).collect();
    all.sort_by_key(|run| run.run);
    if !all.is_empty() {
        let mut lines = Lines::open(&out.join(STATS))?;
        all.iter().try_for_each(|run| lines.push_json(&run_files::object(run)))?;
    }
    Ok(())
}

/// The last line of the verification, if that of every shard passed.
fn preload(shards: &[Shard]) -> Option<String> {
    let passed = |shard: &Shard| {
        let text =
            std::fs::read_to_string(shard.folder.join("preload_verify/result.txt")).unwrap_or_default();
        text.lines().last() == Some(verify::PASSED)
    };
    shards.iter().all(passed).then(|| verify::PASSED.to_owned())
}
