//! What is written is what is read, and no bytes make the reader panic.

use crate::record::*;
use crate::*;

fn hello() -> HelloRecord {
    let mut bytes = [0u8; HelloRecord::SIZE];
    for (i, b) in bytes.iter_mut().enumerate() {
        *b = i as u8;
    }
    Reader::new(&bytes).record().unwrap()
}

#[test]
fn a_hello_comes_back_as_it_was() {
    let said = Hello {
        fixed: hello(),
        label: b"rss_hz4_1",
        exe: b"/usr/bin/bench",
        cmdline: b"bench\x0016\x00",
        ld_preload: b"",
        target: b"hz4",
        shim: b"0.1.0",
    };
    let mut buf = [0; 512];
    let mut w = Writer::new(&mut buf);
    said.put(&mut w).unwrap();
    let mut r = Reader::new(w.written());
    assert_eq!(Hello::get(&mut r).unwrap(), said);
    assert!(r.is_at_end());
}

#[test]
fn a_record_that_does_not_fit_leaves_nothing_behind() {
    let mut buf = [0; StackRecord::SIZE + 8];
    let mut w = Writer::new(&mut buf);
    let stack = StackRecord { tid: 7, look: 1, flags: 0, sp: 0x7fff };
    assert_eq!(w.record_with(&stack, &[1; 5]), Err(Full));
    assert_eq!(w.len(), 0);
    assert_eq!(w.record_with(&stack, &[1; 4]), Ok(()));
    assert_eq!(w.room(), 0);
}

#[test]
fn a_frame_is_refused_at_the_byte_that_is_wrong() {
    let mut frame = [0; HEADER_LEN + 3];
    let good =
        Header { magic: MAGIC, kind: Kind::Note as u16, flags: 0, len: 3, seq: 1, dump: 0, pid: 1, t_ns: 9 };
    good.write_to(&mut frame).unwrap();
    assert_eq!(Header::split(&frame).unwrap().1, Kind::Note);
    for (wrong, at) in
        [(Header { magic: 0, ..good }, 0), (Header { kind: 999, ..good }, 4), (Header { len: 4, ..good }, 8)]
    {
        wrong.write_to(&mut frame).unwrap();
        assert_eq!(Header::split(&frame).unwrap_err().at, at);
    }
    for len in 0..HEADER_LEN {
        assert!(Header::split(&frame[..len]).is_err());
    }
}

#[test]
fn a_length_beyond_the_frame_is_refused() {
    let mut bytes = [0xff; 12];
    bytes[..4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(Reader::new(&bytes).bytes().is_err());
    assert!(Hello::get(&mut Reader::new(&bytes)).is_err());
}

#[test]
fn every_kind_is_found_by_its_number() {
    // All take Miri a quarter of an hour.
    let tried = (0..=u16::MAX).filter(|n| !cfg!(miri) || *n < 200 || n % 251 == 0);
    let known: Vec<u16> = tried.filter(|n| Kind::from_u16(*n).is_some()).collect();
    assert_eq!(known, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 100, 101, 102]);
}
