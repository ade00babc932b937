//! kill and killpg: before a program is ended that stands still, the collector looks at it.
//!
//! A runner that gives up (`subprocess.run(timeout=...)`, a shell's `kill`) would destroy the evidence. So
//! the collector is told first. It answers at once where nothing stands still, or nothing is watched.
//! Otherwise it makes a dump meanwhile, for which the signal waits. As the exec family, this may run in a
//! signal handler.

use core::ffi::c_int;

use hangscope_protocol::{HEADER_LEN, Header, Kind, MAGIC, Writer, variable};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

use crate::next::{call, no_such_function};
use crate::{files, settings};

/// How long to wait for the first word of the collector, and then for its dump.
const FIRST_WORD: Timespec = Timespec { tv_sec: 0, tv_nsec: 300_000_000 };
const DUMP: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };
/// A wait that is interrupted begins again, so many times at most.
const TRIES: u32 = 3;
/// The descriptors of a program are below.
const HIGH: i32 = 200;

type Kill = unsafe extern "C" fn(libc::pid_t, c_int) -> c_int;

/// # Safety
/// As kill(2).
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn kill(pid: libc::pid_t, signal: c_int) -> c_int {
    if pid != 0 {
        before(pid, signal);
    }
    // SAFETY: the caller's promise.
    unsafe { call!(KILL as Kill, (pid, signal), else no_such_function()) }
}

/// # Safety
/// As killpg(3).
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn killpg(group: libc::pid_t, signal: c_int) -> c_int {
    if group > 1 {
        before(-group, signal);
    }
    // SAFETY: the caller's promise.
    unsafe { call!(KILLPG as Kill, (group, signal), else no_such_function()) }
}

/// Whether a signal is one that ends a program that somebody has given up.
fn ends(signal: c_int) -> bool {
    matches!(
        signal,
        libc::SIGHUP | libc::SIGINT | libc::SIGQUIT | libc::SIGABRT | libc::SIGKILL | libc::SIGTERM
    )
}

/// Tells the collector of a signal that is about to be sent, and waits while it looks. `target` is as for
/// kill(2).
fn before(target: libc::pid_t, signal: c_int) {
    // -1 is every process; a program may signal itself.
    let itself = target == files::process() as libc::pid_t;
    if !ends(signal) || target == -1 || itself {
        return;
    }
    let Some(socket) = settings::saved().and_then(|settings| settings.value(variable::SOCKET)) else {
        return;
    };
    // Nobody who is told, or a full backlog: the signal goes out.
    let _ = SocketAddrUnix::new(socket).and_then(|address| tell(&address, target, signal));
}

fn tell(to: &SocketAddrUnix, target: libc::pid_t, signal: c_int) -> rustix::io::Result<()> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let low = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    let socket = rustix::io::fcntl_dupfd_cloexec(&low, HIGH)?;
    drop(low);
    rustix::net::connect(&socket, to)?;
    let mut frame = [0; HEADER_LEN + 8];
    let header = Header {
        magic: MAGIC,
        kind: Kind::Request as u16,
        flags: 0,
        len: 8,
        seq: 0,
        dump: 0,
        pid: files::process(),
        t_ns: 0,
    };
    let mut writer = Writer::new(&mut frame);
    let written =
        writer.record(&header).and_then(|()| writer.record(&target)).and_then(|()| writer.record(&signal));
    if written.is_err() {
        return Ok(());
    }
    rustix::net::send(&socket, &frame, SendFlags::NOSIGNAL)?;
    // An empty answer: the collector looks at one more process. Another one, or the end of the connection: it
    // has done so.
    let mut heard = word(&socket, FIRST_WORD)?;
    while heard == HEADER_LEN {
        heard = word(&socket, DUMP)?;
    }
    Ok(())
}

/// Length of the next message; 0 if none comes within this time, or none will come.
fn word(socket: &OwnedFd, within: Timespec) -> rustix::io::Result<usize> {
    let mut poll = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)];
    // The end of another child may interrupt it.
    let ready = (0..TRIES).find_map(|_| match rustix::event::poll(&mut poll, Some(&within)) {
        Err(rustix::io::Errno::INTR) => None,
        done => Some(done),
    });
    if ready.unwrap_or(Ok(0))? == 0 {
        return Ok(0);
    }
    let mut message = [0u8; HEADER_LEN + 1];
    Ok(rustix::net::recv(socket, &mut message, RecvFlags::empty())?.0)
}
