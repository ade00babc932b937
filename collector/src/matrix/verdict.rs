//! `verdict.json` of a matrix: the keys of a hunt's, about the group that the verdict is about, with all
//! hangs, and every group.

use serde_json::{Value, json};

use super::config::Matrix;
use super::journal::Entry;
use super::results::{GroupResult, Results};
use super::summary;
use crate::analysis::{HuntFacts, conclude};
use crate::report::VerdictFile;
use crate::text::message::Lang;

/// The content of the file. None: nothing was planned.
pub(crate) fn file(matrix: &Matrix, seed: u64, results: &Results) -> Option<VerdictFile> {
    let main = results.main()?;
    let names: Vec<&str> = matrix.allocators.iter().map(|allocator| &*allocator.name).collect();
    let lanes: Vec<&str> = matrix.lanes.iter().map(|lane| &*lane.name).collect();
    let file = VerdictFile::of(&main.facts, &main.conclusion);
    let hangs: Vec<Value> = results.hangs.iter().filter_map(|entry| hang(entry, &main.facts)).collect();
    let file = file.with("hangs", hangs.into()).with(
        "matrix",
        json!({
            // The group that the keys above are about.
            "allocator": main.allocator,
            "lane": main.lane,
            "phase": main.group.phase.as_str(),
            "allocators": names,
            "lanes": lanes,
            "order": matrix.order.as_str(),
            "seed": seed,
            "made": results.made,
            "hung": results.hangs.len(),
            "not_made": results.missing(),
            "headline": summary::headline(results, Lang::En),
        }),
    );
    Some(file.with("groups", results.groups.iter().map(group).collect::<Vec<_>>().into()))
}

fn hang(entry: &Entry, like: &HuntFacts) -> Option<Value> {
    let facts = HuntFacts { runs: vec![entry.facts.clone()], ..like.clone() };
    let file = VerdictFile::of(&facts, &conclude(&facts));
    let mut hang = file.value("hangs").get(0)?.clone();
    let map = hang.as_object_mut()?;
    map.insert("allocator".to_owned(), json!(entry.sample.allocator));
    map.insert("lane".to_owned(), json!(entry.sample.lane));
    map.insert("phase".to_owned(), json!(entry.sample.phase));
    map.insert("warmup".to_owned(), json!(entry.warmup));
    Some(hang)
}

fn group(group: &GroupResult) -> Value {
    let file = VerdictFile::of(&group.facts, &group.conclusion);
    let of = |key: &str| file.value(key).clone();
    let ratio = group.ratio.map(|ratio| {
        json!({
            "ratio": ratio.ratio,
            "low": ratio.low,
            "high": ratio.high,
            "confidence": ratio.confidence,
            "method": "hodges-lehmann, mann-whitney",
        })
    });
    json!({
        "allocator": group.allocator,
        "lane": group.lane,
        "phase": group.group.phase.as_str(),
        "runs": of("runs"),
        "rate": of("rate"),
        // Of the runs with the status OK: ops/s, or KiB.
        "figures": group.spread,
        // To the first allocator; null for itself.
        "ratio": if group.group.allocator == 0 { Value::Null } else { json!(ratio) },
        "marked": group.entries.iter().filter(|entry| !entry.marks.is_empty()).map(|entry| entry.sample.run).collect::<Vec<_>>(),
        "not_made": group.missing,
        "verdict": of("verdict"),
        "letter": of("letter"),
        "headline": of("headline"),
    })
}
