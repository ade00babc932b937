//! The kind of a wait by the functions on the stack.

use super::model::{MutexKind, WaitKind};
use super::wait_text::WaitText;
use crate::analysis::stack;
use crate::files::links::is_system;
use crate::session::trace::Frame;

/// Frames that are searched, from the innermost. Waits of C libraries are three frames deep, Rust's six.
const SEARCHED_FRAMES: usize = 8;

/// A kind of wait that the functions on the stack name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FutexName {
    pub(super) kind: WaitKind,
    pub(super) text: WaitText,
}

/// The kind of wait that the innermost functions name. The innermost function with a known name decides.
/// A frame of the allocator without a known name ends the search: the functions that called the
/// allocator do not name the wait.
pub(super) fn by_names(frames: &[Frame]) -> Option<FutexName> {
    let mut low_level = None;
    for frame in frames.iter().take(SEARCHED_FRAMES) {
        let function = frame.function.as_deref().filter(|function| is_trusted(frame, function));
        match function.and_then(by_name) {
            // glibc's mutexes call this function too: an outer frame may name the mutex.
            Some(FutexName { kind: WaitKind::LowLevelLock, text }) => {
                low_level.get_or_insert(FutexName { kind: WaitKind::LowLevelLock, text });
            }
            Some(found) => return Some(found),
            // The allocator may be the C library itself: then go on.
            None if frame.in_allocator && !stack::is_libc(frame) => break,
            None => {}
        }
    }
    low_level
}

/// Whether a function of this name is what its name says. Elsewhere than in the C library only the exact names of the
/// interface count: a program may take their place. A lock of a program may be called `pthread_mutex_like`.
fn is_trusted(frame: &Frame, function: &str) -> bool {
    let plain = stack::plain_name(function);
    let interface = plain.starts_with("pthread_") || plain.starts_with("sem_") || plain.starts_with("lll_");
    let exact = [
        "pthread_mutex_lock",
        "pthread_mutex_timedlock",
        "pthread_mutex_clocklock",
        "pthread_mutex_lock_full",
        "pthread_mutex_cond_lock",
        "pthread_cond_wait",
        "pthread_cond_timedwait",
        "pthread_cond_clockwait",
        "pthread_barrier_wait",
        "pthread_join",
        "pthread_once",
        "sem_wait",
        "sem_timedwait",
        "sem_clockwait",
    ];
    let rwlock = plain.starts_with("pthread_rwlock_") && plain.ends_with("lock");
    !interface || frame.dso.as_deref().is_none_or(is_system) || rwlock || exact.contains(&plain)
}

fn by_name(function: &str) -> Option<FutexName> {
    let plain = stack::plain_name(function);
    let starts: [(&str, WaitKind, WaitText); 16] = [
        ("pthread_cond_", WaitKind::Condition, WaitText::Condition {}),
        ("pthread_barrier_wait", WaitKind::Barrier, WaitText::Barrier {}),
        ("pthread_rwlock_", WaitKind::RwLock, WaitText::RwLock {}),
        ("pthread_mutex_", WaitKind::Mutex(MutexKind::Unknown), WaitText::MutexUnreadable {}),
        ("pthread_once", WaitKind::Once, WaitText::Once {}),
        ("cxa_guard_acquire", WaitKind::Once, WaitText::Guard {}),
        ("pthread_clockjoin", WaitKind::Join, WaitText::Join {}),
        ("pthread_timedjoin", WaitKind::Join, WaitText::Join {}),
        ("pthread_join", WaitKind::Join, WaitText::Join {}),
        ("new_sem_", WaitKind::Semaphore, WaitText::Semaphore {}),
        ("sem_wait", WaitKind::Semaphore, WaitText::Semaphore {}),
        ("sem_timedwait", WaitKind::Semaphore, WaitText::Semaphore {}),
        ("sem_clockwait", WaitKind::Semaphore, WaitText::Semaphore {}),
        ("lll_", WaitKind::LowLevelLock, WaitText::LowLevel {}),
        ("AbslInternalSpinLockDelay", WaitKind::SpinLock, WaitText::SpinAbsl {}),
        ("AbslInternalPerThreadSem", WaitKind::Futex, WaitText::SemAbsl {}),
    ];
    let inside: [(&str, WaitKind, WaitText); 10] = [
        ("SpinLockDelay", WaitKind::SpinLock, WaitText::SpinSleeps {}),
        ("SpinLock::SlowLock", WaitKind::SpinLock, WaitText::SpinSleeps {}),
        ("std::sys::sync::mutex", WaitKind::RustLock, WaitText::RustMutex {}),
        ("std::sys::sync::rwlock", WaitKind::RustLock, WaitText::RustRwLock {}),
        ("std::sys::sync::condvar", WaitKind::RustLock, WaitText::RustCondition {}),
        ("std::sys::sync::once", WaitKind::RustLock, WaitText::RustOnce {}),
        ("std::sys::sync::thread_parking", WaitKind::RustLock, WaitText::RustPark {}),
        ("std::sync::mpmc", WaitKind::RustLock, WaitText::RustChannel {}),
        ("std::thread::park", WaitKind::RustLock, WaitText::RustPark {}),
        ("parking_lot", WaitKind::RustLock, WaitText::ParkingLot {}),
    ];
    let starts = starts.into_iter().find(|(name, ..)| plain.starts_with(name));
    // A Rust name may begin with `<T as Trait>` or contain a hash: look for the module path anywhere in it.
    let found = starts.or_else(|| inside.into_iter().find(|(name, ..)| function.contains(name)));
    found.map(|(_, kind, text)| FutexName { kind, text })
}
