//! Files of `/proc/PID` that the kernel reads from the memory of the process: `environ`, `cmdline`.
//!
//! A page of that memory may never come (userfaultfd), and then the read waits until it is killed. So a
//! thread of its own reads, and is left behind if it takes too long.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{fs, io, thread};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

/// How long one read may take.
const LIMIT: Duration = Duration::from_secs(1);

struct Worker {
    ask: Sender<PathBuf>,
    answers: Receiver<io::Result<Vec<u8>>>,
}

struct Readers {
    worker: Option<Worker>,
    /// Files whose memory did not come once. They are not read again.
    stuck: BTreeSet<PathBuf>,
}

static READERS: Mutex<Readers> = Mutex::new(Readers { worker: None, stuck: BTreeSet::new() });

impl Worker {
    fn start(read: fn(PathBuf) -> io::Result<Vec<u8>>) -> io::Result<Worker> {
        let (ask, asked) = crossbeam_channel::bounded::<PathBuf>(1);
        let (answer, answers) = crossbeam_channel::bounded(1);
        let work = move || asked.into_iter().try_for_each(|path| answer.send(read(path)).map_err(drop));
        thread::Builder::new().name("hs-proc".into()).spawn(work)?;
        Ok(Worker { ask, answers })
    }
}

/// Reads a file whole.
///
/// # Errors
/// Of the read; `TimedOut` if it took too long, now or at an earlier time.
pub(crate) fn read(path: impl Into<PathBuf>) -> io::Result<Vec<u8>> {
    let mut readers = READERS.lock().unwrap_or_else(PoisonError::into_inner);
    readers.read(path.into(), fs::read, LIMIT)
}

impl Readers {
    fn read(
        &mut self,
        path: PathBuf,
        read: fn(PathBuf) -> io::Result<Vec<u8>>,
        limit: Duration,
    ) -> io::Result<Vec<u8>> {
        if self.stuck.contains(&path) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let worker = match self.worker.take() {
            Some(worker) => worker,
            None => Worker::start(read)?,
        };
        let lost = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        worker.ask.send(path.clone()).map_err(lost)?;
        match worker.answers.recv_timeout(limit) {
            Ok(answer) => {
                self.worker = Some(worker);
                answer
            }
            Err(RecvTimeoutError::Timeout) => {
                self.stuck.insert(path);
                Err(io::ErrorKind::TimedOut.into())
            }
            Err(RecvTimeoutError::Disconnected) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_does_not_come_is_left_and_the_others_are_read() {
        let read = |path: PathBuf| {
            if path.ends_with("never") {
                loop {
                    thread::park();
                }
            }
            fs::read(path)
        };
        let mut readers = Readers { worker: None, stuck: BTreeSet::new() };
        let mut kind = |path: &str, limit| readers.read(path.into(), read, limit).map_err(|e| e.kind());
        assert!(!kind("/proc/self/cmdline", LIMIT).unwrap().is_empty());
        assert_eq!(kind("/never", Duration::from_millis(1)), Err(io::ErrorKind::TimedOut));
        assert_eq!(kind("/proc/self/environ_", LIMIT), Err(io::ErrorKind::NotFound));
        assert_eq!(kind("/never", LIMIT), Err(io::ErrorKind::TimedOut), "at once");
        assert_eq!(super::read("/proc/self/cmdline").unwrap(), fs::read("/proc/self/cmdline").unwrap());
    }
}
