//! The account of spans, which the slow paths of the races read and write. A span is a number below
//! [`SPANS`].

use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) const SPANS: usize = 64;
/// The end of a list of spans.
pub(crate) const NO_SPAN: u32 = u32::MAX;

/// The age of each page, which a purge counts up.
static AGES: [AtomicU32; 4096] = [const { AtomicU32::new(0) }; 4096];

/// The work of a slow path: makes the first `pages` pages older. 1,000 pages take about half a microsecond.
/// The account tolerates that two threads do this at the same time.
pub(crate) fn age_pages(pages: usize) {
    for age in &AGES[..pages] {
        age.store(age.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}

/// For each span of a list, the span that follows it.
pub(crate) struct Links([AtomicU32; SPANS]);

impl Links {
    pub(crate) const fn new() -> Self {
        Links([const { AtomicU32::new(NO_SPAN) }; SPANS])
    }

    pub(crate) fn after(&self, span: u32) -> u32 {
        self.0[span as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn set_after(&self, span: u32, next: u32) {
        self.0[span as usize].store(next, Ordering::Relaxed);
    }
}
