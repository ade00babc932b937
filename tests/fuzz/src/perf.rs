//! Samples in a ring of `perf_event_open`.

use hangscope_reader::perf::{Event, Events, MOST_REGS, pieces};

pub fn any(bytes: &[u8]) {
    for mask in [0, 0x00ff_03ff, u64::MAX] {
        let mut events = 0;
        for event in Events::new(bytes, mask) {
            events += 1;
            if let Event::Sample(sample) = event {
                assert!(sample.regs.len() == MOST_REGS && sample.stack.len() < bytes.len());
            }
        }
        assert!(events <= bytes.len() / 8);
    }
    let word =
        |at: usize| bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u64::from_le_bytes(*b));
    let size = word(16) as usize % (1 << 20);
    if let Some([first, second]) = pieces(word(0), word(8), size) {
        assert!(first.end <= size && second.end <= size && first.len() + second.len() <= size);
    }
}
