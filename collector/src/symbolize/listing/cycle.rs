//! The instructions from which branches lead back to a sample: the loop, where the code could not be followed.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{FlowControl, Instruction};

/// Most instructions that are decoded.
const MOST: usize = 1024;

/// The instructions on a way from one of these addresses to one of them, by direct branches. Calls are taken
/// to return.
pub(super) fn of(
    from: impl Iterator<Item = u64>,
    decode: &mut dyn FnMut(u64) -> Option<Instruction>,
) -> BTreeSet<u64> {
    let starts: BTreeSet<u64> = from.collect();
    let mut before: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut open: Vec<u64> = starts.iter().copied().collect();
    while let Some(pc) = open.pop() {
        if seen.len() >= MOST || !seen.insert(pc) {
            continue;
        }
        let Some(instruction) = decode(pc) else { continue };
        for next in after(&instruction) {
            before.entry(next).or_default().push(pc);
            open.push(next);
        }
    }
    let mut back = BTreeSet::new();
    let mut open: Vec<u64> = starts.iter().copied().collect();
    while let Some(pc) = open.pop() {
        for earlier in before.get(&pc).into_iter().flatten() {
            if back.insert(*earlier) {
                open.push(*earlier);
            }
        }
    }
    back
}

fn after(i: &Instruction) -> Vec<u64> {
    match i.flow_control() {
        FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => vec![i.next_ip()],
        FlowControl::ConditionalBranch => vec![i.next_ip(), i.near_branch_target()],
        FlowControl::UnconditionalBranch => vec![i.near_branch_target()],
        _ => vec![],
    }
}
