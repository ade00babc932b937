//! The programs of a run: what /proc showed of them, and what their shims told, put together. Pure.

use std::time::Instant;

use super::error::VerifyError;
use super::proof::{ProcessReport, Proof};
use super::request::Wanted;
use crate::analysis::Told;
use crate::analysis::judged::{Children, Judged, Program};
use crate::launch::census::{Left, Seen};
use crate::launch::program;

/// Longest name of a thread in the kernel, bytes.
const COMM: usize = 15;

/// The programs of one run.
#[derive(Clone, Debug)]
pub(crate) struct Programs<'a> {
    pub(crate) seen: &'a [Seen],
    /// In the order of the hellos.
    pub(crate) reports: &'a [ProcessReport],
    pub(crate) wanted: &'a Wanted,
    /// Names of the programs that can be judged. None: any.
    pub(crate) names: Option<&'a [String]>,
}

/// A program, and when it was there.
struct Entry {
    from: Instant,
    until: Instant,
    alive: bool,
    /// Names that its main thread may have.
    comms: Vec<String>,
    program: Program,
}

impl Programs<'_> {
    /// The judged program of a run that goes on.
    pub(crate) fn so_far(&self) -> Judged {
        let alive = living(self.entries());
        Judged::at_end(alive.into_iter().map(|entry| entry.program).collect(), Children::default())
    }

    /// The judged program of a run that hangs in this process.
    pub(crate) fn at_hang(&self, pid: u32) -> Judged {
        let alive = living(self.entries());
        Judged::at_hang(alive.into_iter().map(|entry| entry.program).collect(), pid)
    }

    /// The judged program of a run whose first process, `first`, has ended.
    pub(crate) fn at_end(&self, first: u32, left: Option<&Left>) -> Judged {
        let mut entries = self.entries();
        let mut children = Children::default();
        if let Some(left) = left {
            children = Children { of: first, any: left.had_children, ticks: left.children_ticks };
            last_of_first(&mut entries, first, left, self.names.is_none());
        }
        Judged::at_end(entries.into_iter().map(|entry| entry.program).collect(), children)
    }

    /// The proof of the judged program, or what is wrong with it.
    pub(crate) fn proof(&self, judged: &Judged) -> Option<Result<Proof, VerifyError>> {
        let program = judged.program()?;
        let of = |r: &&ProcessReport| r.pid == program.pid && r.exe() == program.exe;
        Some(self.reports.iter().rev().find(of)?.prove(self.wanted))
    }

    /// The report of a program that was seen.
    fn report_of(&self, seen: &Seen) -> Option<&ProcessReport> {
        let of_process = |r: &&ProcessReport| {
            // In a PID namespace with another /proc the shim does not know its own start.
            r.pid == seen.pid && (seen.exe.starts_with('[') || base_name(r.exe()) == base_name(&seen.exe))
        };
        let connected = |r: &&ProcessReport| {
            r.at <= seen.until && (r.goes_on || r.exited || r.ended.is_none_or(|ended| ended >= seen.until))
        };
        let all = || self.reports.iter().filter(of_process);
        all().rev().find(connected).or_else(|| all().find(|r| r.at > seen.until))
    }

    fn entries(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = vec![];
        let mut used = vec![];
        for seen in self.seen {
            let report = self.report_of(seen);
            used.extend(report.map(std::ptr::from_ref));
            // A copy of its parent has the parent's malloc.
            let parent = || entries.iter().rev().find(|e| e.program.pid == seen.ppid);
            let told = match report {
                Some(report) => told(report, self.wanted),
                None if seen.copy_of_parent => parent().map_or(Told::Nothing, |e| e.program.told.clone()),
                None => Told::Nothing,
            };
            let mut comms = vec![seen.comm.clone(), comm_of(&seen.exe)];
            comms.extend(report.map(comms_of).unwrap_or_default());
            entries.push(Entry {
                from: report.map_or(seen.from, |report| report.at.min(seen.from)),
                until: seen.until,
                alive: seen.alive,
                comms,
                program: Program {
                    pid: seen.pid,
                    ppid: seen.ppid,
                    exe: report.map_or_else(|| seen.exe.clone(), |r| r.exe().to_owned()),
                    ticks: seen.ticks,
                    last: true,
                    launcher: program::is_launcher(&seen.exe),
                    told,
                },
            });
        }
        for report in self.reports.iter().filter(|r| !used.contains(&std::ptr::from_ref(*r))) {
            let fixed = &report.identity.fixed;
            let own_namespace = fixed.pid == report.pid;
            entries.push(Entry {
                from: report.at,
                until: report.at,
                alive: report.ended.is_none() || report.goes_on,
                comms: comms_of(report),
                program: Program {
                    pid: report.pid,
                    ppid: if own_namespace { fixed.ppid } else { 0 },
                    exe: report.exe().to_owned(),
                    ticks: 0,
                    last: true,
                    launcher: program::is_launcher(report.exe()),
                    told: told(report, self.wanted),
                },
            });
        }
        entries.sort_by_key(|entry| entry.from);
        let ends: Vec<(u32, Instant)> = entries.iter().map(|e| (e.program.pid, e.until)).collect();
        for (at, entry) in entries.iter_mut().enumerate() {
            let (pid, until) = ends[at];
            let later = |(other, end): (usize, &(u32, Instant))| end.0 == pid && (end.1, other) > (until, at);
            entry.program.last = !ends.iter().enumerate().any(later);
        }
        if let Some(names) = self.names {
            let named = |entry: &Entry| {
                let is = |name: &str| names.iter().any(|wanted| wanted == name);
                is(base_name(&entry.program.exe)) || entry.comms.iter().any(|comm| is(comm))
            };
            if entries.iter().any(named) {
                entries.retain(named);
            }
        }
        entries
    }
}

