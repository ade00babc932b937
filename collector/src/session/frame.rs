//! One frame of a stack, with names.

use serde::{Deserialize, Serialize};

/// One frame. An inlined function has a frame of its own, before the frame of the function that contains it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Address in the process: the return address, but for the innermost frame.
    pub pc: u64,
    /// Function, demangled; none where there is no symbol.
    pub function: Option<String>,
    /// Offset of `pc` in the function.
    pub(crate) offset: Option<u64>,
    /// Source file as in the debug information.
    pub file: Option<String>,
    pub line: Option<u32>,
    /// Path of the DSO without ` (deleted)`.
    pub dso: Option<String>,
    /// Offset of `pc` in the DSO.
    pub dso_offset: Option<u64>,
    /// Inlined into the function of the next frame.
    pub(crate) inlined: bool,
    /// Inside the allocator under test.
    pub in_allocator: bool,
    /// The caller called a function of the malloc family, and this is the frame of that function or of one
    /// that it jumped to.
    #[serde(default)]
    pub(crate) entry: bool,
    /// Canonical frame address: the stack pointer after the return of this frame. Inlined frames have
    /// the CFA of the function that contains them. The CFA and `pc` of the next frame identify one
    /// activation of a function.
    #[serde(default)]
    pub(crate) cfa: Option<u64>,
    /// Digest of values that change when this frame returns and its caller goes on: the stack's bytes from
    /// `cfa` to the CFA of the outermost frame, and the callee-saved registers at the return. Compare it
    /// only with digests of the same thread. None where bytes or registers are missing (of a blocked thread
    /// only those registers are known that an inner frame saved).
    #[serde(default)]
    pub(crate) kept: Option<u64>,
}

/// The name of a frame that the kernel made to call a signal handler (gdb's name for it).
pub(crate) const SIGNAL_FRAME: &str = "<signal handler called>";

pub(crate) fn is_signal_frame(frame: &Frame) -> bool {
    frame.function.as_deref() == Some(SIGNAL_FRAME)
}
