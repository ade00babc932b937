//! Samples of `perf_event_open`: which bytes of a ring are new, and what records they hold
//! (perf_event_open(2), "MMAP layout").
//!
//! A sample has what [`FIELDS`] names: the address, process and thread, the time, the user's registers, and
//! the top of the user's stack.

use core::ops::Range;

/// `sample_type`: PERF_SAMPLE_IP, _TID, _TIME, _REGS_USER, _STACK_USER.
pub const FIELDS: u64 = 1 | 1 << 1 | 1 << 2 | 1 << 12 | 1 << 13;
/// Bytes of a sample beside its registers and its stack: header, address, ids, time, kind of registers, and
/// the two lengths of the stack.
pub const HEAD: usize = 8 * 7;
/// Most registers in a sample: aarch64 has 33.
pub const MOST_REGS: usize = 33;

/// PERF_RECORD_LOST and PERF_RECORD_SAMPLE.
const LOST: u32 = 2;
const SAMPLE: u32 = 9;

/// A record of a ring. Records of other kinds are passed over.
#[expect(clippy::large_enum_variant, reason = "there is no heap, and a record lives for a moment")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    Sample(Sample<'a>),
    /// The ring was full: so many samples were lost.
    Lost(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample<'a> {
    pub tid: u32,
    /// By the clock of the event, ns.
    pub time_ns: u64,
    /// In the kernel's order, those of the mask.
    pub regs: [u64; MOST_REGS],
    /// From the stack pointer upwards.
    pub stack: &'a [u8],
}

/// The bytes between two positions of a ring of `size` bytes, in two pieces: the second is empty where they
/// do not go beyond the end. Positions only grow. `None` if they cannot be right.
pub fn pieces(tail: u64, head: u64, size: usize) -> Option<[Range<usize>; 2]> {
    let new = usize::try_from(head.checked_sub(tail)?).ok().filter(|new| *new <= size)?;
    let at = usize::try_from(tail.checked_rem(size as u64)?).ok()?;
    let first = new.min(size - at);
    Some([at..at + first, 0..new - first])
}

/// The records in bytes that were taken out of a ring. What is cut off ends them.
#[derive(Clone, Debug)]
pub struct Events<'a> {
    rest: &'a [u8],
    regs: usize,
}

impl<'a> Events<'a> {
    /// `mask` as the event was opened with it: the registers of a sample.
    pub fn new(bytes: &'a [u8], mask: u64) -> Events<'a> {
        Events { rest: bytes, regs: (mask.count_ones() as usize).min(MOST_REGS) }
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Event<'a>;

    fn next(&mut self) -> Option<Event<'a>> {
        loop {
            let head = word(self.rest, 0)?;
            let size = (head >> 48) as usize;
            let record = self.rest.get(..size).filter(|r| r.len() >= 8)?;
            self.rest = self.rest.get(size..)?;
            let event = match head as u32 {
                SAMPLE => sample(record, self.regs).map(Event::Sample),
                // The id of the event comes first.
                LOST => word(record, 16).map(Event::Lost),
                _ => None,
            };
            if event.is_some() {
                return event;
            }
        }
    }
}

/// None for a sample without the user's registers: of a thread of the kernel, or one that is about to end.
fn sample(record: &[u8], count: usize) -> Option<Sample<'_>> {
    let (ids, time_ns, abi) = (word(record, 16)?, word(record, 24)?, word(record, 32)?);
    if abi == 0 {
        return None;
    }
    let mut regs = [0; MOST_REGS];
    for (i, reg) in regs.iter_mut().take(count).enumerate() {
        *reg = word(record, 40 + 8 * i)?;
    }
    let at = 40 + 8 * count;
    let room = usize::try_from(word(record, at)?).ok()?;
    let stack = match room {
        0 => &[],
        _ => {
            let stack = record.get(at + 8..)?.get(..room)?;
            // How much of the room was filled comes behind it.
            let filled = usize::try_from(word(record, at + 8 + room)?).ok()?;
            stack.get(..filled)?
        }
    };
    Some(Sample { tid: (ids >> 32) as u32, time_ns, regs, stack })
}

