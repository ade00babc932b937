//! The times that blocked system calls wait for.

use std::collections::BTreeSet;

use hangscope_protocol::record::MemoryRecord;

use super::memory::up_to;
use super::threads::is_blocked;
use crate::session::syscalls::Syscalls;
use crate::session::timeouts::{TIME_BYTES, Timeout, timeout_of};
use crate::session::{Dump, Memory};

/// Most timeouts that are read.
const MOST_TIMES: usize = 256;

/// The timeouts of blocked calls.
pub(super) fn times(
    dump: &Dump,
    memory: &impl hangscope_reader::Memory<Error = nix::errno::Errno>,
) -> Vec<Memory> {
    let Some(arch) = Syscalls::from_elf(dump.identity.fixed.arch) else { return vec![] };
    let places = dump.threads.iter().filter(|t| is_blocked(t)).map(|t| timeout_of(arch, t));
    let addresses = places.filter_map(|timeout| match timeout {
        Timeout::At(at) => Some(at.address),
        _ => None,
    });
    let addresses: BTreeSet<u64> = addresses.take(MOST_TIMES).collect();
    let read = |address: u64| {
        let bytes = up_to(memory, address, TIME_BYTES).ok()?;
        Some(Memory { record: MemoryRecord { address, wanted: TIME_BYTES as u32, errno: 0 }, bytes })
    };
    addresses.into_iter().filter_map(read).collect()
}
