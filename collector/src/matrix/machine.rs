//! What else the machine did during a run: load of others, throttling, swapping, pressure. Such a run is
//! marked, and its figures are kept.

use std::path::PathBuf;

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde::{Deserialize, Serialize};

use crate::proc::sysconf;
use crate::text::matrix::MatrixLine;
use crate::text::message::{Say as _, Text, say};

/// Shares of the processors, or of the time, from which a run is marked.
const OTHER_LOAD: f64 = 0.05;
const STOLEN: f64 = 0.02;
const MEMORY_PRESSURE: f64 = 0.01;
const IO_PRESSURE: f64 = 0.10;
/// The least processor time of others that counts, seconds: the kernel's counters go by hundredths.
const LEAST_LOAD_S: f64 = 0.05;
/// The least time of a pressure that counts, seconds.
const LEAST_PRESSURE_S: f64 = 0.02;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "mark", rename_all = "kebab-case")]
pub(crate) enum Mark {
    /// Percent of the processors that the run may use.
    OtherLoad {
        percent: f64,
    },
    /// The same, taken by a hypervisor.
    Stolen {
        percent: f64,
    },
    Throttled {
        times: u64,
    },
    Swapped {
        pages: u64,
    },
    /// Percent of the time.
    MemoryPressure {
        percent: f64,
    },
    IoPressure {
        percent: f64,
    },
    OutOfMemory {
        processes: u64,
    },
}

impl Mark {
    pub(crate) fn said(&self) -> Text {
        let share = |percent: f64| format!("{percent:.1}");
        match *self {
            Mark::OtherLoad { percent } => say!(MatrixLine::OtherLoad { percent: share(percent) }),
            Mark::Stolen { percent } => say!(MatrixLine::Stolen { percent: share(percent) }),
            Mark::Throttled { times } => say!(MatrixLine::Throttled { times }),
            Mark::Swapped { pages } => say!(MatrixLine::Swapped { pages }),
            Mark::MemoryPressure { percent } => say!(MatrixLine::MemoryPressure { percent: share(percent) }),
            Mark::IoPressure { percent } => say!(MatrixLine::IoPressure { percent: share(percent) }),
            Mark::OutOfMemory { processes } => say!(MatrixLine::OutOfMemory { processes }),
        }
        .said()
    }
}

/// Counters of the machine that only grow. What cannot be read is 0 at all times.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Moment {
    /// Processor time of everybody on the processors of the run, seconds.
    busy_s: f64,
    stolen_s: f64,
    /// Processor time of hangscope and of the runs that it has waited for, seconds.
    own_s: f64,
    throttled: u64,
    swapped: u64,
    killed: u64,
    /// Seconds in which some thread waited for memory, and for a disk.
    memory_s: f64,
    io_s: f64,
}

impl Moment {
    /// Now. `cpus`: the processors that a run may use.
    pub(crate) fn now(cpus: &[usize]) -> Moment {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let ticks = sysconf::ticks_per_second() as f64;
        let [busy, stolen] = cpu_ticks(&read("/proc/stat"), cpus).map(|sum| sum as f64 / ticks);
        let vmstat = read("/proc/vmstat");
        let own = [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN];
        let own_s = own.map(|who| getrusage(who).map_or(0.0, |usage| seconds(&usage)));
        Moment {
            busy_s: busy,
            stolen_s: stolen,
            own_s: own_s.iter().sum(),
            throttled: field(&cgroup_file("cpu.stat"), "nr_throttled") + thermal(cpus),
            swapped: field(&vmstat, "pswpin") + field(&vmstat, "pswpout"),
            killed: field(&vmstat, "oom_kill"),
            memory_s: pressure_s(&read("/proc/pressure/memory")),
            io_s: pressure_s(&read("/proc/pressure/io")),
        }
    }

    /// Processes that the kernel has killed for memory since `before`.
    pub(crate) fn killed_since(&self, before: &Moment) -> u64 {
        self.killed.saturating_sub(before.killed)
    }

    /// What marks a run of `seconds` on so many processors, which lies between `before` and this moment.
    pub(crate) fn marks(&self, before: &Moment, seconds: f64, cpus: usize) -> Vec<Mark> {
        let seconds = seconds.max(1e-9);
        let most = seconds * cpus.max(1) as f64;
        let mut marks = vec![];
        let other = (self.busy_s - before.busy_s) - (self.own_s - before.own_s);
        if other >= LEAST_LOAD_S && other / most >= OTHER_LOAD {
            marks.push(Mark::OtherLoad { percent: percent(other / most) });
        }
        let stolen = self.stolen_s - before.stolen_s;
        if stolen >= LEAST_LOAD_S && stolen / most >= STOLEN {
            marks.push(Mark::Stolen { percent: percent(stolen / most) });
        }
        let grown = |now: u64, then: u64| Some(now.saturating_sub(then)).filter(|n| *n > 0);
        marks.extend(grown(self.throttled, before.throttled).map(|times| Mark::Throttled { times }));
        marks.extend(grown(self.swapped, before.swapped).map(|pages| Mark::Swapped { pages }));
        let waited = |now: f64, then: f64, share: f64| {
            Some(now - then)
                .filter(|s| *s >= LEAST_PRESSURE_S && s / seconds >= share)
                .map(|s| percent(s / seconds))
        };
        let memory = waited(self.memory_s, before.memory_s, MEMORY_PRESSURE);
        marks.extend(memory.map(|percent| Mark::MemoryPressure { percent }));
        let io = waited(self.io_s, before.io_s, IO_PRESSURE);
        marks.extend(io.map(|percent| Mark::IoPressure { percent }));
        marks.extend(grown(self.killed, before.killed).map(|processes| Mark::OutOfMemory { processes }));
        marks
    }
}

