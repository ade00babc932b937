//! One verification run.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crossbeam_channel::{TryRecvError, after, never, select};
use hangscope_protocol::duration::Limit;
use hangscope_protocol::record::dso_flags;
use hangscope_protocol::variable;
use regex::bytes::Regex;

use super::error::VerifyError;
use super::program::Expected;
use super::proof::{ProcessReport, Proof};
use super::request::{Request, Wanted};
use crate::console::cancel::Cancel;
use crate::files::pin;
use crate::launch::bench::{Bench, Ended, TERM_TO_KILL};
use crate::launch::preload;
use crate::launch::program;
use crate::launch::settings::Settings;
use crate::launch::sockets::{SocketDir, preloadable};
use crate::listen::{ConnId, Event, Listener, What};

/// Bytes of stdout, and of stderr, that are read and go into the log.
const MOST_OUTPUT: u64 = 1 << 20;
/// How long to wait for the copy of the DSO's bytes after the hello.
const COPY_WITHIN: Duration = Duration::from_secs(2);
/// How long to wait for messages that an ended command has already sent. Other threads read its connections.
const LAST_MESSAGES: Duration = Duration::from_secs(1);

pub(super) struct Ran {
    pub(super) result: Result<Proof, VerifyError>,
    /// `run_N.log`.
    pub(super) log: Vec<u8>,
}

/// Which process must say hello, and what the hello must say.
struct Question<'a> {
    expected: &'a Expected,
    wanted: &'a Wanted,
}

