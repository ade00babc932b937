//! The annotated loop of a running thread: which instructions belong to it, in AT&T syntax, with the samples
//! on each and the values of the registers that it uses.
//!
//! - `cycle`: the instructions of a loop that could not be followed
//! - `registers`: their values over the samples
//! - `text`: one instruction as text
//! - `uses`: what the loop does with the words that it reads
//!
//! Only x86-64 code is listed.

mod cycle;
mod registers;
#[cfg(test)]
mod tests;
mod text;
mod uses;

use std::collections::{BTreeMap, BTreeSet};

use hangscope_protocol::record::{ARCH_X86_64, probe_outcome};
use iced_x86::{Decoder, DecoderOptions, Instruction};

use super::arch::Arch;
use super::data::Namer;
use super::follow::Way;
use super::images::Modules;
use super::names::Names;
use crate::session::code::{CodeLine, LoopCode};
use crate::session::trace::Frame;
use crate::session::{Dump, Probe};
use registers::Registers;
use uses::Turns;

/// Most instructions of a loop, and where many threads have one.
const MOST: usize = 64;
const MOST_OF_MANY: usize = 24;
const MANY: usize = 8;
/// Instructions that names are looked up for, before those of other functions are left out.
const MOST_NAMED: usize = 256;

/// The instructions that may belong to the loop of a thread.
pub(super) struct Picked<'d> {
    /// By address.
    code: BTreeMap<u64, Instruction>,
    /// Samples at each address, and all samples of the thread.
    samples: BTreeMap<u64, u32>,
    all: u32,
    followed: bool,
    /// Samples with registers, in order of time.
    answered: Vec<(u64, &'d Probe)>,
    most: usize,
}

/// Picks the instructions of the loops of these threads.
pub(super) fn pick<'d>(
    dump: &'d Dump,
    modules: &Modules,
    arch: &Arch,
    ways: &BTreeMap<u32, Way>,
) -> BTreeMap<u32, Picked<'d>> {
    if arch.machine != ARCH_X86_64 {
        return BTreeMap::new();
    }
    let most = if ways.len() > MANY { MOST_OF_MANY } else { MOST };
    let one = |(tid, way): (&u32, &Way)| Some((*tid, pick_one(dump, modules, arch, *tid, way, most)?));
    ways.iter().filter_map(one).collect()
}

fn pick_one<'d>(
    dump: &'d Dump,
    modules: &Modules,
    arch: &Arch,
    tid: u32,
    way: &Way,
    most: usize,
) -> Option<Picked<'d>> {
    let mut samples: BTreeMap<u64, u32> = BTreeMap::new();
    let mut answered = vec![];
    let mut all = 0;
    for probe in dump.samples.iter().filter(|probe| probe.record.tid == tid) {
        let pc = probe.record.regs[arch.pc];
        match probe.record.outcome {
            probe_outcome::ANSWERED => answered.push((pc, probe)),
            probe_outcome::READ => {}
            _ => continue,
        }
        *samples.entry(pc).or_default() += 1;
        all += 1;
    }
    let mut sampled: Vec<(u64, u32)> = samples.iter().map(|(pc, n)| (*pc, *n)).collect();
    sampled.sort_by_key(|(pc, n)| (std::cmp::Reverse(*n), *pc));
    sampled.truncate(MOST_NAMED / 2);
    let followed = sampled.iter().any(|(pc, _)| way.executed.contains_key(pc));
    let mut decode = |pc| decode(modules, pc);
    let turns: Vec<u64> = match followed {
        true => {
            let mut executed: Vec<(u64, u32)> = way.executed.iter().map(|(pc, e)| (*pc, e.times)).collect();
            executed.sort_by_key(|(pc, times)| (std::cmp::Reverse(*times), *pc));
            executed.into_iter().map(|(pc, _)| pc).collect()
        }
        false => cycle::of(sampled.iter().map(|(pc, _)| *pc), &mut decode).into_iter().collect(),
    };
    // A sample that is not on the way round is of another part of the thread's work.
    let in_turns: BTreeSet<u64> = turns.iter().copied().collect();
    let first = sampled.iter().map(|(pc, _)| *pc).filter(|pc| in_turns.contains(pc));
    let mut code = BTreeMap::new();
    for pc in first.chain(turns.iter().copied()) {
        if code.len() >= MOST_NAMED {
            break;
        }
        if let Some(i) = decode(pc) {
            code.insert(pc, i);
        }
    }
    (!code.is_empty()).then_some(Picked { code, samples, all, followed, answered, most })
}

