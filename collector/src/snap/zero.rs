//! Records to be filled.

use hangscope_protocol::{Reader, Record};

/// A record with every byte zero.
pub(super) fn zero<R: Record>() -> R {
    #[expect(clippy::expect_used, reason = "the reader is given exactly as many bytes as it takes")]
    Reader::new(&vec![0; R::SIZE]).record().expect("zeros are a record")
}
