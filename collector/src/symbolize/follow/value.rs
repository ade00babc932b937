//! Numbers that a processor works on: known or not, and how many loads from memory one was reached through.

/// A number of at most 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Value {
    /// None: not known.
    pub(super) bits: Option<u64>,
    /// Length of the chain of loads that gave the number: 1 for what was loaded through a constant address, 2
    /// for what was loaded through that.
    pub(super) depth: u32,
}

impl Value {
    pub(super) const UNKNOWN: Value = Value { bits: None, depth: 0 };

    pub(super) fn of(bits: u64) -> Value {
        Value { bits: Some(bits), depth: 0 }
    }

    pub(super) fn map(self, f: impl FnOnce(u64) -> u64) -> Value {
        Value { bits: self.bits.map(f), ..self }
    }

    pub(super) fn with(self, other: Value, f: impl FnOnce(u64, u64) -> u64) -> Value {
        let bits = self.bits.zip(other.bits).map(|(a, b)| f(a, b));
        Value { bits, depth: self.depth.max(other.depth) }
    }
}

/// The bits of a number of `size` bytes.
pub(super) fn mask(size: usize) -> u64 {
    if size >= 8 { u64::MAX } else { (1 << (size * 8)) - 1 }
}

pub(super) fn sign_extended(bits: u64, size: usize) -> u64 {
    let up = 64 - size.clamp(1, 8) as u32 * 8;
    ((bits << up) as i64 >> up) as u64
}

fn negative(bits: u64, size: usize) -> bool {
    bits >> (size.clamp(1, 8) * 8 - 1) & 1 != 0
}

/// The flags that conditions ask for; none: not known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    pub(super) zero: Option<bool>,
    pub(super) sign: Option<bool>,
    pub(super) carry: Option<bool>,
    pub(super) overflow: Option<bool>,
}

impl Flags {
    /// After an operation that clears carry and overflow.
    pub(super) fn logic(result: Value, size: usize) -> Flags {
        let bits = result.bits.map(|bits| bits & mask(size));
        Flags {
            zero: bits.map(|bits| bits == 0),
            sign: bits.map(|bits| negative(bits, size)),
            carry: bits.map(|_| false),
            overflow: bits.map(|_| false),
        }
    }

    /// After a shift: only zero and sign are computed.
    pub(super) fn shift(result: Value, size: usize) -> Flags {
        Flags { carry: None, overflow: None, ..Flags::logic(result, size) }
    }
}

/// `a + b + carry`.
pub(super) fn add(a: Value, b: Value, carry: Option<bool>, size: usize) -> (Value, Flags) {
    let Some(carry) = carry else { return (a.with(Value::UNKNOWN, |_, _| 0), Flags::default()) };
    let sum = a.with(b, |a, b| a.wrapping_add(b).wrapping_add(carry.into()) & mask(size));
    let mut flags = Flags::logic(sum, size);
    if let (Some(a), Some(b), Some(sum)) = (a.bits, b.bits, sum.bits) {
        let (a, b) = (a & mask(size), b & mask(size));
        flags.carry = Some(u128::from(a) + u128::from(b) + u128::from(carry) > u128::from(mask(size)));
        flags.overflow = Some(negative(!(a ^ b) & (a ^ sum), size));
    }
    (sum, flags)
}

/// `a - b - borrow`.
pub(super) fn subtract(a: Value, b: Value, borrow: Option<bool>, size: usize) -> (Value, Flags) {
    let Some(borrow) = borrow else { return (a.with(Value::UNKNOWN, |_, _| 0), Flags::default()) };
    let difference = a.with(b, |a, b| a.wrapping_sub(b).wrapping_sub(borrow.into()) & mask(size));
    let mut flags = Flags::logic(difference, size);
    if let (Some(a), Some(b), Some(difference)) = (a.bits, b.bits, difference.bits) {
        let (a, b) = (a & mask(size), b & mask(size));
        flags.carry = Some(u128::from(a) < u128::from(b) + u128::from(borrow));
        flags.overflow = Some(negative((a ^ b) & (a ^ difference), size));
    }
    (difference, flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_those_of_the_processor() {
        let of = |(value, flags): (Value, Flags)| {
            (value.bits.unwrap(), flags.zero, flags.sign, flags.carry, flags.overflow)
        };
        let yes = |is: bool| Some(is);
        let (a, b) = (Value::of(0x7f), Value::of(1));
        assert_eq!(of(add(a, b, Some(false), 1)), (0x80, yes(false), yes(true), yes(false), yes(true)));
        let all = Value::of(u64::MAX);
        assert_eq!(of(add(all, b, Some(false), 8)), (0, yes(true), yes(false), yes(true), yes(false)));
        assert_eq!(of(subtract(b, a, Some(false), 1)), (0x82, yes(false), yes(true), yes(true), yes(false)));
        assert_eq!(of(subtract(a, a, Some(false), 4)), (0, yes(true), yes(false), yes(false), yes(false)));
        assert_eq!(add(a, b, None, 8).0.bits, None);
        assert_eq!(sign_extended(0x80, 1), u64::MAX << 7);
    }
}
