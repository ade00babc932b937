//! Hangs by machine: whether they all come from one.

use std::collections::BTreeMap;

use super::tally::Tally;
use crate::analysis::facts::{HuntFacts, RunFacts, RunOutcome};
use crate::analysis::stats::{CONFIDENCE, Counts, fisher_more};

/// The runs of one machine.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) name: String,
    /// Of all arms.
    pub(crate) runs: Tally,
}

impl Node {
    fn counts(&self) -> Counts {
        Counts { hung: self.runs.hung_here(), of: self.runs.could_hang() }
    }
}

/// All hangs come from one machine, and that would be rare by chance.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OneNode {
    pub(crate) name: String,
    pub(crate) node: Counts,
    /// The runs of all other machines. None of them hung.
    pub(crate) others: Counts,
    /// Number of machines.
    pub(crate) of: u32,
    /// Fisher's exact test, one-sided, times the number of machines (Dunn 1961), because the machine was
    /// chosen after its hangs were seen. It presumes a number of runs that was fixed beforehand.
    pub(crate) p: f64,
}

/// The machines of the runs, by name. Empty where the runs name none.
pub(crate) fn nodes(facts: &HuntFacts) -> Vec<Node> {
    let mut nodes: BTreeMap<&str, Vec<&RunFacts>> = BTreeMap::new();
    for run in facts.runs.iter().filter(|run| run.outcome != RunOutcome::Interrupted) {
        if let Some(node) = &run.node {
            nodes.entry(node).or_default().push(run);
        }
    }
    let node =
        |(name, runs): (&str, Vec<&RunFacts>)| Node { name: name.to_owned(), runs: Tally::of(0, runs) };
    nodes.into_iter().map(node).collect()
}

/// The machine from which all hangs come. None: there is no such machine, or chance explains it.
pub(crate) fn one_node(facts: &HuntFacts) -> Option<OneNode> {
    let nodes = nodes(facts);
    let hung: Vec<&Node> = nodes.iter().filter(|node| node.counts().hung > 0).collect();
    let [one] = hung[..] else { return None };
    let others = nodes.iter().filter(|node| node.name != one.name).map(Node::counts);
    let others = Counts { hung: 0, of: others.map(|counts| counts.of).sum() };
    let p = (fisher_more(one.counts(), others) * nodes.len() as f64).min(1.0);
    (others.of > 0 && p < 1.0 - CONFIDENCE).then(|| OneNode {
        name: one.name.clone(),
        node: one.counts(),
        others,
        of: nodes.len() as u32,
        p,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::hunt::{Hunt, hung, run};

    /// Runs of machines: how many of each, and how many of these hang.
    fn facts(machines: &[(&str, u32, u32)]) -> HuntFacts {
        let (mut hunt, mut number) = (Hunt::new(0), 0);
        for (node, runs, hangs) in machines {
            for at in 0..*runs {
                number += 1;
                let facts = if at < *hangs { hung(number, None) } else { run(number) };
                hunt = hunt.push(RunFacts { node: Some((*node).to_owned()), ..facts });
            }
        }
        hunt.facts()
    }

    #[test]
    fn hangs_of_one_machine_are_told_only_if_chance_does_not_explain_them() {
        let one = one_node(&facts(&[("n1", 12, 0), ("n2", 12, 5), ("n3", 12, 0), ("n4", 12, 0)])).unwrap();
        assert_eq!((one.name.as_str(), one.node.hung, one.others.of, one.of), ("n2", 5, 36, 4));
        // C(12,5) / C(48,5) by hand: 792 / 1,712,304, times 4.
        assert!((one.p - 4.0 * 792.0 / 1_712_304.0).abs() < 1e-9, "{}", one.p);
        // One hang is always of one machine.
        assert_eq!(one_node(&facts(&[("n1", 12, 1), ("n2", 12, 0)])), None);
        assert_eq!(one_node(&facts(&[("n1", 12, 5), ("n2", 12, 1)])), None);
        assert_eq!(one_node(&facts(&[("n1", 12, 5)])), None, "nothing to compare with");
        assert_eq!(one_node(&facts(&[("n1", 12, 0), ("n2", 12, 0)])), None);
        assert!(nodes(&Hunt::new(3).facts()).is_empty(), "no shards");
    }
}
