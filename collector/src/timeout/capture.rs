//! The process that captures, as `timeout` sees it.

use std::ffi::OsString;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::{Value, json};

use super::lines::TimeoutLine;
use super::look::{self, Message, word};
use super::options::Options;
use super::sys;
use crate::console::out;
use crate::files::atomic::{self, WriteError};
use crate::text::message::{Say, say};

/// What was read of a process is written even where the signal is out already: so long at most.
const TO_WRITE: Duration = Duration::from_secs(3);

/// What became of a capture.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outcome {
    /// For stderr, in the language of the person.
    pub(super) line: String,
    /// For `--json`.
    captured: Value,
}

impl Outcome {
    fn said(line: &impl Say, captured: Value) -> Outcome {
        Outcome { line: line.said().text(out::lang()).to_owned(), captured }
    }

    /// Nothing was captured.
    pub(super) fn nothing(options: &Options, why: impl Say) -> Outcome {
        let why = why.said();
        let problem = why.en().to_owned();
        let line = say!(TimeoutLine::Nothing { time: look::time(&options.limit_text), why: why.clone() });
        Outcome::said(&line, json!({ "problem": problem }))
    }

    /// Writes FILE of `--json`: whether the time ran out, the status, and what was captured, if anything was.
    ///
    /// # Errors
    /// [`WriteError`].
    pub(super) fn write(
        outcome: Option<&Outcome>,
        path: &Path,
        options: &Options,
        (timed_out, status): (bool, i32),
    ) -> Result<(), WriteError> {
        let command: Vec<_> = options.command.iter().map(|word| word.to_string_lossy()).collect();
        let captured = outcome.map_or(Value::Null, |outcome| outcome.captured.clone());
        let file =
            json!({ "command": command, "timed_out": timed_out, "status": status, "capture": captured });
        atomic::write_json(path, &file)
    }
}

/// A process that captures. Dropping the value kills it.
pub(super) struct Capture {
    process: Child,
    answers: ChildStdout,
    text: Vec<u8>,
    over: bool,
    budget: Duration,
}

impl Capture {
    /// Starts it: this program again, without the allocator of the command.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn start(options: &Options, pid: u32, budget: Duration) -> io::Result<Capture> {
        let mut command = Command::new("/proc/self/exe");
        std::os::unix::process::CommandExt::arg0(&mut command, look::NAME);
        command.args([pid.to_string(), budget.as_millis().to_string(), options.limit_text.clone()]);
        command.arg(options.out.as_ref().map_or_else(OsString::new, |out| out.clone().into_os_string()));
        command.env_remove("LD_PRELOAD").env("HANGSCOPE_LANG", word(out::lang()));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        sys::apart(&mut command);
        let mut process = command.spawn()?;
        let answers = process.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        fcntl(&answers, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Capture { process, answers, text: vec![], over: false, budget })
    }

    /// Readable when there is something to read, and at its end.
    pub(super) fn answers(&self) -> BorrowedFd<'_> {
        self.answers.as_fd()
    }

    /// Reads what it has answered; whether that was all.
    pub(super) fn is_over(&mut self) -> bool {
        let mut chunk = [0; 4096];
        while !self.over {
            match self.answers.read(&mut chunk) {
                Ok(0) => self.over = true,
                Ok(n) => self.text.extend_from_slice(&chunk[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.over = true,
            }
        }
        self.over
    }

    /// Waits until what was read is written, and gives what became of it. What takes too long is cut off.
    pub(super) fn finish(mut self, options: &Options) -> Outcome {
        let until = Instant::now() + TO_WRITE;
        while !self.is_over() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let timeout = PollTimeout::try_from(left.as_millis() as i32 + 1).unwrap_or(PollTimeout::ZERO);
            let _ = poll(&mut [PollFd::new(self.answers.as_fd(), PollFlags::POLLIN)], timeout);
        }
        let lines = self.text.split(|b| *b == b'\n');
        let messages = lines.filter_map(|line| serde_json::from_slice::<Message>(line).ok());
        let (mut folder, mut done) = (None, None);
        for message in messages {
            match message {
                Message::Folder(path) => folder = Some(path),
                Message::Done { line, captured } => done = Some(Outcome { line, captured }),
                Message::Nothing { why } => done = Some(Outcome::nothing(options, why)),
            }
        }
        done.unwrap_or_else(|| match folder.filter(|folder| Path::new(folder).exists()) {
            _ if self.over => Outcome::nothing(options, TimeoutLine::Died {}),
            Some(folder) => Outcome::said(
                &say!(TimeoutLine::CutOff { time: self.budget(), out: &folder }),
                json!({ "problem": "cut off", "folder": folder }),
            ),
            None => Outcome::said(
                &say!(TimeoutLine::CutOffEmpty { time: self.budget() }),
                json!({ "problem": "cut off" }),
            ),
        })
    }

    fn budget(&self) -> String {
        hangscope_protocol::duration::Text(self.budget).to_string()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
