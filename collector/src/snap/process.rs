//! What a process is, from outside: its program, its age, its DSOs, its allocator.

use std::collections::BTreeSet;
use std::fs;

use hangscope_protocol::VERSION;
use hangscope_protocol::record::{ARCH_AARCH64, ARCH_X86_64, HelloRecord, ThreadRecord, hello_flags};
use hangscope_reader::link_map::{self, Linked};
use hangscope_reader::status::Status;
use hangscope_reader::task::Stat;
use nix::time::ClockId;

use super::dsos::{self, Provider};
use super::memory::ProcessMemory;
use super::permit::NotPossible;
use super::zero::zero;
use super::{regs, stop};
use crate::proc::{slow, sysconf};
use crate::session::syscalls::Syscalls;
use crate::session::{Dso, Identity, Probe};
use crate::session::{maps, record_text};

/// A process at one moment.
pub(super) struct Process<'m> {
    pid: u32,
    memory: &'m ProcessMemory,
    /// The bytes of `/proc/PID/maps`.
    pub(super) maps: Vec<u8>,
    cmdline: Vec<u8>,
    ppid: u32,
    /// Start, clock ticks since boot.
    start_ticks: u64,
    /// It was forked and has started no program since.
    forked: bool,
    pub(super) age_ns: u64,
    /// Start by the wall clock, ns since the epoch.
    wall_ns: u64,
    /// Real and effective user.
    users: [u32; 2],
    /// Resident set, KiB; 0 if it is not known.
    pub(super) rss_kib: u64,
    /// ELF machine number of the program.
    machine: u16,
    /// None for a machine that is not known.
    pub(super) arch: Option<Syscalls>,
}

