//! An ELF image in memory, as the loader left it: 64-bit, little-endian.
//!
//! Nothing is dereferenced and no loader function is called. An image whose file was truncated is an error
//! and not a SIGBUS, and no loader lock is taken. Structures and numbers are those of the crate `object`.
//!
//! - [`headers`]: program headers, load bias
//! - [`dynamic`]: the dynamic section
//! - [`notes`]: a note by its owner and type
//! - [`build_id`]: the build-id among the notes
//! - [`symbols`]: symbol search by the GNU or the SysV hash table
//! - [`relocation`]: a word that the loader wrote

pub mod build_id;
pub mod dynamic;
pub mod headers;
pub mod notes;
pub mod relocation;
pub mod symbols;

pub use build_id::BuildId;
pub use dynamic::Dynamic;
pub use headers::Headers;

use crate::memory::Memory;

/// What the headers of an image say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// Load bias: what is added to an address of the file.
    pub bias: u64,
    pub build_id: BuildId,
    /// Address of a word that the loader relocated and nobody writes later; 0 if there is none.
    pub got_addr: u64,
}

/// Reads the image whose file begins at address `start`. `None` if no ELF image is there.
pub fn image(memory: &impl Memory, start: u64) -> Option<Image> {
    let headers = Headers::read(memory, start)?;
    let dynamic = headers.dynamic().map(|at| Dynamic::read(memory, at, headers.bias));
    let word = dynamic.and_then(|d| relocation::relocated_word(memory, &headers, &d));
    Some(Image { bias: headers.bias, build_id: BuildId::of(memory, &headers), got_addr: word.unwrap_or(0) })
}

#[cfg(test)]
mod tests;