/// What a run showed, for the verdict and the log.
#[derive(Default)]
struct Observed {
    reports: BTreeMap<ConnId, ProcessReport>,
    rejected: Option<String>,
    ended: Option<Ended>,
    took: Option<Duration>,
    stopped: bool,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

pub(super) fn run(request: &Request<'_>, wanted: &Wanted, expected: &Expected, cancel: &Cancel) -> Ran {
    let mut observed = Observed::default();
    let result = attempt(request, wanted, expected, cancel, &mut observed);
    let log = log(request, wanted, &observed, &result);
    Ran { result, log }
}

fn attempt(
    request: &Request<'_>,
    wanted: &Wanted,
    expected: &Expected,
    cancel: &Cancel,
    observed: &mut Observed,
) -> Result<Proof, VerifyError> {
    let not_run = |source| VerifyError::NotRun { program: request.command[0].clone(), source };
    let sockets = SocketDir::temporary().map_err(not_run)?;
    let listener = Listener::bind(&sockets.path().join("s"))?;
    let (command, preload) = command(request, wanted, &listener, sockets.path())?;
    let (mut stdout, mut stderr) =
        (tempfile::tempfile().map_err(not_run)?, tempfile::tempfile().map_err(not_run)?);
    let mark = format!("{}={}", variable::SOCKET, listener.path().display());
    let copies = (stdout.try_clone().map_err(not_run)?, stderr.try_clone().map_err(not_run)?);
    let cpus = request.cpus.map(|cpus| cpus.set());
    let mut bench = Bench::start(command, copies.0, copies.1, cpus, mark).map_err(not_run)?;

    let question = Question { expected, wanted };
    let verdict = wait(request, &question, &listener, &bench, cancel, observed);
    observed.took.get_or_insert_with(|| bench.started().elapsed());
    observed.stopped = bench.ended().try_recv() == Err(TryRecvError::Empty);
    // An ended command is reaped, not stopped. Whatever else belongs to the run is stopped.
    let reaped = if observed.stopped { None } else { Some(bench.reap().map_err(not_run)?) };
    let stopped = bench.stop(TERM_TO_KILL).map_err(not_run)?;
    observed.ended = Some(reaped.unwrap_or(stopped));
    observed.stdout = beginning(&mut stdout);
    observed.stderr = beginning(&mut stderr);
    if matches!(verdict, Some(Err(VerifyError::Interrupted))) {
        return Err(VerifyError::Interrupted);
    }
    // ld.so's own reason is the cause of the other errors.
    if let Some(error) = loader_message(&observed.stderr, &preload) {
        return Err(error);
    }
    let program = expected.to_string();
    match (verdict, &observed.rejected) {
        (Some(verdict), _) => verdict,
        (None, Some(reason)) => Err(VerifyError::Rejected { program, reason: reason.clone() }),
        (None, None) => Err(VerifyError::NoHello { program, seen: observed.instead(request) }),
    }
}

fn command(
    request: &Request<'_>,
    wanted: &Wanted,
    listener: &Listener,
    links: &Path,
) -> Result<(Command, [PathBuf; 2]), VerifyError> {
    let files = [preloadable(request.shim, links)?, preloadable(&wanted.path, links)?];
    let preload = preload::value(files.iter().map(PathBuf::as_path))?;
    let settings = Settings {
        socket: Some(listener.path().to_owned()),
        // A verification does not look for hangs.
        hang_after: Some(Limit::Off),
        label: Some("verify".into()),
        only: request.only.map(str::to_owned),
        // Some commands end before the shim's thread has run. Nobody measures here, so they wait for the
        // hello.
        greet: true,
        ..Settings::default()
    };
    Ok((settings.command(request.command, request.env, &preload), files))
}

/// Waits for the verdict and the end of the command, within the time limits. None: no hello came.
fn wait(
    request: &Request<'_>,
    question: &Question<'_>,
    listener: &Listener,
    bench: &Bench,
    cancel: &Cancel,
    observed: &mut Observed,
) -> Option<Result<Proof, VerifyError>> {
    let mut ended = bench.ended().clone();
    let (mut ended_at, mut good_at, mut without_copy) = (None, None, false);
    loop {
        let verdict = observed.verdict(question, without_copy);
        let deadline = match (&verdict, ended_at) {
            (Some(Err(_)), _) | (Some(Ok(_)), Some(_)) => return verdict,
            (Some(Ok(_)), None) => *good_at.get_or_insert_with(Instant::now) + request.times.grace,
            (None, Some(at)) => at + LAST_MESSAGES,
            (None, None) => match observed.since(question) {
                Some(at) => at + COPY_WITHIN,
                None => bench.started() + request.times.hello,
            },
        };
        select! {
            recv(listener.events()) -> event => observed.take(event.ok()?),
            recv(listener.failed()) -> why => return why.ok().map(|why| Err(why.into())),
            recv(ended) -> _ => {
                let now = Instant::now();
                observed.took = Some(now - bench.started());
                ended_at = Some(now);
                ended = never();
            }
            recv(after(deadline.saturating_duration_since(Instant::now()))) -> _ => {
                if verdict.is_some() || without_copy {
                    return verdict;
                }
                without_copy = true;
            }
            recv(cancel.channel()) -> _ => return Some(Err(VerifyError::Interrupted)),
        }
    }
}

impl Observed {
    fn take(&mut self, event: Event) {
        let (conn, pid) = (event.conn, event.peer.pid);
        match event.what {
            What::Hello(identity) => {
                let at = event.at;
                self.reports.insert(
                    conn,
                    ProcessReport { pid, identity: *identity, dsos: vec![], copy: None, over: false, at },
                );
            }
            What::Rejected(reason) => self.rejected = Some(format!("{reason} (pid {pid})")),
            what => {
                let Some(said) = self.reports.get_mut(&conn) else { return };
                match what {
                    What::Dsos(dsos) => said.dsos = dsos,
                    What::Copy { record, fd } if record.id == said.identity.fixed.allocator => {
                        let bytes = crate::session::copy::read(&fd, &record);
                        // A copy from memory has relocated words, so its bytes differ from the same file's.
                        let from_file = record.source == 1;
                        said.copy = Some(match bytes {
                            Ok(bytes) if from_file => Ok(pin::sha1_hex(&bytes)),
                            Ok(_) => Err("its bytes could be had from memory only".into()),
                            Err(error) => Err(error.to_string()),
                        });
                    }
                    What::End => said.over = true,
                    _ => {}
                }
            }
        }
    }

