//! What the programs of a verification run told, and how the run ended.

use std::time::{Duration, Instant};

use super::error::VerifyError;
use super::programs::Programs;
use super::proof::{self, ProcessReport, Proof};
use super::request::{Request, Wanted};
use crate::analysis::Judged;
use crate::analysis::judged::Doubt;
use crate::launch::bench::Ended;
use crate::launch::census::{Census, Disconnected, Left};
use crate::launch::program;
use crate::listen::{ConnId, Event, What};
use crate::session;

pub(super) struct Observed {
    conns: Vec<ConnId>,
    pub(super) reports: Vec<ProcessReport>,
    pub(super) rejected: Option<String>,
    pub(super) census: Option<Census>,
    /// The first process has ended. What it left, if that could be read.
    pub(super) left: Option<Option<Left>>,
    /// Names of `--only`.
    pub(super) names: Option<Vec<String>>,
    pub(super) judged: Option<Judged>,
    pub(super) ended: Option<Ended>,
    pub(super) took: Option<Duration>,
    pub(super) stopped: bool,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// The shim's own share of the memory of the proven program.
    pub(super) shim_kib: Option<u64>,
}

impl Observed {
    pub(super) fn new(only: Option<&str>) -> Observed {
        Observed {
            conns: vec![],
            reports: vec![],
            rejected: None,
            census: None,
            left: None,
            names: only.map(program::names),
            judged: None,
            ended: None,
            took: None,
            stopped: false,
            stdout: vec![],
            stderr: vec![],
            shim_kib: None,
        }
    }

    pub(super) fn take(&mut self, event: Event) {
        let (conn, pid) = (event.conn, event.peer.pid);
        let report = self.conns.iter().position(|c| *c == conn).and_then(|at| self.reports.get_mut(at));
        match (event.what, report) {
            (What::Hello(identity), _) => {
                self.conns.push(conn);
                let at = proof::began(&identity, event.at);
                // Its name and its file as they are while it runs, if it still does.
                if let Some(census) = &mut self.census {
                    census.look_at(pid);
                }
                self.reports.push(ProcessReport {
                    pid,
                    identity: *identity,
                    dsos: vec![],
                    copy: None,
                    at,
                    ended: None,
                    goes_on: false,
                    exited: false,
                });
            }
            (What::Rejected(reason), _) => self.rejected = Some(format!("{reason} (pid {pid})")),
            (What::Dsos(dsos), Some(report)) => report.dsos = dsos,
            (What::Copy { record, fd }, Some(report)) if record.id == report.identity.fixed.allocator => {
                let copied = session::copy::take(&fd, &record, report.dsos.iter().map(|dso| dso.init));
                report.copy = Some(proof::sha1_of_copy(&copied));
            }
            (What::End, Some(report)) => {
                report.ended = Some(event.at);
                if let Some(census) = &mut self.census {
                    census.look_at_disconnected(&report.disconnected());
                }
            }
            _ => {}
        }
    }

    pub(super) fn all_ended(&self) -> bool {
        self.reports.iter().all(|report| report.ended.is_some())
    }

    pub(super) fn programs<'a>(&'a self, wanted: &'a Wanted) -> Programs<'a> {
        Programs {
            seen: self.census.as_ref().map_or(&[], |census| census.seen()),
            reports: &self.reports,
            wanted,
            names: self.names.as_deref(),
        }
    }

    /// The judged program so far, and what it told: a proof, or what is wrong. None: it has told nothing, or
    /// another program may be the one that counts.
    pub(super) fn judge(&self, wanted: &Wanted, first: u32) -> (Judged, Option<Result<Proof, VerifyError>>) {
        let programs = self.programs(wanted);
        let judged = match &self.left {
            Some(left) => programs.at_end(first, left.as_ref()),
            None => programs.so_far(),
        };
        let proof = match judged.doubt {
            None | Some(Doubt::NotProven) => programs.proof(&judged),
            Some(_) => None,
        };
        (judged, proof)
    }