fn decode(modules: &Modules, pc: u64) -> Option<Instruction> {
    let mut decoder = Decoder::with_ip(64, modules.code(pc)?, pc, DecoderOptions::NONE);
    Some(decoder.decode()).filter(|i| !i.is_invalid())
}

impl Picked<'_> {
    /// Addresses that names are needed for.
    pub(super) fn lookups(&self) -> impl Iterator<Item = u64> {
        self.code.values().flat_map(|i| [Some(i.ip()), text::target(i)]).flatten()
    }

    /// The code with names; none where no sample is in it.
    pub(super) fn named(
        &self,
        way: &Way,
        modules: &Modules,
        names: &Names,
        namer: &Namer<'_>,
    ) -> Option<LoopCode> {
        let frames: BTreeMap<u64, Vec<Frame>> =
            self.code.keys().map(|pc| (*pc, names.frames(*pc, *pc, modules))).collect();
        let place = |pc: &u64| {
            let last = frames.get(pc).and_then(|frames| frames.last())?;
            Some((last.dso.clone(), last.function.clone(), last.pc.checked_sub(last.offset.unwrap_or(0))))
        };
        // The function of an instruction without a name is not known: then it is that of its DSO.
        let place = |pc: &u64| place(pc).map(|(dso, function, start)| (dso, function.map(|f| (f, start))));
        let of = |pc: &u64| self.samples.get(pc).copied().unwrap_or(0);
        let own: BTreeSet<_> = self.code.keys().filter(|pc| of(pc) > 0).map(place).collect();
        let mut pcs: Vec<u64> = self.code.keys().copied().filter(|pc| own.contains(&place(pc))).collect();
        let all = pcs.len();
        let times = |pc: &u64| way.executed.get(pc).map_or(0, |executed| executed.times);
        pcs.sort_by_key(|pc| (std::cmp::Reverse((of(pc), times(pc))), *pc));
        pcs.truncate(self.most);
        let pcs: BTreeSet<u64> = pcs.into_iter().collect();
        if !pcs.iter().any(|pc| of(pc) > 0) {
            return None;
        }
        let registers =
            Registers { samples: self.answered.iter().copied().filter(|(pc, _)| pcs.contains(pc)).collect() };
        let code_name = |at: u64| {
            let frame = names.frames(at, at, modules).pop()?;
            let function = frame.function?;
            Some(match frame.offset.unwrap_or(0) {
                0 => function,
                offset => format!("{function}+{offset:#x}"),
            })
        };
        let line = |pc: &u64| {
            let frames = frames.get(pc).cloned().filter(|frames| !frames.is_empty())?;
            let text = text::of(self.code.get(pc)?, &code_name, &|at| namer.symbol(at));
            Some(CodeLine { frames, text, samples: of(pc) })
        };
        let mut decode = |pc| decode(modules, pc);
        let (uses, endless, no_loads) = match self.followed {
            true => {
                let mut turns = Turns::of(way, &mut decode);
                (turns.uses(&pcs, &registers), turns.is_endless(), turns.has_no_loads(&registers))
            }
            false => (vec![], false, false),
        };
        let used = uses::used(pcs.iter().filter_map(|pc| self.code.get(pc)));
        Some(LoopCode {
            instructions: pcs.iter().filter_map(line).collect(),
            more: (all - pcs.len()) as u32,
            samples: self.all,
            with_registers: registers.samples.len() as u32,
            followed: self.followed,
            registers: match registers.samples.is_empty() {
                true => vec![],
                false => used.into_iter().map(|register| registers.values(register, namer)).collect(),
            },
            uses,
            endless,
            no_loads,
        })
    }
}
