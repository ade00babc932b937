//! Unwind tables (`.eh_frame`, `.debug_frame`) of one file: they say how to get the caller's registers
//! from those of a frame.
//!
//! gimli reads the tables and evaluates their expressions. The code here carries out the rules, on all
//! registers, with "not known" as a value. framehop is a complete unwinder, but it does not fit. It
//! recovers only PC, SP and FP; we also need the callee-saved registers, to see whether a call has
//! returned. It cannot read memory in an expression (signal frames, re-aligned stacks). It does not limit
//! how long an expression runs. If a table needs an unknown value, it silently goes on by the frame
//! pointer.

use std::cell::OnceCell;

use gimli::{
    BaseAddresses, CfaRule, CieOrFde, DebugFrame, EhFrame, Encoding, EndianSlice, Evaluation,
    EvaluationResult, LittleEndian, Location, RegisterRule, UnwindContext, UnwindExpression, UnwindSection,
    Value,
};

use super::arch::{Arch, Regs};
use super::elf::{Elf, Part, REL_SDATA4};
use super::stack::{Cut, StackBytes};

/// Most operations of one expression (compilers write less than ten). This ends a loop.
const MOST_OPERATIONS: u32 = 512;

type Slice<'e> = EndianSlice<'e, LittleEndian>;

pub(super) struct Cfi<'e> {
    section: Section<'e>,
    bases: BaseAddresses,
    hdr: Option<HdrTable<'e>>,
    index: OnceCell<Vec<Entry>>,
}

enum Section<'e> {
    Eh(EhFrame<Slice<'e>>),
    Debug(DebugFrame<Slice<'e>>),
}

/// The code range of one entry of the tables.
#[derive(Clone, Copy)]
struct Entry {
    start: u64,
    end: u64,
    offset: usize,
}

/// The rules for one address.
#[derive(Clone, Debug)]
pub(super) struct Row {
    cfa: CfaRule<usize>,
    rules: Vec<(usize, RegisterRule<usize>)>,
    encoding: Encoding,
    /// The frame that the kernel made to call a signal handler. Its "caller" was interrupted and did not
    /// call.
    pub(super) signal: bool,
}

/// A frame whose code has an entry in the tables.
#[derive(Clone, Copy)]
pub(super) struct TableFrame<'f> {
    pub(super) row: &'f Row,
    pub(super) regs: &'f Regs,
    pub(super) stack: &'f StackBytes<'f>,
    pub(super) arch: &'f Arch,
}

/// The registers of a frame's caller.
#[derive(Clone, Debug)]
pub(super) enum Caller {
    /// The caller's registers, those that are known.
    Regs(Box<Regs>),
    /// There is no caller: the thread starts here.
    None,
    /// The caller cannot be found.
    Unknown(Cut),
}

impl<'e> Cfi<'e> {
    /// The unwind tables of a file; none if there are none.
    pub(super) fn of(elf: &'e Elf, arch: &Arch) -> Option<Self> {
        let slice = |part: &Part| elf.bytes.get(part.bytes.clone()).map(|b| Slice::new(b, LittleEndian));
        let mut bases = BaseAddresses::default();
        if let Some(text) = elf.text {
            bases = bases.set_text(text);
        }
        if let Some(got) = elf.got {
            bases = bases.set_got(got);
        }
        let mut hdr = None;
        let section = if let Some(part) = &elf.eh_frame {
            let mut section = EhFrame::from(slice(part)?);
            section.set_address_size(8);
            section.set_vendor(arch.vendor);
            bases = bases.set_eh_frame(part.address);
            hdr = elf
                .eh_frame_hdr
                .as_ref()
                .and_then(|p| HdrTable::parse(elf.bytes.get(p.bytes.clone())?, p.address, part.address));
            Section::Eh(section)
        } else {
            let mut section = DebugFrame::from(slice(elf.debug_frame.as_ref()?)?);
            section.set_address_size(8);
            section.set_vendor(arch.vendor);
            Section::Debug(section)
        };
        Some(Cfi { section, bases, hdr, index: OnceCell::new() })
    }

