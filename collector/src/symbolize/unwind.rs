//! From registers and a copied stack to return addresses. Only copied bytes are read.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::rc::Rc;
use std::time::Instant;

use gimli::UnwindContext;

use super::arch::{Arch, Regs};
use super::cfi::{Caller, Cfi, Row, TableFrame};
use super::images::Modules;
use super::stack::{Cut, MOST_FRAMES, StackBytes};

/// One frame without a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RawFrame {
    pub(super) pc: u64,
    /// True if the thread stands at `pc` or was interrupted there. Else `pc` is where a call returns to.
    pub(super) exact: bool,
    /// The kernel made this frame, to call a signal handler.
    pub(super) signal: bool,
    /// Canonical frame address.
    pub(super) cfa: Option<u64>,
    /// See [`crate::session::trace::Frame::kept`].
    pub(super) kept: Option<u64>,
}

impl RawFrame {
    /// The address by which the frame's function is looked up. If a call is the last instruction of its
    /// function, the return address is already in the next function. So this is the byte before.
    pub(super) fn lookup(&self) -> u64 {
        if self.exact { self.pc } else { self.pc.saturating_sub(1) }
    }
}

/// A stack as far as it could be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Walk {
    /// The innermost frame first.
    pub(super) frames: Vec<RawFrame>,
    /// Why the stack is cut; none if it is whole.
    pub(super) cut: Option<Cut>,
}

/// Unwinds the stacks of one process.
pub(super) struct Unwinder<'m> {
    arch: &'static Arch,
    modules: &'m Modules,
    deadline: Instant,
    tables: RefCell<Tables<'m>>,
}

#[derive(Default)]
struct Tables<'m> {
    by_module: HashMap<usize, Option<Rc<Cfi<'m>>>>,
    rows: HashMap<u64, Option<Rc<Row>>>,
    context: UnwindContext<usize>,
}

impl<'m> Unwinder<'m> {
    pub(super) fn new(arch: &'static Arch, modules: &'m Modules, deadline: Instant) -> Self {
        Unwinder { arch, modules, deadline, tables: RefCell::default() }
    }

    /// Follows a stack from the registers of its innermost frame.
    pub(super) fn walk(&self, regs: Regs, stack: &StackBytes<'_>) -> Walk {
        let mut frames: Vec<RawFrame> = vec![];
        let mut returned: Vec<Option<Regs>> = vec![];
        let mut regs = regs;
        let mut exact = true;
        let cut = loop {
            let Some(pc) = regs[self.arch.pc] else { break Some(Cut::BadTable) };
            if frames.len() >= MOST_FRAMES {
                break Some(Cut::TooDeep);
            }
            if Instant::now() >= self.deadline {
                break Some(Cut::OutOfTime);
            }
            if !frames.is_empty() && !self.modules.is_code(pc) {
                break Some(Cut::NotCode(pc));
            }
            let mut frame = RawFrame { pc, exact, signal: false, cfa: None, kept: None };
            let (cfa, caller, signal) = self.step(frame.lookup(), &regs, stack);
            let (cfa, caller) = match caller {
                Caller::Unknown(Cut::NoTable) if frames.is_empty() => {
                    self.after_call(&regs, stack).unwrap_or((cfa, caller))
                }
                caller => (cfa, caller),
            };
            frame.cfa = cfa;
            frame.signal = signal;
            frames.push(frame);
            match caller {
                Caller::Regs(callers) => {
                    let rises = callers[self.arch.sp] > regs[self.arch.sp]
                        || (frames.len() == 1
                            && self.arch.ra_in_register
                            && callers[self.arch.pc] != Some(pc));
                    // A signal handler may run on a stack of its own, above or below the interrupted one.
                    if !rises && !signal {
                        break Some(Cut::NoProgress);
                    }
                    returned.push(Some(*callers));
                    regs = *callers;
                    exact = signal;
                }
                Caller::None => break None,
                Caller::Unknown(cut) => break Some(cut),
            }
        };
        self.keep(&mut frames, &returned, stack);
        Walk { frames, cut }
    }

