//! The databases of the shards, brought to the user's.

use std::path::Path;

use super::read::Shard;
use crate::history::{OF_SHARD, Store, set_aside};
use crate::text::merge::MergeLine;
use crate::text::message::{Say as _, Text, say};

/// Adds the runs of all shards to the database `to`; twice is no more than once. Called once, with all shards.
/// Returns what the user must know: whatever goes wrong, the joined files are whole.
pub(super) fn bring(shards: &[Shard], to: Option<&Path>) -> Vec<Text> {
    let there: Vec<_> =
        shards.iter().map(|shard| shard.folder.join(OF_SHARD)).filter(|path| path.exists()).collect();
    let Some(to) = to.filter(|_| !there.is_empty()) else { return vec![] };
    let mut notes = vec![];
    let mut store = match Store::open(to) {
        Ok((store, aside)) => {
            notes.extend(aside.map(|aside| set_aside(&aside)));
            store
        }
        Err(why) => return vec![say!(MergeLine::NotRemembered { why }).said()],
    };
    let mut runs = 0;
    for path in there {
        match store.import(&path) {
            Ok(new) => runs += new,
            Err(why) => notes.push(say!(MergeLine::NotRemembered { why }).said()),
        }
    }
    if runs > 0 {
        notes.push(say!(MergeLine::Remembered { runs, file: to.display() }).said());
    }
    notes
}
