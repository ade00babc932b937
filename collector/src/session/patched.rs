//! Registers of threads that were in code which stands for an instruction of the allocator
//! ([`hangscope_protocol::stir`]): they become those that the thread would have without that code, so that
//! names and unwind tables fit.

use hangscope_protocol::record::ProbeRecord;
use hangscope_protocol::stir::PatchedRecord;

/// Numbers of the stack pointer and of the instruction pointer among the registers of x86-64 (psABI, "DWARF
/// Register Number Mapping"). No other processor has such code.
const SP: usize = 7;
const PC: usize = 16;

/// Puts the registers and the stack of a thread right.
pub(super) fn put_right(patched: &[PatchedRecord], record: &mut ProbeRecord, stack: &mut Vec<u8>) {
    let pc = record.regs[PC];
    let Some((pc, displaced)) = patched.iter().find_map(|patched| patched.original(pc)) else { return };
    record.regs[PC] = pc;
    record.regs[SP] = record.regs[SP].wrapping_add(displaced);
    // The bytes begin at the stack pointer.
    if record.stack != 0 {
        record.stack = record.stack.wrapping_add(displaced);
        stack.drain(..(displaced as usize).min(stack.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hangscope_protocol::Record as _;

    #[test]
    fn wherever_the_thread_was_in_the_code() {
        let patched =
            [PatchedRecord { code: 0x5000, len: 100, checks: [4, 44], patch: 0x100, at: 0x104, next: 0x10a }];
        // Offset in the code, place in the allocator, what the code has taken from the stack.
        for (within, place, displaced) in [
            (0, 0x100, 0),
            (4, 0x104, 0),
            (9, 0x104, 128),
            (10, 0x104, 136),
            (24, 0x104, 144),
            (30, 0x104, 128),
            (38, 0x104, 0),
            (44, 0x10a, 0),
            (59, 0x10a, 136),
            (78, 0x10a, 0),
            (99, 0x10a, 0),
        ] {
            let mut record = ProbeRecord::get(&[0; ProbeRecord::SIZE]).expect("its bytes");
            let mut stack: Vec<u8> = (0..200).collect();
            (record.regs[PC], record.regs[SP], record.stack) =
                (0x5000 + within, 0x9000 - displaced, 0x9000 - displaced);
            put_right(&patched, &mut record, &mut stack);
            assert_eq!((record.regs[PC], record.regs[SP], record.stack), (place, 0x9000, 0x9000), "{within}");
            assert_eq!(u64::from(stack[0]), displaced, "{within}");
            // Not twice.
            let once = (record, stack.clone());
            put_right(&patched, &mut record, &mut stack);
            assert_eq!((record, stack), once);
        }
    }
}
