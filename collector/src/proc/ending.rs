//! How a process ended that is not our child.
//!
//! A pidfd becomes readable when the process ends. While the process is a zombie, its wait status is in
//! `/proc/PID/stat`. After it was reaped, the status is in the pidfd (`PIDFD_GET_INFO`, Linux 6.15).

use std::collections::HashMap;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError};
use hangscope_reader::task::{self, Stat};
use mio::unix::SourceFd;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Exit(i32),
    Signal(i32),
}

impl Ending {
    /// From a wait status of `waitpid`.
    pub(crate) fn from_wait_status(status: i32) -> Ending {
        if libc::WIFSIGNALED(status) {
            Ending::Signal(libc::WTERMSIG(status))
        } else {
            Ending::Exit(libc::WEXITSTATUS(status))
        }
    }

    /// The exit status that a shell shows: 128 + n for signal n.
    pub(crate) fn rc(self) -> i32 {
        match self {
            Ending::Exit(code) => code,
            Ending::Signal(signal) => 128 + signal,
        }
    }
}

/// Whether the process has ended; none if the kernel does not say.
pub(crate) fn has_ended(pidfd: &OwnedFd) -> Option<bool> {
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut fds, PollTimeout::ZERO) {
            Ok(ready) => return Some(ready > 0),
            Err(Errno::EINTR) => {}
            Err(_) => return None,
        }
    }
}

/// Waits for the end of the process, at most for `time`; whether it has ended.
pub(crate) fn within(pidfd: &OwnedFd, time: Duration) -> bool {
    let until = Instant::now() + time;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], left) {
            Ok(ready) => return ready > 0,
            Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}

/// How the process ended. None if it still lives, or if its status is lost: it was reaped on a kernel
/// before 6.15, or we may not read it.
pub(crate) fn of(pidfd: &OwnedFd, pid: u32) -> Option<Ending> {
    if !has_ended(pidfd)? {
        return None;
    }
    let status = from_pidfd(pidfd).or_else(|| from_zombie(pid));
    // The process may have been reaped between the two reads. Or we may not read its status while it is a
    // zombie; the pidfd shows the status once the process is reaped.
    let later = || {
        let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::empty())];
        let _ = poll(&mut fds, PollTimeout::from(REAPED));
        from_pidfd(pidfd)
    };
    status.or_else(later).map(Ending::from_wait_status)
}

/// How long to wait until the parent reaps the process, ms. The pidfd then reports POLLHUP.
const REAPED: u16 = 500;

/// The kernel keeps the status in the pidfd after the process was reaped (Linux 6.15).
fn from_pidfd(pidfd: &OwnedFd) -> Option<i32> {
    // SAFETY: a `pidfd_info` is numbers only, for which zero is a value.
    let mut info: libc::pidfd_info = unsafe { std::mem::zeroed() };
    info.mask = PIDFD_INFO_EXIT;
    // SAFETY: the kernel writes at most the size that is part of the request, which is that of `info`.
    let done = unsafe { libc::ioctl(pidfd.as_raw_fd(), libc::PIDFD_GET_INFO, &raw mut info) };
    (done == 0 && info.mask & PIDFD_INFO_EXIT != 0).then_some(info.exit_code)
}

/// A bit of `mask`: the exit status is requested, or is present.
const PIDFD_INFO_EXIT: u64 = libc::PIDFD_INFO_EXIT as u64;

/// `exit_code` of `/proc/PID/stat`. A process that has ended keeps its id until it is reaped. A later
/// process with the same id is no zombie.
fn from_zombie(pid: u32) -> Option<i32> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let status = task::exit_code(&stat).filter(|_| Stat::parse(&stat).is_some_and(|s| s.state == b'Z'))?;
    // If we may not trace the process, the kernel shows 0 (proc_pid_stat(5), [PT]), and reading the link
    // fails with EACCES.
    let hidden = || {
        let link = std::fs::read_link(format!("/proc/{pid}/cwd"));
        link.is_err_and(|e| e.kind() == std::io::ErrorKind::PermissionDenied)
    };
    (status != 0 || !hidden()).then_some(status)
}

/// Reports processes that have ended. One thread waits for all of them.
#[derive(Debug)]
pub(crate) struct ExitWatch {
    add: Sender<(u64, Arc<OwnedFd>)>,
    waker: Arc<mio::Waker>,
    ended: Receiver<u64>,
}

impl ExitWatch {
    pub(crate) fn new() -> std::io::Result<ExitWatch> {
        let poll = mio::Poll::new()?;
        let waker = Arc::new(mio::Waker::new(poll.registry(), WAKE)?);
        let (add, added) = crossbeam_channel::unbounded();
        let (tell, ended) = crossbeam_channel::unbounded();
        let body = move || watch(poll, &added, &tell);
        std::thread::Builder::new().name("hs-exits".into()).spawn(body)?;
        Ok(ExitWatch { add, waker, ended })
    }

