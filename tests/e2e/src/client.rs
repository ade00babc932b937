//! A client that says to a collector whatever it likes.

use std::io::IoSlice;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::path::Path;

use hangscope_protocol::record::{Hello, HelloRecord};
use hangscope_protocol::{HEADER_LEN, Header, Kind, MAGIC, MAX_PAYLOAD, Reader, Record, VERSION, Writer};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, sendmsg, socket,
};

/// A record with every byte zero.
pub fn zero<R: Record>() -> R {
    Reader::new(&vec![0; R::SIZE]).record().expect("as many bytes as it has")
}

/// A frame with this payload.
pub fn frame(kind: Kind, seq: u32, dump: u32, payload: &[u8]) -> Vec<u8> {
    let (pid, len) = (std::process::id(), payload.len() as u32);
    let header =
        Header { magic: MAGIC, kind: kind as u16, flags: 0, len, seq, dump, pid, t_ns: u64::from(seq) };
    let mut frame = vec![0; HEADER_LEN];
    header.write_to(&mut frame).expect("room for a header");
    frame.extend_from_slice(payload);
    frame
}

/// A frame with a record and bytes of any kind behind it.
pub fn of_record<R: Record>(kind: Kind, seq: u32, dump: u32, record: &R, more: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; R::SIZE];
    Writer::new(&mut bytes).record(record).expect("room for a record");
    bytes.extend_from_slice(more);
    frame(kind, seq, dump, &bytes)
}

/// A hello of this process.
pub fn hello(seq: u32, version: u16, label: &str) -> Vec<u8> {
    hello_with(seq, label, HelloRecord { version, ..zero() })
}

/// A hello that the collector takes for one of another process, by its start.
pub fn hello_of_program(start_ticks: u64) -> Vec<u8> {
    // A second between the starts: the folders have the time in their names.
    let wall_ns = start_ticks * 1_000_000_000;
    hello_with(0, "", HelloRecord { version: VERSION, start_ticks, wall_ns, ..zero() })
}

fn hello_with(seq: u32, label: &str, fixed: HelloRecord) -> Vec<u8> {
    let fixed = HelloRecord {
        arch: if cfg!(target_arch = "aarch64") { 183 } else { 62 },
        pid: std::process::id(),
        page_size: 4096,
        clk_tck: 100,
        ..fixed
    };
    let none: &[u8] = &[];
    let label = label.as_bytes();
    let hello = Hello {
        fixed,
        label,
        exe: b"/bin/false",
        cmdline: b"false\0",
        ld_preload: none,
        target: none,
        shim: none,
    };
    let mut bytes = vec![0; MAX_PAYLOAD];
    let mut w = Writer::new(&mut bytes);
    hello.put(&mut w).expect("room for a hello");
    frame(Kind::Hello, seq, 0, w.written())
}

/// A connection.
#[derive(Debug)]
pub struct Client(OwnedFd);

impl Client {
    pub fn new(path: &Path) -> Client {
        let kind = SockType::SeqPacket;
        let fd = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
        connect(fd.as_raw_fd(), &UnixAddr::new(path).expect("a path")).expect("a collector that listens");
        Client(fd)
    }

    /// A connection that has said hello.
    pub fn greeted(path: &Path) -> Client {
        let client = Client::new(path);
        client.send(&hello(0, VERSION, ""));
        client
    }

    /// Sends one message. False once the collector has closed the connection.
    pub fn send(&self, message: &[u8]) -> bool {
        self.send_with(message, &[])
    }

    /// The same with descriptors.
    pub fn send_with(&self, message: &[u8], fds: &[RawFd]) -> bool {
        let rights = [ControlMessage::ScmRights(fds)];
        let control = if fds.is_empty() { &[][..] } else { &rights };
        let data = [IoSlice::new(message)];
        sendmsg::<()>(self.0.as_raw_fd(), &data, control, MsgFlags::MSG_NOSIGNAL, None).is_ok()
    }

    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
