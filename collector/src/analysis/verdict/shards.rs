//! The evidence of shards that were joined, and what would complete it.

use super::arms::p_text;
use super::lines::Line;
use super::nodes::{OneNode, one_node};
use super::sentence::Sentence;
use crate::analysis::facts::HuntFacts;
use crate::analysis::shards::PartEnd;
use crate::text::message::{Lang, ranges, say};

/// Empty where nothing was joined.
pub(super) fn evidence(facts: &HuntFacts) -> Vec<Sentence> {
    let Some(joined) = &facts.shards else { return vec![] };
    let of = joined.of;
    let lossy = joined.lossy();
    let mut lines = vec![match joined.missing.is_empty() {
        true if lossy.is_empty() => say!(Line::ShardsAll { of }),
        true => say!(Line::ShardsLossy { of, lossy: ranges(&lossy) }),
        false => {
            let (there, missing) = (joined.parts.len(), ranges(&joined.missing));
            say!(Line::ShardsMissing { there, of, missing })
        }
    }];
    let mut cut = [joined.with(PartEnd::Interrupted), joined.with(PartEnd::Unfinished)].concat();
    cut.sort_unstable();
    if !cut.is_empty() {
        lines.push(say!(Line::ShardsCut { shards: ranges(&cut) }));
    }
    let lost = joined.with(PartEnd::RunsLost);
    if !lost.is_empty() {
        lines.push(say!(Line::ShardsLost { shards: ranges(&lost) }));
    }
    let damaged = joined.parts.iter().filter(|part| part.damaged_lines > 0);
    lines.extend(
        damaged.map(|part| say!(Line::ShardDamaged { lines: part.damaged_lines, shard: part.shard })),
    );
    let stopped = joined.with(PartEnd::FirstHang);
    if !stopped.is_empty() {
        let shards = ranges(&stopped);
        lines.push(match joined.parts.len() > stopped.len() {
            true => say!(Line::SomeShardsStopped { shards }),
            false => say!(Line::ShardsStopped { shards }),
        });
    }
    if let Some(OneNode { name, node, others, of, p }) = one_node(facts) {
        let (hung, runs, others, p) = (node.hung, node.of, others.of, p_text(p));
        lines.push(say!(Line::HangsOfOneNode { node: name, hung, runs, others, nodes: of, p }));
    }
    lines.into_iter().map(Sentence::Line).collect()
}

/// The same in one language.
pub(crate) fn sentences(facts: &HuntFacts, lang: Lang) -> Vec<String> {
    evidence(facts).iter().map(|said| said.text(lang)).collect()
}

/// Empty where nothing was joined, or nothing is missing.
pub(super) fn would_change_it(facts: &HuntFacts) -> Vec<Sentence> {
    let Some(joined) = &facts.shards else { return vec![] };
    let cut =
        [PartEnd::Interrupted, PartEnd::Unfinished, PartEnd::RunsLost].map(|end| joined.with(end)).concat();
    let mut lacking = [joined.missing.clone(), cut].concat();
    lacking.sort_unstable();
    let mut lines = vec![];
    if !lacking.is_empty() {
        lines.push(say!(Line::MissingShardsWould { shards: ranges(&lacking), of: joined.of }));
    }
    lines.extend(one_node(facts).map(|one| say!(Line::OtherNodeWould { node: one.name })));
    lines.into_iter().map(Sentence::Line).collect()
}
