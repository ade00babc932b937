//! Frames: what a process sends, as a `dump.bin` keeps it.

use hangscope_collector::analysis::{History, analyse};
use hangscope_collector::session::read_dumps;
use hangscope_collector::session::trace::Traces;
use hangscope_protocol::{Header, Reader, record};

pub fn any(bytes: &[u8]) {
    // One message, as it comes from a socket.
    if let Ok((header, _, payload)) = Header::split(bytes) {
        assert!(payload.len() == header.len as usize && payload.len() < bytes.len());
        let mut records = Reader::new(payload);
        while records.record_with::<record::NoteRecord>().is_ok() {}
    }
    // Many, as they are in a file.
    for dump in read_dumps(bytes).unwrap_or_default() {
        let found = analyse(&dump, &Traces::default(), &History::default());
        assert!(!found.class.as_str().is_empty());
    }
}
