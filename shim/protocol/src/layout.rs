//! One definition for both sides: [`Record`] and the macro that implements it, with sizes known (and
//! checked, at the end of this file) at compile time.

use crate::decode::{Malformed, Reader};
use crate::encode::{Full, Writer};

/// Something of a fixed size on the wire.
pub trait Record: Sized {
    /// Bytes on the wire.
    const SIZE: usize;
    /// Writes it; the caller has made sure that there is room ([`Writer::record`]).
    fn put(&self, w: &mut Writer<'_>) -> Result<(), Full>;
    /// Reads it.
    fn get(r: &mut Reader<'_>) -> Result<Self, Malformed>;
}

macro_rules! number {
    ($($t:ty),*) => {$(
        impl Record for $t {
            const SIZE: usize = size_of::<$t>();
            fn put(&self, w: &mut Writer<'_>) -> Result<(), Full> {
                w.raw(&self.to_le_bytes())
            }
            fn get(r: &mut Reader<'_>) -> Result<Self, Malformed> {
                let mut bytes = [0; size_of::<$t>()];
                bytes.copy_from_slice(r.raw(size_of::<$t>())?);
                Ok(<$t>::from_le_bytes(bytes))
            }
        }
    )*};
}
number!(u8, u16, u32, u64, i32, i64);

impl<R: Record + Copy + Default, const N: usize> Record for [R; N] {
    const SIZE: usize = R::SIZE * N;
    fn put(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        self.iter().try_for_each(|item| item.put(w))
    }
    fn get(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut items = [R::default(); N];
        for item in &mut items {
            *item = R::get(r)?;
        }
        Ok(items)
    }
}

/// Defines a record: the struct, its size, how it is written and read, field after field, no padding.
macro_rules! record {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$fmeta:meta])* pub $field:ident: $ty:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub struct $name { $($(#[$fmeta])* pub $field: $ty,)* }

        impl crate::layout::Record for $name {
            const SIZE: usize = 0 $(+ <$ty as crate::layout::Record>::SIZE)*;
            fn put(&self, w: &mut crate::encode::Writer<'_>) -> Result<(), crate::encode::Full> {
                $(self.$field.put(w)?;)*
                Ok(())
            }
            fn get(r: &mut crate::decode::Reader<'_>) -> Result<Self, crate::decode::Malformed> {
                Ok($name { $($field: <$ty as crate::layout::Record>::get(r)?,)* })
            }
        }
    };
}
pub(crate) use record;

// The sizes are part of the protocol: who changes one changes VERSION as well.
const _: () = {
    use crate::record::*;
    assert!(crate::frame::HEADER_LEN == 32);
    assert!(HelloRecord::SIZE == 120);
    assert!(DsoRecord::SIZE == 160);
    assert!(DsoNowRecord::SIZE == 144);
    assert!(HeartbeatRecord::SIZE == 72);
    assert!(HeartbeatThread::SIZE == 64);
    assert!(ThreadRecord::SIZE == 288);
    assert!(StackRecord::SIZE == 16);
    assert!(ProbeRecord::SIZE == 312);
    assert!(DumpBeginRecord::SIZE == 48);
    assert!(DumpEndRecord::SIZE == 64);
    assert!(MarkRecord::SIZE == 32);
    assert!(NoteRecord::SIZE == 16);
    assert!(CopyRecord::SIZE == 24);
    assert!(AskRecord::SIZE == 32);
    assert!(RangeRecord::SIZE == 16);
    assert!(MemoryRecord::SIZE == 16);
    assert!(LastMemoryRecord::SIZE == 8);
    assert!(MOST_RANGES * (MemoryRecord::SIZE + 4) + MOST_RANGE_BYTES <= crate::frame::MAX_PAYLOAD);
};
