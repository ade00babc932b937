//! A dump as frames, as a shim sends them. A dump that `snap` took from outside becomes a `dump.bin` in
//! this way, which [`super::read_dumps`] can read.

use hangscope_protocol::record::{FdRecord, Hello};
use hangscope_protocol::{HEADER_LEN, Header, Kind, MAGIC, MAX_PAYLOAD, Record, Writer};

use super::model::{Dump, Probe};

/// The frames of a dump, one after the other.
pub(crate) fn frames(dump: &Dump) -> Vec<u8> {
    let identity = &dump.identity;
    let mut frames = Frames { bytes: vec![], seq: 0, dump, t_ns: dump.begin.trigger_ns };
    let cmdline: Vec<u8> = identity.command.iter().flat_map(|a| a.bytes().chain([0])).collect();
    let hello = Hello {
        fixed: identity.fixed,
        label: identity.label.as_bytes(),
        exe: identity.exe.as_bytes(),
        // A shim sends at most 4096 bytes of it.
        cmdline: cmdline.get(..4096).unwrap_or(&cmdline),
        ld_preload: identity.ld_preload.as_bytes(),
        target: identity.target.as_bytes(),
        shim: identity.shim.as_bytes(),
    };
    frames.one(Kind::Hello, |w| _ = hello.put(w));
    frames.with_bytes(Kind::Note, dump.notes.iter().map(|n| (n.record, n.text.as_bytes())));
    frames.with_bytes(Kind::Dsos, dump.dsos.iter().map(|d| (d.init, d.path.as_bytes())));
    frames.many(Kind::DsosNow, dump.dsos.iter().filter_map(|d| d.now));
    frames.one(Kind::DumpBegin, |w| _ = w.record(&dump.begin));
    let mut offset = 0u64;
    for part in dump.maps.chunks(MAX_PAYLOAD - 8) {
        frames.one(Kind::Maps, |w| _ = w.record(&offset).and_then(|()| w.raw(part)));
        offset += part.len() as u64;
    }
    frames.with_bytes(Kind::Holds, dump.holds.iter().map(|h| (h.record, &*h.stack)));
    frames.many(Kind::Patched, dump.patched.iter().copied());
    frames.t_ns = dump.looks_ns[0].max(frames.t_ns);
    frames.many(Kind::Threads, dump.threads.iter().copied());
    frames.with_bytes(Kind::Stacks, dump.stacks.iter().map(|s| (s.record, &*s.bytes)));
    frames.with_bytes(
        Kind::Fds,
        dump.fds.iter().map(|(fd, to)| (FdRecord { fd: *fd, errno: 0 }, to.as_bytes())),
    );
    frames.with_bytes(Kind::Memory, dump.memory.iter().map(|m| (m.record, &*m.bytes)));
    let probe = |p: &'_ Probe| p.record;
    frames.with_bytes(Kind::Probes, dump.probes.iter().map(|p| (probe(p), &*p.stack)));
    frames.with_bytes(Kind::Probes, dump.samples.iter().map(|p| (probe(p), &*p.stack)));
    frames.t_ns = dump.looks_ns[1].max(frames.t_ns);
    frames.many(Kind::Threads, dump.second.iter().copied());
    // A frame has only one mark.
    dump.marks.iter().for_each(|mark| frames.one(Kind::Mark, |w| _ = w.record(mark)));
    if let Some(end) = &dump.end {
        frames.one(Kind::DumpEnd, |w| _ = w.record(end));
    }
    frames.bytes
}

struct Frames<'d> {
    bytes: Vec<u8>,
    seq: u32,
    dump: &'d Dump,
    /// Time of the frames that are written now, CLOCK_MONOTONIC, ns.
    t_ns: u64,
}

