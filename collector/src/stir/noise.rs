//! The numbers of a strategy: how many threads are held, where, and for how long.

use hangscope_protocol::stir::strategy::{BOTH, CALLS, SITES};

/// Numbers of a [`PlanHeader`](hangscope_protocol::stir::PlanHeader).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Noise {
    pub(crate) one_in: u32,
    pub(crate) call_sites: u32,
    pub(crate) armed: u32,
    pub(crate) every_ns: u32,
    pub(crate) least_ns: u32,
    pub(crate) octaves: u32,
}

const MICROSECOND: u32 = 1000;
const MILLISECOND: u32 = 1000 * MICROSECOND;

impl Noise {
    /// That of a code of [`hangscope_protocol::stir::strategy`]; `None` if it holds no threads.
    pub(crate) fn of(code: u32) -> Option<Noise> {
        let (kind, strength) = (code & !15, code & 15);
        let (calls, sites) = match kind {
            CALLS => (true, false),
            SITES => (false, true),
            BOTH => (true, true),
            _ => return None,
        };
        // A hold is up to so long: 320 us, 1.9 ms, 5.1 ms.
        let (least_ns, every_ns) = match strength {
            1 => (10 * MICROSECOND, MILLISECOND / 2),
            2 => (60 * MICROSECOND, MILLISECOND),
            3 => (160 * MICROSECOND, 2 * MILLISECOND),
            _ => return None,
        };
        Some(Noise {
            one_in: if calls && strength == 1 { 64 } else { 0 },
            call_sites: if calls && strength > 1 { 1 } else { 0 },
            armed: if sites { 2 } else { 0 },
            every_ns,
            least_ns,
            octaves: 5,
        })
    }
}
