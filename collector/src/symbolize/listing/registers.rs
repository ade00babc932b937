//! The values of registers over the samples in a loop.

use std::collections::BTreeMap;

use iced_x86::Register;

use crate::session::Probe;
use crate::session::code::RegisterValues;
use crate::symbolize::data::Namer;

/// Most values of a register that goes round.
const MOST_ROUND: usize = 8;
/// A register counts only if it had so many different values: a few numbers may rise by chance.
const LEAST_COUNTED: usize = 4;

/// The registers by their number in the instruction set, with their index in a sample (DWARF).
const REGISTERS: [(Register, usize); 16] = [
    (Register::RAX, 0),
    (Register::RCX, 2),
    (Register::RDX, 1),
    (Register::RBX, 3),
    (Register::RSP, 7),
    (Register::RBP, 6),
    (Register::RSI, 4),
    (Register::RDI, 5),
    (Register::R8, 8),
    (Register::R9, 9),
    (Register::R10, 10),
    (Register::R11, 11),
    (Register::R12, 12),
    (Register::R13, 13),
    (Register::R14, 14),
    (Register::R15, 15),
];

/// The index of a full register in a sample.
pub(super) fn index(register: Register) -> Option<usize> {
    REGISTERS.iter().find(|(known, _)| *known == register).map(|(_, index)| *index)
}

pub(super) fn is_high_byte(register: Register) -> bool {
    matches!(register, Register::AH | Register::BH | Register::CH | Register::DH)
}

/// Samples with registers, in order of time.
pub(super) struct Registers<'p> {
    pub(super) samples: Vec<(u64, &'p Probe)>,
}

impl Registers<'_> {
    pub(super) fn at(&self, register: Register, wanted: impl Fn(u64) -> bool) -> impl Iterator<Item = u64> {
        let index = index(register);
        let samples = self.samples.iter().filter(move |(pc, _)| wanted(*pc));
        samples.filter_map(move |(_, probe)| probe.record.regs.get(index?).copied())
    }

    /// The value that a register had in all samples.
    pub(super) fn constant(&self, register: Register) -> Option<u64> {
        let mut values = self.at(register, |_| true);
        let first = values.next()?;
        values.all(|value| value == first).then_some(first)
    }

    pub(super) fn values(&self, register: Register, namer: &Namer<'_>) -> RegisterValues {
        let all: Vec<u64> = self.at(register, |_| true).collect();
        let mut times: BTreeMap<u64, u32> = BTreeMap::new();
        let mut order = vec![];
        for value in &all {
            let n = times.entry(*value).or_default();
            if *n == 0 && order.len() <= MOST_ROUND {
                order.push(*value);
            }
            *n += 1;
        }
        let counted = times.len() >= LEAST_COUNTED;
        let rises = counted && all.is_sorted();
        let falls = counted && all.is_sorted_by(|a, b| a >= b);
        let round = times.len() <= MOST_ROUND && (times.len() == 1 || times.values().all(|n| *n > 1));
        let values = match (rises || falls, round) {
            (true, _) => [all.first(), all.last()].into_iter().flatten().copied().collect(),
            (false, true) => order,
            (false, false) => vec![],
        };
        let points_to = values.first().and_then(|at| namer.pointed(*at));
        RegisterValues {
            name: format!("{register:?}").to_lowercase(),
            samples: all.len() as u32,
            distinct: times.len() as u32,
            values,
            rises,
            falls,
            points_to,
        }
    }
}
