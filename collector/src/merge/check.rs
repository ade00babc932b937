//! Refuses shards that are not of one job, and says which are missing.

use super::read::Shard;
use super::usage::usage;
use crate::analysis::shards::{Joined, Machine, Part, PartEnd};
use crate::analysis::{RunFacts, RunOutcome};
use crate::matrix;
use crate::shard::Job;
use crate::shard::settings::{Difference, difference};
use crate::text::merge::MergeLine;
use crate::text::message::{Say as _, Text, say};

/// The shards by number, each once, and what is known of them.
///
/// # Errors
/// There is none. Two differ in a DSO or a setting, or are the same shard with other runs. A shard has a run
/// that is not its own.
pub(super) fn check(mut shards: Vec<Shard>, notes: &mut Vec<Text>) -> anyhow::Result<(Vec<Shard>, Joined)> {
    shards.sort_by(|a, b| (a.record.shard, &a.folder).cmp(&(b.record.shard, &b.folder)));
    let Some(first) = shards.first() else {
        let why = notes.iter().map(Text::en).collect::<Vec<_>>().join("; ");
        return Err(usage(format!("no shard can be joined: {why}")));
    };
    for other in &shards[1..] {
        same_job(first, other)?;
    }
    let of = first.record.shard.of;
    let shards = each_once(shards, notes)?;
    let parts = shards.iter().map(part).collect::<anyhow::Result<Vec<Part>>>()?;
    Ok((shards, Joined::new(of, parts)))
}

/// Refuses two shards of different jobs by the first difference.
fn same_job(first: &Shard, other: &Shard) -> anyhow::Result<()> {
    let refuse = |what: &str, one: &str, two: &str| {
        let (one_in, two_in) = (first.folder.display(), other.folder.display());
        let remedy = "give shards of one job only";
        Err(usage(format!("{what} is not the same: {one} in {one_in}, {two} in {two_in}; {remedy}")))
    };
    let word = |job: Job| if job == Job::Hunt { "a hunt" } else { "a matrix" };
    if first.record.job != other.record.job {
        return refuse("the job", word(first.record.job), word(other.record.job));
    }
    if first.record.shard.of != other.record.shard.of {
        let of = |shard: &Shard| shard.record.shard.of.to_string();
        return refuse("the number of shards", &of(first), &of(other));
    }
    match difference(&first.record.settings, &other.record.settings) {
        Some(Difference { name, first, other }) => {
            refuse(name, Difference::show(first), Difference::show(other))
        }
        None => Ok(()),
    }
}

/// Leaves out earlier copies of a shard that went on elsewhere.
fn each_once(shards: Vec<Shard>, notes: &mut Vec<Text>) -> anyhow::Result<Vec<Shard>> {
    let mut once: Vec<Shard> = vec![];
    for shard in shards {
        let Some(last) = once.last_mut().filter(|last| last.record.shard == shard.record.shard) else {
            once.push(shard);
            continue;
        };
        let earlier = |one: &Shard, whole: &Shard| {
            let (folder, whole) = (one.folder.display(), whole.folder.display());
            say!(MergeLine::EarlierPart { folder, whole }).said()
        };
        if shard.is_part_of(last) {
            notes.push(earlier(&shard, last));
        } else if last.is_part_of(&shard) {
            notes.push(earlier(last, &shard));
            *last = shard;
        } else {
            return Err(usage(format!(
                "shard {} is there twice with different runs: {} and {}; leave one out",
                shard.record.shard,
                last.folder.display(),
                shard.folder.display()
            )));
        }
    }
    Ok(once)
}

/// What is known of a shard: its runs are those that its `runs.jsonl` proves.
fn part(shard: &Shard) -> anyhow::Result<Part> {
    let record = &shard.record;
    let (mut runs, damaged): (Vec<(String, RunFacts)>, usize) = match record.job {
        Job::Hunt => {
            let lines = shard.runs::<RunFacts>();
            (lines.read.into_iter().map(|run| (run.name(), run)).collect(), lines.damaged)
        }
        Job::Matrix => {
            let lines = shard.runs::<matrix::Entry>();
            let counted = lines.read.into_iter().filter(|entry| !entry.warmup);
            (counted.map(|entry| (entry.name(), entry.facts)).collect(), lines.damaged)
        }
    };
    runs.retain(|(_, run)| run.outcome != RunOutcome::Interrupted);
    if let Some((name, _)) = runs.iter().find(|(_, run)| !record.shard.has(run.run)) {
        let shard = shard.name();
        return Err(usage(format!("{shard} has run {name}, which belongs to another shard; leave it out")));
    }
    let mut names: Vec<&String> = runs.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        let shard = shard.name();
        return Err(usage(format!("{shard} has run {} twice in its runs.jsonl; leave it out", twice[0])));
    }
    let made = runs.len() as u32;
    let end = match record.start.end {
        Some(_) if made < record.made => PartEnd::RunsLost,
        // Its hang was that of its last run.
        Some(PartEnd::FirstHang) if made >= record.planned => PartEnd::AllMade,
        Some(end) => end,
        // It was killed after its last run.
        None if made >= record.planned => PartEnd::AllMade,
        None => PartEnd::Unfinished,
    };
    let mut machines: Vec<Machine> = record.starts().map(|start| start.machine.clone()).collect();
    machines.sort();
    machines.dedup();
    Ok(Part {
        shard: record.shard.index,
        end,
        planned: record.planned,
        made,
        hung: runs.iter().filter(|(_, run)| run.outcome == RunOutcome::Hung).count() as u32,
        // Whole lines may be gone, too.
        damaged_lines: (damaged as u32).max(record.made.saturating_sub(made)),
        machines,
    })
}
