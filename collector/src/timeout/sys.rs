//! System calls for which nix and rustix have no safe form: they know no realtime signals. What else is
//! unsafe here runs between fork and exec, or before `main`.

use std::ffi::{CStr, OsString};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};

use libc::{c_int, sigset_t};

use crate::console::signals::is_ignored;
pub(super) use crate::console::signals::{default, die_by, ignore};

/// What Rust's runtime changes before `main`, as it was: it ignores SIGPIPE, and opens /dev/null where one of
/// the first three descriptors is closed. The command must get both as this program got them.
static PIPE_WAS_IGNORED: AtomicBool = AtomicBool::new(false);
static CLOSED: AtomicU8 = AtomicU8::new(0);

// SAFETY: libc calls the functions of this section before `main`, each once. This one needs nothing that is
// initialized later.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = note_the_start;

extern "C" fn note_the_start() {
    PIPE_WAS_IGNORED.store(is_ignored(libc::SIGPIPE), Relaxed);
    for fd in 0..3 {
        // SAFETY: the call reads the flags of a descriptor, which may be closed.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
            CLOSED.fetch_or(1 << fd, Relaxed);
        }
    }
}

/// A set of signals.
#[derive(Clone, Copy)]
pub(super) struct Signals(sigset_t);

impl Signals {
    /// A number that is no signal is left out, as sigaddset(3) does.
    pub(super) fn of(signals: impl IntoIterator<Item = c_int>) -> Signals {
        let mut set = std::mem::MaybeUninit::uninit();
        // SAFETY: the call initializes the set.
        let mut set = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            set.assume_init()
        };
        for signal in signals {
            // SAFETY: the set is initialized.
            unsafe { libc::sigaddset(&raw mut set, signal) };
        }
        Signals(set)
    }

    /// Blocks these signals in this thread, and gives the mask as it was.
    pub(super) fn block(&self) -> Signals {
        let mut old = Signals::of([]);
        // SAFETY: both sets live during the call.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const self.0, &raw mut old.0) };
        old
    }

    fn without(mut self, signal: c_int) -> Signals {
        // SAFETY: the set is initialized.
        unsafe { libc::sigdelset(&raw mut self.0, signal) };
        self
    }

    fn set_mask(&self) {
        // SAFETY: the set lives during the call, and no old one is asked for.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
    }

    /// A descriptor from which blocked signals of this set are read. Reading does not block.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn descriptor(&self) -> io::Result<OwnedFd> {
        // SAFETY: the set lives during the call.
        let fd = unsafe { libc::signalfd(-1, &raw const self.0, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just opened, and nothing else owns it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

/// The next signal of such a descriptor; none if none is pending.
pub(super) fn read_signal(from: &OwnedFd) -> Option<c_int> {
    let mut info = std::mem::MaybeUninit::<libc::signalfd_siginfo>::zeroed();
    let size = std::mem::size_of_val(&info);
    // SAFETY: the kernel writes at most `size` bytes, which are there.
    let read = unsafe { libc::read(from.as_raw_fd(), info.as_mut_ptr().cast(), size) };
    // SAFETY: the struct is all numbers, so any bytes are one.
    let info = unsafe { info.assume_init() };
    usize::try_from(read).is_ok_and(|read| read == size).then_some(info.ssi_signo as c_int)
}

/// kill(2). `pid` 0 is the group of this process. Not libc's function: `libhangscope_follow.so` takes that
/// over and asks the collector for a dump, which was made by now or is not wanted.
pub(super) fn kill(pid: c_int, signal: c_int) {
    // SAFETY: the call takes two numbers.
    unsafe { libc::syscall(libc::SYS_kill, pid, signal) };
}

/// The wait status of a child that has ended, which is then gone; none if it has not.
///
/// # Errors
/// It is no child of this process.
pub(super) fn reap(pid: c_int) -> io::Result<Option<c_int>> {
    let mut status = 0;
    loop {
        // SAFETY: the status lives during the call.
        match unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) } {
            0 => return Ok(None),
            -1 => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            _ => return Ok(Some(status)),
        }
    }
}

/// The command as coreutils starts it: signals that `timeout` takes have their default action, its mask is
/// `mask` without SIGCHLD, and the rest is inherited.
pub(super) fn command(words: &[OsString], taken: Vec<c_int>, mask: Signals) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    let (pipe, closed) = (PIPE_WAS_IGNORED.load(Relaxed), CLOSED.load(Relaxed));
    let mask = mask.without(libc::SIGCHLD);
    let prepare = move || {
        taken.iter().copied().for_each(default);
        if pipe {
            ignore(libc::SIGPIPE);
        }
        for fd in 0..3 {
            if closed & 1 << fd != 0 {
                // SAFETY: this process had none of this number; std has put one there.
                unsafe { libc::close(fd) };
            }
        }
        mask.set_mask();
        Ok(())
    };
    // SAFETY: the closure makes only calls that are allowed after a fork (signal-safety(7)).
    unsafe { command.pre_exec(prepare) };
    command
}

/// Makes a command run in a process group of its own, and end with this process.
pub(super) fn apart(command: &mut Command) {
    command.process_group(0);
    let prepare = || {
        // SAFETY: the call takes numbers.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        Ok(())
    };
    // SAFETY: the closure makes only a call that is allowed after a fork.
    unsafe { command.pre_exec(prepare) };
}

/// Whether the locale of the environment, if it is installed, has UTF-8.
pub(super) fn locale_is_utf8() -> bool {
    // SAFETY: this process has one thread, and nothing else reads its locale. The text of the second call is
    // read at once.
    let codeset = unsafe {
        libc::setlocale(libc::LC_CTYPE, c"".as_ptr());
        libc::nl_langinfo(libc::CODESET)
    };
    // SAFETY: nl_langinfo returns a text that ends with a zero byte.
    !codeset.is_null() && unsafe { CStr::from_ptr(codeset) }.to_bytes().eq_ignore_ascii_case(b"UTF-8")
}

/// What a wait status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Exit(c_int),
    /// `dumped`: with a core.
    Signal {
        signal: c_int,
        dumped: bool,
    },
}

impl End {
    pub(super) fn of(status: c_int) -> End {
        match libc::WIFSIGNALED(status) {
            true => End::Signal { signal: libc::WTERMSIG(status), dumped: libc::WCOREDUMP(status) },
            false => End::Exit(libc::WEXITSTATUS(status)),
        }
    }
}
