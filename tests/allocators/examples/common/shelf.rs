//! The lists of free blocks: what the central part and the hooks of a fault both see.

/// A free block. Its first word points to the next free block.
#[repr(C)]
pub(crate) struct Node {
    pub(crate) next: *mut Node,
}

/// The free blocks of one bucket. The block that was freed last comes first.
pub(crate) struct Shelf {
    pub(crate) head: *mut Node,
    pub(crate) count: usize,
}
