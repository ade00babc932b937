//! The memory of a run over time: a look at `/proc/PID/smaps_rollup` of each of its programs, from its hello
//! on.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select, tick, unbounded};

use crate::files::atomic::{self, WriteError};

const HEADER: &str = "time_ms,rss_kib,pss_kib";

/// A look at a process.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    /// Since the start of the run.
    ms: f64,
    rss_kib: u64,
    pss_kib: u64,
}

/// Looks by process id.
type Looks = BTreeMap<u32, Vec<Point>>;

/// Looks at the programs of one run. The looks end with [`Series::end`], or on drop.
#[derive(Debug)]
pub(crate) struct Series {
    hellos: Sender<u32>,
    stop: Sender<()>,
    thread: JoinHandle<Looks>,
}

impl Series {
    /// A look each `pause`.
    ///
    /// # Errors
    /// There can be no thread.
    pub(crate) fn begin(pause: Duration) -> std::io::Result<Series> {
        let (hellos, pids) = unbounded();
        let (stop, stopped) = bounded(0);
        let thread = std::thread::Builder::new()
            .name("memory".into())
            .spawn(move || look(&pids, &stopped, &tick(pause)))?;
        Ok(Series { hellos, stop, thread })
    }

    /// Where the process ids of the hellos go.
    pub(crate) fn hellos(&self) -> &Sender<u32> {
        &self.hellos
    }

    /// Ends the looks, and writes those at process `pid` to `path`. Without any, the file says so.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn end(self, pid: Option<u32>, path: &Path) -> Result<(), WriteError> {
        drop(self.stop);
        let looks = self.thread.join().unwrap_or_default();
        let points = pid.and_then(|pid| looks.get(&pid));
        atomic::write(path, text(points.map_or(&[], Vec::as_slice)).as_bytes())
    }
}

fn text(points: &[Point]) -> String {
    let mut text = format!("{HEADER}\n");
    for point in points {
        text.push_str(&format!("{:.1},{},{}\n", point.ms, point.rss_kib, point.pss_kib));
    }
    if points.is_empty() {
        text.push_str("# no look: the program said no hello, or ended before the first\n");
    }
    text
}

fn look(pids: &Receiver<u32>, stop: &Receiver<()>, ticks: &Receiver<Instant>) -> Looks {
    let began = Instant::now();
    let mut looks = Looks::new();
    let add = |looks: &mut Looks, pid: u32| {
        let memory = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok();
        let Some((rss_kib, pss_kib)) = memory.as_deref().and_then(rollup) else { return };
        let ms = began.elapsed().as_secs_f64() * 1000.0;
        looks.entry(pid).or_default().push(Point { ms, rss_kib, pss_kib });
    };
    let mut known: Vec<u32> = vec![];
    loop {
        select! {
            recv(stop) -> _ => return looks,
            recv(pids) -> pid => match pid {
                Ok(pid) => {
                    if !known.contains(&pid) {
                        known.push(pid);
                    }
                    add(&mut looks, pid);
                }
                Err(_) => return looks,
            },
            recv(ticks) -> _ => known.iter().for_each(|pid| add(&mut looks, *pid)),
        }
    }
}

/// `Rss` and `Pss` of smaps_rollup (proc_pid_smaps(5)), KiB. None: an ended process has neither.
fn rollup(text: &str) -> Option<(u64, u64)> {
    let kib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    Some((kib("Rss:")?, kib("Pss:")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollup_has_both_figures_or_none() {
        let text = "55d0-7ffd ---p 00000000 00:00 0 [rollup]\nRss:                3936 kB\nPss:                 512 kB\n\
            Pss_Dirty:            96 kB\n";
        assert_eq!(rollup(text), Some((3936, 512)));
        assert_eq!(rollup("Rss: 5 kB\n"), None);
        assert_eq!(rollup(""), None);
    }

    #[test]
    fn a_series_is_that_of_the_program_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (series, own) = (Series::begin(Duration::from_millis(5)).unwrap(), std::process::id());
        series.hellos().send(own).unwrap();
        // The queue is empty once the look at this process has begun.
        while !series.hellos().is_empty() {
            std::thread::yield_now();
        }
        let path = dir.path().join("rss_x_1.csv");
        series.end(Some(own), &path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some(HEADER));
        let fields: Vec<f64> = lines.next().unwrap().split(',').map(|field| field.parse().unwrap()).collect();
        assert!(fields.len() == 3 && fields[1] >= fields[2] && fields[2] > 0.0, "{text}");
        Series::begin(Duration::from_millis(5)).unwrap().end(Some(1), &path).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().contains("# no look"));
    }
}
