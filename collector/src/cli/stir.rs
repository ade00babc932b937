//! `--stir` and `--stir-seed`.

use crate::analysis::Stir;

/// How much to disturb scheduling.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct StirArgs {
    /// Disturb scheduling from inside, so that rare races come more often. 1: threads get other CPUs and
    /// priorities for milliseconds. 2: threads are also crowded on few CPUs and delayed. 3: threads are also
    /// stopped and slowed inside the allocator. It ends with the first dump. ops/s of such runs say nothing.
    #[arg(id = "stir", long = "stir", value_name = "LEVEL", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=3))]
    level: u8,
    /// Seed of --stir [default: a new one, printed].
    #[arg(id = "stir_seed", long = "stir-seed", value_name = "N", requires = "stir")]
    seed: Option<u32>,
}

impl StirArgs {
    /// Whether the user gave the seed.
    pub(crate) fn has_seed(self) -> bool {
        self.seed.is_some()
    }

    /// None for level 0.
    pub(crate) fn stir(self) -> Option<Stir> {
        (self.level > 0)
            .then(|| Stir { level: self.level, seed: self.seed.unwrap_or_else(|| fastrand::u32(..)) })
    }
}
