//! The functions of a DSO, decoded. Their bounds come from the unwind tables, which compilers write for every
//! function: nothing else in the code is taken for instructions.

use std::collections::BTreeSet;
use std::ops::Range;

use gimli::{BaseAddresses, CieOrFde, EhFrame, EndianSlice, LittleEndian, UnwindSection as _};
use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic};
use object::read::elf::ElfFile64;
use object::{
    Architecture, Object as _, ObjectSection as _, ObjectSegment as _, ObjectSymbol as _, RelocationTarget,
};

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
    /// Whether every place in it that follows other code and can be jumped to is known: it has no jump
    /// through a register or a table of places. (A jump through one word of the file's own is that to another
    /// function, by the table of addresses that the loader fills. An exception lands only at code that
    /// nothing falls into: a landing pad has no other predecessors, LLVM "Exception Handling", GCC "EH
    /// Lowering".)
    pub(crate) targets_are_known: bool,
}

pub(crate) struct Code<'f> {
    pub(crate) functions: Vec<Function>,
    /// Addresses that may be jumped to or called: those in jumps and calls of any function, in tables of
    /// places, of symbols, and whatever else has the address of code taken.
    targets: BTreeSet<u64>,
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
        let mut code = Code { functions: vec![], targets: named(&file), file };
        for range in &ranges {
            let Some(bytes) = code.bytes(range.start, range.end - range.start) else { continue };
            let (function, is_whole) = Function::decode(bytes, range);
            for instruction in &function.instructions {
                if is_direct(instruction) {
                    code.targets.insert(instruction.near_branch_target());
                } else if instruction.mnemonic() == Mnemonic::Lea && instruction.is_ip_rel_memory_operand() {
                    // A place, or a table of the distances of places from it.
                    let taken = instruction.ip_rel_memory_address();
                    code.targets.insert(taken);
                    let table = code.table(taken, &ranges);
                    code.targets.extend(table);
                }
            }
            if is_whole {
                code.functions.push(function);
            }
        }
        Ok(code)
    }

    /// Places in code whose distances from `at` stand there one behind the other: so compilers write the
    /// cases of a switch. The cases may be in another function, too (its part that is rarely executed). What
    /// stands behind the table may be taken for more of it.
    fn table(&self, at: u64, ranges: &[Range<u64>]) -> Vec<u64> {
        let in_code = |place: &u64| {
            let next = ranges.partition_point(|range| range.start <= *place);
            next.checked_sub(1).is_some_and(|last| ranges[last].contains(place))
        };
        if in_code(&at) {
            return vec![];
        }
        let words = (0..).map_while(|i| self.bytes(at.checked_add(4 * i)?, 4)?.try_into().ok());
        let places = words.map(|word| at.wrapping_add_signed(i64::from(i32::from_le_bytes(word))));
        places.take_while(in_code).collect()
    }

    /// Whether something jumps to this address.
    pub(crate) fn is_target(&self, address: u64) -> bool {
        self.targets.contains(&address)
    }

    /// Whether nothing jumps to an address behind the first of these bytes.
    pub(crate) fn is_free_of_targets(&self, bytes: Range<u64>) -> bool {
        self.targets.range(bytes.start + 1..bytes.end).next().is_none()
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

/// Addresses of symbols, and of places whose address the loader writes somewhere.
fn named(file: &ElfFile64<'_>) -> BTreeSet<u64> {
    let symbols = file.symbols().chain(file.dynamic_symbols());
    let mut named: BTreeSet<u64> = symbols.map(|symbol| symbol.address()).collect();
    let relocations = file.dynamic_relocations().into_iter().flatten();
    let written = relocations.filter(|(_, relocation)| relocation.target() == RelocationTarget::Absolute);
    named.extend(written.map(|(_, relocation)| relocation.addend() as u64));
    named
}

/// The functions of the unwind tables, by address, without overlaps.
fn ranges(file: &ElfFile64<'_>) -> Option<Vec<Range<u64>>> {
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
            let start = fde.initial_address();
            ranges.push(start..start.saturating_add(fde.len()));
        }
    }
    ranges.sort_by_key(|range| range.start);
    // Tables that overlap are not those of a compiler.
    let overlaps = ranges.windows(2).any(|pair| pair[0].end > pair[1].start);
    (!overlaps).then_some(ranges)
}

impl Function {
    /// Decodes up to the first byte that begins no instruction; whether there is none.
    fn decode(bytes: &[u8], range: &Range<u64>) -> (Function, bool) {
        let mut decoder = Decoder::with_ip(64, bytes, range.start, DecoderOptions::NONE);
        let (mut instructions, mut is_whole) = (vec![], true);
        while is_whole && decoder.can_decode() {
            let instruction = decoder.decode();
            is_whole = !instruction.is_invalid();
            instructions.extend(is_whole.then_some(instruction));
        }
        let is_anywhere = |i: &Instruction| {
            i.flow_control() == FlowControl::IndirectBranch && !i.is_ip_rel_memory_operand()
        };
        let jumps_anywhere = instructions.iter().any(is_anywhere);
        (Function { instructions, targets_are_known: !jumps_anywhere }, is_whole)
    }
}
