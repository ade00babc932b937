//! What a process left of its crash.

use std::io;
use std::os::fd::OwnedFd;

use hangscope_protocol::record::{
    CRASH_BYTES, CrashPageRecord, CrashRecord, DumpBeginRecord, ProbeRecord, ThreadRecord, probe_outcome,
};
use hangscope_protocol::{Malformed, Reader, Record};

use super::copy::whole;
use super::model::{Dso, Dump, Identity, Probe};

/// A crash as the handler of the shim wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Crash {
    pub(crate) record: CrashRecord,
    /// Bytes from `record.stack` upwards.
    pub(crate) stack: Vec<u8>,
    /// The lines of maps that have a name.
    pub(crate) maps: Vec<u8>,
}

impl Crash {
    /// The crash as a dump with one thread, whose stack can be named.
    pub(crate) fn dump(&self, identity: &Identity, dsos: &[Dso]) -> Dump {
        let CrashRecord { tid, t_ns, stack, regs, .. } = self.record;
        let probe =
            ProbeRecord { tid, outcome: probe_outcome::ANSWERED, answered_ns: t_ns, stack, regs, ..zero() };
        let mut dump =
            Dump::begun(identity.clone(), DumpBeginRecord { threads: 1, trigger_ns: t_ns, ..zero() });
        dump.threads = vec![ThreadRecord { tid, look: 1, state: b'R', ..zero() }];
        dump.probes = vec![Probe { record: probe, stack: self.stack.clone() }];
        dump.dsos = dsos.to_vec();
        dump.maps.clone_from(&self.maps);
        dump
    }
}

/// A record with every byte zero.
fn zero<R: Record>() -> R {
    const MOST: usize = 512;
    R::get(&[0; MOST]).expect("no record of a thread is longer")
}

/// Reads what the shim's handler wrote to the descriptor of a [`crate::listen::What::CrashPage`]. Call it after
/// the end of the process. None if the process did not crash, or has a handler of its own.
///
/// # Errors
/// The file cannot be read, has another size than announced, or is malformed.
pub(crate) fn read(fd: &OwnedFd, record: &CrashPageRecord) -> io::Result<Option<Crash>> {
    let bad = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    if record.size as usize > CRASH_BYTES {
        return Err(bad(format!("a crash page of {} bytes", record.size)));
    }
    parse(&whole(fd, u64::from(record.size), "the crash page")?).map_err(|e| bad(e.to_string()))
}

fn parse(bytes: &[u8]) -> Result<Option<Crash>, Malformed> {
    let mut r = Reader::new(bytes);
    let written = r.bytes()?;
    if written.is_empty() {
        return Ok(None);
    }
    let mut r = Reader::new(written);
    let record = r.record()?;
    let (stack, maps) = (r.bytes()?.to_vec(), r.bytes()?.to_vec());
    Ok(Some(Crash { record, stack, maps }))
}

#[cfg(test)]
mod tests {
    use hangscope_protocol::Writer;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_written_page_is_read_and_an_empty_one_is_none() {
        assert_eq!(parse(&[0; 4096]), Ok(None));
        let mut page = [0; 4096];
        let record = CrashRecord { tid: 7, signal: 11, code: 1, stack: 0x7000, ..zero() };
        let mut w = Writer::new(&mut page[4..]);
        w.record_with(&record, &[1, 2, 3]).unwrap();
        w.record(&5u32).unwrap();
        w.raw(b"maps\n").unwrap();
        let len = w.len() as u32;
        page[..4].copy_from_slice(&len.to_le_bytes());
        let crash = Crash { record, stack: vec![1, 2, 3], maps: b"maps\n".to_vec() };
        assert_eq!(parse(&page), Ok(Some(crash)));
        page[0] -= 1;
        assert!(parse(&page).is_err(), "truncated lines");
    }

    proptest! {
        #[test]
        fn no_page_is_too_much(bytes in prop::collection::vec(any::<u8>(), 0..900)) {
            let _ = parse(&bytes);
        }
    }
}