    pub(super) fn look(&mut self) {
        let Some(census) = &mut self.census else { return };
        // A connection may end although the program goes on.
        let may_live = |r: &&mut ProcessReport| r.ended.is_some_and(|since| census.may_live(r.pid, since));
        let mut ended: Vec<&mut ProcessReport> = self.reports.iter_mut().filter(may_live).collect();
        let disconnected: Vec<Disconnected<'_>> = ended.iter().map(|report| report.disconnected()).collect();
        let told = census.look_and_tell(&disconnected);
        for (report, goes_on) in ended.iter_mut().zip(told) {
            report.goes_on = goes_on.unwrap_or(report.goes_on);
        }
    }

    /// Looks at the processes if it is time. Returns when the next look is due.
    pub(super) fn look_if_due(&mut self) -> Instant {
        let due = |observed: &Observed| observed.census.as_ref().map(Census::due);
        if due(self).is_some_and(|due| due <= Instant::now()) {
            self.look();
        }
        due(self).unwrap_or_else(|| Instant::now() + Duration::from_secs(1))
    }

    /// The first process has ended, and has not been reaped.
    pub(super) fn first_ended(&mut self) {
        self.left = Some(self.census.as_ref().and_then(|census| census.left()));
    }

    /// The program that lacks the proof, else the benchmark of the command.
    pub(super) fn program(&self, request: &Request<'_>) -> String {
        let judged = self.judged.as_ref().and_then(|judged| judged.in_doubt());
        let named = || program::benchmark(request.command).cloned().unwrap_or_default();
        judged.map_or_else(named, |program| program.exe.clone())
    }

    /// When the judged program said hello.
    pub(super) fn since(&self, judged: &Judged) -> Option<Instant> {
        let pid = judged.program()?.pid;
        self.reports.iter().rev().find(|report| report.pid == pid).map(|report| report.at)
    }

    /// Whether everything that can be checked has come from the judged program.
    pub(super) fn is_complete(&self, judged: &Judged) -> bool {
        let pid = judged.program().map(|program| program.pid);
        let report = self.reports.iter().rev().find(|report| Some(report.pid) == pid);
        report.is_some_and(|report| report.is_complete() || report.ended.is_some())
    }

    pub(super) fn seconds(&self) -> f64 {
        self.took.map_or(0.0, |took| took.as_secs_f64())
    }

    /// A sentence on what came instead of a hello of the judged program.
    pub(super) fn instead(&self, request: &Request<'_>) -> String {
        let chain = match &self.judged {
            Some(judged) if !judged.programs.is_empty() => format!("; the programs: {}", judged.chain().en()),
            _ => String::new(),
        };
        // `env -i`, `sudo`, a script that sets its own LD_PRELOAD.
        let several = self.judged.as_ref().is_some_and(|judged| judged.launcher().is_some());
        let wrapped = program::benchmark(request.command) != request.command.first() || several;
        let hint = if wrapped { "; does something in front of it clear LD_PRELOAD?" } else { "" };
        let last = String::from_utf8_lossy(&self.stderr);
        let last = last.lines().map(str::trim).rfind(|line| !line.is_empty());
        let last = last.map_or(String::new(), |line| {
            format!(
                "; its last words: {}",
                line.chars().filter(|c| !c.is_control()).take(300).collect::<String>()
            )
        });
        let end = match (&self.ended, self.stopped) {
            (Some(ended), false) => format!("it ended with {} after {:.1} s", how(ended), self.seconds()),
            _ => format!("it ran for {:.0} s without one", self.seconds().max(1.0)),
        };
        format!("{end}{chain}{hint}{last}")
    }
}

pub(super) fn how(ended: &Ended) -> String {
    match (ended.code, ended.signal) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        _ => "an unknown status".into(),
    }
}