/// With one decimal.
fn percent(share: f64) -> f64 {
    (share.min(1.0) * 1000.0).round() / 10.0
}

fn seconds(usage: &Usage) -> f64 {
    (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6
}

/// Ticks of `/proc/stat` on these processors: at work, and stolen (proc_stat(5): user, nice, system, idle,
/// iowait, irq, softirq, steal).
fn cpu_ticks(stat: &str, cpus: &[usize]) -> [u64; 2] {
    let mut sums = [0, 0];
    for line in stat.lines() {
        let mut words = line.split_ascii_whitespace();
        let cpu = words.next().and_then(|word| word.strip_prefix("cpu")?.parse::<usize>().ok());
        if cpu.is_some_and(|cpu| cpus.contains(&cpu)) {
            let ticks: Vec<u64> = words.map(|word| word.parse().unwrap_or(0)).collect();
            sums[0] += [0, 1, 2, 5, 6].iter().filter_map(|at| ticks.get(*at)).sum::<u64>();
            sums[1] += ticks.get(7).unwrap_or(&0);
        }
    }
    sums
}

/// The number behind a name, in a file of lines `name number`; 0 where there is none.
fn field(text: &str, name: &str) -> u64 {
    let of = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
    text.lines().find_map(of).unwrap_or(0)
}

/// `some ... total=MICROSECONDS` of a file in /proc/pressure, seconds.
fn pressure_s(text: &str) -> f64 {
    let some = text.lines().find(|line| line.starts_with("some "));
    let total = some.and_then(|line| line.rsplit_once("total=")?.1.trim().parse::<f64>().ok());
    total.map_or(0.0, |us| us / 1e6)
}

/// A file of this process's own control group (version 2).
fn cgroup_file(name: &str) -> String {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let path: PathBuf = ["/sys/fs/cgroup", own.trim_start_matches('/'), name].iter().collect();
    std::fs::read_to_string(path).unwrap_or_default()
}

/// How often these processors were slowed down for heat.
fn thermal(cpus: &[usize]) -> u64 {
    let count = |cpu: &usize| {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle/core_throttle_count");
        std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok()
    };
    cpus.iter().filter_map(count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read() {
        let stat = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\ncpu1 10 0 0 0 0 0 0 0 0 0\ncpu10 1 1 1\nintr 5\n";
        assert_eq!(cpu_ticks(stat, &[0]), [19, 8]);
        assert_eq!(cpu_ticks(stat, &[0, 1]), [29, 8]);
        assert_eq!(cpu_ticks(stat, &[10]), [3, 0]);
        assert_eq!(cpu_ticks("", &[0]), [0, 0]);
        assert_eq!(field("pswpin 3\npswpin_x 4\noom_kill 1\n", "oom_kill"), 1);
        assert_eq!(field("a 1\n", "b"), 0);
        let pressure = "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\nfull avg10=0.00 total=9\n";
        assert_eq!((pressure_s(pressure), pressure_s("")), (1.5, 0.0));
        let here = Moment::now(&[0, 1]);
        assert!(here.busy_s > 0.0 && here.own_s > 0.0, "{here:?}");
    }

    #[test]
    fn a_run_is_marked_by_what_others_did() {
        let before = Moment { busy_s: 100.0, own_s: 50.0, ..Moment::default() };
        let own = Moment { busy_s: 104.0, own_s: 54.0, ..before };
        assert_eq!(own.marks(&before, 2.0, 2), []);
        let other = Moment { busy_s: 103.0, own_s: 52.0, ..before };
        assert_eq!(other.marks(&before, 2.0, 2), [Mark::OtherLoad { percent: 25.0 }]);
        let short = Moment { busy_s: 100.04, ..before };
        assert_eq!(short.marks(&before, 0.02, 2), [], "the counters are not that fine");
        let all =
            Moment { stolen_s: 1.0, throttled: 2, swapped: 3, memory_s: 0.5, io_s: 1.0, killed: 1, ..before };
        assert_eq!(
            all.marks(&before, 2.0, 2),
            [
                Mark::Stolen { percent: 25.0 },
                Mark::Throttled { times: 2 },
                Mark::Swapped { pages: 3 },
                Mark::MemoryPressure { percent: 25.0 },
                Mark::IoPressure { percent: 50.0 },
                Mark::OutOfMemory { processes: 1 }
            ]
        );
        assert_eq!(all.killed_since(&before), 1);
        let json = serde_json::to_string(&Mark::Swapped { pages: 3 }).unwrap();
        assert_eq!(json, r#"{"mark":"swapped","pages":3}"#);
    }
}
