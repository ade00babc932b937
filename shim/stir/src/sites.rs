//! Atomic instructions of the allocator. Each is replaced by a jump to code that asks whether the thread is
//! to be held, executes the instruction, and jumps back.
//!
//! The code comes from the plan: the collector has decoded the allocator's file, and moved the instructions.
//! It is put into place once, in the constructor, while the process has one thread: no thread executes what
//! changes, and nothing has to be changed back. Between the check and the next instruction of the allocator
//! registers, flags and the stack are as they were.
//!
//! A byte for each site says whether the next thread is held there. Threads take it by a
//! compare-and-exchange, so one thread is held for each time that it is set.

use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, Ordering};

use hangscope_protocol::Record;
use hangscope_protocol::random::Random;
use hangscope_protocol::stir::{
    CODE_DISTANCE, MOST_SITES, PatchedRecord, SiteRecord, code, count, hold_at, patched, site,
};

use crate::hold::Place;
use crate::live::Live;
use crate::plan::{self, Plan};
use crate::{arch, hold, image, sys, threads};

const MOST: usize = MOST_SITES as usize;
/// A jump: its opcode, and a distance from its end.
const JUMP: u8 = 0xe9;
const JUMP_LEN: usize = 5;
/// Steps in which a free place for the code is looked for, and how far away it may be.
const STEP: usize = 2 << 20;
const REACH: usize = 1 << 30;

/// Where the code is; null: nothing was replaced. Written by the constructor, before threads exist.
static CODE: AtomicPtr<u8> = AtomicPtr::new(core::ptr::null_mut());
/// The records, and their number.
static RECORDS: AtomicPtr<u8> = AtomicPtr::new(core::ptr::null_mut());
static COUNT: AtomicU32 = AtomicU32::new(0);
/// How often threads were held at each site.
static HITS: AtomicPtr<AtomicU32> = AtomicPtr::new(core::ptr::null_mut());
/// Sites that a thread came by, and those of them that are preferred.
static LIVE: Live<MOST> = Live::none();
static PREFERRED: Live<MOST> = Live::none();
/// When the byte of a site was set, as [`hold::since_begin_us`].
static ARMED_US: [AtomicU32; MOST] = [const { AtomicU32::new(0) }; MOST];
/// 1 for the sites in `LIVE`.
static IS_LIVE: [AtomicU8; MOST] = [const { AtomicU8::new(0) }; MOST];

/// Puts the code of the plan into place. Gives a value of [`patched`].
pub(crate) fn patch(plan: &Plan) -> u64 {
    match try_patch(plan) {
        Ok(()) => patched::DONE,
        Err(why) => why,
    }
}

fn try_patch(plan: &Plan) -> Result<(), u64> {
    if plan.header.sites == 0 {
        return Err(patched::NOT_TRIED);
    }
    let (bias, segment) = image::allocator().ok_or(patched::NO_ALLOCATOR)?;
    if !image::is_only_code() {
        return Err(patched::REFUSED);
    }
    if sys::threads() != Some(1) {
        return Err(patched::THREADS);
    }
    let (Some(records), Some(hits), Some(code_bytes)) = (plan.sites(), plan.hits(), plan.code()) else {
        return Err(patched::OTHER_BYTES);
    };
    let sites = || records.chunks_exact(SiteRecord::SIZE).filter_map(SiteRecord::get);
    let fits = |site: &SiteRecord| {
        let start = bias + u64::from(site.patch);
        let len = usize::from(site.len).min(site.original.len());
        let inside = segment.contains(&start) && start + len as u64 <= segment.end && len >= JUMP_LEN;
        // SAFETY: within a segment of the allocator that is mapped.
        let is = inside.then(|| unsafe { core::slice::from_raw_parts(start as *const u8, len) });
        let has_code = u64::from(site.code_at) + u64::from(site.code_len) <= code_bytes.len() as u64;
        is.is_some() && is == site.original.get(..len) && has_code
    };
    if code_bytes.len() <= code::INSTRUCTIONS || !sites().all(|site| fits(&site)) {
        return Err(patched::OTHER_BYTES);
    }
    let area = near(segment.start as usize, code_bytes.len()).ok_or(patched::NO_ROOM)?;
    let placed = place(plan, &segment, area, code_bytes);
    if placed.is_err() {
        // SAFETY: nothing jumps there.
        unsafe { sys::unmap(area, code_bytes.len()) };
        return placed;
    }
    RECORDS.store(records.as_ptr().cast_mut(), Ordering::Relaxed);
    HITS.store(hits.as_ptr().cast_mut(), Ordering::Relaxed);
    COUNT.store(plan.header.sites, Ordering::Relaxed);
    CODE.store(area.as_ptr(), Ordering::Release);
    Ok(())
}

