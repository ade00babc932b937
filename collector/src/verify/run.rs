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

use super::program::Expected;
use super::proof::{Proof, Said};
use super::{Request, VerifyError, Wanted};
use crate::console::cancel::Cancel;
use crate::files::pin;
use crate::launch::bench::{Bench, Ended, TERM_TO_KILL};
use crate::launch::preload;
use crate::launch::program;
use crate::launch::settings::Settings;
use crate::launch::sockets::{SocketDir, preloadable};
use crate::listen::{ConnId, Event, Listener, What};

/// So much of the command's output is looked at and goes into the log, bytes a stream.
const OUTPUT: u64 = 1 << 20;
/// After a hello the copy of the DSO's bytes may take so long.
const COPY_WITHIN: Duration = Duration::from_secs(2);
/// After the command's end its last words are waited for so long: what was sent is there already, but its
/// connections are read by other threads.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A run as far as it went.
pub(super) struct Ran {
    pub(super) result: Result<Proof, VerifyError>,
    /// `run_N.log`.
    pub(super) log: Vec<u8>,
}

/// Whose hello is waited for, and what it must say.
struct Question<'a> {
    expected: &'a Expected,
    wanted: &'a Wanted,
}

/// What was seen of a run, for the verdict and the log.
#[derive(Default)]
struct Seen {
    said: BTreeMap<ConnId, Said>,
    rejected: Option<String>,
    ended: Option<Ended>,
    took: Option<Duration>,
    stopped: bool,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

pub(super) fn run(request: &Request<'_>, wanted: &Wanted, expected: &Expected, cancel: &Cancel) -> Ran {
    let mut seen = Seen::default();
    let result = attempt(request, wanted, expected, cancel, &mut seen);
    let log = log(request, wanted, &seen, &result);
    Ran { result, log }
}

fn attempt(
    request: &Request<'_>,
    wanted: &Wanted,
    expected: &Expected,
    cancel: &Cancel,
    seen: &mut Seen,
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
    let verdict = wait(request, &question, &listener, &bench, cancel, seen);
    seen.took.get_or_insert_with(|| bench.started().elapsed());
    seen.stopped = bench.ended().try_recv() == Err(TryRecvError::Empty);
    // One that has ended is not told to; whatever else belongs to the run goes too.
    let reaped = if seen.stopped { None } else { Some(bench.reap().map_err(not_run)?) };
    let stopped = bench.stop(TERM_TO_KILL).map_err(not_run)?;
    seen.ended = Some(reaped.unwrap_or(stopped));
    seen.stdout = beginning(&mut stdout);
    seen.stderr = beginning(&mut stderr);
    if matches!(verdict, Some(Err(VerifyError::Interrupted))) {
        return Err(VerifyError::Interrupted);
    }
    // ld.so's own reason comes before what follows from it.
    if let Some(error) = loader_says(&seen.stderr, &preload) {
        return Err(error);
    }
    let program = expected.to_string();
    match (verdict, &seen.rejected) {
        (Some(verdict), _) => verdict,
        (None, Some(reason)) => Err(VerifyError::Rejected { program, reason: reason.clone() }),
        (None, None) => Err(VerifyError::NoHello { program, seen: seen.instead(request) }),
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
        // A verification looks for no hang.
        hang_after: Some(Limit::Off),
        label: Some("verify".into()),
        only: request.only.map(str::to_owned),
        // Some commands end before the shim's thread has run. Nobody measures here, so they wait for the hello.
        greet: true,
        ..Settings::default()
    };
    Ok((settings.command(request.command, request.env, &preload), files))
}

/// Until the verdict is there and the command has ended, or its time is over. None: no hello came.
fn wait(
    request: &Request<'_>,
    question: &Question<'_>,
    listener: &Listener,
    bench: &Bench,
    cancel: &Cancel,
    seen: &mut Seen,
) -> Option<Result<Proof, VerifyError>> {
    let mut ended = bench.ended().clone();
    let (mut ended_at, mut good_at, mut without_copy) = (None, None, false);
    loop {
        let verdict = seen.verdict(question, without_copy);
        let deadline = match (&verdict, ended_at) {
            (Some(Err(_)), _) | (Some(Ok(_)), Some(_)) => return verdict,
            (Some(Ok(_)), None) => *good_at.get_or_insert_with(Instant::now) + request.times.grace,
            (None, Some(at)) => at + LAST_WORDS,
            (None, None) => match seen.since(question) {
                Some(at) => at + COPY_WITHIN,
                None => bench.started() + request.times.hello,
            },
        };
        select! {
            recv(listener.events()) -> event => seen.take(event.ok()?),
            recv(listener.failed()) -> why => return why.ok().map(|why| Err(why.into())),
            recv(ended) -> _ => {
                let now = Instant::now();
                seen.took = Some(now - bench.started());
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

impl Seen {
    fn take(&mut self, event: Event) {
        let (conn, pid) = (event.conn, event.peer.pid);
        match event.what {
            What::Hello(identity) => {
                let at = event.at;
                self.said.insert(
                    conn,
                    Said { pid, identity: *identity, dsos: vec![], copy: None, over: false, at },
                );
            }
            What::Rejected(reason) => self.rejected = Some(format!("{reason} (pid {pid})")),
            what => {
                let Some(said) = self.said.get_mut(&conn) else { return };
                match what {
                    What::Dsos(dsos) => said.dsos = dsos,
                    What::Copy { record, fd } if record.id == said.identity.fixed.allocator => {
                        let bytes = crate::session::copy::read(&fd, &record);
                        // One that was made from memory has relocated words: other bytes, of the same file.
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

    /// What the processes of the program in question said: an error of any, else the first proof. One whose copy may
    /// still come counts only if nobody waits for that any more.
    fn verdict(&self, question: &Question<'_>, without_copy: bool) -> Option<Result<Proof, VerifyError>> {
        let mut good = None;
        for said in self.said.values().filter(|said| without_copy || said.over || said.is_complete()) {
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

    /// When the program in question said hello first.
    fn since(&self, question: &Question<'_>) -> Option<Instant> {
        let said = self.said.values().filter(|said| said.judge(question.expected, question.wanted).is_some());
        said.map(|said| said.at).min()
    }

    /// What came instead of a hello.
    fn instead(&self, request: &Request<'_>) -> String {
        let mut others: Vec<&str> = self.said.values().map(|said| said.identity.exe.as_str()).collect();
        others.dedup();
        let others = if others.is_empty() {
            String::new()
        } else {
            format!("; hello came from {}", others.join(", "))
        };
        // `env -i`, `sudo`, a script that sets its own.
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
    let _ = file.rewind().and_then(|()| file.take(OUTPUT).read_to_end(&mut bytes));
    bytes
}

/// What ld.so says of our files: `ERROR: ld.so: object 'x.so' from LD_PRELOAD cannot be preloaded (why): ignored.`
fn loader_says(stderr: &[u8], preload: &[PathBuf]) -> Option<VerifyError> {
    let line = Regex::new(r"object '([^\n]*)' from LD_PRELOAD cannot be preloaded \(([^\n]*)\)").ok()?;
    line.captures_iter(stderr).find_map(|found| {
        let text = |n| found.get(n).map(|m| String::from_utf8_lossy(m.as_bytes()).into_owned());
        let (object, reason) = (text(1)?, text(2)?);
        let ours = preload.iter().any(|path| path.as_os_str() == object.as_str());
        ours.then_some(VerifyError::CannotPreload { object, reason })
    })
}

/// `run_N.log`: what was run, what came of it, what it printed.
fn log(request: &Request<'_>, wanted: &Wanted, seen: &Seen, result: &Result<Proof, VerifyError>) -> Vec<u8> {
    let mut text = format!("command: {}\n", request.command.join(" "));
    text += &format!("dso: {} (sha1 {})\n", wanted.path.display(), wanted.sha1);
    for said in seen.said.values() {
        let provider = said.dsos.iter().find(|dso| dso.is(dso_flags::PROVIDES_MALLOC));
        text += &format!(
            "hello: pid {}, {}, malloc from {}\n",
            said.pid,
            said.identity.exe,
            provider.map_or("nothing that is known", |dso| dso.path.as_str())
        );
    }
    if let Some(ended) = &seen.ended {
        let stopped = if seen.stopped { " (stopped)" } else { "" };
        text += &format!("ended: {} after {:.3} s{stopped}\n", how(ended), seen.seconds());
    }
    text += &match result {
        Ok(proof) => format!("passed: {proof}\n"),
        Err(error) => format!("failed: {error}\n"),
    };
    let mut log = text.into_bytes();
    for (name, bytes) in [("stdout", &seen.stdout), ("stderr", &seen.stderr)] {
        log.extend_from_slice(format!("--- {name}\n").as_bytes());
        log.extend_from_slice(bytes);
        if !bytes.is_empty() && !bytes.ends_with(b"\n") {
            log.push(b'\n');
        }
    }
    log
}
