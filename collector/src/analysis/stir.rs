//! How the shim disturbs the scheduling of a process (HANGSCOPE_STIR).

use serde::{Deserialize, Serialize};

use crate::session::Identity;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stir {
    /// 1 to 3; see HANGSCOPE_STIR.
    pub(crate) level: u8,
    /// Seed of the random choices. The same seed repeats the same disturbances, not the same schedule.
    pub(crate) seed: u32,
}

impl Stir {
    /// The setting that the shim reported in its hello; none if it disturbs nothing.
    pub(crate) fn of(identity: &Identity) -> Option<Stir> {
        let level = u8::try_from(identity.fixed.stir_level).unwrap_or(u8::MAX);
        (level > 0).then_some(Stir { level, seed: identity.fixed.stir_seed })
    }

    /// The setting of one run of a hunt: run N has the seed of the hunt plus N - 1.
    pub(crate) fn of_run(self, run: u32) -> Stir {
        Stir { seed: self.seed.wrapping_add(run.wrapping_sub(1)), ..self }
    }
}
