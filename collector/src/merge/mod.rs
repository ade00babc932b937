//! Joins the shards of a hunt or of a matrix into one folder, with one verdict over all runs.
//!
//! - `find`: the folders of the shards
//! - `read`: one shard, as far as its files can be read
//! - `check`: refuses shards that are not of one job
//! - `hunt`, `matrix`: the joined files of either
//! - `files`: bundles and other files, linked or copied
//! - `merged`: what a merge brought
//! - `histories`: the databases of the shards, brought to the user's
//!
//! Shards are sorted by their numbers first, so nothing depends on the order in which they are given.

mod check;
mod files;
mod find;
mod histories;
mod hunt;
mod matrix;
mod merged;
mod read;
#[cfg(test)]
mod tests;
mod usage;

use std::path::{Path, PathBuf};

pub(crate) use merged::{Found, Merged};

use crate::files::{atomic, private};
use crate::shard::Job;
use usage::usage;

/// Joins the shards in `dirs`, each of which is a shard or a folder of shards, into `out`. `history`: the
/// database that gets the runs of the shards' own.
///
/// # Errors
/// No shard is there; two are not of one job, or have the same runs; `out` is not empty, or is in a shard; a
/// file cannot be written.
pub(crate) fn merge(dirs: &[PathBuf], out: &Path, history: Option<&Path>) -> anyhow::Result<Merged> {
    // Also what a merge left that was broken off: nothing must stand twice.
    if std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(usage(format!("{} is not empty: give another --out, or remove it", out.display())));
    }
    let folders = find::folders(dirs)?;
    find::refuse_inside(out, &folders)?;
    let (shards, mut notes) = read::all(&folders);
    let (shards, joined) = check::check(shards, &mut notes)?;
    atomic::make_dir(out)?;
    files::bring(&shards, out, private::is_for_group())?;
    notes.extend(histories::bring(&shards, history));
    match shards.first().map(|shard| shard.record.job) {
        Some(Job::Matrix) => matrix::join(shards, joined, out, notes),
        _ => hunt::join(shards, joined, out, notes),
    }
}
