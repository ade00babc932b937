//! `--fork-child`: a fork while the workers work, as a server does that forks to save its state.

use crate::args::Settings;
use crate::bench::{Bench, Totals};

/// Runs the benchmark, forks in mid-run, and waits for the child, which does the same work again with
/// threads of its own. A child that failed is a failure of the whole.
pub(crate) fn run(bench: &Bench, settings: &Settings) -> Result<Totals, String> {
    // Made before the fork, so that the child's main thread gets as far as its workers even where the
    // allocator's locks are in no state to be used.
    let again = Bench::prepare(&Settings { fork_child: false, ..settings.clone() });
    let mut child = None;
    let totals = bench.run(|| {
        child = Some(bench_fork(&again)?);
        Ok(())
    })?;
    match child {
        Some(child) => bench_wait_for_child(child).map(|()| totals),
        None => Err("the fork did not take place".to_owned()),
    }
}

#[inline(never)]
fn bench_fork(again: &Bench) -> Result<libc::pid_t, String> {
    // SAFETY: the child is a copy with this thread alone. It starts threads and allocates, which POSIX does
    // not promise to work after a fork with threads, but which glibc and allocators with fork handlers do;
    // that is what this mode is there to try. It leaves by `_exit`.
    match unsafe { libc::fork() } {
        -1 => Err(format!("fork: {}", std::io::Error::last_os_error())),
        0 => {
            let status = match again.run(|| Ok(())) {
                Ok(_) => 0,
                Err(what) => {
                    eprintln!("hangscope-bench: child: {what}");
                    1
                }
            };
            // SAFETY: always; the parent's buffers and handlers are not this process's to run.
            unsafe { libc::_exit(status) }
        }
        child => Ok(child),
    }
}

#[inline(never)]
fn bench_wait_for_child(child: libc::pid_t) -> Result<(), String> {
    let mut status = 0;
    // SAFETY: `status` is ours.
    while unsafe { libc::waitpid(child, &raw mut status, 0) } == -1 {
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(format!("waitpid {child}: {error}"));
        }
    }
    if status == 0 { Ok(()) } else { Err(format!("child {child} ended with wait status {status:#x}")) }
}
