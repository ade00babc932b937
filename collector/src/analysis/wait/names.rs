//! The kind of a wait by the functions on the stack.

use super::WaitKind;
use super::futex::FutexName;
use crate::analysis::stack;
use crate::analysis::trace::Frame;

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
    let plain = function.trim_start_matches('_').split('@').next().unwrap_or_default();
    let plain = plain.strip_prefix("GI_").map_or(plain, |rest| rest.trim_start_matches('_'));
    let starts: &[(&str, WaitKind, &str)] = &[
        ("pthread_cond_", WaitKind::Condition, "condition variable"),
        ("pthread_barrier_wait", WaitKind::Barrier, "barrier"),
        ("pthread_rwlock_", WaitKind::RwLock, "read-write lock"),
        ("pthread_mutex_", WaitKind::Mutex(super::MutexKind::Unknown), "pthread mutex"),
        ("pthread_once", WaitKind::Once, "once"),
        ("pthread_clockjoin", WaitKind::Join, "join"),
        ("pthread_timedjoin", WaitKind::Join, "join"),
        ("pthread_join", WaitKind::Join, "join"),
        ("new_sem_", WaitKind::Semaphore, "semaphore"),
        ("sem_wait", WaitKind::Semaphore, "semaphore"),
        ("sem_timedwait", WaitKind::Semaphore, "semaphore"),
        ("sem_clockwait", WaitKind::Semaphore, "semaphore"),
        ("lll_", WaitKind::LowLevelLock, "low-level lock of glibc"),
        ("AbslInternalSpinLockDelay", WaitKind::SpinLock, "spin lock of absl"),
        ("AbslInternalPerThreadSem", WaitKind::Futex, "mutex or condition of absl"),
    ];
    let inside: &[(&str, WaitKind, &str)] = &[
        ("SpinLockDelay", WaitKind::SpinLock, "spin lock that sleeps"),
        ("SpinLock::SlowLock", WaitKind::SpinLock, "spin lock that sleeps"),
        ("std::sys::sync::mutex", WaitKind::RustLock, "mutex of Rust"),
        ("std::sys::sync::rwlock", WaitKind::RustLock, "read-write lock of Rust"),
        ("std::sys::sync::condvar", WaitKind::RustLock, "condition variable of Rust"),
        ("std::sys::sync::once", WaitKind::RustLock, "once of Rust"),
        ("std::sys::sync::thread_parking", WaitKind::RustLock, "park of Rust"),
        ("std::sync::mpmc", WaitKind::RustLock, "channel of Rust"),
        ("std::thread::park", WaitKind::RustLock, "park of Rust"),
        ("parking_lot", WaitKind::RustLock, "lock of parking_lot"),
    ];
    let starts = starts.iter().find(|(name, ..)| plain.starts_with(name));
    // Rust's names may carry a `<T as Trait>` or a crate's hash; the module path stands somewhere in it.
    let found = starts.or_else(|| inside.iter().find(|(name, ..)| function.contains(name)));
    found.map(|(_, kind, what)| FutexName { kind: *kind, what })
}