/// The programs of processes that live, with those that they executed before.
fn living(entries: Vec<Entry>) -> Vec<Entry> {
    let alive = |e: &Entry| (e.alive && e.program.last).then_some(e.program.pid);
    let processes: Vec<u32> = entries.iter().filter_map(alive).collect();
    let lives = |e: &Entry| processes.contains(&e.program.pid);
    entries.into_iter().filter(lives).collect()
}

/// The first process may have executed a program that nobody has seen. Its name shows that. `add`: any program
/// can be judged.
fn last_of_first(entries: &mut Vec<Entry>, first: u32, left: &Left, add: bool) {
    let known = entries.iter().any(|e| e.program.pid == first && e.comms.contains(&left.comm));
    if let Some(entry) = entries.iter_mut().rfind(|e| e.program.pid == first && e.program.last) {
        entry.program.ticks = left.ticks;
        entry.program.last = known || !add;
    }
    if known || !add {
        return;
    }
    entries.push(Entry {
        from: Instant::now(),
        until: Instant::now(),
        alive: false,
        comms: vec![left.comm.clone()],
        program: Program {
            pid: first,
            ppid: std::process::id(),
            exe: left.comm.clone(),
            ticks: left.ticks,
            last: true,
            launcher: program::is_launcher(&left.comm),
            told: Told::Nothing,
        },
    });
}

fn told(report: &ProcessReport, wanted: &Wanted) -> Told {
    match report.prove(wanted) {
        Ok(Proof { same_file, same_bytes, .. }) => Told::Proven { same_file, same_bytes },
        Err(VerifyError::OtherMalloc { provider, .. }) => Told::Elsewhere { malloc: provider },
        Err(why) => Told::Unproven { why: why.to_string() },
    }
}

/// Names that the kernel gives to the main thread of a program: of its file, of a link to it, of a script.
fn comms_of(report: &ProcessReport) -> Vec<String> {
    let mut words = report.identity.command.iter().map(String::as_str);
    let arg0 = words.next().unwrap_or_default();
    // The kernel starts the interpreter of a script by its path, and then comes the path of the script.
    let script = arg0.contains('/') && !program::is_wrapper(arg0);
    let scripts = words.take(if script { 2 } else { 0 });
    scripts.chain([arg0, report.exe()]).map(comm_of).collect()
}

fn comm_of(path: &str) -> String {
    let name = base_name(path);
    name.char_indices().take_while(|(at, c)| at + c.len_utf8() <= COMM).map(|(_, c)| c).collect()
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
