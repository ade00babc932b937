//! `dump.bin`: the frames of dumps, in one zstd stream (RFC 8878). Older versions wrote the frames plain.

use std::borrow::Cow;
use std::io::{self, Read as _, Write as _};

use hangscope_protocol::record::{NoteRecord, note_code};

use super::model::{Dump, Note};
use super::record;
use crate::files::bounded;

/// How a zstd stream begins.
const ZSTD: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();

/// Most bytes of the file, without `--full`: a bundle is less than 2 MB with its other files.
const MOST: usize = 1 << 20;
/// Bytes that can be read without what follows them, so that half a file is half a dump.
const BLOCK: usize = 4 << 10;
/// What is kept of each stack where the file would be larger. The names are in other files all the same.
const KEPT: [usize; 3] = [4096, 1024, 256];

/// The bytes of a `dump.bin` with these frames. With `dump`, what the frames say, it has less of each stack
/// where it would be too large.
pub(crate) fn pack(frames: &[u8], dump: Option<&Dump>) -> Vec<u8> {
    let mut bytes = stream(frames);
    for kept in KEPT {
        match dump {
            Some(dump) if bytes.len() > MOST => {
                let less = record::frames(&with_stacks_cut(dump, kept));
                bytes = stream(&less);
            }
            _ => break,
        }
    }
    bytes
}

fn stream(frames: &[u8]) -> Vec<u8> {
    let packed = || -> io::Result<Vec<u8>> {
        let mut stream = zstd::Encoder::new(vec![], zstd::DEFAULT_COMPRESSION_LEVEL)?;
        for block in frames.chunks(BLOCK) {
            stream.write_all(block)?;
            stream.flush()?;
        }
        stream.finish()
    };
    // Without memory for it the file is plain, which every reader takes.
    packed().unwrap_or_else(|_| frames.to_vec())
}

/// The dump with at most so many bytes of each stack, and a note that says so.
fn with_stacks_cut(dump: &Dump, kept: usize) -> Dump {
    let mut dump = dump.clone();
    dump.stacks.iter_mut().for_each(|stack| stack.bytes.truncate(kept));
    dump.probes.iter_mut().chain(&mut dump.samples).for_each(|probe| probe.stack.truncate(kept));
    let record = NoteRecord { code: note_code::STACKS_CUT, reserved: 0, tid: 0, value: kept as u64 };
    let text =
        "bytes of each stack are kept here, so that the file is small; --full keeps all of them".to_owned();
    dump.notes.push(Note { record, text });
    dump
}

/// The frames in the bytes of a file. Of a stream that is cut off: those before its end.
///
/// # Errors
/// What is no stream, or unpacks to too much.
pub(crate) fn unpack(bytes: &[u8]) -> io::Result<Cow<'_, [u8]>> {
    if !bytes.starts_with(&ZSTD) {
        return Ok(Cow::Borrowed(bytes));
    }
    let stream = zstd::Decoder::with_buffer(bytes)?;
    let mut frames = vec![];
    match stream.take(bounded::MOST + 1).read_to_end(&mut frames) {
        Err(e) if frames.is_empty() => Err(e),
        _ if frames.len() as u64 > bounded::MOST => Err(bounded::too_large(bounded::MOST)),
        _ => Ok(Cow::Owned(frames)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::read_dumps;
    use crate::testkit::dump::Make;

    #[test]
    fn what_was_packed_comes_back_and_a_part_of_it_from_a_part() {
        let frames: Vec<u8> = (0..1 << 20).map(|n: u32| (n / 1000) as u8).collect();
        let packed = pack(&frames, None);
        assert!(packed.len() < frames.len() / 4 && packed.starts_with(&ZSTD), "{}", packed.len());
        assert_eq!(*unpack(&packed).unwrap(), frames);
        assert_eq!(*unpack(b"HSC1").unwrap(), *b"HSC1");
        let part = unpack(&packed[..packed.len() / 2]).unwrap().into_owned();
        assert!(!part.is_empty() && frames.starts_with(&part), "{}", part.len());
        assert!(unpack(&ZSTD).is_err());
        let bomb = pack(&vec![0; bounded::MOST as usize + 1], None);
        assert!(bomb.len() < 1 << 20 && unpack(&bomb).is_err(), "{}", bomb.len());
    }

    #[test]
    fn a_dump_that_would_be_too_large_has_less_of_its_stacks_and_says_so() {
        let mut dump = Make::new().finish();
        dump.identity.fixed.version = hangscope_protocol::VERSION;
        let mut random = fastrand::Rng::with_seed(1);
        let stack = |tid| crate::session::Stack {
            record: hangscope_protocol::record::StackRecord { tid, look: 1, flags: 0, sp: 0x7f00_0000_0000 },
            bytes: std::iter::repeat_with(|| random.u8(..)).take(32 << 10).collect(),
        };
        dump.stacks = (1..=128).map(stack).collect();
        let frames = record::frames(&dump);
        let cut = read_dumps(&pack(&frames, Some(&dump))).unwrap().remove(0);
        assert!(pack(&frames, Some(&dump)).len() <= MOST);
        assert!(cut.stacks.len() == 128 && cut.stacks.iter().all(|s| s.bytes.len() == 4096));
        assert!(cut.notes.iter().any(|n| n.record.code == note_code::STACKS_CUT && n.record.value == 4096));
        assert_eq!(read_dumps(&pack(&frames, None)).unwrap()[0].stacks, dump.stacks);
    }
}
