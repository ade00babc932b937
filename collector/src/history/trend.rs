//! Hang rates of builds over time. Pure.

use serde::Serialize;

use super::model::Workload;
use super::query::Group;
use crate::analysis::stats::{CONFIDENCE, Rate};

/// The builds of one allocator under one workload.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Trend {
    pub(crate) allocator: String,
    pub(crate) workload: Workload,
    /// By the time of their first runs.
    pub(crate) builds: Vec<BuildRate>,
    /// None: no build hung in a run that counts, or none before it never hung.
    pub(crate) change: Option<Change>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct BuildRate {
    #[serde(flatten)]
    pub(crate) group: Group,
    /// None: no run counts.
    pub(crate) rate: Option<Rate>,
}

/// The first build that hung in a run that counts, and the last before it that never hung.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Change {
    /// Places in [`Trend::builds`].
    pub(crate) hung: usize,
    pub(crate) before: usize,
    /// The intervals of both rates do not overlap. If they do, the earlier build may hang as often, and no
    /// run of it happened to.
    pub(crate) apart: bool,
}

/// `groups`: as [`super::store::Store::groups`] has them, by allocator, workload and first run.
pub(crate) fn trends(groups: Vec<Group>) -> Vec<Trend> {
    let mut trends: Vec<Trend> = vec![];
    for group in groups {
        let (allocator, workload) = (group.build.name.clone(), group.workload.clone());
        let rate = (group.counted > 0).then(|| Rate::exact(group.hung, group.counted, CONFIDENCE));
        let build = BuildRate { group, rate };
        match trends.last_mut().filter(|last| last.allocator == allocator && last.workload == workload) {
            Some(last) => last.builds.push(build),
            None => trends.push(Trend { allocator, workload, builds: vec![build], change: None }),
        }
    }
    for trend in &mut trends {
        trend.change = change(&trend.builds);
    }
    trends
}

fn change(builds: &[BuildRate]) -> Option<Change> {
    let hung = builds.iter().position(|build| build.group.hung > 0)?;
    // One whose runs do not count says nothing, and one with a hang that does not count did hang.
    let never = |build: &BuildRate| build.group.counted > 0 && build.group.all_hung == 0;
    let before = builds[..hung].iter().rposition(never)?;
    let apart = builds[before].rate?.high < builds[hung].rate?.low;
    Some(Change { hung, before, apart })
}
