//! The shards that were joined, and the hangs of each machine: rows for all formats.

use super::page::Page;
use crate::analysis::HuntFacts;
use crate::analysis::shards::{Joined, Part, PartEnd};
use crate::analysis::verdict::nodes::{Node, nodes};
use crate::analysis::verdict::percent;
use crate::text::merge::MergeLine;
use crate::text::message::{Lang, Say as _, Text};

/// Headings of [`shard_rows`].
pub(crate) const SHARD_HEAD: [MergeLine; 8] = [
    MergeLine::ColShard {},
    MergeLine::ColEnd {},
    MergeLine::ColMade {},
    MergeLine::ColHung {},
    MergeLine::ColMachine {},
    MergeLine::ColKernel {},
    MergeLine::ColGlibc {},
    MergeLine::ColCpu {},
];
/// Headings of [`node_rows`].
pub(crate) const NODE_HEAD: [MergeLine; 4] =
    [MergeLine::ColMachine {}, MergeLine::ColRuns {}, MergeLine::ColHung {}, MergeLine::ColRate {}];

/// A row for each shard, those that are missing too.
pub(crate) fn shard_rows(joined: &Joined) -> Vec<Vec<Text>> {
    let of = joined.of;
    let mut rows: Vec<(u32, Vec<Text>)> =
        joined.parts.iter().map(|part| (part.shard, row(part, of))).collect();
    rows.extend(joined.missing.iter().map(|shard| {
        let dash = || "-".said();
        let mut row = vec![format!("{shard}/{of}").said(), MergeLine::NotThere {}.said()];
        row.resize_with(SHARD_HEAD.len(), dash);
        (*shard, row)
    }));
    rows.sort_by_key(|(shard, _)| *shard);
    rows.into_iter().map(|(_, row)| row).collect()
}

fn row(part: &Part, of: u32) -> Vec<Text> {
    let end = match part.end {
        PartEnd::AllMade => MergeLine::AllMade {},
        PartEnd::FirstHang => MergeLine::FirstHang {},
        PartEnd::MaxTime => MergeLine::MaxTime {},
        PartEnd::Interrupted => MergeLine::Interrupted {},
        PartEnd::Unfinished => MergeLine::Unfinished {},
        PartEnd::RunsLost => MergeLine::RunsLost {},
    };
    // One that was requeued may have had several.
    let machines = |of: fn(&crate::analysis::shards::Machine) -> &String| {
        let mut all: Vec<&str> = part.machines.iter().map(|machine| of(machine).as_str()).collect();
        all.dedup();
        all.join(", ").said()
    };
    vec![
        format!("{}/{of}", part.shard).said(),
        end.said(),
        format!("{} / {}", part.made, part.planned).said(),
        part.hung.said(),
        machines(|machine| &machine.node),
        machines(|machine| &machine.kernel),
        machines(|machine| &machine.glibc),
        machines(|machine| &machine.cpu),
    ]
}

/// A row for each machine.
pub(crate) fn node_rows(facts: &HuntFacts) -> Vec<Vec<Text>> {
    let row = |node: &Node| {
        let rate = node.runs.rate();
        let between = match rate.of {
            0 => "-".to_owned(),
            _ => format!("{}/{} ({} - {} %)", rate.hung, rate.of, percent(rate.low), percent(rate.high)),
        };
        vec![node.name.said(), node.runs.made.said(), node.runs.hung.said(), between.said()]
    };
    nodes(facts).iter().map(row).collect()
}

/// Both tables as sections of a page of Markdown. Empty where nothing was joined.
pub(crate) fn sections(facts: &HuntFacts, lang: Lang) -> String {
    let Some(joined) = &facts.shards else { return String::new() };
    let mut page = Page::new(lang);
    let mut table = |heading: &MergeLine, head: &[MergeLine], rows: &[Vec<Text>]| {
        page.heading(heading);
        let head: Vec<Text> = head.iter().map(MergeLine::said).collect();
        page.row(head.iter().map(|cell| cell.text(lang)));
        page.raw(&("|".to_owned() + &"---|".repeat(head.len()) + "\n"));
        rows.iter().for_each(|row| page.row(row.iter().map(|cell| cell.text(lang))));
    };
    table(&MergeLine::Shards {}, &SHARD_HEAD, &shard_rows(joined));
    table(&MergeLine::Nodes {}, &NODE_HEAD, &node_rows(facts));
    page.finish()
}