impl<'m> Process<'m> {
    /// # Errors
    /// [`NotPossible`]: a file of `/proc/PID` that cannot be read.
    pub(super) fn read(pid: u32, memory: &'m ProcessMemory) -> Result<Process<'m>, NotPossible> {
        let read = |id: u32, name: &str| {
            fs::read(format!("/proc/{id}/{name}")).map_err(|e| NotPossible::reading(pid, &e))
        };
        let odd = |file: &str| NotPossible::Other { pid, error: format!("{file} makes no sense") };
        let maps = read(memory.tid(), "maps")?;
        let stat = read(pid, "stat")?;
        let stat = Stat::parse(&stat).ok_or_else(|| odd("stat"))?;
        let status = read(memory.tid(), "status")?;
        let status = Status(&status);
        let [real, effective, ..] = status.users().ok_or_else(|| odd("status"))?;
        // The start counts from boot, suspended time included. The wall clock is read first: whatever comes
        // between the two makes the start earlier than it was, and never later. A file that was changed
        // after it must not look older.
        let tick_ns = 1_000_000_000 / sysconf::ticks_per_second();
        let wall_ns = stop::clock_ns(ClockId::CLOCK_REALTIME);
        let since_boot_ns = stop::clock_ns(ClockId::CLOCK_BOOTTIME);
        let age_ns = since_boot_ns.saturating_sub(stat.start_ticks.saturating_mul(tick_ns));
        let machine = machine(memory.tid());
        Ok(Process {
            pid,
            memory,
            maps,
            cmdline: slow::read(format!("/proc/{}/cmdline", memory.tid())).unwrap_or_default(),
            ppid: stat.ppid,
            start_ticks: stat.start_ticks,
            forked: stat.is_forked(),
            age_ns,
            wall_ns: wall_ns.saturating_sub(age_ns),
            users: [real, effective],
            rss_kib: status.rss_kib().unwrap_or(0),
            machine,
            arch: Syscalls::from_elf(machine),
        })
    }

    /// The DSOs, and which of them is the allocator.
    ///
    /// # Errors
    /// [`NotPossible::NoTarget`].
    pub(super) fn dsos(&self, target: Option<&str>) -> Result<(Vec<Dso>, Option<Provider>), NotPossible> {
        let mut dsos = dsos::all(&maps::parse(&self.maps), self.wall_ns, self.memory);
        let linked = self.linked();
        dsos::mark_program(&mut dsos, &linked);
        let provider = dsos::provider(&dsos, &linked, target, self.memory);
        if let (None, Some(target)) = (provider, target) {
            return Err(NotPossible::NoTarget { pid: self.pid, target: target.to_owned() });
        }
        dsos::mark_provider(&mut dsos, provider);
        Ok((dsos, provider))
    }

    /// The thread of a shim that is in the process all the same: it has the shim's name, and was seen in the
    /// shim's code. A thread of the program may have the name, too. `looks` are all looks at all threads. A
    /// thread that ran in both has its place in `probes`.
    pub(super) fn shim_thread(&self, looks: [&[ThreadRecord]; 2], probes: &[Probe]) -> Option<u32> {
        let looks = || looks.into_iter().flatten();
        let is_named = |t: &&ThreadRecord| record_text::padded(&t.comm) == "hangscope";
        let named: BTreeSet<u32> = looks().filter(is_named).map(|t| t.tid).collect();
        let running = probes.iter().map(|probe| (probe.record.tid, probe.record.regs[regs::PC]));
        let places = looks().map(|t| (t.tid, t.pc)).chain(running);
        in_shim(&maps::parse(&self.maps), places.filter(|(tid, _)| named.contains(tid)))
    }

    fn linked(&self) -> Vec<Linked> {
        let auxv = fs::read(format!("/proc/{}/auxv", self.memory.tid())).unwrap_or_default();
        linked(self.memory, &auxv, &maps::parse(&self.maps))
    }

    /// What the hello of its shim would have said. `now_ns` is CLOCK_MONOTONIC.
    pub(super) fn identity(
        &self,
        now_ns: u64,
        dsos: u32,
        provider: Option<Provider>,
        target: Option<&str>,
    ) -> Identity {
        let tid = self.memory.tid();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let environ = slow::read(format!("/proc/{tid}/environ")).unwrap_or_default();
        let preload = environ.split(|b| *b == 0).find_map(|v| v.strip_prefix(b"LD_PRELOAD="));
        let exe = fs::read_link(format!("/proc/{tid}/exe"));
        let named = if target.is_some() { hello_flags::TARGET_NAMED } else { 0 };
        let forked = if self.forked { hello_flags::FORKED } else { 0 };
        Identity {
            fixed: HelloRecord {
                version: VERSION,
                arch: self.machine,
                pid: self.pid,
                ppid: self.ppid,
                uid: self.users[0],
                euid: self.users[1],
                flags: named | forked,
                page_size: sysconf::page_size() as u32,
                start_ticks: self.start_ticks,
                init_ns: now_ns.saturating_sub(self.age_ns),
                wall_ns: self.wall_ns,
                allocator: provider.map_or(u32::MAX, |p| p.id),
                dsos,
                malloc: provider.map_or(0, |p| p.malloc),
                clk_tck: sysconf::ticks_per_second() as u32,
                ..zero()
            },
            label: String::new(),
            exe: exe.map(|p| p.to_string_lossy().into_owned()).unwrap_or_default(),
            command: self.cmdline.split(|b| *b == 0).filter(|a| !a.is_empty()).map(text).collect(),
            ld_preload: preload.map(text).unwrap_or_default(),
            target: target.unwrap_or_default().to_owned(),
            shim: String::new(),
        }
    }
}

/// The first of some threads, by tid and program counter, that is in the shim's code.
pub(super) fn in_shim(
    mappings: &[maps::Mapping],
    places: impl IntoIterator<Item = (u32, u64)>,
) -> Option<u32> {
    let is_code = |m: &&maps::Mapping| m.execute && m.path.ends_with("/libhangscope.so");
    let code: Vec<_> = mappings.iter().filter(is_code).collect();
    places.into_iter().find(|(_, pc)| code.iter().any(|m| m.contains(*pc))).map(|(tid, _)| tid)
}

/// The loader's list; empty for a static program, and before the loader has set it up. The first entry is the
/// program. `auxv`: the bytes of `/proc/PID/auxv`.
pub(super) fn linked(
    memory: &impl hangscope_reader::Memory,
    auxv: &[u8],
    mappings: &[maps::Mapping],
) -> Vec<Linked> {
    let list = |at| link_map::List::new(memory, at).collect::<Vec<Linked>>();
    let by_auxv = link_map::r_debug(memory, auxv).map(list).filter(|list| !list.is_empty());
    by_auxv.unwrap_or_else(|| {
        let mut images = mappings.iter().filter(|m| m.is_file() && m.offset == 0);
        let r_debug = images.find_map(|m| link_map::r_debug_of_image(memory, m.start));
        r_debug.map(list).unwrap_or_default()
    })
}

/// ELF machine number of the program; of this program if it cannot be read.
fn machine(tid: u32) -> u16 {
    let own = if cfg!(target_arch = "aarch64") { ARCH_AARCH64 } else { ARCH_X86_64 };
    let read = || -> std::io::Result<u16> {
        use std::os::unix::fs::FileExt as _;
        let mut machine = [0; 2];
        fs::File::open(format!("/proc/{tid}/exe"))?.read_exact_at(&mut machine, 18)?;
        Ok(u16::from_le_bytes(machine))
    };
    read().unwrap_or(own)
}
