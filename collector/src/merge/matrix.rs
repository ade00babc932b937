//! The shards of a matrix as one matrix.

use std::path::Path;

use super::merged::{Found, Merged};
use super::read::Shard;
use super::usage::usage;
use crate::analysis::DsoFacts;
use crate::analysis::shards::Joined;
use crate::files::atomic;
use crate::matrix::{Entry, JoinedMatrix, config};
use crate::text::message::Text;

/// Writes the files of the joined matrix.
pub(super) fn join(
    shards: Vec<Shard>,
    joined: Joined,
    out: &Path,
    notes: Vec<Text>,
) -> anyhow::Result<Merged> {
    let Some(first) = shards.first() else { return Err(usage("no shard")) };
    let path = first.folder.join("matrix.toml");
    let matrix = config::load(&path).map_err(usage)?;
    atomic::write_text(&out.join("matrix.toml"), &matrix.text)?;
    let dsos = matrix.allocators.iter().map(|allocator| first.record.dsos.get(&allocator.name).cloned());
    let Some(dsos) = dsos.collect::<Option<Vec<DsoFacts>>>() else {
        return Err(usage(format!("{} does not name the DSOs of {}", first.name(), path.display())));
    };
    let entries: Vec<Entry> = shards.iter().flat_map(|shard| shard.runs::<Entry>().read).collect();
    let seed = first.record.seed.unwrap_or_default();
    let on_hang = first.record.settings.get("on_hang").map_or("", String::as_str);
    let whole =
        JoinedMatrix { matrix: &matrix, dsos: &dsos, seed, retries: on_hang == "retry", joined: &joined };
    let (results, verdict) = whole.write(entries, out)?;
    Ok(Merged { joined, verdict, found: Found::Matrix(Box::new(results)), notes })
}
