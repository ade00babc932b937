//! One verification run.

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
use super::hang;
use super::observed::{Observed, how};
use super::proof::Proof;
use super::request::{Request, Wanted};
use super::share;
use super::verified::VerifiedRun;
use crate::console::cancel::Cancel;
use crate::launch::bench::{AtOurEnd, Bench};
use crate::launch::census::{self, Census};
use crate::launch::follow::Preloads;
use crate::launch::settings::Settings;
use crate::launch::sockets::SocketDir;
use crate::listen::Listener;

/// Bytes of stdout, and of stderr, that are read and go into the log.
const MOST_OUTPUT: u64 = 1 << 20;
/// How long to wait for the copy of the DSO's bytes after the hello.
const COPY_WITHIN: Duration = Duration::from_secs(2);
/// How long to wait for messages that an ended command has already sent. Other threads read its connections.
const LAST_MESSAGES: Duration = Duration::from_secs(1);

pub(super) struct Ran {
    pub(super) result: Result<VerifiedRun, VerifyError>,
    /// `run_N.log`.
    pub(super) log: Vec<u8>,
}

/// How the watching of a run ended.
enum Watched {
    /// What the judged program told.
    Told(Result<Proof, VerifyError>),
    /// It is proven, and it does not come to its end.
    Hangs(Proof),
    /// No hello of the judged program came in time.
    Silent,
}

pub(super) fn run(
    request: &Request<'_>,
    number: u32,
    wanted: &Wanted,
    expected: &Path,
    cancel: &Cancel,
) -> Ran {
    let mut observed = Observed::new(request.only);
    let result = attempt(request, number, wanted, cancel, &mut observed).map(|(proof, hang)| {
        // The command names a launcher, or a script that starts the program.
        let first = observed.judged.as_ref().and_then(|judged| judged.launcher());
        let launcher = first.filter(|_| proof.program != expected).map(|first| PathBuf::from(&first.exe));
        VerifiedRun { proof, launcher, shim_kib: observed.shim_kib, hang }
    });
    let log = log(request, wanted, &observed, &result);
    Ran { result, log }
}

fn attempt(
    request: &Request<'_>,
    number: u32,
    wanted: &Wanted,
    cancel: &Cancel,
    observed: &mut Observed,
) -> Result<(Proof, Option<hang::VerifyHang>), VerifyError> {
    let not_run = |source| VerifyError::NotRun { program: request.command[0].clone(), source };
    let sockets = SocketDir::temporary().map_err(not_run)?;
    let listener = Listener::bind(&sockets.path().join("s"))?;
    let (command, preload) = command(request, wanted, &listener, sockets.path())?;
    let (mut stdout, mut stderr) =
        (tempfile::tempfile().map_err(not_run)?, tempfile::tempfile().map_err(not_run)?);
    let mark = format!("{}={}", variable::SOCKET, listener.path().display());
    let copies = (stdout.try_clone().map_err(not_run)?, stderr.try_clone().map_err(not_run)?);
    let cpus = request.cpus.map(|cpus| cpus.set());
    let mut bench =
        Bench::start(command, copies.0, copies.1, cpus, mark, AtOurEnd::Killed).map_err(not_run)?;
    observed.census = Some(Census::new(bench.pid(), &wanted.path, bench.started()));

    let watched = wait(request, wanted, &listener, &bench, cancel, observed);
    observed.took.get_or_insert_with(|| bench.started().elapsed());
    if let Ok(Watched::Told(Ok(proof)) | Watched::Hangs(proof)) = &watched {
        observed.shim_kib = shim_kib(request, proof.pid, observed);
    }
    observed.stopped = bench.ended().try_recv() == Err(TryRecvError::Empty);
    let captured = match watched.as_ref().map(|watched| stuck(watched, wanted, observed)) {
        Ok(Some(pid)) => {
            let shim_tid = observed.reports.iter().rev().find(|report| report.pid == pid);
            let shim_tid = shim_tid.map(|report| report.identity.fixed.watchdog_tid);
            Some(hang::capture(request, wanted, number, pid, shim_tid, cancel)?)
        }
        _ => None,
    };
    // An ended command is reaped, not stopped. Whatever else belongs to the run is killed.
    let reaped = if observed.stopped { None } else { Some(bench.reap().map_err(not_run)?) };
    let killed = bench.kill().map_err(not_run)?;
    observed.ended = Some(reaped.unwrap_or(killed));
    observed.stdout = beginning(&mut stdout);
    observed.stderr = beginning(&mut stderr);
    let watched = watched?;
    // ld.so's own reason is the cause of the other errors.
    if let Some(error) = loader_message(&observed.stderr, &preload) {
        return Err(error);
    }
    match (watched, &observed.rejected) {
        (Watched::Told(proof), _) => Ok((proof?, None)),
        (Watched::Hangs(proof), _) => Ok((proof, captured)),
        (Watched::Silent, Some(reason)) => {
            Err(VerifyError::Rejected { program: observed.program(request), reason: reason.clone() })
        }
        (Watched::Silent, None) => {
            let hang = captured.map(|hang| format!("; it hangs: {}", hang.line().en()));
            let seen = observed.instead(request) + &hang.unwrap_or_default();
            Err(VerifyError::NoHello { program: observed.program(request), seen })
        }
    }
}

