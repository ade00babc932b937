//! Registers of threads that were in code which stands for an instruction of the allocator
//! ([`hangscope_protocol::stir`]): they become those that the thread would have without that code, so that
//! names and unwind tables fit.

use hangscope_protocol::stir::PatchedRecord;

use super::model::Probe;

/// Numbers of the stack pointer and of the instruction pointer among the registers of x86-64 (psABI, "DWARF
/// Register Number Mapping"). No other processor has such code.
const SP: usize = 7;
const PC: usize = 16;

/// Puts the registers and the stack of a thread right.
pub(super) fn put_right(patched: &[PatchedRecord], probe: &mut Probe) {
    let pc = probe.record.regs[PC];
    let Some((pc, displaced)) = patched.iter().find_map(|patched| patched.original(pc)) else { return };
    probe.record.regs[PC] = pc;
    probe.record.regs[SP] = probe.record.regs[SP].wrapping_add(displaced);
    // The bytes begin at the stack pointer.
    if probe.record.stack != 0 {
        probe.record.stack = probe.record.stack.wrapping_add(displaced);
        let gone = (displaced as usize).min(probe.stack.len());
        probe.stack.drain(..gone);
    }
}

#[cfg(test)]
mod tests {
    use hangscope_protocol::Record as _;
    use hangscope_protocol::record::ProbeRecord;

    use super::*;

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
            let record = ProbeRecord::get(&[0; ProbeRecord::SIZE]).expect("its bytes");
            let mut probe = Probe { record, stack: (0..200).collect() };
            (probe.record.regs[PC], probe.record.regs[SP], probe.record.stack) =
                (0x5000 + within, 0x9000 - displaced, 0x9000 - displaced);
            put_right(&patched, &mut probe);
            let regs = &probe.record.regs;
            assert_eq!((regs[PC], regs[SP], probe.record.stack), (place, 0x9000, 0x9000), "{within}");
            assert_eq!(u64::from(probe.stack[0]), displaced, "{within}");
            // Not twice.
            let once = probe.clone();
            put_right(&patched, &mut probe);
            assert_eq!(probe, once);
        }
    }
}