    /// The rules for an address of the file; none if no table covers it.
    pub(super) fn row(&self, address: u64, context: &mut UnwindContext<usize>) -> Option<Row> {
        match &self.section {
            Section::Eh(s) => self.row_in(s, address, context),
            Section::Debug(s) => self.row_in(s, address, context),
        }
    }

    fn row_in<S: UnwindSection<Slice<'e>>>(
        &self,
        section: &S,
        address: u64,
        context: &mut UnwindContext<usize>,
    ) -> Option<Row> {
        let offset = match &self.hdr {
            Some(hdr) => hdr.lookup(address)?,
            None => {
                let index = self.index.get_or_init(|| entries(section, &self.bases));
                let i = index.partition_point(|e| e.start <= address).checked_sub(1)?;
                index.get(i).filter(|e| address < e.end)?.offset
            }
        };
        let fde = section.fde_from_offset(&self.bases, S::Offset::from(offset), S::cie_from_offset).ok()?;
        if !(fde.initial_address()..fde.initial_address().checked_add(fde.len())?).contains(&address) {
            return None;
        }
        let row = fde.unwind_info_for_address(section, &self.bases, context, address).ok()?;
        Some(Row {
            cfa: row.cfa().clone(),
            rules: row.registers().map(|(reg, rule)| (usize::from(reg.0), rule.clone())).collect(),
            encoding: fde.cie().encoding(),
            signal: fde.is_signal_trampoline(),
        })
    }

    /// The canonical frame address.
    pub(super) fn cfa(&self, frame: &TableFrame<'_>) -> Result<u64, Cut> {
        match &frame.row.cfa {
            CfaRule::RegisterAndOffset { register, offset } => {
                let base = frame.register(usize::from(register.0))?;
                base.checked_add_signed(*offset).ok_or(Cut::BadTable)
            }
            CfaRule::Expression(expression) => self.evaluate(expression, frame, None),
        }
    }

    pub(super) fn caller(&self, frame: &TableFrame<'_>, cfa: u64) -> Caller {
        let arch = frame.arch;
        let rule = |reg| frame.row.rules.iter().find(|(r, _)| *r == reg).map(|(_, rule)| rule);
        let mut callers: Regs = [None; _];
        for (reg, to) in callers.iter_mut().enumerate() {
            *to = match rule(reg) {
                Some(rule) => self.recover(rule, reg, frame, cfa).ok(),
                None if arch.callee_saved.contains(&reg) => frame.regs[reg],
                None => None,
            };
        }
        if rule(arch.sp).is_none() {
            callers[arch.sp] = Some(cfa);
        }
        let pc = match rule(arch.ra) {
            Some(RegisterRule::Undefined) => return Caller::None,
            Some(rule) => self.recover(rule, arch.ra, frame, cfa),
            None if arch.ra_in_register => frame.register(arch.ra),
            None => return Caller::None,
        };
        match pc {
            Ok(0) => Caller::None,
            Ok(pc) => {
                callers[arch.pc] = Some(pc & arch.address_bits);
                Caller::Regs(Box::new(callers))
            }
            Err(cut) => Caller::Unknown(cut),
        }
    }

    fn recover(
        &self,
        rule: &RegisterRule<usize>,
        reg: usize,
        frame: &TableFrame<'_>,
        cfa: u64,
    ) -> Result<u64, Cut> {
        let at = |offset: i64| cfa.checked_add_signed(offset).ok_or(Cut::BadTable);
        match rule {
            RegisterRule::SameValue => frame.register(reg),
            RegisterRule::Offset(offset) => frame.stack.read_u64(at(*offset)?),
            RegisterRule::ValOffset(offset) => at(*offset),
            RegisterRule::Register(other) => frame.register(usize::from(other.0)),
            RegisterRule::Expression(e) => frame.stack.read_u64(self.evaluate(e, frame, Some(cfa))?),
            RegisterRule::ValExpression(e) => self.evaluate(e, frame, Some(cfa)),
            RegisterRule::Constant(value) => Ok(*value),
            _ => Err(Cut::BadTable),
        }
    }

    fn evaluate(
        &self,
        expression: &UnwindExpression<usize>,
        frame: &TableFrame<'_>,
        initial: Option<u64>,
    ) -> Result<u64, Cut> {
        let bytes = match &self.section {
            Section::Eh(s) => expression.get(s),
            Section::Debug(s) => expression.get(s),
        };
        let mut evaluation = Evaluation::new(bytes.map_err(|_| Cut::BadTable)?.0, frame.row.encoding);
        evaluation.set_max_iterations(MOST_OPERATIONS);
        if let Some(initial) = initial {
            evaluation.set_initial_value(initial);
        }
        let mut result = evaluation.evaluate();
        loop {
            result = match result.map_err(|_| Cut::BadTable)? {
                EvaluationResult::Complete => break,
                EvaluationResult::RequiresRegister { register, .. } => {
                    let value = frame.register(usize::from(register.0))?;
                    evaluation.resume_with_register(Value::Generic(value))
                }
                EvaluationResult::RequiresMemory { address, size, space: None, .. } => {
                    let value = frame.stack.read(address, size.into())?;
                    evaluation.resume_with_memory(Value::Generic(value))
                }
                _ => return Err(Cut::BadTable),
            };
        }
        match evaluation.as_result().last().map(|piece| &piece.location) {
            Some(Location::Address { address }) => Ok(*address),
            _ => Err(Cut::BadTable),
        }
    }
}