/// The shim's own share of the memory of a process.
fn shim_kib(request: &Request<'_>, pid: u32, observed: &Observed) -> Option<u64> {
    let report = observed.reports.iter().rev().find(|report| report.pid == pid)?;
    let dsos = [&request.shim.file, &request.shim.follow].map(|path| path.as_path());
    share::kib(pid, report.identity.fixed.watchdog_tid, &dsos)
}

/// The process that hangs, if the run does: it was to come to its end, or it has the DSO and said nothing.
fn stuck(watched: &Watched, wanted: &Wanted, observed: &Observed) -> Option<u32> {
    match watched {
        Watched::Told(_) => None,
        Watched::Hangs(proof) => Some(proof.pid),
        Watched::Silent => {
            let judged = observed.judged.as_ref()?.program()?;
            (observed.stopped && census::maps_file(judged.pid, &wanted.path)).then_some(judged.pid)
        }
    }
}

fn command(
    request: &Request<'_>,
    wanted: &Wanted,
    listener: &Listener,
    links: &Path,
) -> Result<(Command, Vec<PathBuf>), VerifyError> {
    let carrier = request.carrier.map(std::path::absolute).transpose();
    let carrier =
        carrier.map_err(|source| VerifyError::NotRun { program: request.command[0].clone(), source })?;
    let preloaded = carrier.as_ref().unwrap_or(&wanted.path);
    let preloads = match request.system {
        true => Preloads::of_system(request.shim, links)?,
        false => Preloads::of_run(request.shim, preloaded, request.source, links)?,
    };
    let settings = Settings {
        socket: Some(listener.path().to_owned()),
        // A verification does not look for hangs.
        hang_after: Some(Limit::Off),
        label: Some("verify".into()),
        // A carrier may have names of its own: every program is to say hello.
        only: request.only.or(carrier.as_ref().map(|_| "")).map(str::to_owned),
        // Some commands end before the shim's thread has run. Nobody measures here, so they wait for the
        // hello.
        greet: true,
        ..Settings::default()
    };
    Ok((settings.command(request.command, request.env, &preloads), preloads.files))
}

