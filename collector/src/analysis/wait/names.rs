//! The kind of a wait by the functions on the stack.

use super::model::{MutexKind, WaitKind};
use super::wait_text::WaitText;
use crate::analysis::stack;
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
        match frame.function.as_deref().and_then(by_name) {
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

fn by_name(function: &str) -> Option<FutexName> {
    let plain = stack::plain_name(function);
    let starts: [(&str, WaitKind, WaitText); 15] = [
        ("pthread_cond_", WaitKind::Condition, WaitText::Condition {}),
        ("pthread_barrier_wait", WaitKind::Barrier, WaitText::Barrier {}),
        ("pthread_rwlock_", WaitKind::RwLock, WaitText::RwLock {}),
        ("pthread_mutex_", WaitKind::Mutex(MutexKind::Unknown), WaitText::MutexUnreadable {}),
        ("pthread_once", WaitKind::Once, WaitText::Once {}),
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
