//! `--stir` and `--stir-seed`, of the commands that set the shim up.

use crate::analysis::Stir;

/// How much scheduling is to be disturbed.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct StirArgs {
    /// Disturb scheduling from inside, so that races which are rarely lost are lost more often: 1 gently (threads get other
    /// processors and priorities for milliseconds), 2 also crowds threads on few processors and holds them up, 3 also stops
    /// and slows threads inside the allocator. It ends with the first dump. ops/s are then no figures to publish.
    #[arg(id = "stir", long = "stir", value_name = "LEVEL", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=3))]
    level: u8,
    /// Seed of what --stir does when [default: a new one, printed].
    #[arg(id = "stir_seed", long = "stir-seed", value_name = "N", requires = "stir")]
    seed: Option<u32>,
}

impl StirArgs {
    /// Whether the seed was given.
    pub(crate) fn has_seed(self) -> bool {
        self.seed.is_some()
    }

    /// What was asked for; none: nothing.
    pub(crate) fn stir(self) -> Option<Stir> {
        (self.level > 0)
            .then(|| Stir { level: self.level, seed: self.seed.unwrap_or_else(|| fastrand::u32(..)) })
    }
}