impl TableFrame<'_> {
    /// The value of a register, or which register is missing.
    fn register(&self, reg: usize) -> Result<u64, Cut> {
        match self.regs.get(reg) {
            Some(Some(value)) => Ok(*value),
            Some(None) if reg == self.arch.fp => Err(Cut::NeedsFramePointer),
            _ => Err(Cut::NeedsRegister(u16::try_from(reg).unwrap_or(u16::MAX))),
        }
    }
}

/// All entries of the tables, sorted by address, up to the first invalid one.
fn entries<'e, S: UnwindSection<Slice<'e>>>(section: &S, bases: &BaseAddresses) -> Vec<Entry> {
    let mut entries = vec![];
    let mut iter = section.entries(bases);
    while let Ok(Some(entry)) = iter.next() {
        let CieOrFde::Fde(partial) = entry else { continue };
        let Ok(fde) = partial.parse(S::cie_from_offset) else { continue };
        let start = fde.initial_address();
        if let Some(end) = start.checked_add(fde.len()) {
            entries.push(Entry { start, end, offset: fde.offset() });
        }
    }
    entries.sort_by_key(|e| e.start);
    entries
}

/// The search table of `.eh_frame_hdr`, in the one encoding that linkers write: sorted pairs of signed
/// 4-byte offsets from the header (function, entry). A table in any other encoding is ignored, and
/// [`entries`] makes the index.
struct HdrTable<'e> {
    pairs: &'e [[u8; 8]],
    hdr_address: u64,
    frame_address: u64,
}

impl<'e> HdrTable<'e> {
    fn parse(hdr: &'e [u8], hdr_address: u64, frame_address: u64) -> Option<Self> {
        const COUNT: u8 = gimli::DW_EH_PE_udata4.0;
        const PAIRS: u8 = gimli::DW_EH_PE_datarel.0 | gimli::DW_EH_PE_sdata4.0;
        let (&[1, REL_SDATA4, COUNT, PAIRS], rest) = hdr.split_first_chunk::<4>()? else { return None };
        let (_frame_pointer, rest) = rest.split_first_chunk::<4>()?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let (pairs, _) = rest.as_chunks::<8>();
        let pairs = pairs.get(..u32::from_le_bytes(*count) as usize)?;
        Some(HdrTable { pairs, hdr_address, frame_address })
    }

    /// Offset in `.eh_frame` of the entry that may cover an address.
    fn lookup(&self, address: u64) -> Option<usize> {
        let word = |pair: &[u8; 8], at: usize| {
            let bytes = pair.get(at..)?.first_chunk().copied()?;
            self.hdr_address.checked_add_signed(i32::from_le_bytes(bytes).into())
        };
        let i = self.pairs.partition_point(|p| word(p, 0).is_some_and(|start| start <= address));
        let entry = word(self.pairs.get(i.checked_sub(1)?)?, 4)?;
        usize::try_from(entry.checked_sub(self.frame_address)?).ok()
    }
}
