//! Requested memory, as it was at the exit of the process.

use std::io;
use std::os::fd::OwnedFd;

use hangscope_protocol::Reader;
use hangscope_protocol::record::{LastMemoryRecord, PEAK_RSS};

use super::assemble;
use super::copy::whole;
use super::model::Memory;

/// Reads what the shim's destructor wrote to the descriptor of a
/// [`crate::listen::What::LastMemory`]. Call it after the end of the process. None if the destructor
/// did not run: the process was killed, or called `_exit`.
///
/// # Errors
/// The file cannot be read, has another size than announced, or is malformed.
pub(crate) fn read(fd: &OwnedFd, record: &LastMemoryRecord) -> io::Result<Option<Vec<Memory>>> {
    parse(&whole(fd, u64::from(record.size), "the memory of the exit")?)
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))
}

/// The peak of the process's own resident set, KiB, if it is among the memory that was read.
pub(crate) fn peak_rss(memory: &[Memory]) -> Option<u64> {
    let peak = memory.iter().find(|memory| memory.record.address == PEAK_RSS)?;
    Some(u64::from_le_bytes(peak.bytes.get(..8)?.try_into().ok()?)).filter(|kib| *kib > 0)
}

fn parse(bytes: &[u8]) -> Result<Option<Vec<Memory>>, hangscope_protocol::Malformed> {
    let mut r = Reader::new(bytes);
    let records = r.bytes()?;
    let mut memory = vec![];
    assemble::memory(&mut Reader::new(records), &mut memory)?;
    Ok((!records.is_empty()).then_some(memory))
}

#[cfg(test)]
mod tests {
    use hangscope_protocol::Writer;
    use hangscope_protocol::record::MemoryRecord;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_written_page_is_read_and_an_empty_one_is_none() {
        assert_eq!(parse(&[0; 4096]), Ok(None));
        let mut page = [0; 64];
        let record = MemoryRecord { address: 0x1000, wanted: 8, errno: 0 };
        let mut w = Writer::new(&mut page[4..]);
        w.record_with(&record, &[1, 2, 3]).unwrap();
        let len = w.len() as u32;
        page[..4].copy_from_slice(&len.to_le_bytes());
        assert_eq!(parse(&page), Ok(Some(vec![Memory { record, bytes: vec![1, 2, 3] }])));
        page[0] -= 1;
        assert!(parse(&page).is_err(), "a truncated record");
        page[0] = 61;
        assert!(parse(&page).is_err(), "a length beyond the page");
    }

    proptest! {
        #[test]
        fn no_page_is_too_much(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }
    }
}