/// Puts the code into `area`, and jumps to it into the allocator's segment. Where it fails, there are no
/// jumps.
fn place(plan: &Plan, segment: &Range<u64>, area: NonNull<u8>, code_bytes: &[u8]) -> Result<(), u64> {
    let (bias, _) = image::allocator().ok_or(patched::NO_ALLOCATOR)?;
    let records = plan.sites().ok_or(patched::OTHER_BYTES)?;
    let sites = || records.chunks_exact(SiteRecord::SIZE).filter_map(SiteRecord::get);
    let base = area.as_ptr() as u64;
    // SAFETY: the area is as long, is new, and nobody else knows it.
    let copy = unsafe {
        code_bytes.as_ptr().copy_to_nonoverlapping(area.as_ptr(), code_bytes.len());
        core::slice::from_raw_parts_mut(area.as_ptr(), code_bytes.len())
    };
    put(copy, code::DECIDE, &(arch::decide as *const () as u64).to_le_bytes()).ok_or(patched::OTHER_BYTES)?;
    let moved = bias.wrapping_add(CODE_DISTANCE).wrapping_sub(base) as i64;
    for at in plan.fixups().ok_or(patched::OTHER_BYTES)? {
        let word: &[u8; 4] =
            copy.get(at..).and_then(|rest| rest.first_chunk()).ok_or(patched::OTHER_BYTES)?;
        let fixed = i64::from(i32::from_le_bytes(*word)) + moved;
        let fixed = i32::try_from(fixed).map_err(|_| patched::NO_ROOM)?;
        put(copy, at, &fixed.to_le_bytes()).ok_or(patched::OTHER_BYTES)?;
    }
    let distance = |site: &SiteRecord| {
        let end = bias + u64::from(site.patch) + JUMP_LEN as u64;
        i32::try_from((base + u64::from(site.code_at)).wrapping_sub(end) as i64).ok()
    };
    if !sites().all(|site| distance(&site).is_some()) {
        return Err(patched::NO_ROOM);
    }
    // The first pages stay writable: the bytes and the address are there.
    let (first, end) = (base as usize + code::INSTRUCTIONS, base as usize + code_bytes.len());
    // SAFETY: the area is ours, and is written no more.
    if !unsafe { sys::make_code(first, end, false) } {
        return Err(patched::REFUSED);
    }
    let (from, to) = (segment.start as usize, segment.end as usize);
    // SAFETY: the allocator's own code. The only thread is this one, in a constructor.
    if !unsafe { sys::make_code(from, to, true) } {
        return Err(patched::REFUSED);
    }
    for site in sites() {
        let Some(distance) = distance(&site) else { continue };
        let start = (bias + u64::from(site.patch)) as *mut u8;
        // SAFETY: within the segment (`fits`), writable now, and executed by nobody.
        unsafe {
            start.write(JUMP);
            start.add(1).cast::<[u8; 4]>().write_unaligned(distance.to_le_bytes());
        }
    }
    // SAFETY: as above. If it fails, the code stays writable, and works.
    unsafe { sys::make_code(from, to, false) };
    Ok(())
}

/// Writes bytes at an offset; `None` if they do not fit.
fn put(to: &mut [u8], at: usize, bytes: &[u8]) -> Option<()> {
    to.get_mut(at..at.checked_add(bytes.len())?)?.copy_from_slice(bytes);
    Some(())
}

/// Maps memory from where a jump reaches this address, and back.
fn near(address: usize, len: usize) -> Option<NonNull<u8>> {
    let first = (address - address % STEP).checked_sub(len.next_multiple_of(STEP))?;
    // Below come the other DSOs and then free memory; above, what the kernel has put there before.
    let below = (0..REACH / STEP).map_while(|step| first.checked_sub(step * STEP));
    let above = (1..REACH / STEP).map_while(|step| first.checked_add((step + len.div_ceil(STEP) + 1) * STEP));
    below.chain(above).find_map(|at| sys::map_at(at, len))
}

fn record(index: u32) -> Option<SiteRecord> {
    let records = RECORDS.load(Ordering::Relaxed);
    if records.is_null() || index >= COUNT.load(Ordering::Relaxed) {
        return None;
    }
    // SAFETY: one of the records of the mapped plan, which nobody writes.
    SiteRecord::get(unsafe {
        core::slice::from_raw_parts(records.add(index as usize * SiteRecord::SIZE), SiteRecord::SIZE)
    })
}

/// The byte that says whether the next thread is held at a site.
fn armed(index: u32) -> Option<&'static AtomicU8> {
    let area = CODE.load(Ordering::Acquire);
    if area.is_null() || index >= COUNT.load(Ordering::Relaxed) {
        return None;
    }
    // SAFETY: within the first pages of the area, which stay mapped and writable; read by the code, too, as
    // one byte.
    Some(unsafe { AtomicU8::from_ptr(area.add(code::ARMED + index as usize)) })
}

/// Notes, from now on, which sites threads come by.
pub(crate) fn note_all() {
    for index in 0..COUNT.load(Ordering::Relaxed) {
        let is_live = IS_LIVE.get(index as usize).is_some_and(|live| live.load(Ordering::Relaxed) != 0);
        if let Some(armed) = armed(index).filter(|_| !is_live) {
            armed.store(code::NOTE, Ordering::Relaxed);
        }
    }
}

