//! The exec family, posix_spawn, system and popen, as programs call them. Each calls the next definition in
//! the order of symbol search: libc's, or that of another preload.
//!
//! Every function keeps the rules of the one whose place it takes. It may run in a child of vfork, where
//! memory is the parent's: it writes to nothing but its own stack frames. It may run in a signal handler, and
//! between fork and exec of a program with threads: it takes no lock. It leaves `errno` to the next function.

use core::ffi::{c_char, c_int};

use crate::environment::{self, environ};
use crate::next::{call, no_such_function};
use crate::{shell, timeout};

type Strings = *const *const c_char;
type Execve = unsafe extern "C" fn(*const c_char, Strings, Strings) -> c_int;
type Fexecve = unsafe extern "C" fn(c_int, Strings, Strings) -> c_int;
type Execveat = unsafe extern "C" fn(c_int, *const c_char, Strings, Strings, c_int) -> c_int;
type Spawn = unsafe extern "C" fn(
    *mut libc::pid_t,
    *const c_char,
    *const libc::posix_spawn_file_actions_t,
    *const libc::posix_spawnattr_t,
    Strings,
    Strings,
) -> c_int;

type System = unsafe extern "C" fn(*const c_char) -> c_int;
type Popen = unsafe extern "C" fn(*const c_char, *const c_char) -> *mut libc::FILE;

/// # Safety
/// As execve(2).
unsafe fn path(path: *const c_char, argv: Strings, env: Strings) -> c_int {
    // SAFETY: the caller's promise.
    let path = unsafe { timeout::instead(path, argv, false) }.unwrap_or(path);
    // SAFETY: the caller's promise.
    unsafe {
        environment::with(env, |env| call!(EXECVE as Execve, (path, argv, env), else no_such_function()))
    }
}

/// # Safety
/// As execvpe(3).
unsafe fn file(file: *const c_char, argv: Strings, env: Strings) -> c_int {
    // SAFETY: the caller's promise.
    let file = unsafe { timeout::instead(file, argv, true) }.unwrap_or(file);
    // SAFETY: the caller's promise.
    unsafe {
        environment::with(env, |env| call!(EXECVPE as Execve, (file, argv, env), else no_such_function()))
    }
}

/// # Safety
/// As execve(2).
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn execve(path: *const c_char, argv: Strings, env: Strings) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { self::path(path, argv, env) }
}

/// # Safety
/// As execv(3).
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn execv(path: *const c_char, argv: Strings) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { self::path(path, argv, environ) }
}

/// # Safety
/// As execvp(3).
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn execvp(file: *const c_char, argv: Strings) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { self::file(file, argv, environ) }
}

/// # Safety
/// As execvpe(3).
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn execvpe(file: *const c_char, argv: Strings, env: Strings) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { self::file(file, argv, env) }
}

/// # Safety
/// As fexecve(3).
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn fexecve(fd: c_int, argv: Strings, env: Strings) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        environment::with(env, |env| call!(FEXECVE as Fexecve, (fd, argv, env), else no_such_function()))
    }
}

/// # Safety
/// As execveat(2).
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn execveat(
    dir: c_int,
    path: *const c_char,
    argv: Strings,
    env: Strings,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        environment::with(
            env,
            |env| call!(EXECVEAT as Execveat, (dir, path, argv, env, flags), else no_such_function()),
        )
    }
}

/// # Safety
/// As posix_spawn(3).
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn posix_spawn(
    pid: *mut libc::pid_t,
    path: *const c_char,
    actions: *const libc::posix_spawn_file_actions_t,
    attributes: *const libc::posix_spawnattr_t,
    argv: Strings,
    env: Strings,
) -> c_int {
    // SAFETY: the caller's promise.
    let path = unsafe { timeout::instead(path, argv, false) }.unwrap_or(path);
    // SAFETY: the caller's promise.
    unsafe {
        environment::with(
            env,
            |env| call!(POSIX_SPAWN as Spawn, (pid, path, actions, attributes, argv, env), else libc::ENOSYS),
        )
    }
}

/// # Safety
/// As posix_spawnp(3).
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn posix_spawnp(
    pid: *mut libc::pid_t,
    file: *const c_char,
    actions: *const libc::posix_spawn_file_actions_t,
    attributes: *const libc::posix_spawnattr_t,
    argv: Strings,
    env: Strings,
) -> c_int {
    // SAFETY: the caller's promise.
    let file = unsafe { timeout::instead(file, argv, true) }.unwrap_or(file);
    // SAFETY: the caller's promise.
    unsafe {
        environment::with(
            env,
            |env| call!(POSIX_SPAWNP as Spawn, (pid, file, actions, attributes, argv, env), else libc::ENOSYS),
        )
    }
}

/// # Safety
/// As system(3).
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn system(command: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { shell::with(command, |command| call!(SYSTEM as System, (command), else no_such_function())) }
}

/// # Safety
/// As popen(3).
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn popen(command: *const c_char, kind: *const c_char) -> *mut libc::FILE {
    // SAFETY: the caller's promise.
    unsafe {
        shell::with(
            command,
            |command| call!(POPEN as Popen, (command, kind), else { no_such_function(); core::ptr::null_mut() }),
        )
    }
}

/// execl(3) and its kin, with their arguments as an array (`arch`).
///
/// # Safety
/// As those functions: `argv` ends with NULL.
pub(crate) unsafe extern "C" fn execl_array(path: *const c_char, argv: Strings) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { self::path(path, argv, environ) }
}

/// # Safety
/// As [`execl_array`].
pub(crate) unsafe extern "C" fn execlp_array(file: *const c_char, argv: Strings) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { self::file(file, argv, environ) }
}

/// # Safety
/// As [`execl_array`]; behind its NULL is the environment.
pub(crate) unsafe extern "C" fn execle_array(path: *const c_char, argv: Strings) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        let count = environment::strings(argv).count();
        self::path(path, argv, argv.add(count + 1).read().cast())
    }
}
