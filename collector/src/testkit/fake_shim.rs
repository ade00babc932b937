//! A client that speaks the shim's protocol, well or badly.

use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use hangscope_protocol::record::*;
use hangscope_protocol::{HEADER_LEN, Header, Kind, MAGIC, MAX_PAYLOAD, Reader, Record, VERSION, Writer};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, sendmsg,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

use crate::session::Identity;

/// A record with every byte zero.
pub(crate) fn zero<R: Record>() -> R {
    Reader::new(&vec![0; R::SIZE]).record().unwrap()
}

/// Bytes of a payload, written by `fill`.
pub(crate) fn payload(fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut buf = vec![0; MAX_PAYLOAD];
    let mut w = Writer::new(&mut buf);
    fill(&mut w);
    w.written().to_vec()
}

pub(crate) fn frame(kind: Kind, seq: u32, dump: u32, payload: &[u8]) -> Vec<u8> {
    let header = Header {
        magic: MAGIC,
        kind: kind as u16,
        flags: 0,
        len: payload.len() as u32,
        seq,
        dump,
        pid: std::process::id(),
        t_ns: u64::from(seq) * 1000,
    };
    let mut frame = vec![0; HEADER_LEN];
    header.write_to(&mut frame).unwrap();
    frame.extend_from_slice(payload);
    frame
}

/// The identity of a process, without texts.
pub(crate) fn identity(fixed: HelloRecord) -> Identity {
    let none: &[u8] = &[];
    Identity::from_hello(&Hello {
        fixed,
        label: none,
        exe: none,
        cmdline: none,
        ld_preload: none,
        target: none,
        shim: none,
    })
}

/// The hello of this process. It announces this many DSOs.
pub(crate) fn hello(version: u16, dsos: u32) -> Vec<u8> {
    let pid = std::process::id();
    let fixed =
        HelloRecord { version, pid, dsos, arch: ARCH_X86_64, clk_tck: 100, page_size: 4096, ..zero() };
    let hello = Hello {
        fixed,
        label: b"rss_hz4_1",
        exe: b"/usr/bin/bench",
        cmdline: b"./bench\x0016\x00",
        ld_preload: b"libhangscope.so:libhz4.so",
        target: b"",
        shim: b"0.1.0",
    };
    payload(|w| hello.put(w).unwrap())
}

/// Makes frames and counts them as a shim does. Sends nothing.
#[derive(Default)]
pub(crate) struct Frames {
    seq: u32,
}

impl Frames {
    pub(crate) fn next(&mut self, kind: Kind, dump: u32, payload: &[u8]) -> Vec<u8> {
        let frame = frame(kind, self.seq, dump, payload);
        self.seq += 1;
        frame
    }

    /// A hello, then `n` DSOs in one frame.
    pub(crate) fn hello(&mut self, n: u32) -> Vec<Vec<u8>> {
        let dsos = payload(|w| {
            for id in 0..n {
                let flags = if id == 0 { dso_flags::ALLOCATOR | dso_flags::PROVIDES_MALLOC } else { 0 };
                let path = format!("/lib/lib{id}.so");
                w.record_with(&DsoRecord { id, flags, start: 0x1000, ..zero() }, path.as_bytes()).unwrap();
            }
        });
        let hello = self.next(Kind::Hello, 0, &hello(VERSION, n));
        vec![hello, self.next(Kind::Dsos, 0, &dsos)]
    }

    pub(crate) fn heartbeat(&mut self, tick: u32, threads: u32) -> Vec<u8> {
        let body = payload(|w| {
            let beat = HeartbeatRecord { tick, threads, last: 1, rss_kib: 1234, ..zero() };
            w.record(&beat).unwrap();
            for tid in 1..=threads {
                w.record(&HeartbeatThread { tid, state: b'S', syscall: 202, ..zero() }).unwrap();
            }
        });
        self.next(Kind::Heartbeat, 0, &body)
    }

