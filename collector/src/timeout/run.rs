//! The command, the signals that it gets, and its end.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{Pid, setpgid};

use super::capture::{Capture, Outcome};
use super::options::Options;
use super::quote::quote;
use super::signals;
use super::sys::{self, End, Signals};
use crate::proc::pidfd;

const TIMED_OUT: i32 = 124;
const FAILED: i32 = 125;
const CANNOT_INVOKE: i32 = 126;
const NOT_FOUND: i32 = 127;

/// Longest wait in one call of poll.
const LONGEST: Duration = Duration::from_secs(3600);

/// Runs the command of `options`. `name` begins each line on stderr. Gives the exit status; where coreutils
/// dies of the signal that ended the command, so does this process.
pub(crate) fn run(name: &str, options: &Options) -> i32 {
    if !options.foreground {
        // A leader of a session is the leader of its group already.
        let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
    }
    sys::default(libc::SIGCHLD);
    let mut taken = vec![
        libc::SIGALRM,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGHUP,
        libc::SIGTERM,
        libc::SIGCHLD,
        options.signal,
    ];
    let set = Signals::of(taken.iter().copied());
    let mask = set.block();
    let signals = match set.descriptor() {
        Ok(signals) => signals,
        Err(error) => return failed(name, &format!("signalfd: {}", text(&error))),
    };
    sys::ignore(libc::SIGTTIN);
    sys::ignore(libc::SIGTTOU);
    taken.extend([libc::SIGTTIN, libc::SIGTTOU]);
    let child = match sys::command(&options.command, taken, mask).spawn() {
        Ok(child) => child,
        Err(error) => return not_run(name, options, &error),
    };
    let begun = Instant::now();
    let mut watch = Watch {
        name,
        options,
        child: child.id() as c_int,
        // It is told from a stop of a thread that somebody traces, which waitpid tells of, too.
        ended: pidfd::open(child.id()).ok(),
        signals,
        term: options.signal,
        kill_after: options.kill_after,
        deadlines: options.limit.and_then(|limit| begun.checked_add(limit)).into_iter().collect(),
        timed_out: false,
        ignored: vec![],
        capture: None,
        due: None,
        outcome: None,
    };
    let ended = watch.until_the_end();
    watch.finish_capture();
    let status = watch.status(ended);
    watch.write_json(status);
    status.unwrap_or_else(|signal| {
        sys::die_by(signal);
        128 + signal
    })
}

fn not_run(name: &str, options: &Options, error: &io::Error) -> i32 {
    if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOMEM)) {
        return failed(name, &format!("fork system call failed: {}", text(error)));
    }
    say(name, &format!("failed to run command {}: {}", quote(&options.command[0]), text(error)));
    if error.raw_os_error() == Some(libc::ENOENT) { NOT_FOUND } else { CANNOT_INVOKE }
}

fn failed(name: &str, line: &str) -> i32 {
    say(name, line);
    FAILED
}

/// What strerror says of an error of the system.
fn text(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error ").next().unwrap_or_default().to_owned()
}

/// One line on stderr.
pub(super) fn say(name: &str, line: &str) {
    let _ = io::Write::write_all(&mut io::stderr(), format!("{name}: {line}\n").as_bytes());
}

struct Watch<'o> {
    name: &'o str,
    options: &'o Options,
    child: c_int,
    /// Readable once the command has ended; none: the kernel has no such descriptors, or none is free.
    ended: Option<OwnedFd>,
    signals: OwnedFd,
    /// The signal at the end of the time; KILL once the time of `--kill-after` runs.
    term: c_int,
    kill_after: Option<Duration>,
    /// When a timer ends.
    deadlines: Vec<Instant>,
    timed_out: bool,
    /// A signal that was sent to the whole group comes back from it, and counts only once.
    ignored: Vec<c_int>,
    capture: Option<Capture>,
    /// The signal is held back for the capture, at most until then.
    due: Option<Instant>,
    outcome: Option<Outcome>,
}

