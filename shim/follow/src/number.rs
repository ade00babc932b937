//! Numbers as text.

/// A number in decimal digits.
pub(crate) struct Number {
    digits: [u8; Number::MOST],
    start: usize,
}

impl Number {
    /// Most digits.
    pub(crate) const MOST: usize = 10;

    pub(crate) fn new(number: u32) -> Number {
        let (mut digits, mut start, mut left) = ([b'0'; Number::MOST], Number::MOST, number);
        for (at, digit) in digits.iter_mut().enumerate().rev() {
            *digit = b'0' + (left % 10) as u8;
            start = at;
            left /= 10;
            if left == 0 {
                break;
            }
        }
        Number { digits, start }
    }

    pub(crate) fn digits(&self) -> &[u8] {
        self.digits.get(self.start..).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_the_digits_that_people_write() {
        for number in [0, 7, 10, 4_194_304, u32::MAX] {
            assert_eq!(Number::new(number).digits(), number.to_string().as_bytes());
        }
    }
}
