//! USR1 as a channel: somebody wants a dump now, and the job goes on.
//!
//! The only `unsafe` here installs a handler. The handler makes one call, `write`, which POSIX lists as safe
//! in a handler, and gives back `errno`.

use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, IntoRawFd as _};
use std::sync::atomic::{AtomicI32, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded, never};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// The end of the pipe that the handler writes to; -1: none.
static TO: AtomicI32 = AtomicI32::new(-1);

/// Requests for a dump. Each is one message; requests that come while one waits to be taken are one.
#[derive(Clone, Debug)]
pub(crate) struct Requests(Receiver<()>);

impl Requests {
    /// Takes USR1 from now on. Call it once.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn on_usr1() -> io::Result<Requests> {
        let (from, to) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        nix::fcntl::fcntl(&to, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        TO.store(to.as_raw_fd(), Ordering::SeqCst);
        // The handler has it from here to the end of the process.
        let _ = to.into_raw_fd();
        let (sender, receiver) = bounded(1);
        let read = move || {
            let mut from = std::fs::File::from(from);
            while matches!(from.read(&mut [0; 64]), Ok(1..)) {
                // A full channel holds a request already.
                let _ = sender.try_send(());
            }
        };
        std::thread::Builder::new().name("hs-usr1".into()).spawn(read)?;
        let action = SigAction::new(SigHandler::Handler(handler), SaFlags::SA_RESTART, SigSet::empty());
        // SAFETY: the handler makes only calls that are allowed in a handler (module comment).
        unsafe { sigaction(Signal::SIGUSR1, &action) }?;
        Ok(Requests(receiver))
    }

    /// Requests that are handed on, and what hands them on.
    pub(crate) fn pair() -> (Sender<()>, Requests) {
        let (sender, receiver) = bounded(1);
        (sender, Requests(receiver))
    }

    pub(crate) fn never() -> Requests {
        Requests(never())
    }

    /// For a `select!`: a message for each request.
    pub(crate) fn channel(&self) -> &Receiver<()> {
        &self.0
    }
}

extern "C" fn handler(_: libc::c_int) {
    let errno = Errno::last_raw();
    // SAFETY: the byte lives during the call. A descriptor of -1 is an error of the call.
    let _ = unsafe { libc::write(TO.load(Ordering::SeqCst), [0u8].as_ptr().cast(), 1) };
    Errno::set_raw(errno);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_signal_is_a_message_and_the_process_goes_on() {
        let requests = Requests::on_usr1().unwrap();
        for _ in 0..2 {
            nix::sys::signal::raise(Signal::SIGUSR1).unwrap();
            requests.channel().recv_timeout(Duration::from_secs(60)).unwrap();
        }
        assert!(Requests::never().channel().try_recv().is_err());
    }
}
