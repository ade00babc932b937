//! What a faulty allocator needs of the system, without an allocation anywhere: it is what everybody else
//! allocates from.

use std::ffi::CStr;
use std::io::Write;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// The calling thread's id.
pub fn gettid() -> u32 {
    // SAFETY: gettid has no preconditions. Thread ids are positive.
    unsafe { libc::gettid() }.unsigned_abs()
}

/// One line to stderr (cut at 255 bytes), then SIGABRT.
pub fn die(what: std::fmt::Arguments<'_>) -> ! {
    write_line(libc::STDERR_FILENO, what);
    // SAFETY: always.
    unsafe { libc::abort() }
}

/// One line in one write, cut at 255 bytes. What cannot be written is lost: there is nobody to tell.
pub fn write_line(fd: i32, what: std::fmt::Arguments<'_>) {
    let mut buffer = [0_u8; 256];
    let mut rest = &mut buffer[..255];
    let _ = rest.write_fmt(what);
    let length = 255 - rest.len();
    buffer[length] = b'\n';
    // SAFETY: `length + 1` bytes of the buffer are written.
    unsafe { libc::write(fd, buffer.as_ptr().cast(), length + 1) };
}

/// A number from the environment; `default` where there is none. One that makes no sense ends the process:
/// a test that misspells a setting must not pass. Only for constructors: later the host may write to its
/// environment at any time.
pub fn number_from_env(name: &CStr, default: u64) -> u64 {
    // SAFETY: the name is a C string; no other thread runs while constructors do.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    if value.is_null() {
        return default;
    }
    // SAFETY: getenv gives a C string, which is read at once.
    let value = unsafe { CStr::from_ptr(value) };
    match value.to_str().ok().and_then(|text| text.parse().ok()) {
        Some(number) => number,
        None => die(format_args!("{name:?}: {value:?} is not a number")),
    }
}

/// Whether an event of one in `n` takes place in this process, by the kernel's randomness. 0 is never.
pub fn one_in(n: u64) -> bool {
    let mut bits = 0_u64;
    // SAFETY: eight bytes that are ours. Without GRND_NONBLOCK it waits until the kernel has some.
    let got = unsafe { libc::getrandom((&raw mut bits).cast(), 8, 0) };
    if got != 8 {
        die(format_args!("getrandom: {}", std::io::Error::last_os_error()));
    }
    n != 0 && bits.is_multiple_of(n)
}

/// Sleeps, and goes on sleeping after a signal.
pub fn sleep(duration: std::time::Duration) {
    let mut left = libc::timespec {
        // Callers sleep for milliseconds.
        tv_sec: duration.as_secs() as libc::time_t,
        tv_nsec: duration.subsec_nanos().into(),
    };
    let left = &raw mut left;
    // SAFETY: both point to the same timespec, which is allowed.
    while unsafe { libc::nanosleep(left, left) } != 0 {}
}

/// Waits on a private futex while its word is `expected`. True if it was woken (or a signal came), false if
/// the word was another.
pub fn futex_wait(word: &AtomicU32, expected: u32) -> bool {
    // SAFETY: the word lives through the call; no timeout.
    let result = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            expected,
            std::ptr::null::<libc::timespec>(),
        )
    };
    // SAFETY: errno is this thread's.
    result == 0 || unsafe { *libc::__errno_location() } != libc::EAGAIN
}

/// Wakes one waiter of a private futex.
pub fn futex_wake_one(word: &AtomicU32) {
    // SAFETY: the word lives through the call.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1) };
}

/// An event between a process and its copy: told once, awaited once (eventfd(2)).
pub fn event() -> i32 {
    // SAFETY: eventfd has no preconditions.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    if fd < 0 {
        die(format_args!("eventfd: {}", std::io::Error::last_os_error()));
    }
    fd
}

/// Tells an event.
pub fn event_tell(event: i32) {
    let one = 1_u64;
    // SAFETY: eight bytes that are ours.
    if unsafe { libc::write(event, (&raw const one).cast(), 8) } != 8 {
        die(format_args!("eventfd: {}", std::io::Error::last_os_error()));
    }
}

/// Waits until an event is told.
pub fn event_await(event: i32) {
    let mut count = 0_u64;
    // SAFETY: eight bytes that are ours.
    while unsafe { libc::read(event, (&raw mut count).cast(), 8) } != 8 {}
}

/// Where the truth goes: `FAULT_TRUTH`, copied in the constructor.
static TRUTH: [AtomicUsize; 512] = [const { AtomicUsize::new(0) }; 512];
const WORD: usize = size_of::<usize>();

/// Remembers the path in `FAULT_TRUTH`. Only for constructors.
pub fn open_truth() {
    // SAFETY: a C string; no other thread runs while constructors do.
    let value = unsafe { libc::getenv(c"FAULT_TRUTH".as_ptr()) };
    if value.is_null() {
        return;
    }
    // SAFETY: getenv gives a C string, which is read at once.
    let path = unsafe { CStr::from_ptr(value) }.to_bytes();
    if path.len() >= TRUTH.len() * WORD {
        die(format_args!("FAULT_TRUTH is longer than a path can be"));
    }
    for (word, bytes) in TRUTH.iter().zip(path.chunks(WORD)) {
        let mut padded = [0; WORD];
        padded[..bytes.len()].copy_from_slice(bytes);
        word.store(usize::from_ne_bytes(padded), Ordering::Relaxed);
    }
}

/// Writes a line of the truth (see [`crate::truth`]): what the calling thread is about to do, and to which
/// lock (0: none). Nothing happens without `FAULT_TRUTH`.
pub fn tell_truth(role: &str, lock: usize) {
    let path = TRUTH.as_ptr().cast::<libc::c_char>();
    if TRUTH[0].load(Ordering::Relaxed) == 0 {
        return;
    }
    // SAFETY: the path ends with a zero: it is shorter than its memory, which was zero before.
    let fd =
        unsafe { libc::open(path, libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND | libc::O_CLOEXEC, 0o600) };
    if fd < 0 {
        die(format_args!("FAULT_TRUTH: {}", std::io::Error::last_os_error()));
    }
    // SAFETY: getpid has no preconditions.
    let pid = unsafe { libc::getpid() };
    write_line(fd, format_args!("{role} pid={pid} tid={} lock={lock:#x}", gettid()));
    // SAFETY: the descriptor is ours.
    unsafe { libc::close(fd) };
}
