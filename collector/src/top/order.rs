//! The order of the processes.

use std::cmp::Reverse;

use super::words::TopWord;
use crate::live::model::Process;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sort {
    /// Those that hang first, those that have ended last.
    #[default]
    State,
    Age,
    Cpu,
    Rss,
    Pid,
}

impl Sort {
    pub(super) fn next(self) -> Sort {
        match self {
            Sort::State => Sort::Age,
            Sort::Age => Sort::Cpu,
            Sort::Cpu => Sort::Rss,
            Sort::Rss => Sort::Pid,
            Sort::Pid => Sort::State,
        }
    }

    pub(super) fn word(self) -> TopWord {
        match self {
            Sort::State => TopWord::SortState {},
            Sort::Age => TopWord::SortAge {},
            Sort::Cpu => TopWord::SortCpu {},
            Sort::Rss => TopWord::SortRss {},
            Sort::Pid => TopWord::SortPid {},
        }
    }

    /// Sorts. Processes with equal figures stay in the order of their hellos.
    pub(super) fn sort(self, processes: &mut [Process]) {
        // Milliseconds and thousandths: floats have no order.
        let whole = |figure: f64| (figure * 1000.0) as i64;
        match self {
            Sort::State => {
                processes.sort_by_key(|p| (p.ended.is_some(), !p.hung, Reverse(whole(p.age_s)), p.key));
            }
            Sort::Age => processes.sort_by_key(|p| (p.ended.is_some(), Reverse(whole(p.age_s)), p.key)),
            Sort::Cpu => {
                processes.sort_by_key(|p| (p.ended.is_some(), Reverse(whole(p.cpu.unwrap_or(-1.0))), p.key))
            }
            Sort::Rss => processes.sort_by_key(|p| (p.ended.is_some(), Reverse(p.rss_kib), p.key)),
            Sort::Pid => processes.sort_by_key(|p| (p.pid, p.key)),
        }
    }
}