    /// Watches a process from now on. When it has ended, `key` comes from [`ExitWatch::ended`].
    pub(crate) fn watch(&self, key: u64, pidfd: Arc<OwnedFd>) {
        let _ = self.add.send((key, pidfd));
        self.wake();
    }

    /// Keys of processes that have ended.
    pub(crate) fn ended(&self) -> &Receiver<u64> {
        &self.ended
    }

    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::warn!("ends of processes are not seen: {error}");
        }
    }
}

impl Drop for ExitWatch {
    fn drop(&mut self) {
        // Without a sender the thread ends when it wakes.
        self.add = crossbeam_channel::bounded(0).0;
        self.wake();
    }
}

const WAKE: mio::Token = mio::Token(usize::MAX);

/// Runs until the [`ExitWatch`] is dropped.
fn watch(mut poll: mio::Poll, added: &Receiver<(u64, Arc<OwnedFd>)>, tell: &Sender<u64>) {
    let mut watched: HashMap<u64, Arc<OwnedFd>> = HashMap::new();
    let mut events = mio::Events::with_capacity(256);
    loop {
        match poll.poll(&mut events, None) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => {
                tracing::warn!("cannot wait for processes: {error}");
                return;
            }
        }
        for token in events.iter().map(mio::event::Event::token).filter(|token| *token != WAKE) {
            let key = token.0 as u64;
            if let Some(fd) = watched.remove(&key) {
                let _ = poll.registry().deregister(&mut SourceFd(&fd.as_raw_fd()));
                let _ = tell.send(key);
            }
        }
        loop {
            match added.try_recv() {
                Ok((key, fd)) => {
                    let (raw, token) = (fd.as_raw_fd(), mio::Token(key as usize));
                    let added = poll.registry().register(&mut SourceFd(&raw), token, mio::Interest::READABLE);
                    if let Err(error) = added {
                        tracing::warn!("the end of a process is not seen: {error}");
                    }
                    watched.insert(key, fd);
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::proc::ending::*;
    use crate::testkit::fake_shim::SOON;
    use std::process::{Child, Command};

    fn sh(script: &str) -> Child {
        Command::new("sh").args(["-c", script]).stdin(std::process::Stdio::piped()).spawn().unwrap()
    }

    fn pidfd(pid: u32) -> Arc<OwnedFd> {
        Arc::new(crate::proc::pidfd::open(pid).unwrap())
    }

    #[test]
    fn zombies_and_reaped_ones_tell_how_they_ended() {
        for (script, ending) in [
            ("read x; exit 0", Ending::Exit(0)),
            ("read x; exit 7", Ending::Exit(7)),
            ("read x; kill -SEGV $$", Ending::Signal(11)),
            ("read x; kill -KILL $$", Ending::Signal(9)),
        ] {
            let mut child = sh(script);
            let (pid, fd) = (child.id(), pidfd(child.id()));
            assert_eq!((has_ended(&fd), of(&fd, pid)), (Some(false), None));
            let watch = ExitWatch::new().unwrap();
            watch.watch(42, fd.clone());
            drop(child.stdin.take());
            assert_eq!(watch.ended().recv_timeout(SOON), Ok(42));
            assert_eq!(of(&fd, pid), Some(ending), "as a zombie");
            child.wait().unwrap();
            if from_pidfd(&fd).is_some() || supports_exit_info() {
                assert_eq!(of(&fd, pid), Some(ending), "reaped");
            } else {
                assert_eq!(of(&fd, pid), None);
            }
        }
    }

    #[test]
    fn one_that_may_not_be_read_as_a_zombie_tells_when_it_is_reaped() {
        let mut child = sh("read x; kill -SEGV $$");
        let fd = pidfd(child.id());
        let watch = ExitWatch::new().unwrap();
        watch.watch(42, fd.clone());
        drop(child.stdin.take());
        assert_eq!(watch.ended().recv_timeout(SOON), Ok(42));
        // No process has the id 0, so only the pidfd can know the status.
        let asked = std::thread::spawn(move || of(&fd, 0));
        child.wait().unwrap();
        assert_eq!(asked.join().unwrap(), supports_exit_info().then_some(Ending::Signal(11)));
    }

    /// Linux 6.15 and later keep the status in the pidfd.
    fn supports_exit_info() -> bool {
        let version = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
        (parts.next(), parts.next()) >= (Some(6), Some(15))
    }

    #[test]
    fn many_are_watched_at_once() {
        let watch = ExitWatch::new().unwrap();
        let mut children: Vec<Child> = (0..50).map(|_| sh("read x")).collect();
        for (key, child) in children.iter().enumerate() {
            watch.watch(key as u64, pidfd(child.id()));
        }
        children.iter_mut().for_each(|child| drop(child.stdin.take()));
        let mut keys: Vec<u64> = (0..50).map(|_| watch.ended().recv_timeout(SOON).unwrap()).collect();
        keys.sort_unstable();
        assert_eq!(keys, (0..50).collect::<Vec<_>>());
        children.iter_mut().for_each(|child| drop(child.wait()));
    }
}