/// Chooses a site at which the next thread is held, if threads have come by any.
pub(crate) fn choose(random: &mut Random) {
    let preferred = if random.one_in(2) { PREFERRED.draw(random) } else { None };
    let Some(index) = preferred.or_else(|| LIVE.draw(random)) else { return };
    if let Some(armed) = armed(index) {
        let when = if random.one_in(2) { code::BEFORE } else { code::BEHIND };
        if armed.load(Ordering::Relaxed) == 0
            && let Some(armed_us) = ARMED_US.get(index as usize)
        {
            armed_us.store(hold::since_begin_us(), Ordering::Relaxed);
            armed.store(when, Ordering::Relaxed);
        }
    }
}

/// Called by [`arch::decide`]: a thread is at a site whose byte was not 0 a moment ago.
/// `stack` is its stack pointer there.
pub(crate) extern "C" fn at_site(number: u32, stack: u64) {
    let (index, is_behind) = (number & !code::IS_BEHIND, number & code::IS_BEHIND != 0);
    let Some(armed) = armed(index) else { return };
    let wanted = armed.load(Ordering::Relaxed);
    let is_here = match wanted {
        code::BEFORE | code::NOTE => !is_behind,
        code::BEHIND => is_behind,
        _ => false,
    };
    if !is_here || armed.compare_exchange(wanted, 0, Ordering::Relaxed, Ordering::Relaxed).is_err() {
        return;
    }
    let Some(site) = record(index) else { return };
    let mut random = threads::draw();
    if wanted == code::NOTE {
        note(index, &site);
        // The first time may be the only one of this run.
        if random.one_in(2) {
            return;
        }
    }
    if !hold::is_on() {
        return;
    }
    let bias = image::allocator().map_or(0, |(bias, _)| bias);
    let (address, at) = if is_behind {
        (site.next, hold_at::BEHIND_INSTRUCTION)
    } else {
        (site.at, hold_at::BEFORE_INSTRUCTION)
    };
    // Chosen at the beginning, if it was only to be noted.
    let since = ARMED_US.get(index as usize).map_or(0, |since| since.load(Ordering::Relaxed));
    let waited_us = hold::since_begin_us().wrapping_sub(since);
    let place = Place { address: bias + u64::from(address), stack, waited_us, at };
    let held = hold::hold(&mut random, place, count::AT_SITES);
    let hits = HITS.load(Ordering::Relaxed);
    if held && !hits.is_null() {
        // SAFETY: the plan has as many numbers as sites, and `armed` has looked at the index.
        unsafe { &*hits.add(index as usize) }.fetch_add(1, Ordering::Relaxed);
    }
}

/// A thread has come by this site.
fn note(index: u32, site: &SiteRecord) {
    let Some(is_live) = IS_LIVE.get(index as usize) else { return };
    if is_live.swap(1, Ordering::Relaxed) == 0 {
        LIVE.add(index);
        plan::add(count::LIVE_SITES, 1);
        if site.flags & site::PREFERRED != 0 {
            PREFERRED.add(index);
        }
    }
}

/// Code of a site, in this process.
fn patched_record(site: &SiteRecord) -> PatchedRecord {
    let bias = image::allocator().map_or(0, |(bias, _)| bias);
    let area = CODE.load(Ordering::Acquire) as u64;
    let in_allocator = |at: u32| bias + u64::from(at);
    PatchedRecord {
        code: area + u64::from(site.code_at),
        len: site.code_len.into(),
        checks: site.checks,
        patch: in_allocator(site.patch),
        at: in_allocator(site.at),
        next: in_allocator(site.next),
    }
}

/// See [`hangscope_protocol::stir::Api::patched`].
///
/// # Safety
/// `to` must have room for a [`PatchedRecord`].
pub(crate) unsafe extern "C" fn live(index: u32, to: *mut u8) -> bool {
    let Some(site) = LIVE.get(index).and_then(record) else { return false };
    let mut bytes = [0; PatchedRecord::SIZE];
    patched_record(&site).put(&mut bytes);
    // SAFETY: the caller's promise.
    unsafe { bytes.as_ptr().copy_to_nonoverlapping(to, bytes.len()) };
    true
}

/// See [`hangscope_protocol::stir::Api::original`].
///
/// # Safety
/// `sp` must be good for reads and writes.
pub(crate) unsafe extern "C" fn original(pc: u64, sp: *mut u64) -> u64 {
    let area = CODE.load(Ordering::Acquire) as u64;
    let Some(offset) = pc.checked_sub(area).filter(|_| area != 0) else { return pc };
    // The code of the sites stands in their order: the last one that begins at or before this offset.
    let (mut low, mut high) = (0, COUNT.load(Ordering::Relaxed));
    while low < high {
        let middle = low.midpoint(high);
        match record(middle) {
            Some(site) if u64::from(site.code_at) <= offset => low = middle + 1,
            _ => high = middle,
        }
    }
    let site = low.checked_sub(1).and_then(record);
    let Some((place, displaced)) = site.and_then(|site| patched_record(&site).original(pc)) else {
        return pc;
    };
    // SAFETY: the caller's promise.
    unsafe { *sp = (*sp).wrapping_add(displaced) };
    place
}
