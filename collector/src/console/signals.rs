//! Actions of signals in this process, by number: nix and rustix know no realtime signals.

use libc::c_int;

/// Whether a signal is ignored.
pub(crate) fn is_ignored(signal: c_int) -> bool {
    let mut old = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action the call only writes the old one, to a place of its type.
    let done = unsafe { libc::sigaction(signal, std::ptr::null(), old.as_mut_ptr()) };
    // SAFETY: all bytes zero are a `sigaction`, so it is one even if the call failed.
    done == 0 && unsafe { old.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// Ignores a signal from now on. A number that is no signal changes nothing.
pub(crate) fn ignore(signal: c_int) {
    act(signal, libc::SIG_IGN);
}

/// A signal has its default action from now on.
pub(crate) fn default(signal: c_int) {
    act(signal, libc::SIG_DFL);
}

fn act(signal: c_int, action: libc::sighandler_t) {
    // SAFETY: both actions install no handler.
    unsafe { libc::signal(signal, action) };
}

/// Ends this process by a signal, without a core. It returns if the signal does not end it.
pub(crate) fn die_by(signal: c_int) {
    // SAFETY: the call takes numbers.
    if unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) } != 0 {
        return;
    }
    default(signal);
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: the first call initializes the set, which lives during the others, and no old one is asked for.
    // The last call takes a number; the action is the default one.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), std::ptr::null_mut());
        libc::raise(signal);
    }
}
