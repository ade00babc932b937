//! Connections of those who look. Each has a thread, and their number is bounded: nobody delays the job.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crate::console::cancel::{self, Cancel, Canceller};

/// No event tells when a descriptor or a thread is free again.
const AGAIN: Duration = Duration::from_millis(100);

/// A connection, with a time limit for each read and each write.
pub(super) trait Stream: Send + Sized + 'static {
    fn limit_reads(&self, time: Duration) -> io::Result<()>;
    fn limit_writes(&self, time: Duration) -> io::Result<()>;
    fn nonblocking(&self) -> io::Result<()>;
    fn close(&self);
    fn get(&self, to: &mut [u8]) -> io::Result<usize>;
    fn put(&self, bytes: &[u8]) -> io::Result<usize>;
}

macro_rules! stream {
    ($name:ty) => {
        impl Stream for $name {
            fn limit_reads(&self, time: Duration) -> io::Result<()> {
                self.set_read_timeout(Some(time))
            }

            fn limit_writes(&self, time: Duration) -> io::Result<()> {
                self.set_write_timeout(Some(time))
            }

            fn nonblocking(&self) -> io::Result<()> {
                self.set_nonblocking(true)
            }

            fn close(&self) {
                let _ = self.shutdown(Shutdown::Both);
            }

            fn get(&self, to: &mut [u8]) -> io::Result<usize> {
                (&mut &*self).read(to)
            }

            fn put(&self, bytes: &[u8]) -> io::Result<usize> {
                (&mut &*self).write(bytes)
            }
        }
    };
}

stream!(UnixStream);
stream!(TcpStream);

/// A socket that listens.
pub(super) trait Listening: AsRawFd + Send + 'static {
    type Stream: Stream;
    fn next(&self) -> io::Result<Self::Stream>;
    fn descriptor(&self) -> io::Result<OwnedFd>;
}

impl Listening for UnixListener {
    type Stream = UnixStream;

    fn next(&self) -> io::Result<UnixStream> {
        self.accept().map(|(stream, _)| stream)
    }

    fn descriptor(&self) -> io::Result<OwnedFd> {
        self.try_clone().map(OwnedFd::from)
    }
}

impl Listening for TcpListener {
    type Stream = TcpStream;

    fn next(&self) -> io::Result<TcpStream> {
        self.accept().map(|(stream, _)| stream)
    }

    fn descriptor(&self) -> io::Result<OwnedFd> {
        self.try_clone().map(OwnedFd::from)
    }
}

/// Accepts connections until it is dropped.
#[derive(Debug)]
pub(super) struct Door {
    canceller: Option<Canceller>,
    socket: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

impl Door {
    /// Serves at most `most` connections at a time, each in a thread. A further one gets the bytes `full` at
    /// once, and is closed.
    ///
    /// # Errors
    /// A thread or a descriptor is missing.
    pub(super) fn open<L: Listening>(
        listener: L,
        (most, full): (usize, &'static [u8]),
        serve: impl Fn(&L::Stream) + Clone + Send + 'static,
    ) -> io::Result<Door> {
        let socket = listener.descriptor()?;
        let (canceller, closed) = cancel::pair();
        let body = move || accept(&listener, (most, full), &closed, &serve);
        let thread = Builder::new().name("hs-status".into()).spawn(body)?;
        Ok(Door { canceller: Some(canceller), socket, thread: Some(thread) })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        drop(self.canceller.take());
        // It wakes the thread: accept(2) fails with EINVAL.
        let _ = nix::sys::socket::shutdown(self.socket.as_raw_fd(), nix::sys::socket::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Gives a place back when it is dropped.
struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn accept<L: Listening>(
    listener: &L,
    (most, full): (usize, &'static [u8]),
    closed: &Cancel,
    serve: &(impl Fn(&L::Stream) + Clone + Send + 'static),
) {
    let taken = Arc::new(AtomicUsize::new(0));
    while !closed.is_set() {
        let stream = match listener.next() {
            Ok(stream) => stream,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(_) => {
                closed.wait(AGAIN);
                continue;
            }
        };
        if taken.fetch_add(1, Ordering::Relaxed) >= most {
            taken.fetch_sub(1, Ordering::Relaxed);
            // It goes into the socket's buffer at once, or is lost.
            if stream.nonblocking().is_ok() {
                let _ = stream.put(full);
            }
            continue;
        }
        let (seat, serve) = (Seat(taken.clone()), serve.clone());
        let body = move || {
            serve(&stream);
            stream.close();
            drop(seat);
        };
        if Builder::new().name("hs-look".into()).spawn(body).is_err() {
            closed.wait(AGAIN);
        }
    }
}

/// Writes all bytes, or gives up after `within`, however slowly the other side reads.
///
/// # Errors
/// The other side has gone, or is too slow.
pub(super) fn write_all(stream: &impl Stream, mut bytes: &[u8], within: Duration) -> io::Result<()> {
    let until = Instant::now() + within;
    while !bytes.is_empty() {
        stream.limit_writes(left(until)?)?;
        match stream.put(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads until `is_whole` of what has come, at most `most` bytes. None: the other side has ended, sent too
/// much, or was too slow.
pub(super) fn read_until(
    stream: &impl Stream,
    buffer: &mut Vec<u8>,
    (most, within): (usize, Duration),
    is_whole: impl Fn(&[u8]) -> Option<usize>,
) -> Option<Vec<u8>> {
    let until = Instant::now() + within;
    loop {
        if let Some(len) = is_whole(buffer) {
            let rest = buffer.split_off(len);
            return Some(std::mem::replace(buffer, rest));
        }
        if buffer.len() >= most {
            return None;
        }
        stream.limit_reads(left(until).ok()?).ok()?;
        let mut piece = [0; 4096];
        match stream.get(&mut piece) {
            Ok(0) => return None,
            Ok(n) => buffer.extend_from_slice(&piece[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

/// The time that is left, never zero: that would be no limit.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}
