//! Frames in, dumps out: whole ones, truncated ones, garbage.

use hangscope_protocol::record::*;
use hangscope_protocol::{Header, Kind, Reader};
use proptest::prelude::*;

use super::*;
use crate::testkit::fake_shim::{Frames, frame, payload, zero};

/// The frames of a session: hello, DSOs, a heartbeat, a dump.
fn session_frames() -> Vec<Vec<u8>> {
    let mut frames = Frames::default();
    let mut all = frames.hello(3);
    all.push(frames.heartbeat(1, 4));
    let dump = frames.dump(1, 40, 3000);
    all.extend(dump);
    all
}

/// A session with so many DSOs, up to the end of its hello.
fn greeted(dsos: u32) -> (Assembler, Frames) {
    let (mut assembler, mut frames) = (Assembler::new(), Frames::default());
    for frame in frames.hello(dsos) {
        assembler.push(&frame).unwrap();
    }
    (assembler, frames)
}

#[test]
fn frames_that_are_missing_in_a_dump_are_counted() {
    let all = session_frames();
    let whole = &read_dumps(&all.concat()).unwrap()[0];
    assert_eq!((whole.threads.len(), whole.stacks.len(), whole.gaps), (40, 40, 0));
    assert_eq!((whole.dsos.len(), whole.marks.len(), whole.end.is_some()), (3, 1, true));
    for (at, bytes) in all.iter().enumerate().skip(4).take(all.len() - 5) {
        let mut some = all.clone();
        some.remove(at);
        let dump = &read_dumps(&some.concat()).unwrap()[0];
        let kind = Kind::from_u16(Reader::new(bytes).record::<Header>().unwrap().kind).unwrap();
        assert_eq!(dump.gaps, 1, "{kind:?}");
        match kind {
            Kind::Threads => assert!(dump.threads.len() < 40),
            Kind::Stacks => assert!(dump.stacks.len() < 40),
            Kind::Maps => assert_eq!(dump.maps, b""),
            _ => {}
        }
    }
}

#[test]
fn a_recording_that_is_cut_off_anywhere_is_a_legal_dump() {
    let all = session_frames();
    let bytes = all.concat();
    let begin: usize = all.iter().take(4).map(Vec::len).sum();
    for len in (begin..bytes.len()).step_by(997) {
        let dumps = read_dumps(&bytes[..len]).unwrap();
        assert_eq!((dumps.len(), dumps[0].end), (1, None), "{len}");
    }
    assert!(matches!(read_dumps(&bytes[..begin - 1]), Err(BadDump::Empty)));
}

#[test]
fn several_dumps_in_one_file_are_separated() {
    let mut frames = Frames::default();
    let mut all = frames.hello(1);
    all.extend(frames.dump(1, 2, 10));
    let mut second = frames.dump(2, 3, 10);
    second.pop();
    all.extend(second);
    // A process that lost its connection sends another hello.
    let mut again = Frames::default();
    all.extend(again.hello(2));
    all.extend(again.dump(3, 4, 10));
    let dumps = read_dumps(&all.concat()).unwrap();
    let seen: Vec<_> =
        dumps.iter().map(|d| (d.begin.number, d.threads.len(), d.end.is_some(), d.dsos.len())).collect();
    assert_eq!(seen, [(1, 2, true, 1), (2, 3, false, 1), (3, 4, true, 2)]);
}

#[test]
fn a_malformed_frame_is_reported_with_its_offset() {
    let mut all = session_frames();
    all[4] = frame(Kind::Threads, 4, 1, &[1; 10]);
    let offset: usize = all[..4].iter().map(Vec::len).sum();
    let error = read_dumps(&all.concat()).unwrap_err().to_string();
    assert_eq!(error, format!("frame 4 (byte {offset}): not well-formed at byte 10: expected more bytes"));
}

