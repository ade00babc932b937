//! `--fork-child`: forks while the workers run, like a server that forks to save its state.

use crate::args::Settings;
use crate::bench::{Bench, Totals};

/// Runs the benchmark, forks when it is half done, and waits for the child. The child does the same work
/// with its own threads. A failure of the child is a failure of the benchmark.
pub(crate) fn run(bench: &Bench, settings: &Settings) -> Result<Totals, String> {
    // The child's benchmark is prepared before the fork. The child can then start its workers even when the
    // fork left the allocator's locks unusable.
    let child_bench = Bench::prepare(&Settings { fork_child: false, ..settings.clone() });
    let mut child = None;
    let totals = bench.run(|| {
        child = Some(bench_fork(&child_bench)?);
        Ok(())
    })?;
    match child {
        Some(child) => bench_wait_for_child(child).map(|()| totals),
        None => Err("there was no fork".to_owned()),
    }
}

#[inline(never)]
fn bench_fork(child_bench: &Bench) -> Result<libc::pid_t, String> {
    // SAFETY: the child is a copy of the process with only this thread. The child starts threads and
    // allocates. POSIX does not allow this after a fork with threads, but glibc and allocators with fork
    // handlers support it, and this mode tests that support. The child leaves by `_exit`.
    match unsafe { libc::fork() } {
        -1 => Err(format!("fork: {}", std::io::Error::last_os_error())),
        0 => {
            let status = match child_bench.run(|| Ok(())) {
                Ok(_) => 0,
                Err(what) => {
                    eprintln!("hangscope-bench: child: {what}");
                    1
                }
            };
            // SAFETY: _exit has no preconditions. The exit handlers and buffers belong to the parent.
            unsafe { libc::_exit(status) }
        }
        child => Ok(child),
    }
}

#[inline(never)]
fn bench_wait_for_child(child: libc::pid_t) -> Result<(), String> {
    let mut status = 0;
    // SAFETY: `status` is a local variable that waitpid may write.
    while unsafe { libc::waitpid(child, &raw mut status, 0) } == -1 {
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(format!("waitpid {child}: {error}"));
        }
    }
    if status == 0 { Ok(()) } else { Err(format!("child {child} ended with wait status {status:#x}")) }
}
