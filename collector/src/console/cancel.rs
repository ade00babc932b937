//! Ctrl-C as a channel, so that every wait can also wait for it.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use nix::sys::signal::{SigHandler, Signal, killpg};
use nix::unistd::Pid;

use crate::console::signals::is_ignored;

/// Is set at most once, and stays set. All copies see it.
#[derive(Clone, Debug)]
pub struct Cancel(Receiver<Infallible>);

/// Sets the [`Cancel`] that it was made with when it is dropped.
#[derive(Debug)]
pub(crate) struct Canceller(
    #[expect(dead_code, reason = "its drop is what the other side sees")] Sender<Infallible>,
);

/// A [`Cancel`] and what sets it.
pub(crate) fn pair() -> (Canceller, Cancel) {
    // Nothing is ever sent. The end of the sender is the message, and every receiver sees it.
    let (sender, receiver) = crossbeam_channel::bounded(0);
    (Canceller(sender), Cancel(receiver))
}

/// After the first signal the command has so long to end by itself, where each task has a processor; the same
/// again with each step of its end.
const ENDS_WITHIN: Duration = Duration::from_millis(1900);
/// At most so many times as long, where several tasks share a processor: evidence is not thrown away.
const MOST_TIMES: f64 = 3.0;

/// How long the command has to end by itself.
fn ends_within() -> Duration {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let tasks: f64 = load.split(' ').next().and_then(|tasks| tasks.parse().ok()).unwrap_or(0.0);
    let processors = std::thread::available_parallelism().map_or(1, |n| n.get()) as f64;
    ENDS_WITHIN.mul_f64((tasks / processors).clamp(1.0, MOST_TIMES))
}

/// Steps that the end of the command has taken.
static STEPS: AtomicU64 = AtomicU64::new(0);

/// Notes that the end of the command goes on: what it writes is not cut off.
pub(crate) fn still_ending() {
    STEPS.fetch_add(1, Ordering::Relaxed);
}

/// Waits until no step was taken for one `patience`.
fn wait_for_the_last(steps: &AtomicU64, patience: impl Fn() -> Duration) {
    let mut seen = steps.load(Ordering::Relaxed);
    loop {
        std::thread::sleep(patience());
        let now = steps.load(Ordering::Relaxed);
        if std::mem::replace(&mut seen, now) == now {
            return;
        }
    }
}

static INTERRUPT_WAS_IGNORED: AtomicBool = AtomicBool::new(false);

/// Process groups that are killed when the command ends at once.
static GROUPS: Mutex<Vec<Pid>> = Mutex::new(vec![]);

/// Notes a process group that must not outlive the command.
pub(crate) fn kill_at_exit(group: Pid) {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner).push(group);
}

/// The process group is gone, or may go on.
pub(crate) fn keep_at_exit(group: Pid) {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != group);
}

/// Ends the command without a further word. What is written is written.
fn leave() -> ! {
    for group in GROUPS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        let _ = killpg(*group, Signal::SIGKILL);
    }
    std::process::exit(130)
}

/// A [`Cancel`] that Ctrl-C, TERM and HUP set. Two seconds later the command ends (status 130), whatever it
/// waits for; on a busy machine a little later, and not while it is [`still_ending`]. A second one ends it at
/// once (status 130): whoever presses twice does not want to wait. A HUP that is ignored stays so, as `nohup`
/// means it; an INT that is ignored does not, since a shell's `&` ignores it for every command that is
/// started in a script.
///
/// # Errors
/// What the system says; also if it was called before.
pub(crate) fn on_signals() -> Result<Cancel, ctrlc::Error> {
    let (canceller, cancel) = pair();
    let mut canceller = Some(canceller);
    let nohup = is_ignored(libc::SIGHUP);
    INTERRUPT_WAS_IGNORED.store(is_ignored(libc::SIGINT), Ordering::Relaxed);
    ctrlc::set_handler(move || match canceller.take() {
        Some(canceller) => {
            drop(canceller);
            let later = || {
                wait_for_the_last(&STEPS, ends_within);
                leave()
            };
            let _ = std::thread::Builder::new().name("hs-leave".into()).spawn(later);
        }
        None => leave(),
    })?;
    if nohup {
        // SAFETY: to ignore a signal installs no handler.
        let _ = unsafe { nix::sys::signal::signal(Signal::SIGHUP, SigHandler::SigIgn) };
    }
    Ok(cancel)
}

/// Whether this process is in the foreground of a terminal: its Ctrl-C reaches all processes of the group.
pub(crate) fn is_of_the_terminal() -> bool {
    let group = nix::unistd::getpgrp();
    nix::unistd::tcgetpgrp(std::io::stdin()).or_else(|_| nix::unistd::tcgetpgrp(std::io::stderr()))
        == Ok(group)
}

/// Whether INT was ignored before [`on_signals`]: a command that is started now should ignore it, too.
pub(crate) fn was_interrupt_ignored() -> bool {
    INTERRUPT_WAS_IGNORED.load(Ordering::Relaxed)
}

impl Cancel {
    pub fn never() -> Cancel {
        Cancel(crossbeam_channel::never())
    }

    pub(crate) fn is_set(&self) -> bool {
        matches!(self.0.try_recv(), Err(TryRecvError::Disconnected))
    }

    /// Waits until it is set, at most for `time`; whether it is set.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        matches!(self.0.recv_timeout(time), Err(RecvTimeoutError::Disconnected))
    }

    /// For a `select!`: ready (with an error) once it is set.
    pub(crate) fn channel(&self) -> &Receiver<Infallible> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use crate::console::cancel::*;

    #[test]
    fn a_command_that_goes_on_ending_is_waited_for() {
        let (steps, waits) = (AtomicU64::new(0), std::cell::Cell::new(0));
        wait_for_the_last(&steps, || {
            waits.set(waits.get() + 1);
            if waits.get() <= 3 {
                steps.fetch_add(1, Ordering::Relaxed);
            }
            Duration::ZERO
        });
        assert_eq!(waits.get(), 4);
    }

    #[test]
    fn all_copies_see_it_and_go_on_seeing_it() {
        let (canceller, cancel) = pair();
        let copy = cancel.clone();
        assert!(!cancel.is_set() && !copy.wait(Duration::ZERO));
        drop(canceller);
        assert!(cancel.is_set() && copy.is_set() && copy.wait(Duration::from_secs(3600)) && cancel.is_set());
        assert!(!Cancel::never().is_set());
    }
}