impl Frames<'_> {
    /// Writes a frame with the payload that `fill` writes.
    fn one(&mut self, kind: Kind, fill: impl FnOnce(&mut Writer<'_>)) {
        let mut payload = vec![0; MAX_PAYLOAD];
        let mut w = Writer::new(&mut payload);
        fill(&mut w);
        let of_dump = !matches!(kind, Kind::Hello | Kind::Note | Kind::Dsos | Kind::DsosNow);
        let header = Header {
            magic: MAGIC,
            kind: kind as u16,
            flags: 0,
            len: w.len() as u32,
            seq: self.seq,
            dump: if of_dump { self.dump.begin.number } else { 0 },
            pid: self.dump.identity.fixed.pid,
            t_ns: self.t_ns,
        };
        let at = self.bytes.len();
        self.bytes.resize(at + HEADER_LEN, 0);
        let written = self.bytes.get_mut(at..).map(|to| header.write_to(to));
        debug_assert_eq!(written, Some(Ok(())), "there is room for a header");
        self.bytes.extend_from_slice(w.written());
        self.seq += 1;
    }

    /// Writes records, as many in each frame as fit.
    fn many<R: Record + Copy>(&mut self, kind: Kind, records: impl Iterator<Item = R>) {
        let records: Vec<R> = records.collect();
        for some in records.chunks(MAX_PAYLOAD / R::SIZE) {
            self.one(kind, |w| _ = some.iter().try_for_each(|r| w.record(r)));
        }
    }

    /// Writes records with bytes, as many in each frame as fit. Bytes that do not fit
    /// into a frame are cut off.
    fn with_bytes<'b, R: Record + Copy>(&mut self, kind: Kind, records: impl Iterator<Item = (R, &'b [u8])>) {
        let most = MAX_PAYLOAD - R::SIZE - 4;
        let mut some: Vec<(R, &[u8])> = vec![];
        let mut room = MAX_PAYLOAD;
        let mut send = |some: &mut Vec<(R, &[u8])>| {
            if !some.is_empty() {
                self.one(kind, |w| _ = some.iter().try_for_each(|(r, bytes)| w.record_with(r, bytes)));
                some.clear();
            }
        };
        for (record, bytes) in records {
            let bytes = bytes.get(..most).unwrap_or(bytes);
            let size = R::SIZE + 4 + bytes.len();
            if size > room {
                send(&mut some);
                room = MAX_PAYLOAD;
            }
            room -= size;
            some.push((record, bytes));
        }
        send(&mut some);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Note, read_dumps};
    use crate::testkit::fake_shim::{Frames as Fake, zero};

    #[test]
    fn a_written_dump_reads_back_equal() {
        let mut fake = Fake::default();
        let mut all = fake.hello(300);
        all.extend(fake.dump(3, 500, 40_000));
        let mut dump = read_dumps(&all.concat()).unwrap().remove(0);
        dump.maps = b"0-1 r-xp 0 0:0 0\n".repeat(10_000);
        dump.second =
            dump.threads.iter().map(|t| hangscope_protocol::record::ThreadRecord { look: 2, ..*t }).collect();
        // The second look was planned after 2 s, but the watchdog got no processor.
        dump.looks_ns[1] = dump.looks_ns[0] + 3_500_000_000;
        dump.begin.second_look_after_ns = 2_000_000_000;
        dump.fds.insert(3, "pipe:[1]".into());
        for address in [64, 128] {
            let record = hangscope_protocol::record::MemoryRecord { address, wanted: 9, errno: 0 };
            dump.memory.push(crate::session::Memory { record, bytes: vec![address as u8; 8] });
        }
        for sample in 0..4 {
            let mut probe = Probe { record: zero(), stack: vec![sample as u8; 9000] };
            probe.record.sample = sample;
            if sample == 0 { dump.probes.push(probe) } else { dump.samples.push(probe) }
        }
        dump.notes.push(Note { record: zero(), text: "said".into() });
        for dso in &mut dump.dsos {
            dso.now = Some(hangscope_protocol::record::DsoNowRecord { id: dso.init.id, ..zero() });
        }
        let again = read_dumps(&frames(&dump)).unwrap();
        assert_eq!(again.len(), 1);
        assert!(again[0] == dump);
        assert_eq!(again[0].between_ns(), Some(3_500_000_000));
        dump.end = None;
        assert!(read_dumps(&frames(&dump)).unwrap()[0] == dump);
    }
}
