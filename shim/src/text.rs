//! Bytes as text without an allocator: a buffer of fixed size.

/// Text of at most `N` bytes; what does not fit is cut off. All bytes zero is the empty text.
#[derive(Clone, Copy)]
pub(crate) struct Text<const N: usize> {
    len: usize,
    bytes: [u8; N],
}

impl<const N: usize> Text<N> {
    pub(crate) const EMPTY: Text<N> = Text { len: 0, bytes: [0; N] };

    /// What was written.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Appends; false if something was cut off.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> bool {
        let room = N - self.len;
        let n = bytes.len().min(room);
        if let (Some(to), Some(from)) = (self.bytes.get_mut(self.len..self.len + n), bytes.get(..n)) {
            to.copy_from_slice(from);
            self.len += n;
        }
        n == bytes.len()
    }

    /// Appends a number in decimal.
    pub(crate) fn push_number(&mut self, n: u64) {
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        let mut rest = n;
        loop {
            at -= 1;
            if let Some(d) = digits.get_mut(at) {
                *d = b'0' + (rest % 10) as u8;
            }
            rest /= 10;
            if rest == 0 || at == 0 {
                break;
            }
        }
        self.push(digits.get(at..).unwrap_or(&[]));
    }

    /// The text with a NUL after it, for a system call; none if it holds a NUL or there is no room for one.
    pub(crate) fn as_cstr(&mut self) -> Option<&core::ffi::CStr> {
        *self.bytes.get_mut(self.len)? = 0;
        core::ffi::CStr::from_bytes_with_nul(self.bytes.get(..=self.len)?).ok()
    }
}