    /// A whole dump with stacks of `stack` bytes.
    pub(crate) fn dump(&mut self, number: u32, threads: u32, stack: usize) -> Vec<Vec<u8>> {
        let begin = DumpBeginRecord { number, reason: 1, threads, ..zero() };
        let mut frames = vec![self.next(Kind::DumpBegin, number, &payload(|w| w.record(&begin).unwrap()))];
        let maps = payload(|w| {
            w.record(&0u64).unwrap();
            w.raw(b"1000-2000 r-xp 00000000 08:01 77 /lib/lib0.so\n").unwrap();
        });
        frames.push(self.next(Kind::Maps, number, &maps));
        let tids: Vec<u32> = (1..=threads).collect();
        for some in tids.chunks(MAX_PAYLOAD / ThreadRecord::SIZE) {
            let body = payload(|w| {
                for tid in some {
                    let thread = ThreadRecord { tid: *tid, look: 1, state: b'S', syscall: 202, ..zero() };
                    w.record(&thread).unwrap();
                }
            });
            frames.push(self.next(Kind::Threads, number, &body));
        }
        for some in tids.chunks(MAX_PAYLOAD / (StackRecord::SIZE + 4 + stack)) {
            let body = payload(|w| {
                for tid in some {
                    w.record_with(&StackRecord { tid: *tid, look: 1, flags: 1, sp: 0x7000 }, &vec![7; stack])
                        .unwrap();
                }
            });
            frames.push(self.next(Kind::Stacks, number, &body));
        }
        let mark = MarkRecord { part: mark_part::THREADS, records: threads, ..zero() };
        frames.push(self.next(Kind::Mark, number, &payload(|w| w.record(&mark).unwrap())));
        let end = DumpEndRecord { number, threads, ..zero() };
        frames.push(self.next(Kind::DumpEnd, number, &payload(|w| w.record(&end).unwrap())));
        frames
    }
}

pub(crate) struct FakeShim {
    pub(crate) socket: OwnedFd,
    pub(crate) frames: Frames,
}

impl FakeShim {
    pub(crate) fn connect(path: &Path) -> FakeShim {
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
        connect(socket.as_raw_fd(), &UnixAddr::new(path).unwrap()).unwrap();
        // Without these, a test could wait for ever.
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(20)).unwrap();
        setsockopt(&socket, sockopt::SendTimeout, &TimeVal::seconds(20)).unwrap();
        FakeShim { socket, frames: Frames::default() }
    }

    /// Connects and says hello with two DSOs.
    pub(crate) fn greet(path: &Path) -> FakeShim {
        let mut shim = FakeShim::connect(path);
        let frames = shim.frames.hello(2);
        shim.send_all(&frames).unwrap();
        shim
    }

    pub(crate) fn beat(&mut self, tick: u32, threads: u32) -> nix::Result<usize> {
        let beat = self.frames.heartbeat(tick, threads);
        self.send(&beat)
    }

    pub(crate) fn send(&self, bytes: &[u8]) -> nix::Result<usize> {
        self.send_with(bytes, &[])
    }

    pub(crate) fn send_with(&self, bytes: &[u8], fds: &[i32]) -> nix::Result<usize> {
        let rights = [ControlMessage::ScmRights(fds)];
        let control = if fds.is_empty() { &[][..] } else { &rights[..] };
        let flags = MsgFlags::MSG_NOSIGNAL;
        sendmsg::<()>(self.socket.as_raw_fd(), &[IoSlice::new(bytes)], control, flags, None)
    }

    pub(crate) fn send_all(&self, frames: &[Vec<u8>]) -> nix::Result<()> {
        frames.iter().try_for_each(|frame| self.send(frame).map(drop))
    }

    /// The next request of the collector; none if it closed the connection.
    pub(crate) fn receive(&self) -> Option<Vec<u8>> {
        let mut buf = vec![0; 4096];
        let len = recv(self.socket.as_raw_fd(), &mut buf, MsgFlags::empty()).unwrap();
        buf.truncate(len);
        (len > 0).then_some(buf)
    }
}

/// How long a test waits for something that must come.
pub(crate) const SOON: Duration = Duration::from_secs(20);
