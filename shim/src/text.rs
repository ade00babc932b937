//! Bytes as text without an allocator: a buffer of fixed size, and parsers for what /proc prints.

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

/// A decimal number that is all of `bytes`.
pub(crate) fn decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0u64, |n, b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}

/// A hexadecimal number that is all of `bytes`, with or without `0x`.
pub(crate) fn hex(bytes: &[u8]) -> Option<u64> {
    let bytes = bytes.strip_prefix(b"0x").unwrap_or(bytes);
    if bytes.is_empty() || bytes.len() > 16 {
        return None;
    }
    bytes.iter().try_fold(0u64, |n, b| Some(n << 4 | u64::from((*b as char).to_digit(16)?)))
}

/// The fields of a line that spaces (or tabs) separate.
pub(crate) fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| matches!(b, b' ' | b'\t' | b'\n')).filter(|f| !f.is_empty())
}

/// The rest of the line that begins with `name` (such as `Uid:`) in a text of lines.
pub(crate) fn line_after<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    text.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(name))
}

/// What stands after the last `/`.
pub(crate) fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|b| *b == b'/').next().unwrap_or(path)
}

/// Copies as much as fits, the rest stays 0.
pub(crate) fn padded<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut to = [0; N];
    for (to, from) in to.iter_mut().zip(bytes) {
        *to = *from;
    }
    to
}
