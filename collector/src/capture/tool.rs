//! Runs a program that may not end, or may not be installed.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crossbeam_channel::{Receiver, after, select};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, WaitIdStatus, waitid};

use crate::console::cancel::Cancel;

#[derive(Debug)]
pub(crate) enum Ran {
    /// By itself. The text is its stderr.
    Exited(ExitStatus, String),
    /// The program is not installed.
    NotFound,
    /// It could not be started, or waiting for it failed.
    NotStarted(io::Error),
    /// It was killed at its time limit.
    TooLong(Duration),
    /// It was killed because of Ctrl-C.
    Cancelled,
}

impl Ran {
    /// Why the program failed, for a person; none if its exit status was 0.
    pub(crate) fn problem(&self) -> Option<String> {
        match self {
            Ran::Exited(status, _) if status.success() => None,
            Ran::Exited(status, stderr) => {
                let said = stderr.split_whitespace().collect::<Vec<_>>().join(" ");
                let said: String = said.chars().take(400).collect();
                Some(if said.is_empty() { format!("ended with {status}") } else { format!("failed: {said}") })
            }
            Ran::NotFound => Some("not found".to_owned()),
            Ran::NotStarted(e) => Some(format!("could not be started: {e}")),
            Ran::TooLong(limit) => Some(format!("was stopped: not done after {} s", limit.as_secs())),
            Ran::Cancelled => Some("was stopped: interrupted".to_owned()),
        }
    }
}

/// How long to wait for the end of a program that was killed.
const KILLED: Duration = Duration::from_millis(500);

/// Runs a program with this stdout and no stdin, in its own process group, for at most `limit`.
pub(crate) fn run(command: &mut Command, stdout: Stdio, limit: Duration, cancel: &Cancel) -> Ran {
    let start = || -> io::Result<(Child, File)> {
        let stderr = tempfile::tempfile()?;
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr.try_clone()?).process_group(0);
        Ok((command.spawn()?, stderr))
    };
    let (mut child, mut stderr) = match start() {
        Ok(started) => started,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ran::NotFound,
        Err(e) => return Ran::NotStarted(e),
    };
    let pid = Pid::from_raw(child.id() as i32);
    let ended = match ended(pid) {
        Ok(ended) => ended,
        Err(e) => {
            let _ = killpg(pid, Signal::SIGKILL);
            let _ = child.wait();
            return Ran::NotStarted(e);
        }
    };
    let stopped = select! {
        recv(ended) -> _ => None,
        recv(after(limit)) -> _ => Some(Ran::TooLong(limit)),
        recv(cancel.channel()) -> _ => Some(Ran::Cancelled),
    };
    if stopped.is_some() {
        // Nobody has waited for the process, so no other process can have its id.
        let _ = killpg(pid, Signal::SIGKILL);
    }
    // One that the kernel keeps ends when the kernel lets it. It is not waited for.
    if stopped.is_some() && ended.recv_timeout(KILLED).is_err() && !has_ended(pid) {
        tracing::warn!("process {pid} was killed and does not end: it is left behind");
    } else if let Err(e) = child.wait() {
        return Ran::NotStarted(e);
    }
    if let Some(stopped) = stopped {
        return stopped;
    }
    let status = match child.wait() {
        Ok(status) => status,
        Err(e) => return Ran::NotStarted(e),
    };
    let mut said = vec![];
    let _ = stderr.rewind().and_then(|()| stderr.by_ref().take(1 << 16).read_to_end(&mut said));
    Ran::Exited(status, String::from_utf8_lossy(&said).into_owned())
}

/// Sends when a child of this process has ended. The child is not reaped: its id stays its own until somebody
/// waits.
///
/// # Errors
/// No thread can be started.
pub(crate) fn ended(pid: Pid) -> io::Result<Receiver<()>> {
    let (sender, receiver) = crossbeam_channel::bounded(1);
    let wait = move || {
        while matches!(end_of(pid, WaitIdOptions::empty()), Err(Errno::INTR)) {}
        let _ = sender.send(());
    };
    std::thread::Builder::new().name("wait".into()).spawn(wait)?;
    Ok(receiver)
}

/// Whether a child of this process has ended. The child is not reaped.
pub(crate) fn has_ended(pid: Pid) -> bool {
    matches!(end_of(pid, WaitIdOptions::NOHANG), Ok(Some(_)))
}

/// The end of a child that is not reaped. nix knows no death by a real-time signal.
fn end_of(pid: Pid, more: WaitIdOptions) -> Result<Option<WaitIdStatus>, Errno> {
    let child = rustix::process::Pid::from_raw(pid.as_raw()).ok_or(Errno::INVAL)?;
    waitid(WaitId::Pid(child), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | more)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> Ran {
        run(Command::new("sh").args(["-c", script]), Stdio::null(), limit, &Cancel::never())
    }

    #[test]
    fn what_it_said_is_the_problem() {
        let long = Duration::from_secs(60);
        assert_eq!(sh("echo x >&2", long).problem(), None);
        assert_eq!(sh("echo a b >&2; echo c >&2; exit 3", long).problem().unwrap(), "failed: a b c");
        assert_eq!(sh("exit 3", long).problem().unwrap(), "ended with exit status: 3");
        let missing =
            run(&mut Command::new("/nonexistent/tool"), Stdio::null(), long, &Cancel::never()).problem();
        assert_eq!(missing.unwrap(), "not found");
    }

    #[test]
    fn one_that_does_not_end_is_stopped_with_its_children() {
        let ran = sh("sleep 1000 & wait", Duration::from_millis(200));
        assert!(matches!(ran, Ran::TooLong(_)), "{ran:?}");
        let (canceller, cancel) = crate::console::cancel::pair();
        drop(canceller);
        let ran = run(Command::new("sleep").arg("1000"), Stdio::null(), Duration::from_secs(60), &cancel);
        assert!(matches!(ran, Ran::Cancelled), "{ran:?}");
    }
}
