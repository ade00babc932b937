//! Where a run crashed.

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use crate::session::trace::{Frame, ThreadTrace};

/// What the crash record of the shim shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CrashFacts {
    /// File in OUT with the registers and the stack: `run_8.crash.txt`.
    pub(crate) file: String,
    pub(crate) pid: u32,
    pub(crate) tid: u32,
    pub(crate) signal: i32,
    /// `si_code` (sigaction(2)).
    pub(crate) code: i32,
    /// The address that could not be accessed or executed (`si_addr`), hex; none for a signal that was sent.
    pub(crate) address: Option<String>,
    /// The innermost function that is not the C library's.
    pub(crate) function: Option<String>,
    /// `file:line` of it.
    pub(crate) source: Option<String>,
    /// Whether that function is the allocator's; none: there is no stack.
    pub(crate) in_allocator: Option<bool>,
    /// The stack reaches the start of the thread.
    pub(crate) whole: bool,
}

impl CrashFacts {
    /// With the place that this stack shows.
    pub(crate) fn at(mut self, trace: &ThreadTrace) -> CrashFacts {
        let place = place(&trace.frames);
        self.function = place.and_then(|frame| frame.function.clone());
        self.source = place.and_then(super::class::source);
        self.in_allocator = place.map(|frame| frame.in_allocator);
        self.whole = !trace.truncated;
        self
    }
}

/// `SIGSEGV`; `signal 40` where the number has no name.
pub(crate) fn signal_name(signal: i32) -> String {
    Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |signal| signal.as_str().to_owned())
}

/// The frame that a crash is named after: the innermost one outside the libraries that report an error or
/// copy memory for their caller. If there is no such frame, the innermost one.
fn place(frames: &[Frame]) -> Option<&Frame> {
    // What a handler of the program did after the crash is not the crash.
    let handled = frames.iter().rposition(|f| f.function.as_deref() == Some("<signal handler called>"));
    let frames =
        handled.and_then(|at| frames.get(at + 1..)).filter(|rest| !rest.is_empty()).unwrap_or(frames);
    frames.iter().find(|frame| !is_helper(frame)).or(frames.first())
}

fn is_helper(frame: &Frame) -> bool {
    const LIBRARIES: [&str; 8] =
        ["libc.so", "libc-", "libpthread", "ld-linux", "libm.so", "libstdc++", "libgcc_s", "[vdso]"];
    const FUNCTIONS: [&str; 6] = [
        "std::panicking",
        "core::panicking",
        "std::process::abort",
        "__rust",
        "rust_",
        "std::sys::backtrace",
    ];
    let library = frame.dso.as_deref().is_some_and(|dso| {
        let name = dso.rsplit('/').next().unwrap_or(dso);
        LIBRARIES.iter().any(|library| name.starts_with(library))
    });
    let function = frame.function.as_deref().is_some_and(|f| FUNCTIONS.iter().any(|own| f.starts_with(own)));
    !frame.in_allocator && (library || function)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str, dso: &str, in_allocator: bool) -> Frame {
        let (function, dso) = (Some(function.to_owned()), Some(dso.to_owned()));
        Frame { function, dso, in_allocator, ..Frame::default() }
    }

    #[test]
    fn a_crash_is_named_after_the_function_that_called_the_library() {
        let frames = [
            frame("raise", "/lib/libc.so.6", false),
            frame("abort", "/lib/libc.so.6", false),
            frame("hz4_fail", "/x/libhz4.so", true),
            frame("main", "/x/bench", false),
        ];
        let named = |frames: &[Frame]| place(frames).and_then(|frame| frame.function.clone());
        assert_eq!(named(&frames).as_deref(), Some("hz4_fail"));
        assert_eq!(named(&frames[..2]).as_deref(), Some("raise"));
        assert_eq!(named(&[]), None);
        let mut handled = frames.to_vec();
        handled.insert(0, frame("<signal handler called>", "/lib/libc.so.6", false));
        handled.insert(0, frame("print_and_die", "/x/bench", false));
        assert_eq!(named(&handled).as_deref(), Some("hz4_fail"));
        // The C library is the allocator under test.
        assert_eq!(named(&[frame("free", "/lib/libc.so.6", true)]).as_deref(), Some("free"));
        assert_eq!((signal_name(11), signal_name(40)), ("SIGSEGV".into(), "signal 40".into()));
    }
}