impl Watch<'_> {
    /// The command's end. An error says that there is no such child, which coreutils says, too.
    fn until_the_end(&mut self) -> io::Result<End> {
        loop {
            if let Some(status) = self.reap()? {
                return Ok(End::of(status));
            }
            self.wait();
            while let Some(signal) = sys::read_signal(&self.signals) {
                self.take(signal);
            }
            if self.capture.as_mut().is_some_and(Capture::is_over) {
                self.finish_capture();
                self.let_through();
            }
            if self.due.is_some_and(|due| due <= Instant::now()) {
                self.let_through();
            }
            let now = Instant::now();
            if self.deadlines.iter().any(|deadline| *deadline <= now) {
                self.deadlines.retain(|deadline| *deadline > now);
                self.expire();
            }
        }
    }

    fn reap(&self) -> io::Result<Option<c_int>> {
        if let Some(ended) = &self.ended {
            let mut fds = [PollFd::new(ended.as_fd(), PollFlags::POLLIN)];
            if poll(&mut fds, PollTimeout::ZERO) == Ok(0) {
                return Ok(None);
            }
        }
        let status = sys::reap(self.child)?;
        if status.is_none() && self.ended.is_some() {
            // Whoever traces its first thread is told before us.
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(status)
    }

    /// Waits for a signal, the end of the command, an answer of the capture, or the end of a time.
    fn wait(&self) {
        let next = self.deadlines.iter().chain(&self.due).min();
        let left = next.map_or(LONGEST, |at| at.saturating_duration_since(Instant::now()).min(LONGEST));
        let ms = left.as_nanos().div_ceil(1_000_000);
        let timeout = PollTimeout::try_from(ms as i32).unwrap_or(PollTimeout::MAX);
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.ended.iter().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)));
        fds.extend(self.capture.iter().map(|capture| PollFd::new(capture.answers(), PollFlags::POLLIN)));
        // Whatever it says, the loop looks at everything.
        let _ = poll(&mut fds, timeout);
    }

    fn take(&mut self, signal: c_int) {
        match signal {
            libc::SIGCHLD => {}
            _ if self.ignored.contains(&signal) => {}
            libc::SIGALRM => self.expire(),
            _ => {
                self.let_through();
                self.deliver(signal);
            }
        }
    }

    /// The end of a time: of DURATION, of `--kill-after`, or an ALRM from outside, which is the same.
    fn expire(&mut self) {
        let is_first = !std::mem::replace(&mut self.timed_out, true) && self.term == self.options.signal;
        match self.options.capture.filter(|_| is_first) {
            Some(budget) => match Capture::start(self.options, self.child as u32, budget) {
                Ok(capture) => {
                    self.capture = Some(capture);
                    self.due = Instant::now().checked_add(budget);
                }
                Err(error) => {
                    self.outcome = Some(Outcome::nothing(self.options, text(&error)));
                    self.say_outcome();
                    self.deliver(self.term);
                }
            },
            None => {
                self.let_through();
                self.deliver(self.term);
            }
        }
    }

    /// Sends the signal that a capture holds back.
    fn let_through(&mut self) {
        if self.due.take().is_some() {
            self.deliver(self.term);
        }
    }

    /// Sends a signal to the command and, but for --foreground, to all of its group.
    fn deliver(&mut self, signal: c_int) {
        if let Some(after) = self.kill_after.take() {
            self.term = libc::SIGKILL;
            self.deadlines.extend(Instant::now().checked_add(after));
        }
        if self.options.verbose {
            let name = signals::name(signal).unwrap_or_else(|| signal.to_string());
            let command = quote(&self.options.command[0]);
            say(self.name, &format!("sending signal {name} to command {command}"));
        }
        sys::kill(self.child, signal);
        if self.options.foreground {
            return;
        }
        if signal == libc::SIGKILL {
            // The next call ends this process, too.
            self.finish_capture();
            self.write_json(Ok(128 + libc::SIGKILL));
        }
        self.send_to_group(signal);
        if signal != libc::SIGKILL && signal != libc::SIGCONT {
            sys::kill(self.child, libc::SIGCONT);
            self.send_to_group(libc::SIGCONT);
        }
    }

    fn send_to_group(&mut self, signal: c_int) {
        self.ignored.push(signal);
        sys::ignore(signal);
        sys::kill(0, signal);
    }

    fn finish_capture(&mut self) {
        if let Some(capture) = self.capture.take() {
            self.outcome = Some(capture.finish(self.options));
            self.say_outcome();
        }
    }

    fn say_outcome(&self) {
        if let Some(outcome) = &self.outcome {
            say(self.name, &outcome.line);
        }
    }

    /// The exit status, or the signal that this process must die of.
    fn status(&self, ended: io::Result<End>) -> Result<i32, c_int> {
        let mut preserve = self.options.preserve_status;
        let status = match ended {
            Err(error) => {
                say(self.name, &format!("error waiting for command: {}", text(&error)));
                FAILED
            }
            Ok(End::Exit(status)) => status,
            Ok(End::Signal { signal, dumped }) => {
                if dumped {
                    say(self.name, "the monitored command dumped core");
                }
                if !self.timed_out {
                    return Err(signal);
                }
                preserve |= signal == libc::SIGKILL;
                128 + signal
            }
        };
        Ok(if self.timed_out && !preserve { TIMED_OUT } else { status })
    }

    fn write_json(&self, status: Result<i32, c_int>) {
        let Some(path) = &self.options.json else { return };
        let status = status.unwrap_or_else(|signal| 128 + signal);
        let written = Outcome::write(self.outcome.as_ref(), path, self.options, (self.timed_out, status));
        if let Err(error) = written {
            say(self.name, &error.to_string());
        }
    }
}
