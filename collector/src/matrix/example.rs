//! The matrix that `hangscope matrix --init` writes.

/// A commented `matrix.toml`.
pub(crate) const TEXT: &str = r#"# A matrix of hangscope: every allocator in every lane, a number of runs each.
#   hangscope matrix matrix.toml            makes the runs
#   hangscope matrix matrix.toml --resume   goes on after a stop, a crash or a power cut
# Relative paths are relative to this file, and the runs are started in its folder.

out = "night"                    # folder for all files; --out overrides it
hang_after = "15s"               # a run that takes longer hangs; a lane may have its own
#stall = "5s"                    # a run in which nothing moves for this time hangs, too
#cpus = "0-15"                   # processors for the runs, as for taskset -c
order = "shuffled"               # rounds in a new order each; or "interleaved" (rounds in this order), "blocks"
#seed = 1                        # of the shuffled order; without it a new one, which meta.txt has
on_hang = "next"                 # after a hang: "next" run, "retry" (one run more of the same kind), "stop", "keep"
#only = "bench"                  # watch only programs of this name
#env = { OMP_NUM_THREADS = "8" } # variables for all runs

# The first allocator is the one that the others are compared with.
[[allocator]]
name = "system"                  # no so: the system's malloc

[[allocator]]
name = "hz4"                     # part of file names
so = "path/libhakozuna_hz4.so"   # copied before the first run: rebuild it whenever you like
#env = { HZ4_X = "1" }           # variables for this allocator alone
#profile = "hz4.toml"            # your own profile of it, as for hangscope hunt

[[lane]]
name = "main"
command = ["./bench", "16", "2000000", "400", "16", "32768", "90", "65536"]

#[[lane]]
#name = "guard"
#command = ["./bench", "16", "2000000", "400", "16", "2048", "90", "65536"]
#hang_after = "1m"

# Figures of ops/s. The system is left alone while a run goes on.
[phase.ops]
runs = 10
warmup = 1                       # runs before them that are no samples

# Peaks of memory, and its course over time.
[phase.rss]
rss_runs = 3
sample = "50ms"                  # time between two looks
"#;

#[cfg(test)]
mod tests {
    use crate::matrix::config::{self, Order, PhaseName};

    #[test]
    fn the_example_is_a_matrix() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("matrix.toml");
        std::fs::write(&path, super::TEXT).unwrap();
        let matrix = config::load(&path).unwrap();
        assert_eq!(matrix.order, Order::Shuffled);
        assert_eq!(matrix.allocators.iter().map(|a| &*a.name).collect::<Vec<_>>(), ["system", "hz4"]);
        assert_eq!(matrix.phases.iter().map(|p| p.name).collect::<Vec<_>>(), PhaseName::ALL);
        // So is what is commented out in it.
        let all = super::TEXT.lines().map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with(' ') => key,
            _ => line,
        });
        std::fs::write(&path, all.collect::<Vec<_>>().join("\n")).unwrap();
        let matrix = config::load(&path).unwrap();
        assert_eq!((matrix.lanes.len(), matrix.seed, matrix.only.as_deref()), (2, Some(1), Some("bench")));
    }
}
