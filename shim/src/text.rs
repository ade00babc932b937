//! Bytes as text without an allocator: a buffer of fixed size.

/// Text of at most `N` bytes; what does not fit is cut off. All bytes zero is the empty text.
#[derive(Clone, Copy)]
pub(crate) struct Text<const N: usize> {
    len: usize,
    bytes: [u8; N],
}

impl<const N: usize> Text<N> {
    pub(crate) const EMPTY: Text<N> = Text { len: 0, bytes: [0; N] };

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Takes the place of what was there; false if something was cut off.
    pub(crate) fn set(&mut self, bytes: &[u8]) -> bool {
        self.clear();
        self.push(bytes)
    }

    /// Appends; false if something was cut off.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> bool {
        append(&mut self.bytes, &mut self.len, bytes)
    }

    /// Appends a number in decimal.
    pub(crate) fn push_number(&mut self, n: u64) {
        append_number(&mut self.bytes, &mut self.len, n);
    }

    /// The text with a NUL after it, for a system call; none if it holds a NUL or there is no room for one.
    pub(crate) fn as_cstr(&mut self) -> Option<&core::ffi::CStr> {
        *self.bytes.get_mut(self.len)? = 0;
        core::ffi::CStr::from_bytes_with_nul(self.bytes.get(..=self.len)?).ok()
    }
}

/// One function for texts of all sizes.
fn append(to: &mut [u8], len: &mut usize, bytes: &[u8]) -> bool {
    let room = to.get_mut(*len..).unwrap_or(&mut []);
    let n = bytes.len().min(room.len());
    for (to, from) in room.iter_mut().zip(bytes) {
        *to = *from;
    }
    *len += n;
    n == bytes.len()
}

fn append_number(to: &mut [u8], len: &mut usize, n: u64) {
    let mut digits = [0u8; 20];
    let (mut from, mut rest) = (digits.len(), n);
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + (rest % 10) as u8;
        from = at;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    append(to, len, digits.get(from..).unwrap_or(&[]));
}
