//! A reader over received bytes. It never panics: what is not there is [`Malformed`], with the place.

use crate::layout::Record;

/// The bytes are not what the protocol says; `at` is the offset in the payload where that showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Offset in bytes from the start of what was being read.
    pub at: usize,
    pub expected: &'static str,
}

impl core::fmt::Display for Malformed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "not well-formed at byte {}: expected {}", self.at, self.expected)
    }
}

impl core::error::Error for Malformed {}

/// Reads numbers, byte strings and records, one after the other.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    buf: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `buf`.
    pub fn new(buf: &'a [u8]) -> Self {
        Reader { buf, at: 0 }
    }

    /// Whether everything was read.
    pub fn is_at_end(&self) -> bool {
        self.at >= self.buf.len()
    }

    pub fn position(&self) -> usize {
        self.at
    }

    pub fn raw(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let malformed = Malformed { at: self.buf.len(), expected: "more bytes" };
        let end = self.at.checked_add(len).ok_or(malformed)?;
        let bytes = self.buf.get(self.at..end).ok_or(malformed)?;
        self.at = end;
        Ok(bytes)
    }

    /// Everything that was not read yet.
    pub fn raw_rest(&mut self) -> &'a [u8] {
        let rest = self.buf.get(self.at..).unwrap_or(&[]);
        self.at = self.buf.len();
        rest
    }

    /// A length (u32) and that many bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let at = self.at;
        let len: u32 = self.record()?;
        self.raw(len as usize).map_err(|_| Malformed { at, expected: "a length that fits its frame" })
    }

    pub fn record<R: Record>(&mut self) -> Result<R, Malformed> {
        R::get(self.raw(R::SIZE)?).ok_or(Malformed { at: self.at, expected: "a record" })
    }

    /// One record and the bytes that go with it.
    pub fn record_with<R: Record>(&mut self) -> Result<(R, &'a [u8]), Malformed> {
        Ok((self.record()?, self.bytes()?))
    }
}
