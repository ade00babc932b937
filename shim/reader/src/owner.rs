//! Owners that futex words name.
//!
//! A list of threads can miss one: a thread that began after the list was read, or one whose neighbour ended
//! while it was read (the kernel finds its place again by counting). So an owner that no list has is asked
//! for by its id, after the word that names it was read. If there is no such thread, and the word names it
//! still, the owner has ended.

use hangscope_protocol::record::{NEAR_BEFORE, ThreadRecord};

use crate::memory::Memory;

/// Most owners of one look.
pub const MOST: usize = 16;

/// `PID_MAX_LIMIT` of the kernel on 64-bit machines.
const PID_MAX: u32 = 4 << 20;
const FUTEX_LOCK_PI: u32 = 6;
const FUTEX_LOCK_PI2: u32 = 13;
/// FUTEX_PRIVATE_FLAG and FUTEX_CLOCK_REALTIME.
const FLAGS: u32 = 0x180;
const FUTEX_WAITERS: u32 = 0x8000_0000;
const FUTEX_TID_MASK: u32 = 0x3fff_ffff;

/// A number beside a futex word that is the tid of an owner, if the word is of a lock that keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    pub owner: u32,
    /// Address of the futex word.
    pub word: u64,
    /// Offset of the number from the word, bytes.
    offset: u64,
    mask: u32,
}

impl Claim {
    /// Whether memory has the same number there now.
    pub fn stands<M: Memory>(&self, memory: &M) -> bool {
        let at = self.word.checked_add(self.offset);
        at.and_then(|at| memory.half(at)).is_some_and(|number| number & self.mask == self.owner)
    }
}

/// The claims of one look, each once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Claims {
    of: [Claim; MOST],
    len: usize,
}

impl Claims {
    /// Adds the claims of a futex wait whose memory was read. `wanted` says which owners are of interest.
    pub fn add(&mut self, t: &ThreadRecord, wanted: &dyn Fn(u32) -> bool) {
        let (command, expected) = (t.args[1] as u32 & !FLAGS, t.args[2] as u32);
        let inheriting = matches!(command, FUTEX_LOCK_PI | FUTEX_LOCK_PI2);
        // glibc: `__owner` of a mutex is at 8; `__cur_writer` of a read-write lock is at 24, and its words
        // are at 8 and 12.
        let places: &[(u64, u32)] = match expected {
            _ if inheriting || expected & FUTEX_WAITERS != 0 => &[(0, FUTEX_TID_MASK)],
            2 => &[(8, u32::MAX)],
            _ => &[(12, u32::MAX), (16, u32::MAX)],
        };
        for (offset, mask) in places {
            let claim =
                Claim { owner: near(t, *offset) & mask, word: t.args[0], offset: *offset, mask: *mask };
            let new = !self.each().iter().any(|c| (c.owner, c.word) == (claim.owner, claim.word));
            if (1..PID_MAX).contains(&claim.owner)
                && new
                && wanted(claim.owner)
                && let Some(slot) = self.of.get_mut(self.len)
            {
                *slot = claim;
                self.len += 1;
            }
        }
    }

    pub fn each(&self) -> &[Claim] {
        self.of.get(..self.len).unwrap_or(&[])
    }
}

/// The number at an offset from the futex word; 0 if that memory was not read.
fn near(t: &ThreadRecord, offset: u64) -> u32 {
    let from = NEAR_BEFORE + offset as usize;
    let bytes = t.near.get(from..from + 4).and_then(|bytes| bytes.try_into().ok());
    let valid = from >= usize::from(t.near_from) && from + 4 <= usize::from(t.near_to);
    bytes.filter(|_| valid).map_or(0, u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use hangscope_protocol::record::NEAR_LEN;

    use super::*;
    use crate::memory::pieces::Pieces;
    use crate::thread::EMPTY;

    const WORD: u64 = 0x1040;

    /// A wait, with numbers at offsets from its word.
    fn wait(op: u64, expected: u64, numbers: &[(u64, u32)]) -> ThreadRecord {
        let mut t = ThreadRecord { args: [WORD, op, expected, 0, 0, 0], near_to: NEAR_LEN as u16, ..EMPTY };
        for (offset, number) in numbers {
            let at = NEAR_BEFORE + *offset as usize;
            t.near[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        t
    }

    fn owners(t: &ThreadRecord) -> std::vec::Vec<u32> {
        let mut claims = Claims::default();
        claims.add(t, &|tid| tid != 5);
        claims.each().iter().map(|claim| claim.owner).collect()
    }

    #[test]
    fn locks_that_keep_their_owner_name_it() {
        assert_eq!(owners(&wait(0x80, 2, &[(0, 2), (8, 77), (12, 1), (16, 0)])), [77]);
        assert_eq!(owners(&wait(0x189, 2, &[(0, 2), (8, 77)])), [77]);
        assert_eq!(owners(&wait(0x86, 0, &[(0, 0xc000_004d)])), [77], "inheriting");
        assert_eq!(owners(&wait(0x80, 0x8000_004d, &[(0, 0x8000_004d), (8, 77)])), [77], "robust");
        assert_eq!(owners(&wait(0x189, 3, &[(0, 3), (16, 77)])), [77], "a writer of a read-write lock");
        assert_eq!(owners(&wait(0x80, 2, &[(8, 5)])), [], "in the list");
        assert_eq!(owners(&wait(0x80, 2, &[(8, 0xdead_beef)])), [], "no id");
        let unread = ThreadRecord { near_to: NEAR_BEFORE as u16 + 8, ..wait(0x80, 2, &[(8, 77)]) };
        assert_eq!(owners(&unread), []);
    }

    #[test]
    fn a_claim_is_kept_once_and_stands_while_memory_has_it() {
        let mut claims = Claims::default();
        for _ in 0..3 {
            claims.add(&wait(0x80, 2, &[(8, 77)]), &|_| true);
        }
        let [claim] = claims.each() else { panic!("{claims:?}") };
        let memory = |owner: u32| Pieces(std::vec![(WORD + 8, owner.to_le_bytes().to_vec())]);
        assert!(
            claim.stands(&memory(77)) && !claim.stands(&memory(0)) && !claim.stands(&Pieces(std::vec![]))
        );
        for owner in 1000..1100 {
            claims.add(&wait(0x80, 2, &[(8, owner)]), &|_| true);
        }
        assert_eq!(claims.each().len(), MOST);
    }
}
