//! What the shim says on its socket, and what it can be asked: records and framing.
//!
//! `no_std`, no allocation: the shim encodes into a buffer that it lends, the collector decodes from the
//! bytes that it received. Both sides use these very definitions, so they cannot drift apart; a layout
//! change moves [`VERSION`].
//!
//! The socket is `AF_UNIX`, `SOCK_SEQPACKET`: one frame is one message, so a frame arrives whole or not at
//! all, and a full socket never leaves half a frame behind. A frame is a [`Header`] and a payload of at most
//! [`MAX_PAYLOAD`] bytes. All numbers are little-endian.
//!
//! - [`frame`]: the header and the kinds of frame
//! - [`record`]: the records that payloads are made of
//! - [`duration`]: durations as people write them in settings of either side
//! - [`variable`]: the environment variables that the shim reads
//! - [`stir`]: threads held at synchronisation operations
//! - [`random`]: random numbers from a seed
//! - [`carrier`]: the notes of a DSO that brings the shim and an allocator
//! - [`encode`], [`decode`]: a writer over a lent buffer, a reader over received bytes
//! - [`layout`]: the macro that makes both from one definition, and the compile-time size checks
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![expect(missing_docs, reason = "a name that says it all has no comment")]

/// Items of the shim that must not meet `std`. Refuses to compile where the collector is built in the same
/// call.
///
/// The shim is `no_std`. Cargo unifies the features of all that is built in one call: the collector's `std`
/// in rustix, bitflags, once_cell and object would reach the shim, and `std` has a panic handler and an
/// allocator of its own. The collector alone switches on `serde` of this crate, so that feature tells.
#[cfg(feature = "serde")]
#[macro_export]
macro_rules! built_alone {
    ($($item:item)*) => {
        compile_error!(
            "the shim is built alone, so that it gets no std from the other crates: run ./scripts/build.sh, \
             or cargo build --profile shim -p hangscope-shim (and cargo build --workspace --exclude hangscope-shim for the others)"
        );
    };
}
#[cfg(not(feature = "serde"))]
#[macro_export]
#[doc(hidden)]
macro_rules! built_alone {
    ($($item:item)*) => {
        $($item)*
    };
}

pub mod carrier;
pub mod decode;
pub mod duration;
pub mod encode;
pub mod frame;
pub mod layout;
pub mod random;
pub mod record;
pub mod stir;
pub mod variable;

pub use decode::{Malformed, Reader};
pub use encode::{Full, Writer};
pub use frame::{HEADER_LEN, Header, Kind, MAGIC, MAX_FRAME, MAX_PAYLOAD, VERSION};
pub use layout::Record;

#[cfg(test)]
mod tests;