    /// Of the processes of the expected program: the error of any, else the first proof. A process whose copy
    /// is missing counts only `without_copy`, which means that the time to wait for copies is over.
    fn verdict(&self, question: &Question<'_>, without_copy: bool) -> Option<Result<Proof, VerifyError>> {
        let mut good = None;
        for said in self.reports.values().filter(|said| without_copy || said.over || said.is_complete()) {
            match said.judge(question.expected, question.wanted) {
                Some(Err(error)) => return Some(Err(error)),
                Some(Ok(proof)) => good = good.or(Some(proof)),
                None => {}
            }
        }
        good.map(Ok)
    }

    fn seconds(&self) -> f64 {
        self.took.map_or(0.0, |took| took.as_secs_f64())
    }

    /// The first hello of the expected program.
    fn since(&self, question: &Question<'_>) -> Option<Instant> {
        let said =
            self.reports.values().filter(|said| said.judge(question.expected, question.wanted).is_some());
        said.map(|said| said.at).min()
    }

    /// A sentence on what came instead of a hello.
    fn instead(&self, request: &Request<'_>) -> String {
        let mut others: Vec<&str> = self.reports.values().map(|said| said.identity.exe.as_str()).collect();
        others.dedup();
        let others = if others.is_empty() {
            String::new()
        } else {
            format!("; hello came from {}", others.join(", "))
        };
        // `env -i`, `sudo`, a script that sets its own LD_PRELOAD.
        let wrapped = program::benchmark(request.command) != request.command.first() || !others.is_empty();
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
            (Some(ended), false) => {
                format!("it ended with {} after {:.1} s", how(ended), self.seconds())
            }
            _ => format!("it ran for {:.0} s without one", request.times.hello.as_secs_f64()),
        };
        format!("{end}{others}{hint}{last}")
    }
}

fn how(ended: &Ended) -> String {
    match (ended.code, ended.signal) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        _ => "an unknown status".into(),
    }
}

fn beginning(file: &mut File) -> Vec<u8> {
    let mut bytes = vec![];
    let _ = file.rewind().and_then(|()| file.take(MOST_OUTPUT).read_to_end(&mut bytes));
    bytes
}

/// ld.so's message on one of our files: `ERROR: ld.so: object 'x.so' from LD_PRELOAD cannot be preloaded
/// (why): ignored.`
fn loader_message(stderr: &[u8], preload: &[PathBuf]) -> Option<VerifyError> {
    let line = Regex::new(r"object '([^\n]*)' from LD_PRELOAD cannot be preloaded \(([^\n]*)\)").ok()?;
    line.captures_iter(stderr).find_map(|found| {
        let text = |n| found.get(n).map(|m| String::from_utf8_lossy(m.as_bytes()).into_owned());
        let (object, reason) = (text(1)?, text(2)?);
        let ours = preload.iter().any(|path| path.as_os_str() == object.as_str());
        ours.then_some(VerifyError::CannotPreload { object, reason })
    })
}

/// `run_N.log`: the command, the result, the output.
fn log(
    request: &Request<'_>,
    wanted: &Wanted,
    observed: &Observed,
    result: &Result<Proof, VerifyError>,
) -> Vec<u8> {
    let mut text = format!("command: {}\n", request.command.join(" "));
    text += &format!("dso: {} (sha1 {})\n", wanted.path.display(), wanted.sha1);
    for said in observed.reports.values() {
        let provider = said.dsos.iter().find(|dso| dso.is(dso_flags::PROVIDES_MALLOC));
        text += &format!(
            "hello: pid {}, {}, malloc from {}\n",
            said.pid,
            said.identity.exe,
            provider.map_or("nothing that is known", |dso| dso.path.as_str())
        );
    }
    if let Some(ended) = &observed.ended {
        let stopped = if observed.stopped { " (stopped)" } else { "" };
        text += &format!("ended: {} after {:.3} s{stopped}\n", how(ended), observed.seconds());
    }
    text += &match result {
        Ok(proof) => format!("passed: {}\n", proof.line().en()),
        Err(error) => format!("failed: {error}\n"),
    };
    let mut log = text.into_bytes();
    for (name, bytes) in [("stdout", &observed.stdout), ("stderr", &observed.stderr)] {
        log.extend_from_slice(format!("--- {name}\n").as_bytes());
        log.extend_from_slice(bytes);
        if !bytes.is_empty() && !bytes.ends_with(b"\n") {
            log.push(b'\n');
        }
    }
    log
}
