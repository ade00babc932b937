//! ELF: the file of a DSO, and the image of a DSO in memory.

use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use hangscope_collector::evidence::recording::Recording;
use hangscope_collector::session::{Dump, Stack};
use hangscope_collector::symbolize::{Sources, symbolize};
use hangscope_protocol::record::{StackRecord, dso_flags};
use hangscope_reader::elf::{Dynamic, Headers, image, symbols};
use hangscope_reader::{Memory, carrier, link_map};

/// Where the image lies.
const START: u64 = 0x7f00_0000_0000;

/// An image that is the file itself.
struct Image<'b>(&'b [u8]);

impl Memory for Image<'_> {
    type Error = ();

    fn read(&self, at: u64, to: &mut [u8]) -> Result<usize, ()> {
        let from = at.checked_sub(START).and_then(|offset| self.0.get(usize::try_from(offset).ok()?..));
        let from = from.filter(|bytes| !bytes.is_empty()).ok_or(())?;
        let n = from.len().min(to.len());
        to[..n].copy_from_slice(&from[..n]);
        Ok(n)
    }
}

/// A dump with an allocator of which nothing is known but its place: so the file may be any.
static DUMP: LazyLock<Dump> = LazyLock::new(|| {
    let recorded = include_bytes!("../../../collector/tests/recorded/deadlock_self.json.gz");
    let mut dump = Recording::read(recorded).expect("a recording of the repository").dump;
    for dso in &mut dump.dsos {
        dso.path = "/nonexistent".into();
        if dso.init.flags & dso_flags::ALLOCATOR != 0 {
            (dso.init.build_id_len, dso.init.size) = (0, 0);
        }
    }
    let stacks = dump.threads.iter().filter(|t| t.sp != 0).map(|t| Stack {
        record: StackRecord { tid: t.tid, look: 1, flags: 0, sp: t.sp },
        // Words that point into the allocator, as return addresses do.
        bytes: (0..512u64).flat_map(|i| (t.pc + i * 8).to_le_bytes()).collect(),
    });
    dump.stacks = stacks.collect();
    dump
});

pub fn any(bytes: &[u8]) {
    of_memory(bytes);
    of_file(bytes).expect("a file for the bytes");
}

fn of_memory(bytes: &[u8]) {
    let memory = Image(bytes);
    let _ = image(&memory, START);
    let mut room = [0; 4096];
    if let Some(settings) = carrier::settings(&memory, START, &mut room) {
        assert!(carrier::entries(settings).all(|entry| entry.starts_with(b"HANGSCOPE_")));
    }
    if let Some(headers) = Headers::read(&memory, START)
        && let Some(at) = headers.dynamic()
    {
        let dynamic = Dynamic::read(&memory, at, headers.bias);
        let _ = symbols::function(&memory, &dynamic, b"malloc");
        let _ = symbols::variable(&memory, &dynamic, b"environ");
    }
    if let Some(list) = link_map::r_debug_of_image(&memory, START) {
        let _ = link_map::find_function(&memory, list, b"malloc");
    }
}

fn of_file(bytes: &[u8]) -> std::io::Result<()> {
    let mut file = tempfile::tempfile()?;
    file.write_all(bytes)?;
    let sources = Sources {
        allocator_copy: Some(PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))),
        debug_dirs: vec![],
        budget: Duration::from_secs(1),
        ..Sources::default()
    };
    let traces = symbolize(&DUMP, &sources);
    assert_eq!(traces.threads.len(), DUMP.threads.len());
    Ok(())
}
