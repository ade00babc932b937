//! All that is particular to a processor. A port is one file beside `x86_64.rs` with the same items.

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::*;

#[cfg(not(target_arch = "x86_64"))]
compile_error!(
    "hangscope's shim knows x86-64; another processor needs a file in shim/src/arch with the items of x86_64.rs"
);
