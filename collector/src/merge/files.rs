//! Files of the shards in the joined folder: hard links. They are copies where there can be no link, or where
//! the group shall read what it cannot read in the shard. What belongs to a run has the run's number in its
//! name and goes to the place that it has in the folder of one job. All else goes to `shards/shard_i_of_n/`.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::read::Shard;
use crate::files::atomic::{self, WriteError};
use crate::files::folder;
use crate::history::OF_SHARD;
use crate::shard::Job;

/// Folder in OUT for what is a shard's own.
pub(super) const OWN: &str = "shards";

/// What the names of a run's files begin with, and the folders that hold such files.
const OF_RUNS: [&str; 8] = ["run_", "hang_", "slow_", "interrupted_", "dump_", "stats_run_", "arms", "left"];
/// Files of a matrix that are no lane's, and its folders that hold no runs.
const OF_MATRIX: [&str; 2] = ["dso", "verify"];
/// Files that are written anew from the runs, and those that mean nothing any more. Nor is a database here: it
/// must have one name only, and its runs are in the user's.
const ANEW: [&str; 5] = ["runs.tsv", "ops.tsv", "rss.tsv", "shard.lock", "stats_runs.jsonl"];

/// In the mode of a file: its group may read it.
const OF_GROUP: u32 = 0o040;

/// Brings the files of all shards to `out`. `for_group`: the group may read them there.
///
/// # Errors
/// A file cannot be made. Two shards have the same one.
pub(super) fn bring(shards: &[Shard], out: &Path, for_group: bool) -> anyhow::Result<()> {
    for (at, shard) in shards.iter().enumerate() {
        let own = shard.record.shard.folder(&out.join(OWN));
        atomic::make_dir(&own)?;
        let entries = std::fs::read_dir(&shard.folder).map_err(|e| fail(&shard.folder, e))?;
        for entry in entries {
            let entry = entry.map_err(|e| fail(&shard.folder, e))?;
            let name = entry.file_name();
            let of_run = name.to_str().is_some_and(|name| is_of_runs(shard.record.job, name, &entry.path()));
            // All shards have the same DSO. The report names the file with its SHA-1.
            let is_dso = name.to_str().is_some_and(|name| name.ends_with(".so") || name.ends_with(".sha1"));
            let to = if of_run || is_dso && at == 0 { out } else { &own };
            one(&entry.path(), &to.join(&name), for_group)?;
        }
    }
    Ok(())
}

fn is_of_runs(job: Job, name: &str, path: &Path) -> bool {
    match job {
        Job::Hunt => OF_RUNS.iter().any(|begin| name.starts_with(begin)),
        // Folders of lanes, and that of the hangs.
        Job::Matrix => path.is_dir() && !OF_MATRIX.contains(&name),
    }
}

/// A file, or a folder with all that is in it. A link is left out: it may lead anywhere.
fn one(from: &Path, to: &Path, for_group: bool) -> Result<(), WriteError> {
    let meta = std::fs::symlink_metadata(from).map_err(|e| fail(from, e))?;
    let kind = meta.file_type();
    let name = from.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if kind.is_dir() {
        atomic::make_dir(to)?;
        for entry in std::fs::read_dir(from).map_err(|e| fail(from, e))? {
            let entry = entry.map_err(|e| fail(from, e))?;
            one(&entry.path(), &to.join(entry.file_name()), for_group)?;
        }
    } else if kind.is_file() && !ANEW.contains(&name) && !name.starts_with(OF_SHARD) {
        // A link has the mode of the shard's file, which stays as it is.
        let fits = !for_group || meta.mode() & OF_GROUP != 0;
        if fits && std::fs::hard_link(from, to).is_ok() {
            return Ok(());
        }
        let mut file = folder::open(to, std::fs::File::options().write(true).create_new(true))
            .map_err(|e| fail(to, e))?;
        let mut source = std::fs::File::open(from).map_err(|e| fail(from, e))?;
        std::io::copy(&mut source, &mut file).map_err(|e| fail(to, e))?;
    }
    Ok(())
}

fn fail(path: &Path, source: std::io::Error) -> WriteError {
    WriteError { path: path.to_owned(), source }
}
