//! The notes of a carrier: a small DSO that names the shim (DT_AUXILIARY) and an allocator (DT_FILTER), so
//! that one path in LD_PRELOAD brings both. `hangscope wrap` writes it.
//!
//! The dynamic section of a carrier begins with these two entries, in this order. Its image begins at address
//! 0 of the file. Both notes hold entries `NAME=value`, and each entry ends with a NUL.

/// Name of the notes' owner, with its NUL.
pub const OWNER: &[u8] = b"hangscope\0";
/// Type of the note with settings of the shim: the names are those of [`crate::variable`].
pub const SETTINGS: u32 = 0x4853_0001;
/// Type of the note that says what the carrier was made of, for the collector: the names are in [`made_of`].
pub const MADE_OF: u32 = 0x4853_0002;
/// Most bytes of the settings.
pub const MOST_SETTINGS: usize = 3072;

/// Names in the note of type [`MADE_OF`].
pub mod made_of {
    /// Short name of the allocator.
    pub const NAME: &str = "name";
    /// Path of the allocator's file that was pinned.
    pub const SOURCE: &str = "source";
    /// SHA-1 of the pinned allocator, hex.
    pub const ALLOCATOR_SHA1: &str = "allocator_sha1";
    /// SHA-1 of the shim, hex.
    pub const SHIM_SHA1: &str = "shim_sha1";
    /// Version of hangscope that wrote the carrier.
    pub const VERSION: &str = "version";
}