    /// The CFA, the caller's registers, and whether the kernel made the frame for a signal.
    fn step(&self, lookup: u64, regs: &Regs, stack: &StackBytes<'_>) -> (Option<u64>, Caller, bool) {
        let Some((cfi, row)) = self.row(lookup) else {
            let caller = self.by_frame_pointer(regs, stack);
            let cfa = match &caller {
                Caller::Regs(callers) => callers[self.arch.sp],
                _ => None,
            };
            return (cfa, caller, false);
        };
        let frame = TableFrame { row: &row, regs, stack, arch: self.arch };
        match cfi.cfa(&frame) {
            Ok(cfa) => (Some(cfa), cfi.caller(&frame, cfa), row.signal),
            Err(cut) => {
                // The function that a thread starts in has no caller, whatever its CFA is.
                let nothing = StackBytes { start: 0, bytes: &[] };
                let unknown = TableFrame { regs: &[None; _], stack: &nothing, ..frame };
                let caller = match cfi.caller(&unknown, 0) {
                    Caller::None => Caller::None,
                    _ => Caller::Unknown(cut),
                };
                (None, caller, row.signal)
            }
        }
    }

    fn row(&self, address: u64) -> Option<(Rc<Cfi<'m>>, Rc<Row>)> {
        let (index, module) = self.modules.at(address)?;
        let tables = &mut *self.tables.borrow_mut();
        let of = || self.modules.elf(index).and_then(|elf| Cfi::of(elf, self.arch)).map(Rc::new);
        let cfi = tables.by_module.entry(index).or_insert_with(of).clone()?;
        let in_file = module.file_address(address);
        let row =
            tables.rows.entry(address).or_insert_with(|| cfi.row(in_file?, &mut tables.context).map(Rc::new));
        row.clone().map(|row| (cfi, row))
    }

    /// glibc's `clone` has no table for the code behind its system call. A thread stands there until its
    /// child is started. `clone` pushes nothing, so SP points at the return address. The return address
    /// is accepted if an unwind table covers it.
    fn after_call(&self, regs: &Regs, stack: &StackBytes<'_>) -> Option<(Option<u64>, Caller)> {
        let sp = regs[self.arch.sp].filter(|_| !self.arch.ra_in_register)?;
        let pc = stack.read_u64(sp).ok()?;
        self.row(pc.checked_sub(1)?)?;
        let mut callers = *regs;
        callers[self.arch.pc] = Some(pc);
        callers[self.arch.sp] = Some(sp + 8);
        Some((Some(sp + 8), Caller::Regs(Box::new(callers))))
    }

    /// Unwinds without tables: by the frame pointer, if it points into the copied stack at or above SP.
    fn by_frame_pointer(&self, regs: &Regs, stack: &StackBytes<'_>) -> Caller {
        let (Some(fp), Some(sp)) = (regs[self.arch.fp], regs[self.arch.sp]) else {
            return Caller::Unknown(Cut::NoTable);
        };
        if fp < sp || fp % 8 != 0 {
            return Caller::Unknown(Cut::NoTable);
        }
        let words = stack.read_u64(fp).and_then(|callers_fp| Ok((callers_fp, stack.read_u64(fp + 8)?)));
        match words {
            Ok((_, 0)) => Caller::None,
            Ok((callers_fp, pc)) => {
                let mut callers: Regs = [None; _];
                callers[self.arch.pc] = Some(pc & self.arch.address_bits);
                callers[self.arch.sp] = Some(fp + 16);
                callers[self.arch.fp] = Some(callers_fp);
                Caller::Regs(Box::new(callers))
            }
            Err(cut) => Caller::Unknown(cut),
        }
    }

    /// Fills in [`RawFrame::kept`]: digests of the stack bytes, chained from the outermost frame inwards.
    fn keep(&self, frames: &mut [RawFrame], returned: &[Option<Regs>], stack: &StackBytes<'_>) {
        let mut outer: Option<(u64, u64)> = None;
        for (i, frame) in frames.iter_mut().enumerate().rev() {
            let Some(cfa) = frame.cfa else {
                outer = None;
                continue;
            };
            let mut hasher = DefaultHasher::new();
            match outer {
                // The outermost CFA: nothing above it is known.
                None => hasher.write_u64(cfa),
                Some((outer_cfa, digest)) => {
                    let Some(bytes) = stack.between(cfa, outer_cfa) else { break };
                    hasher.write_u64(digest);
                    hasher.write(bytes);
                }
            }
            // Registers are part of this frame's digest but not of the chain: each frame has another set
            // of known registers, but the bytes are the same.
            let bytes = hasher.finish();
            outer = Some((cfa, bytes));
            let regs = returned.get(i).copied().flatten();
            let saved =
                |regs: Regs| self.arch.callee_saved.iter().map(|r| regs[*r]).collect::<Option<Vec<u64>>>();
            frame.kept = regs.and_then(saved).map(|saved| {
                let mut hasher = DefaultHasher::new();
                hasher.write_u64(bytes);
                saved.into_iter().for_each(|value| hasher.write_u64(value));
                hasher.finish()
            });
        }
    }
}
