//! System calls for the faulty allocators. Nothing here allocates,
//! because an allocation would come back to the allocator.

use std::ffi::CStr;
use std::io::Write;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

pub fn gettid() -> u32 {
    // SAFETY: gettid has no preconditions. Thread ids are positive.
    unsafe { libc::gettid() }.unsigned_abs()
}

/// Writes one line of at most 255 bytes to stderr and aborts.
pub fn die(what: std::fmt::Arguments<'_>) -> ! {
    write_line(libc::STDERR_FILENO, what);
    // SAFETY: abort has no preconditions.
    unsafe { libc::abort() }
}

/// Writes one line of at most 255 bytes in one write. Ignores
/// a failed write, because there is nowhere to report it.
pub fn write_line(fd: i32, what: std::fmt::Arguments<'_>) {
    let mut buffer = [0_u8; 256];
    let mut rest = &mut buffer[..255];
    let _ = rest.write_fmt(what);
    let length = 255 - rest.len();
    buffer[length] = b'\n';
    // SAFETY: the first `length + 1` bytes of the buffer are initialised.
    unsafe { libc::write(fd, buffer.as_ptr().cast(), length + 1) };
}

/// Reads a number from the environment. Returns `default` if the variable is not set. Aborts if the value is
/// not a number, because a test with a misspelt setting must not pass. Only constructors may call this: the
/// host may change its environment at any later time.
pub fn number_from_env(name: &CStr, default: u64) -> u64 {
    // SAFETY: the name is a C string, and no other thread runs during the constructors.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    if value.is_null() {
        return default;
    }
    // SAFETY: getenv returns a C string. It is read before anything can change the environment.
    let value = unsafe { CStr::from_ptr(value) };
    match value.to_str().ok().and_then(|text| text.parse().ok()) {
        Some(number) => number,
        None => die(format_args!("{name:?}: {value:?} is not a number")),
    }
}

/// Returns true with the probability 1 / `n`, by the kernel's random numbers. Always false if `n` is 0.
pub fn one_in(n: u64) -> bool {
    let mut bits = 0_u64;
    // SAFETY: the kernel writes into the eight bytes of `bits`. Without
    // GRND_NONBLOCK, the call waits until random numbers are available.
    let got = unsafe { libc::getrandom((&raw mut bits).cast(), 8, 0) };
    if got != 8 {
        die(format_args!("getrandom: {}", std::io::Error::last_os_error()));
    }
    n != 0 && bits.is_multiple_of(n)
}

/// Sleeps for the whole duration. A signal does not shorten the sleep.
pub fn sleep(duration: std::time::Duration) {
    let mut left = libc::timespec {
        // The cast loses nothing: callers sleep for milliseconds.
        tv_sec: duration.as_secs() as libc::time_t,
        tv_nsec: duration.subsec_nanos().into(),
    };
    let left = &raw mut left;
    // SAFETY: both arguments point to `left`. nanosleep(2) allows the same timespec for both.
    while unsafe { libc::nanosleep(left, left) } != 0 {}
}

/// Waits on a private futex while its word is `expected`. Returns true
/// after a wake or a signal, and false if the word had another value.
pub fn futex_wait(word: &AtomicU32, expected: u32) -> bool {
    // SAFETY: the word lives until the call returns. A null pointer means no timeout.
    let result = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            expected,
            std::ptr::null::<libc::timespec>(),
        )
    };
    // SAFETY: errno belongs to this thread.
    result == 0 || unsafe { *libc::__errno_location() } != libc::EAGAIN
}

/// Wakes one waiter of a private futex.
pub fn futex_wake_one(word: &AtomicU32) {
    // SAFETY: the word lives until the call returns.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1) };
}

/// Wakes all waiters of a private futex.
pub fn futex_wake_all(word: &AtomicU32) {
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the word lives until the call returns.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, i32::MAX) };
}

/// Whether a thread sleeps on a private futex. One sleeper is moved from the futex to itself, which
/// counts it (futex(2), FUTEX_REQUEUE): a word alone does not tell a sleeper from a thread that is about
/// to sleep.
pub fn futex_has_sleeper(word: &AtomicU32) -> bool {
    let (wake, requeue) = (0, 1usize);
    let operation = libc::FUTEX_REQUEUE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the word lives until the call returns.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, wake, requeue, word.as_ptr()) > 0 }
}

/// Creates an event between a process and its forked copy (eventfd(2)).
/// One side signals the event once, and the other side waits once.
pub fn event() -> i32 {
    // SAFETY: eventfd has no preconditions.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    if fd < 0 {
        die(format_args!("eventfd: {}", std::io::Error::last_os_error()));
    }
    fd
}

pub fn event_signal(event: i32) {
    let one = 1_u64;
    // SAFETY: the call reads the eight bytes of `one`.
    if unsafe { libc::write(event, (&raw const one).cast(), 8) } != 8 {
        die(format_args!("eventfd: {}", std::io::Error::last_os_error()));
    }
}

/// Waits until [`event_signal`] signals the event.
pub fn event_wait(event: i32) {
    let mut count = 0_u64;
    // SAFETY: the call writes into the eight bytes of `count`.
    while unsafe { libc::read(event, (&raw mut count).cast(), 8) } != 8 {}
}

/// The path of the truth file: the value of `FAULT_TRUTH`, padded with zeros. Only the constructor writes it.
static TRUTH: [AtomicUsize; 512] = [const { AtomicUsize::new(0) }; 512];
const WORD: usize = size_of::<usize>();

/// Copies the path from `FAULT_TRUTH`. Only constructors may call this.
pub fn open_truth() {
    // SAFETY: the name is a C string, and no other thread runs during the constructors.
    let value = unsafe { libc::getenv(c"FAULT_TRUTH".as_ptr()) };
    if value.is_null() {
        return;
    }
    // SAFETY: getenv returns a C string. It is read before anything can change the environment.
    let path = unsafe { CStr::from_ptr(value) }.to_bytes();
    if path.len() >= TRUTH.len() * WORD {
        die(format_args!("FAULT_TRUTH is too long for a path"));
    }
    for (word, bytes) in TRUTH.iter().zip(path.chunks(WORD)) {
        let mut padded = [0; WORD];
        padded[..bytes.len()].copy_from_slice(bytes);
        word.store(usize::from_ne_bytes(padded), Ordering::Relaxed);
    }
}

/// Writes one line to the truth file (see [`crate::truth`]): the role of the calling thread in the fault, and
/// the address of the lock (0 for none). Does nothing if `FAULT_TRUTH` is not set.
pub fn tell_truth(role: &str, lock: usize) {
    let path = TRUTH.as_ptr().cast::<libc::c_char>();
    if TRUTH[0].load(Ordering::Relaxed) == 0 {
        return;
    }
    // SAFETY: the path ends with a zero, because it is shorter than its memory, which was all zeros.
    let fd =
        unsafe { libc::open(path, libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND | libc::O_CLOEXEC, 0o600) };
    if fd < 0 {
        die(format_args!("FAULT_TRUTH: {}", std::io::Error::last_os_error()));
    }
    // SAFETY: getpid has no preconditions.
    let pid = unsafe { libc::getpid() };
    write_line(fd, format_args!("{role} pid={pid} tid={} lock={lock:#x}", gettid()));
    // SAFETY: this function opened the descriptor and closes it once.
    unsafe { libc::close(fd) };
}