#[test]
fn a_hole_in_maps_is_not_closed() {
    let (mut assembler, mut frames) = greeted(0);
    let mut push = |frame: Vec<u8>| assembler.push(&frame).map(drop);
    let begin = payload(|w| w.record(&DumpBeginRecord { number: 1, ..zero() }).unwrap());
    push(frames.next(Kind::DumpBegin, 1, &begin)).unwrap();
    for (offset, text) in [(0u64, "abc"), (3, "def"), (9, "jkl")] {
        let body = payload(|w| w.record(&offset).and_then(|()| w.raw(text.as_bytes())).unwrap());
        push(frames.next(Kind::Maps, 1, &body)).unwrap();
    }
    assert_eq!(assembler.take_dump().unwrap().maps, b"abcdef");
}

#[test]
fn heartbeats_in_several_frames_are_one_look() {
    let (mut assembler, mut frames) = greeted(0);
    let mut part = |tick, first, last, tids: std::ops::Range<u32>| {
        let body = payload(|w| {
            let threads = 4;
            w.record(&HeartbeatRecord { tick, first, last, threads, ..zero() }).unwrap();
            tids.for_each(|tid| w.record(&HeartbeatThread { tid, ..zero() }).unwrap());
        });
        match assembler.push(&frames.next(Kind::Heartbeat, 0, &body)).unwrap() {
            Some(assemble::Done::Heartbeat(beat)) => Some(beat.threads.len()),
            _ => None,
        }
    };
    assert_eq!(part(1, 0, 0, 1..3), None);
    assert_eq!(part(1, 2, 1, 3..5), Some(4));
    // The end of a look was dropped: its beginning does not become part of the next look.
    assert_eq!(part(2, 0, 0, 1..3), None);
    assert_eq!(part(3, 0, 1, 1..4), Some(3));
}

#[test]
fn a_look_without_maps_takes_no_deleted_back() {
    use maps_deleted::{NO, NOT_SEEN, YES};
    let (mut assembler, mut frames) = greeted(1);
    let id = assembler.dsos()[0].init.id;
    // What maps says, and what is known then. A dump reads maps; a heartbeat's look does not.
    for (maps_deleted, known) in [
        (NOT_SEEN, NOT_SEEN),
        (NO, NO),
        (NOT_SEEN, NOT_SEEN),
        (YES, YES),
        (NOT_SEEN, YES),
        (NOT_SEEN, YES),
        (NO, NO),
    ] {
        let look = DsoNowRecord { id, maps_deleted, path_errno: 2, ..zero() };
        let body = payload(|w| w.record(&look).unwrap());
        assembler.push(&frames.next(Kind::DsosNow, 0, &body)).unwrap();
        assert_eq!(assembler.dsos()[0].now, Some(DsoNowRecord { maps_deleted: known, ..look }));
    }
}

#[test]
fn the_number_of_kept_notes_is_bounded() {
    let (mut assembler, mut frames) = greeted(0);
    for n in 0..5000u64 {
        let body = payload(|w| w.record_with(&NoteRecord { value: n, ..zero() }, b"x").unwrap());
        assembler.push(&frames.next(Kind::Note, 0, &body)).unwrap();
    }
    assert!(assembler.notes().len() < 1000);
    assert_eq!(assembler.notes().last().unwrap().record.value, 4999);
}

proptest! {
    #[test]
    fn bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = read_dumps(&bytes);
    }

    /// A recording with changed bytes: an error, or a dump of the rest.
    #[test]
    fn damage_never_panics(damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = session_frames().concat();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(dumps) = read_dumps(&bytes) {
            prop_assert!(!dumps.is_empty());
        }
    }

    /// Well-formed headers with any payload, through the live path.
    #[test]
    fn payloads_never_panic(kind in 1u16..16, body in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut assembler = Assembler::new();
        for frame in session_frames().iter().take(4) {
            assembler.push(frame).unwrap();
        }
        let kind = Kind::from_u16(kind).unwrap();
        let _ = assembler.push(&frame(kind, 9, 1, &body));
        prop_assert!(assembler.take_dump().is_some() || kind == Kind::Hello);
    }
}
