//! Memory on the stack for a new environment. A child of vfork shares its parent's heap, and must leave
//! nothing there.

use core::ffi::c_char;

/// Bytes in lent memory.
pub(crate) struct Text<'a> {
    room: &'a mut [u8],
    used: usize,
}

impl<'a> Text<'a> {
    pub(crate) fn new(room: &'a mut [u8]) -> Text<'a> {
        Text { room, used: 0 }
    }

    /// False, and nothing is added, if there is no room.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> bool {
        let end = self.used.saturating_add(bytes.len());
        let Some(to) = self.room.get_mut(self.used..end) else { return false };
        to.copy_from_slice(bytes);
        self.used = end;
        true
    }

    pub(crate) fn len(&self) -> usize {
        self.used
    }

    /// What was pushed since it had this length.
    pub(crate) fn since(&self, len: usize) -> &[u8] {
        self.room.get(len..self.used).unwrap_or(&[])
    }
}

/// The largest room, words: 32 KiB of the stack. It takes an environment of some 4,000 entries. A thread with
/// the smallest stack that POSIX threads may have (16 KiB) takes one of some 1,000.
const MOST: usize = 4096;

/// Calls `run` with memory for so many pointers, and for so many bytes of text, all zero. None, without the
/// call, if that is more than a stack should give (32 KiB).
pub(crate) fn with<R>(
    pointers: usize,
    bytes: usize,
    run: impl FnOnce(&mut [*const c_char], &mut [u8]) -> R,
) -> Option<R> {
    let words = pointers.checked_add(bytes.div_ceil(size_of::<usize>()))?;
    Some(match words {
        0..=128 => sized::<128, R>(pointers, run),
        129..=256 => sized::<256, R>(pointers, run),
        257..=512 => sized::<512, R>(pointers, run),
        513..=1024 => sized::<1024, R>(pointers, run),
        1025..=2048 => sized::<2048, R>(pointers, run),
        2049..=MOST => sized::<MOST, R>(pointers, run),
        _ => return None,
    })
}

/// A function of its own for each size, so that a small environment takes a small frame.
#[inline(never)]
fn sized<const WORDS: usize, R>(
    pointers: usize,
    run: impl FnOnce(&mut [*const c_char], &mut [u8]) -> R,
) -> R {
    let mut words = [core::ptr::null::<c_char>(); WORDS];
    let (for_pointers, rest) = words.split_at_mut_checked(pointers).unwrap_or_default();
    // SAFETY: a null pointer is bytes of zero, which may be written as bytes; nobody reads them as pointers
    // again.
    let text = unsafe { core::slice::from_raw_parts_mut(rest.as_mut_ptr().cast::<u8>(), size_of_val(rest)) };
    run(for_pointers, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_what_was_asked_and_no_more_than_a_stack_gives() {
        for (pointers, bytes) in [(0, 0), (10, 900), (128, 0), (500, 90), (1, 4095 * 8), (4096, 0)] {
            let had = with(pointers, bytes, |p, text| {
                assert!(p.iter().all(|p| p.is_null()) && text.iter().all(|b| *b == 0));
                (p.len(), text.len())
            });
            let (p, text) = had.unwrap();
            assert!(p == pointers && text >= bytes, "{pointers} {bytes}: {p} {text}");
        }
        assert!(with(4097, 0, |_, _| ()).is_none() && with(1, usize::MAX, |_, _| ()).is_none());
    }
}
