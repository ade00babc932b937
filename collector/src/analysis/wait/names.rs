//! The kind of a wait by the functions on the stack.

use super::futex::FutexName;
use super::{WaitKind, What};
use crate::analysis::stack;
use crate::session::trace::Frame;

/// So many frames from the innermost are looked at: waits of C libraries are three deep, Rust's six.
const DEEP: usize = 8;

/// What the innermost functions say, or nothing. Inner frames come first: what they call is what is waited
/// in. A frame of the allocator that says nothing ends the search, since what called it is not the wait.
pub(super) fn by_names(frames: &[Frame]) -> Option<FutexName> {
    let mut low_level = None;
    for frame in frames.iter().take(DEEP) {
        match frame.function.as_deref().and_then(by_name) {
            // glibc's mutexes use the same function: see who called it.
            Some(FutexName { kind: WaitKind::LowLevelLock, what }) => {
                low_level.get_or_insert(FutexName { kind: WaitKind::LowLevelLock, what });
            }
            // A Rust lock's inner frames are all of one module; an outer one says which lock.
            Some(found) => return Some(found),
            // The C library may be the allocator itself.
            None if frame.in_allocator && !stack::is_libc(frame) => break,
            None => {}
        }
    }
    low_level
}

fn by_name(function: &str) -> Option<FutexName> {
    let plain = stack::plain_name(function);
    let starts: [(&str, WaitKind, What); 15] = [
        ("pthread_cond_", WaitKind::Condition, What::Condition {}),
        ("pthread_barrier_wait", WaitKind::Barrier, What::Barrier {}),
        ("pthread_rwlock_", WaitKind::RwLock, What::RwLock {}),
        ("pthread_mutex_", WaitKind::Mutex(super::MutexKind::Unknown), What::MutexUnreadable {}),
        ("pthread_once", WaitKind::Once, What::Once {}),
        ("pthread_clockjoin", WaitKind::Join, What::Join {}),
        ("pthread_timedjoin", WaitKind::Join, What::Join {}),
        ("pthread_join", WaitKind::Join, What::Join {}),
        ("new_sem_", WaitKind::Semaphore, What::Semaphore {}),
        ("sem_wait", WaitKind::Semaphore, What::Semaphore {}),
        ("sem_timedwait", WaitKind::Semaphore, What::Semaphore {}),
        ("sem_clockwait", WaitKind::Semaphore, What::Semaphore {}),
        ("lll_", WaitKind::LowLevelLock, What::LowLevel {}),
        ("AbslInternalSpinLockDelay", WaitKind::SpinLock, What::SpinAbsl {}),
        ("AbslInternalPerThreadSem", WaitKind::Futex, What::SemAbsl {}),
    ];
    let inside: [(&str, WaitKind, What); 10] = [
        ("SpinLockDelay", WaitKind::SpinLock, What::SpinSleeps {}),
        ("SpinLock::SlowLock", WaitKind::SpinLock, What::SpinSleeps {}),
        ("std::sys::sync::mutex", WaitKind::RustLock, What::RustMutex {}),
        ("std::sys::sync::rwlock", WaitKind::RustLock, What::RustRwLock {}),
        ("std::sys::sync::condvar", WaitKind::RustLock, What::RustCondition {}),
        ("std::sys::sync::once", WaitKind::RustLock, What::RustOnce {}),
        ("std::sys::sync::thread_parking", WaitKind::RustLock, What::RustPark {}),
        ("std::sync::mpmc", WaitKind::RustLock, What::RustChannel {}),
        ("std::thread::park", WaitKind::RustLock, What::RustPark {}),
        ("parking_lot", WaitKind::RustLock, What::ParkingLot {}),
    ];
    let starts = starts.into_iter().find(|(name, ..)| plain.starts_with(name));
    // Rust's names may carry a `<T as Trait>` or a crate's hash; the module path stands somewhere in it.
    let found = starts.or_else(|| inside.into_iter().find(|(name, ..)| function.contains(name)));
    found.map(|(_, kind, what)| FutexName { kind, what })
}
