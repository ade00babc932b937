//! The functions of a DSO, decoded. Their bounds come from the unwind tables, which compilers write for every
//! function: nothing else in the code is taken for instructions.

use std::collections::HashSet;

use gimli::{BaseAddresses, CieOrFde, EhFrame, EndianSlice, LittleEndian, UnwindSection as _};
use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction};
use object::read::elf::ElfFile64;
use object::{Architecture, Object as _, ObjectSection as _, ObjectSegment as _};

/// Why there is no code to look at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoCode {
    #[error("not a 64-bit ELF file: {0}")]
    NotElf(String),
    /// Only x86-64 code can be replaced.
    #[error("its code is not for x86-64")]
    Machine,
    #[error("it has no unwind tables (.eh_frame)")]
    NoTables,
    /// A thread that leaves such a sequence in its middle is not noticed by the kernel (rseq(2)).
    #[error("it has restartable sequences (rseq), which must not be left in their middle")]
    Restartable,
}

/// A function whose bytes are all instructions.
pub(crate) struct Function {
    pub(crate) instructions: Vec<Instruction>,
    /// Whether every place in it that follows other code and can be jumped to is known: it has no jump through a
    /// register or a table of places. (A jump through one word of the file's own is that to another function, by
    /// the table of addresses that the loader fills. An exception lands only at code that nothing falls into: a landing pad has no other
    /// predecessors, LLVM "Exception Handling", GCC "EH Lowering".)
    pub(crate) targets_are_known: bool,
}

pub(crate) struct Code<'f> {
    pub(crate) functions: Vec<Function>,
    /// Addresses that direct jumps and calls of any function go to.
    pub(crate) targets: HashSet<u64>,
    file: ElfFile64<'f>,
}

impl<'f> Code<'f> {
    /// Decodes the functions of a file.
    pub(crate) fn read(bytes: &'f [u8]) -> Result<Self, NoCode> {
        let file = ElfFile64::parse(bytes).map_err(|e| NoCode::NotElf(e.to_string()))?;
        if file.architecture() != Architecture::X86_64 {
            return Err(NoCode::Machine);
        }
        if file.section_by_name("__rseq_cs").is_some() {
            return Err(NoCode::Restartable);
        }
        let ranges = ranges(&file).filter(|ranges| !ranges.is_empty()).ok_or(NoCode::NoTables)?;
        let mut code = Code { functions: vec![], targets: HashSet::new(), file };
        for range in ranges {
            let Some(bytes) = code.bytes(range.start, range.len) else { continue };
            let Some(function) = Function::decode(bytes, &range) else { continue };
            let jumps = function.instructions.iter().filter(|i| i.is_jmp_short_or_near() || is_direct(i));
            code.targets.extend(jumps.map(Instruction::near_branch_target));
            code.functions.push(function);
        }
        Ok(code)
    }

    /// Bytes at an address of the file; `None` if they are not all in one segment.
    pub(crate) fn bytes(&self, address: u64, len: u64) -> Option<&'f [u8]> {
        self.file.segments().find_map(|segment| segment.data_range(address, len).ok().flatten())
    }
}

/// A jump or call whose target is in the instruction.
fn is_direct(instruction: &Instruction) -> bool {
    matches!(
        instruction.flow_control(),
        FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch | FlowControl::Call
    )
}

/// Where a function is.
struct Range {
    start: u64,
    len: u64,
}

/// The functions of the unwind tables, by address, without overlaps.
fn ranges(file: &ElfFile64<'_>) -> Option<Vec<Range>> {
    let section = file.section_by_name(".eh_frame")?;
    let address = |name| file.section_by_name(name).map(|section| section.address());
    let mut bases = BaseAddresses::default().set_eh_frame(section.address());
    if let Some(text) = address(".text") {
        bases = bases.set_text(text);
    }
    if let Some(got) = address(".got") {
        bases = bases.set_got(got);
    }
    let tables = EhFrame::from(EndianSlice::new(section.data().ok()?, LittleEndian));
    let mut entries = tables.entries(&bases);
    let mut ranges = vec![];
    while let Ok(Some(entry)) = entries.next() {
        let CieOrFde::Fde(partial) = entry else { continue };
        if let Ok(fde) = partial.parse(EhFrame::cie_from_offset) {
            let (start, len) = (fde.initial_address(), fde.len());
            ranges.push(Range { start, len });
        }
    }
    ranges.sort_by_key(|range| range.start);
    let end = |range: &Range| range.start.saturating_add(range.len);
    // Tables that overlap are not those of a compiler.
    let overlaps = ranges.windows(2).any(|pair| end(&pair[0]) > pair[1].start);
    (!overlaps).then_some(ranges)
}

impl Function {
    /// `None` if the bytes are not all instructions.
    fn decode(bytes: &[u8], range: &Range) -> Option<Function> {
        let mut decoder = Decoder::with_ip(64, bytes, range.start, DecoderOptions::NONE);
        let mut instructions = vec![];
        while decoder.can_decode() {
            let instruction = decoder.decode();
            if instruction.is_invalid() {
                return None;
            }
            instructions.push(instruction);
        }
        let is_anywhere = |i: &Instruction| {
            i.flow_control() == FlowControl::IndirectBranch && !i.is_ip_rel_memory_operand()
        };
        let jumps_anywhere = instructions.iter().any(is_anywhere);
        Some(Function { instructions, targets_are_known: !jumps_anywhere })
    }
}
