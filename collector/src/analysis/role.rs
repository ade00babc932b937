//! Whose code a frame is: the allocator's, the system's, or the program's.

use crate::files::links::is_system;
use crate::session::trace::{Frame, is_signal_frame};

/// Which frames belong to the allocator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct AllocatorIs {
    /// The allocator's DSO contains other code too (it is libc, or the program): only functions of the malloc
    /// family belong to the allocator.
    pub(super) shared: bool,
}

pub(super) fn is_libc(frame: &Frame) -> bool {
    let name = frame.dso.as_deref().map(file_name).unwrap_or_default();
    name.starts_with("libc.") || name.starts_with("libc-") || name.starts_with("libpthread")
}

/// Of the C library, or of a DSO of hangscope, which stands in for functions of it.
pub(super) fn is_stand_in(frame: &Frame) -> bool {
    let name = frame.dso.as_deref().map(file_name).unwrap_or_default();
    is_libc(frame) || name.starts_with("libhangscope")
}

/// The part of a path after its last `/`.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The common name of a function: without leading underscores, `GI_` and the symbol version.
pub(super) fn plain_name(function: &str) -> &str {
    let plain = function.trim_start_matches('_').split('@').next().unwrap_or_default();
    plain.strip_prefix("GI_").map_or(plain, |rest| rest.trim_start_matches('_'))
}

/// Whether a function is of the malloc family: the interface, or glibc's internal functions for it.
pub(super) fn is_malloc_family(function: &str) -> bool {
    let plain = plain_name(function);
    let plain = plain.strip_prefix("libc_").unwrap_or(plain);
    let exact = [
        "malloc",
        "calloc",
        "realloc",
        "reallocarray",
        "free",
        "cfree",
        "memalign",
        "aligned_alloc",
        "posix_memalign",
        "valloc",
        "pvalloc",
        "malloc_usable_size",
        "malloc_trim",
        "sysmalloc",
        "systrim",
        "mallinfo",
        "mallinfo2",
        "malloc_consolidate",
        "free_sized",
        "free_aligned_sized",
    ];
    let starts = [
        "int_malloc",
        "int_free",
        "int_realloc",
        "int_memalign",
        "tcache_",
        "arena_get",
        "operator new",
        "operator delete",
        "Znwm",
        "Znam",
        "ZdlPv",
        "ZdaPv",
        "ptmalloc_",
        "malloc_arena_",
        "sysmalloc_",
    ];
    exact.contains(&plain) || starts.iter().any(|s| plain.starts_with(s))
}

pub(super) fn counts(frame: &Frame, is: AllocatorIs) -> bool {
    frame.in_allocator
        && (!is.shared || frame.entry || frame.function.as_deref().is_some_and(is_malloc_family))
}

/// Whose code a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Allocator,
    /// The C library, the loader, a language's runtime library: code that serves its caller.
    System,
    /// Every other code: the program, its libraries, what it interposes.
    Program,
    /// The kernel called a signal handler here.
    Signal,
}

pub(super) fn role(frame: &Frame, is: AllocatorIs) -> Role {
    if is_signal_frame(frame) {
        return Role::Signal;
    }
    if counts(frame, is) {
        return Role::Allocator;
    }
    if frame.function.as_deref() == Some("_start") {
        return Role::System;
    }
    if frame.dso.as_deref().is_some_and(is_system) { Role::System } else { Role::Program }
}

/// A function of the C library in which a thread starts.
pub(super) fn is_start(frame: &Frame) -> bool {
    let starts = ["start_thread", "clone", "__clone", "__clone3", "clone3", "thread_start"];
    let is = |f: &str| starts.contains(&f) || f.starts_with("__libc_start_");
    is_libc(frame) && frame.function.as_deref().is_none_or(is)
}

/// The frames without those of an allocator that starts the program's threads: it wraps `pthread_create` or
/// `main`, so its frame is the outermost one of every stack.
pub(super) fn without_start(frames: &[Frame], is: AllocatorIs) -> &[Frame] {
    let system = frames.iter().rev().take_while(|f| role(f, is) == Role::System).count();
    let own = frames.iter().rev().skip(system).take_while(|f| role(f, is) == Role::Allocator).count();
    let inner = &frames[..frames.len() - system - own];
    // Destructors of a thread, and functions at exit, are called on the way out: they are calls of the
    // allocator.
    let outer = &frames[frames.len() - system..];
    let starts = outer.first().is_some_and(is_start);
    // A thread of the allocator itself has no frame of the program.
    let program = inner.iter().any(|f| role(f, is) == Role::Program);
    if starts && own > 0 && program { inner } else { frames }
}
