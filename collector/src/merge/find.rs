//! The folders of the shards.

use std::path::{Component, Path, PathBuf};

use anyhow::Context as _;

use super::usage::usage;
use crate::shard::{Shard, record};

/// The folders of the shards in `dirs`, each once: a folder that is a shard, or those in it that are.
///
/// # Errors
/// One cannot be read, or has no shard.
pub(super) fn folders(dirs: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = vec![];
    for dir in dirs {
        let cannot_read = || format!("merge: cannot read {}", dir.display());
        let dir = std::fs::canonicalize(dir).with_context(cannot_read)?;
        if is_shard(&dir) {
            all.push(dir);
            continue;
        }
        let before = all.len();
        for entry in std::fs::read_dir(&dir).with_context(cannot_read)? {
            let path = entry.with_context(cannot_read)?.path();
            if path.is_dir() && is_shard(&path) {
                all.push(path);
            }
        }
        if all.len() == before {
            return Err(usage(format!(
                "{} has no shard: give folders with {}, or the folder in which shard_1_of_n and the others are",
                dir.display(),
                record::FILE
            )));
        }
    }
    all.sort();
    all.dedup();
    Ok(all)
}

/// Refuses an `out` that is in one of the folders: it would become a part of its own evidence.
///
/// # Errors
/// It is in one.
pub(super) fn refuse_inside(out: &Path, folders: &[PathBuf]) -> anyhow::Result<()> {
    let real = resolved(out);
    let Some(shard) = folders.iter().find(|folder| real.starts_with(folder)) else { return Ok(()) };
    let (out, shard) = (out.display(), shard.display());
    Err(usage(format!("{out} is in {shard}, a shard that is joined: give an --out outside of it")))
}

/// The path without links and `..`, as far as it is there.
fn resolved(path: &Path) -> PathBuf {
    let mut at = std::env::current_dir().unwrap_or_default();
    for part in path.components() {
        match part {
            Component::ParentDir => _ = at.pop(),
            part => at.push(part),
        }
        at = std::fs::canonicalize(&at).unwrap_or(at);
    }
    at
}

fn is_shard(dir: &Path) -> bool {
    let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    Shard::of_folder(name).is_some() || dir.join(record::FILE).exists()
}