/// Waits until the judged program is proven, or the time is over.
///
/// # Errors
/// Ctrl-C, or the listener ended.
fn wait(
    request: &Request<'_>,
    wanted: &Wanted,
    listener: &Listener,
    bench: &Bench,
    cancel: &Cancel,
    observed: &mut Observed,
) -> Result<Watched, VerifyError> {
    let times = request.times;
    let mut ended = bench.ended().clone();
    let mut ended_at: Option<Instant> = None;
    // The process that is judged, and since when it has told all.
    let mut since: Option<(u32, Instant)> = None;
    loop {
        let now = Instant::now();
        let (judged, told) = observed.judge(wanted, bench.pid());
        // The hello of a program that ended at once may still be on the way.
        let all = observed.all_ended() && matches!(told, Some(Ok(_)));
        let over = ended_at.is_some_and(|at| all || now >= at + LAST_MESSAGES);
        if over {
            observed.judged = Some(judged);
            return Ok(told.map_or(Watched::Silent, Watched::Told));
        }
        let may_have_copy = observed.since(&judged).is_none_or(|at| now < at + COPY_WITHIN);
        let complete = told.is_some() && (observed.is_complete(&judged) || !may_have_copy);
        let pid = judged.program().map_or(0, |program| program.pid);
        since = since.filter(|(before, _)| complete && *before == pid);
        let mut deadline = match ended_at {
            Some(at) => at + LAST_MESSAGES,
            None => bench.started() + times.hello,
        };
        if complete && ended_at.is_none() {
            let (_, at) = *since.get_or_insert((pid, now));
            let whole = times.whole.filter(|_| matches!(told, Some(Ok(_))));
            deadline = whole.map_or(at + times.grace, |limit| bench.started() + limit);
        }
        if now >= deadline {
            // A launcher may have started something since the last look.
            let was = judged.proven().map(|program| program.pid);
            observed.look();
            let (judged, told) = observed.judge(wanted, bench.pid());
            let is = judged.proven().map(|program| program.pid);
            observed.judged = Some(judged);
            return Ok(match told {
                Some(Ok(proof)) if times.whole.is_some() => Watched::Hangs(proof),
                Some(told) if was == is || now >= bench.started() + times.hello => Watched::Told(told),
                Some(_) => continue,
                None if now < bench.started() + times.hello => continue,
                None => Watched::Silent,
            });
        }
        let look = observed.look_if_due();
        let wake = deadline.min(look).saturating_duration_since(Instant::now());
        select! {
            recv(listener.events()) -> event => match event {
                Ok(event) => observed.take(event),
                Err(_) => return Ok(Watched::Silent),
            },
            recv(listener.failed()) -> why => match why {
                Ok(why) => return Err(why.into()),
                Err(_) => return Ok(Watched::Silent),
            },
            recv(ended) -> _ => {
                let now = Instant::now();
                observed.took = Some(now - bench.started());
                observed.first_ended();
                ended_at = Some(now);
                ended = never();
            }
            recv(after(wake)) -> _ => {}
            recv(cancel.channel()) -> _ => return Err(VerifyError::Interrupted),
        }
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
    result: &Result<VerifiedRun, VerifyError>,
) -> Vec<u8> {
    let mut text = format!("command: {}\n", request.command.join(" "));
    text += &format!("dso: {} (sha1 {})\n", wanted.path.display(), wanted.sha1);
    for said in &observed.reports {
        let provider = said.dsos.iter().find(|dso| dso.is(dso_flags::PROVIDES_MALLOC));
        text += &format!(
            "hello: pid {}, {}, malloc from {}\n",
            said.pid,
            said.identity.exe,
            provider.map_or("nothing that is known", |dso| dso.path.as_str())
        );
    }
    if let Some(judged) = &observed.judged {
        text += &format!("programs: {}\n", judged.chain().en());
    }
    if let Some(ended) = &observed.ended {
        let stopped = if observed.stopped { " (stopped)" } else { "" };
        text += &format!("ended: {} after {:.3} s{stopped}\n", how(ended), observed.seconds());
    }
    text += &match result {
        Ok(verified) => {
            let hang = verified.hang.as_ref().map(|hang| format!("{}\n", hang.line().en()));
            format!("passed: {}\n{}", verified.line().en(), hang.unwrap_or_default())
        }
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
