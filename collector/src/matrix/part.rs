//! A matrix that is a shard: its record for `merge`.

use std::path::PathBuf;

use super::plan::Plan;
use super::results::Results;
use super::task::Task;
use super::usage::usage;
use crate::analysis::DsoFacts;
use crate::analysis::shards::PartEnd;
use crate::files::atomic::WriteError;
use crate::hunt::OnHang;
use crate::shard::record::BadRecord;
use crate::shard::settings::{DSO, Difference, Settings, difference};
use crate::shard::{Job, Record};
use crate::text::message::say;
use crate::text::progress::JobLine;

/// A shard under way.
#[derive(Debug)]
pub(super) struct Part {
    folder: PathBuf,
    record: Record,
}

impl Part {
    /// Writes the record before the first run. None: the matrix is no shard.
    ///
    /// # Errors
    /// OUT has another shard, or the same one with other settings.
    pub(super) fn begin(
        task: &Task,
        plan: &Plan,
        dsos: &[DsoFacts],
        seed: u64,
    ) -> anyhow::Result<Option<Part>> {
        let (out, Some(own)) = (&task.common.out, &task.common.part) else { return Ok(None) };
        let runs = (plan.all(), all_runs(task));
        let mut record =
            Record::begin(Job::Matrix, (own.shard, own.origin), runs, settings(task, dsos, seed)?);
        match Record::read(out) {
            Ok(before) => {
                if let Some(Difference { name, first, other }) =
                    difference(&before.settings, &record.settings)
                {
                    let (first, other) = (Difference::show(first), Difference::show(other));
                    return Err(usage(format!(
                        "shard {} in {} was begun with another {name}: {first} then, {other} now; put it back, or give \
                         another --out",
                        own.shard,
                        out.display(),
                    )));
                }
                record = record.after(&before);
            }
            // It has no runs that another record could be of.
            Err(BadRecord::Missing) => {}
            Err(bad) => {
                let out = out.display();
                return Err(usage(format!("{out}: {bad}, so it cannot be gone on with; give another --out")));
            }
        }
        let names = task.matrix.allocators.iter().map(|allocator| allocator.name.clone());
        record.dsos = names.zip(dsos.iter().cloned()).collect();
        record.seed = Some(seed);
        record.write(out)?;
        Ok(Some(Part { folder: out.clone(), record }))
    }

    /// Writes the record after the last run.
    pub(super) fn ended(mut self, results: &Results, on_hang: OnHang) -> Result<(), WriteError> {
        let end = match (results.interrupted, results.missing()) {
            (true, _) => PartEnd::Interrupted,
            (false, 1..) if on_hang.stops() && !results.hangs.is_empty() => PartEnd::FirstHang,
            _ => PartEnd::AllMade,
        };
        self.record.end(results.made, end);
        self.record.write(&self.folder)
    }
}

/// What is said before the first run of a shard.
pub(super) fn line(task: &Task, plan: &Plan) -> Option<JobLine> {
    let own = task.common.part.as_ref()?;
    let most = task.matrix.phases.iter().map(|phase| phase.runs).max().unwrap_or_default();
    let (shard, from, planned, numbers) = (own.shard, own.origin, plan.all(), own.shard.numbers(most));
    Some(say!(JobLine::Shard { shard, from, planned, runs: all_runs(task), numbers }))
}

/// Runs of the whole, in all cells.
fn all_runs(task: &Task) -> u32 {
    let cells = (task.matrix.lanes.len() * task.matrix.allocators.len()) as u32;
    task.matrix.phases.iter().map(|phase| phase.runs).sum::<u32>().saturating_mul(cells)
}

/// What all shards of the matrix have in common, by name: its file, key by key, and its DSOs.
///
/// # Errors
/// The file is no TOML.
fn settings(task: &Task, dsos: &[DsoFacts], seed: u64) -> anyhow::Result<Settings> {
    let mut settings = Settings::new();
    let table: toml::Table =
        task.matrix.text.parse().map_err(|e: toml::de::Error| usage(e.message().to_owned()))?;
    // The folder is one shard's own.
    for (key, value) in table.iter().filter(|(key, _)| *key != "out") {
        flatten(key, value, &mut settings);
    }
    settings.insert("hangscope".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    settings.insert("on_hang".to_owned(), task.on_hang.as_str().to_owned());
    settings.insert("seed".to_owned(), seed.to_string());
    for (allocator, dso) in task.matrix.allocators.iter().zip(dsos) {
        settings.insert(format!("{DSO}{}", allocator.name), dso.sha1.clone());
    }
    Ok(settings)
}

/// The values under a key: `lane.main.command`. Tables of a list go by their names.
fn flatten(key: &str, value: &toml::Value, settings: &mut Settings) {
    match value {
        toml::Value::Table(table) => {
            for (name, value) in table {
                flatten(&format!("{key}.{name}"), value, settings);
            }
        }
        toml::Value::Array(list) if list.iter().any(toml::Value::is_table) => {
            for (at, value) in list.iter().enumerate() {
                let name = value.get("name").and_then(toml::Value::as_str);
                let name = name.map_or_else(|| (at + 1).to_string(), str::to_owned);
                flatten(&format!("{key}.{name}"), value, settings);
            }
        }
        value => _ = settings.insert(key.to_owned(), serde_json::to_string(value).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_a_matrix_are_named_as_a_person_would() {
        let text = "hang_after = \"15s\"\n[[lane]]\nname = \"main\"\ncommand = [\"./bench\", \"16\"]\n[phase.ops]\nruns = 4\n";
        let mut settings = Settings::new();
        for (key, value) in &text.parse::<toml::Table>().unwrap() {
            flatten(key, value, &mut settings);
        }
        let all: Vec<String> = settings.iter().map(|(name, value)| format!("{name} {value}")).collect();
        assert_eq!(
            all,
            [
                "hang_after \"15s\"",
                "lane.main.command [\"./bench\",\"16\"]",
                "lane.main.name \"main\"",
                "phase.ops.runs 4"
            ]
        );
    }
}
