//! DSOs: the snapshot from init, later looks, the allocator's bytes.

use crate::layout::record;

/// Bits of [`DsoRecord::flags`].
pub mod dso_flags {
    /// The main program: the target of `/proc/self/exe`.
    pub const EXECUTABLE: u32 = 1;
    pub const ALLOCATOR: u32 = 2;
    pub const SHIM: u32 = 4;
    /// Provides the `malloc` that comes first in symbol order.
    pub const PROVIDES_MALLOC: u32 = 8;
    /// Its line in maps said `(deleted)` at init.
    pub const DELETED_AT_INIT: u32 = 16;
    /// At init the file at its path was the mapped one (same device and inode, or, on file systems where
    /// maps shows other numbers than stat, the same first page).
    pub const SAME_FILE_AT_INIT: u32 = 32;
}

record! {
    /// A mapped DSO as it was at init. Path goes with it. `stat` fields are 0 if `errno` is not.
    pub struct DsoRecord {
        /// Index of the DSO in the snapshot, from 0.
        pub id: u32,
        /// Bits of [`dso_flags`], combined.
        pub flags: u32,
        /// First address of its first mapping.
        pub start: u64,
        /// First address after its last mapping.
        pub end: u64,
        /// Load bias: what is added to an address of the file.
        pub bias: u64,
        /// Inode number as maps shows it.
        pub map_ino: u64,
        /// Device that maps shows (`major << 32 | minor`).
        pub map_dev: u64,
        /// `stat` of the path: device (`major << 32 | minor`, as `map_dev`).
        pub dev: u64,
        pub ino: u64,
        pub size: u64,
        /// Modification time, ns since the epoch.
        pub mtime_ns: i64,
        /// Change time, ns since the epoch.
        pub ctime_ns: i64,
        /// Number of hard links to the file.
        pub nlink: u32,
        pub mode: u32,
        pub uid: u32,
        /// Why `stat` failed, 0 if it did not.
        pub errno: u32,
        /// A word that the loader relocated (in RELRO, so that nobody writes it later), 0 if none.
        pub got_addr: u64,
        /// Value of the word at `got_addr`.
        pub got_value: u64,
        pub build_id: [u8; 32],
        /// Its length, 0 if there is none.
        pub build_id_len: u32,
        pub reserved: u32,
    }
}

/// Values of [`DsoNowRecord::maps_deleted`].
pub mod maps_deleted {
    /// maps was not looked at this time.
    pub const NOT_SEEN: u32 = 0;
    /// No `(deleted)` on its lines.
    pub const NO: u32 = 1;
    /// `(deleted)` on at least one of them.
    pub const YES: u32 = 2;
    /// No line of maps names it any more.
    pub const GONE: u32 = 3;
}

record! {
    /// A later look at a DSO. `path_*` is a fresh stat of its path, `fd_*` of the descriptor kept since init.
    pub struct DsoNowRecord {
        /// The same as `id` of the [`DsoRecord`].
        pub id: u32,
        /// One of the values of [`maps_deleted`].
        pub maps_deleted: u32,
        /// Why the stat of the path failed (2: the file is gone), 0 if it did not.
        pub path_errno: u32,
        /// Why there is no fstat, 0 if there is one.
        pub fd_errno: u32,
        pub path_dev: u64,
        pub path_ino: u64,
        pub path_size: u64,
        /// Modification time at the path, ns since the epoch.
        pub path_mtime_ns: i64,
        /// Change time at the path, ns since the epoch.
        pub path_ctime_ns: i64,
        pub path_nlink: u32,
        pub path_mode: u32,
        pub fd_nlink: u32,
        pub path_uid: u32,
        /// Change time of the mapped file.
        pub fd_ctime_ns: i64,
        /// Value of the word at `got_addr` now.
        pub got_value: u64,
        /// Why it could not be read (14, EFAULT: its page is gone), 0 if it could.
        pub got_errno: u32,
        /// Length of the build-id in memory now; 0 if it could not be read.
        pub build_id_len: u32,
        pub build_id: [u8; 32],
        pub fd_size: u64,
        pub reserved: u64,
    }
}

/// Values of [`CopyRecord::source`].
pub mod copy_source {
    /// A copy of the file that is mapped.
    pub const COPY_OF_FILE: u32 = 1;
    /// A copy from memory, because the file was not to be had. Relocated words are as the loader left them.
    pub const MEMORY: u32 = 2;
    /// The file that is mapped itself. When it was sent, its change time was that of the
    /// [`DsoRecord`](super::DsoRecord).
    pub const FILE_ITSELF: u32 = 3;
}

record! {
    /// The bytes of the allocator, in the descriptor that comes with this message.
    pub struct CopyRecord {
        /// The same as `id` of the [`DsoRecord`].
        pub id: u32,
        /// One of the values of [`copy_source`].
        pub source: u32,
        /// Number of bytes in the file of the descriptor.
        pub size: u64,
        pub took_ns: u64,
    }
}

impl DsoRecord {
    /// The build-id; empty if there is none.
    pub fn build_id_bytes(&self) -> &[u8] {
        self.build_id.get(..self.build_id_len as usize).unwrap_or(&self.build_id)
    }
}

impl DsoNowRecord {
    /// The build-id in memory; empty if it could not be read.
    pub fn build_id_bytes(&self) -> &[u8] {
        self.build_id.get(..self.build_id_len as usize).unwrap_or(&self.build_id)
    }
}