/// The kernel writes numbers in the order of the machine.
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|word| u64::from_ne_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: u64 = 0b111;

    fn bytes(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|w| w.to_ne_bytes()).collect()
    }

    /// A sample of three registers, whose stack has room for 16 bytes.
    fn record(tid: u64, filled: u64) -> Vec<u8> {
        let words = [0, 0x1000, tid << 32 | 7, 50, 2, 1, 2, 3, 16, 0xaaaa, 0xbbbb, filled];
        let mut record = bytes(&words);
        let size = record.len() as u64;
        record[..8].copy_from_slice(&(u64::from(SAMPLE) | size << 48).to_ne_bytes());
        record
    }

    fn lost(count: u64) -> Vec<u8> {
        bytes(&[u64::from(LOST) | 24 << 48, 5, count])
    }

    fn tids(bytes: &[u8]) -> Vec<u32> {
        let tid = |event| match event {
            Event::Sample(sample) => sample.tid,
            Event::Lost(_) => 0,
        };
        Events::new(bytes, MASK).map(tid).collect()
    }

    #[test]
    fn a_sample_has_registers_and_the_filled_part_of_its_stack() {
        let record = record(9, 8);
        assert_eq!(record.len(), HEAD + 8 * 3 + 16);
        let mut events = Events::new(&record, MASK);
        let Some(Event::Sample(sample)) = events.next() else { panic!("a sample") };
        assert_eq!((sample.tid, sample.time_ns, &sample.regs[..4]), (9, 50, &[1, 2, 3, 0][..]));
        assert_eq!(sample.stack, 0xaaaau64.to_ne_bytes());
        assert_eq!(events.next(), None);
    }

    #[test]
    fn other_records_are_passed_over_and_losses_are_told() {
        let throttle = bytes(&[5 | 16 << 48, 1]);
        let all = [throttle, record(1, 16), lost(3), record(2, 16)].concat();
        assert_eq!(tids(&all), [1, 0, 2]);
        assert!(Events::new(&all, MASK).any(|e| e == Event::Lost(3)));
    }

    #[test]
    fn records_that_go_beyond_the_end_of_the_ring_are_put_together() {
        let all = [record(1, 16), record(2, 16), lost(1), record(3, 0)].concat();
        let size = 512;
        // Each place in the ring for the first record.
        for tail in (0..4 * size as u64).step_by(8) {
            let mut ring = vec![0xee; size];
            for (i, byte) in all.iter().enumerate() {
                ring[(tail as usize + i) % size] = *byte;
            }
            let [a, b] = pieces(tail, tail + all.len() as u64, size).expect("they fit");
            assert_eq!(tids(&[&ring[a], &ring[b]].concat()), [1, 2, 0, 3], "{tail}");
        }
    }

    #[test]
    fn positions_that_cannot_be_right() {
        assert_eq!(pieces(8, 0, 64), None);
        assert_eq!(pieces(0, 65, 64), None);
        assert_eq!(pieces(0, 8, 0), None);
        assert_eq!(pieces(u64::MAX - 7, u64::MAX, 64), Some([56..63, 0..0]));
        assert_eq!(pieces(64, 128, 64), Some([0..64, 0..0]));
    }

    /// Whatever the bytes are, nothing is read outside them, and the end is reached.
    #[test]
    fn broken_records_end_the_list() {
        let good = [record(1, 16), lost(2), record(3, 16)].concat();
        for cut in 0..good.len() {
            assert!(tids(&good[..cut]).len() <= 3);
        }
        for at in 0..good.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut broken = good.clone();
                broken[at] = value;
                assert!(tids(&broken).len() <= good.len() / 8);
            }
        }
        assert_eq!(tids(&[0; 64]), []);
        assert_eq!(tids(&record(1, 17)), []);
    }
}
