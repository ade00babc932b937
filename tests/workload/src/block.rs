//! A block from the process's `malloc`, with a tag that shows whether another thread wrote into it.

use std::io::Write;
use std::ptr::NonNull;

/// A block of memory with one owner at a time. Only [`Block::check_and_free`] frees the memory.
/// Dropping the value leaks the memory.
pub(crate) struct Block {
    start: NonNull<u8>,
    size: usize,
}

// SAFETY: a block is plain memory with one owner, and `malloc` memory may be used and freed by any thread.
unsafe impl Send for Block {}

/// The tag of a block. Its bytes fill the first eight bytes of the block, or as many as fit. The eighth byte
/// of the tag is also the last byte of the block.
fn tag(start: NonNull<u8>, size: usize) -> u64 {
    (start.as_ptr() as u64 ^ (size as u64) << 48).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
}

impl Block {
    /// Allocates `size` bytes (1 or more) and writes the tag.
    pub(crate) fn allocate(size: usize) -> Result<Block, String> {
        // SAFETY: malloc may be called with any size.
        let raw = unsafe { libc::malloc(size) }.cast::<u8>();
        let start = NonNull::new(raw).ok_or_else(|| format!("malloc({size}) failed"))?;
        let tag = tag(start, size).to_ne_bytes();
        // SAFETY: the block has `size` bytes, which is at least 1; both writes stay within them.
        unsafe {
            start.copy_from_nonoverlapping(NonNull::from(&tag).cast(), size.min(tag.len()));
            start.add(size - 1).write(tag[7]);
        }
        Ok(Block { start, size })
    }

    /// Checks the tag and frees the block. A damaged tag aborts the
    /// process, because no later figure of the benchmark could be trusted.
    pub(crate) fn check_and_free(self) {
        if !self.is_whole() {
            report_corrupt(self.start, self.size);
        }
        // The tag is cleared first. If malloc gave the same block to two owners, the second free finds it.
        // SAFETY: the block has at least one byte, and it is ours until the call to free below.
        unsafe { self.start.write(0) };
        // SAFETY: the block came from malloc, and `self` was its only owner.
        unsafe { libc::free(self.start.as_ptr().cast()) };
    }

    fn is_whole(&self) -> bool {
        let expected = tag(self.start, self.size).to_ne_bytes();
        let mut found = [0_u8; 8];
        let length = self.size.min(found.len());
        // SAFETY: both reads stay within the `size` bytes of the block.
        let last = unsafe {
            NonNull::from(&mut found).cast::<u8>().copy_from_nonoverlapping(self.start, length);
            self.start.add(self.size - 1).read()
        };
        let whole_head = if self.size < found.len() {
            // The last byte of the block overwrote the last byte of the head.
            found[..length - 1] == expected[..length - 1]
        } else {
            // In a block of exactly eight bytes, the last byte of the head is the last byte of the block.
            found == expected
        };
        whole_head && last == expected[7]
    }
}

/// Writes one line to stderr and aborts. Allocates nothing, because the allocator may be broken.
#[inline(never)]
fn report_corrupt(start: NonNull<u8>, size: usize) -> ! {
    let mut text = [0_u8; 160];
    let mut rest = &mut text[..];
    // The buffer has room for the text and two numbers. A truncated line would still be useful.
    let _ = writeln!(
        rest,
        "hangscope-bench: block {start:p} of {size} bytes is corrupt: the allocator is broken"
    );
    let length = 160 - rest.len();
    // SAFETY: the buffer is ours and `length` bytes of it are written.
    unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), length) };
    // SAFETY: abort has no preconditions.
    unsafe { libc::abort() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_touched_block_is_not_whole() {
        for size in [1, 2, 7, 8, 9, 16, 4096] {
            for at in [0, size / 2, size - 1] {
                let block = Block::allocate(size).expect("memory");
                assert!(block.is_whole(), "{size}");
                // SAFETY: `at` is below `size`.
                unsafe { block.start.add(at).write(!block.start.add(at).read()) };
                let tagged = at < 8 || at == size - 1;
                assert_eq!(block.is_whole(), !tagged, "size {size}, byte {at}");
                // SAFETY: the block came from malloc and is not used again.
                unsafe { libc::free(block.start.as_ptr().cast()) };
            }
        }
    }

    #[test]
    fn two_blocks_do_not_share_a_tag() {
        let (a, b) = (Block::allocate(64).expect("memory"), Block::allocate(64).expect("memory"));
        assert_ne!(tag(a.start, 64), tag(b.start, 64));
        assert_ne!(tag(a.start, 64), tag(a.start, 65));
        a.check_and_free();
        b.check_and_free();
    }
}
