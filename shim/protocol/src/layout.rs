//! One definition for both sides: [`Record`] and the macro that implements it, with sizes known (and
//! checked, at the end of this file) at compile time.

/// Something of a fixed size on the wire.
pub trait Record: Sized {
    /// Number of bytes on the wire.
    const SIZE: usize;
    /// Writes the record over `to`, which has [`Record::SIZE`] bytes.
    fn put(&self, to: &mut [u8]);
    /// Reads the record from [`Record::SIZE`] bytes. `None` if there are fewer.
    fn get(from: &[u8]) -> Option<Self>;
}

macro_rules! number {
    ($($t:ty),*) => {$(
        impl Record for $t {
            const SIZE: usize = size_of::<$t>();
            #[inline(always)]
            fn put(&self, to: &mut [u8]) {
                if let Some(to) = to.first_chunk_mut() {
                    *to = self.to_le_bytes();
                }
            }
            #[inline(always)]
            fn get(from: &[u8]) -> Option<Self> {
                from.first_chunk().map(|bytes| <$t>::from_le_bytes(*bytes))
            }
        }
    )*};
}
number!(u8, u16, u32, u64, i32, i64);

impl<R: Record + Copy + Default, const N: usize> Record for [R; N] {
    const SIZE: usize = R::SIZE * N;
    fn put(&self, to: &mut [u8]) {
        for (to, item) in to.chunks_exact_mut(R::SIZE).zip(self) {
            item.put(to);
        }
    }
    fn get(from: &[u8]) -> Option<Self> {
        let mut items = [R::default(); N];
        let mut from = from.chunks_exact(R::SIZE);
        for item in &mut items {
            *item = R::get(from.next()?)?;
        }
        Some(items)
    }
}

/// Defines a record: the struct, its size, how it is written and read, field after field, no padding.
///
/// The length is looked at once. Behind it all offsets are constants, so a field costs a load and a store.
macro_rules! record {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$fmeta:meta])* pub $field:ident: $ty:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub struct $name { $($(#[$fmeta])* pub $field: $ty,)* }

        impl crate::layout::Record for $name {
            const SIZE: usize = 0 $(+ <$ty as crate::layout::Record>::SIZE)*;
            fn put(&self, to: &mut [u8]) {
                const SIZE: usize = <$name as crate::layout::Record>::SIZE;
                let Some(to) = to.first_chunk_mut::<SIZE>() else { return };
                let rest = &mut to[..];
                $(
                    let (to, rest) = rest.split_at_mut(<$ty as crate::layout::Record>::SIZE);
                    self.$field.put(to);
                )*
                let _ = rest;
            }
            fn get(from: &[u8]) -> Option<Self> {
                const SIZE: usize = <$name as crate::layout::Record>::SIZE;
                let from = from.first_chunk::<SIZE>()?;
                let rest = &from[..];
                $(
                    let ($field, rest) = rest.split_at(<$ty as crate::layout::Record>::SIZE);
                )*
                let _ = rest;
                Some($name { $($field: <$ty as crate::layout::Record>::get($field)?,)* })
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
    assert!(CrashPageRecord::SIZE == 8);
    assert!(crate::stir::HoldRecord::SIZE == 48);
    assert!(crate::stir::PatchedRecord::SIZE == 40);
    assert!(crate::stir::SiteRecord::SIZE == 56);
    assert!(crate::stir::PlanHeader::SIZE == 72);
    assert!(CrashRecord::SIZE == 304);
    assert!(4 + CrashRecord::SIZE + 4 + CRASH_STACK + 4 < CRASH_BYTES);
    assert!(MOST_RANGES * (MemoryRecord::SIZE + 4) + MOST_RANGE_BYTES <= crate::frame::MAX_PAYLOAD);
};
