//! The plan of the run: a file that the collector made, mapped shared, so that what is counted stays.
//!
//! What the collector has written is only read. The process writes numbers, each as one atomic word. The file
//! is the collector's own, in a folder of its own: it keeps its length as long as it is mapped.

use core::ffi::CStr;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use hangscope_protocol::Record;
use hangscope_protocol::stir::{
    COUNTS, LONGEST_HOLD, MAGIC, MOST_BYTES, MOST_CHOSEN, MOST_SITES, PlanHeader, SiteRecord, VERSION, count,
};

use crate::sys;

/// A mapped plan whose offsets are all within it.
pub(crate) struct Plan {
    pub(crate) header: PlanHeader,
    memory: *const u8,
    len: usize,
}

/// The numbers of the header that threads need. All zero: there is no plan. Written by the constructor, read
/// once threads may be held (`hold::start` releases, whoever sees it acquires).
pub(crate) static SETTINGS: Settings = Settings {
    seed: AtomicU32::new(0),
    one_in: AtomicU32::new(0),
    call_sites: AtomicU32::new(0),
    armed: AtomicU32::new(0),
    every_ns: AtomicU32::new(0),
    least_ns: AtomicU32::new(0),
    octaves: AtomicU32::new(0),
};

/// Numbers of [`PlanHeader`].
pub(crate) struct Settings {
    seed: AtomicU32,
    pub(crate) one_in: AtomicU32,
    pub(crate) call_sites: AtomicU32,
    pub(crate) armed: AtomicU32,
    every_ns: AtomicU32,
    pub(crate) least_ns: AtomicU32,
    pub(crate) octaves: AtomicU32,
}

/// The numbers that the process writes; null without a plan.
static NUMBERS: AtomicPtr<AtomicU64> = AtomicPtr::new(core::ptr::null_mut());

pub(crate) fn every_ns() -> u64 {
    SETTINGS.every_ns.load(Ordering::Relaxed).into()
}

pub(crate) fn seed() -> u32 {
    SETTINGS.seed.load(Ordering::Relaxed)
}

/// Maps a plan. `None` if the file is none.
pub(crate) fn load(path: &CStr) -> Option<Plan> {
    let (memory, len) = sys::map_file(path, MOST_BYTES)?;
    let mut bytes = [0; PlanHeader::SIZE];
    if len < bytes.len() {
        return None;
    }
    // SAFETY: mapped, and so long.
    unsafe { memory.as_ptr().copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
    let header = PlanHeader::get(&bytes)?;
    let plan = Plan { header, memory: memory.as_ptr(), len };
    let h = &plan.header;
    let known = (h.magic, h.version) == (MAGIC, VERSION) && h.sites <= MOST_SITES;
    let longest =
        u64::from(h.least_ns).checked_shl(h.octaves).filter(|ns| ns >> h.octaves == h.least_ns.into());
    if longest.is_none_or(|ns| ns > LONGEST_HOLD) || h.call_sites.max(h.armed) > MOST_CHOSEN {
        return None;
    }
    if !known || !h.hits_at.is_multiple_of(4) || !h.counts_at.is_multiple_of(8) {
        return None;
    }
    plan.bytes(h.hits_at, u64::from(h.sites) * 4)?;
    let numbers = plan.bytes(h.counts_at, COUNTS as u64 * 8)?;
    NUMBERS.store(numbers.cast_mut().cast(), Ordering::Relaxed);
    let s = &SETTINGS;
    for (to, from) in [
        (&s.seed, h.seed),
        (&s.one_in, h.one_in),
        (&s.call_sites, h.call_sites),
        (&s.armed, h.armed),
        (&s.every_ns, h.every_ns),
        (&s.least_ns, h.least_ns),
        (&s.octaves, h.octaves),
    ] {
        to.store(from, Ordering::Relaxed);
    }
    Some(plan)
}

impl Plan {
    /// Where so many bytes at an offset are; `None` if they are not all in the file.
    fn bytes(&self, at: u32, len: u64) -> Option<*const u8> {
        let end = u64::from(at).checked_add(len)?;
        // SAFETY: within the mapping.
        (end <= self.len as u64).then(|| unsafe { self.memory.add(at as usize) })
    }

    /// The records of the sites, in the order of their code.
    pub(crate) fn sites(&self) -> Option<&'static [u8]> {
        let len = self.header.sites as usize * SiteRecord::SIZE;
        let at = self.bytes(self.header.sites_at, len as u64)?;
        // SAFETY: within the mapping, which lives for ever. Nobody writes here (see above).
        Some(unsafe { core::slice::from_raw_parts(at, len) })
    }

    /// How often threads were held at each site.
    pub(crate) fn hits(&self) -> Option<&'static [AtomicU32]> {
        let at = self.bytes(self.header.hits_at, u64::from(self.header.sites) * 4)?;
        // SAFETY: within the mapping, aligned (checked in `load`), and used as atomic numbers only.
        Some(unsafe { core::slice::from_raw_parts(at.cast(), self.header.sites as usize) })
    }

    /// Offsets of the words that are relative to the instruction pointer.
    pub(crate) fn fixups(&self) -> Option<impl Iterator<Item = usize>> {
        let len = u64::from(self.header.fixups) * 4;
        let at = self.bytes(self.header.fixups_at, len)?;
        // SAFETY: as in `sites`.
        let (words, _) = unsafe { core::slice::from_raw_parts(at, len as usize) }.as_chunks::<4>();
        Some(words.iter().map(|word| u32::from_le_bytes(*word) as usize))
    }

    pub(crate) fn code(&self) -> Option<&'static [u8]> {
        let at = self.bytes(self.header.code_at, self.header.code.into())?;
        // SAFETY: as in `sites`.
        Some(unsafe { core::slice::from_raw_parts(at, self.header.code as usize) })
    }

    pub(crate) fn count_patched(&self, outcome: u64) {
        set(count::PATCHED, outcome);
    }
}

fn number(index: usize) -> Option<&'static AtomicU64> {
    let numbers = NUMBERS.load(Ordering::Relaxed);
    // SAFETY: null, or the `COUNTS` aligned numbers of the mapping (checked in `load`).
    (index < COUNTS && !numbers.is_null()).then(|| unsafe { &*numbers.add(index) })
}

/// Adds to one of the numbers of [`count`].
pub(crate) fn add(index: usize, n: u64) {
    if let Some(number) = number(index) {
        number.fetch_add(n, Ordering::Relaxed);
    }
}

fn set(index: usize, n: u64) {
    if let Some(number) = number(index) {
        number.store(n, Ordering::Relaxed);
    }
}

/// Raises one of the numbers of [`count`] to at least this.
pub(crate) fn raise(index: usize, n: u64) {
    if let Some(number) = number(index) {
        number.fetch_max(n, Ordering::Relaxed);
    }
}
