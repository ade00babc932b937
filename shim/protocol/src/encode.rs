//! A writer over a buffer that somebody lends. It never allocates and never panics: what does not fit is
//! refused whole ([`Full`]) and leaves the buffer as it was.

use crate::layout::Record;

/// The lent buffer has no room for what was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Writes numbers, byte strings and records, one after the other, into a lent buffer.
#[derive(Debug)]
pub struct Writer<'a> {
    buf: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    /// A writer at the start of `buf`.
    pub fn new(buf: &'a mut [u8]) -> Self {
        Writer { buf, at: 0 }
    }

    pub fn len(&self) -> usize {
        self.at
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.at == 0
    }

    /// Number of bytes that still fit.
    pub fn room(&self) -> usize {
        self.buf.len() - self.at
    }

    pub fn written(&self) -> &[u8] {
        self.buf.get(..self.at).unwrap_or(&[])
    }

    /// Forgets everything after the first `len` bytes: how a record that did not fit is taken back.
    pub fn truncate(&mut self, len: usize) {
        self.at = self.at.min(len);
    }

    /// Goes to `len` bytes from the start, over what was written there before: the other half of writing a
    /// head again after [`Writer::truncate`].
    pub fn skip_to(&mut self, len: usize) -> Result<(), Full> {
        if len > self.buf.len() {
            return Err(Full);
        }
        self.at = len;
        Ok(())
    }

    /// Writes raw bytes, without a length.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let end = self.at.checked_add(bytes.len()).ok_or(Full)?;
        self.buf.get_mut(self.at..end).ok_or(Full)?.copy_from_slice(bytes);
        self.at = end;
        Ok(())
    }

    /// Writes a length (u32) and the bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let len = u32::try_from(bytes.len()).map_err(|_| Full)?;
        if self.room() < bytes.len().saturating_add(4) {
            return Err(Full);
        }
        self.raw(&len.to_le_bytes())?;
        self.raw(bytes)
    }

    /// Writes one record; all of it or nothing.
    pub fn record<R: Record>(&mut self, record: &R) -> Result<(), Full> {
        let end = self.at.checked_add(R::SIZE).ok_or(Full)?;
        record.put(self.buf.get_mut(self.at..end).ok_or(Full)?);
        self.at = end;
        Ok(())
    }

    /// Writes one record and the bytes that go with it; all of it or nothing.
    pub fn record_with<R: Record>(&mut self, record: &R, bytes: &[u8]) -> Result<(), Full> {
        let before = self.at;
        let done = self.record(record).and_then(|()| self.bytes(bytes));
        if done.is_err() {
            self.at = before;
        }
        done
    }
}
