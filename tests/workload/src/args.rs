//! The command line: seven numbers. Flags may stand before, between or after the numbers.

pub(crate) const HELP: &str = "\
A benchmark of malloc and free: threads that free each other's blocks.

Usage: hangscope-bench [FLAGS] THREADS ITERATIONS WORKING-SET MIN-SIZE MAX-SIZE REMOTE-PERCENT RING-SLOTS

  THREADS         worker threads
  ITERATIONS      iterations of each thread; an iteration is one malloc, and one free if the working set
                  is full
  WORKING-SET     blocks that each thread keeps
  MIN-SIZE        size of the smallest block, in bytes
  MAX-SIZE        size of the largest block, in bytes
  REMOTE-PERCENT  percentage of blocks that another thread frees
  RING-SLOTS      blocks that can wait for one thread to free them; if the ring is full, the thread that
                  has the block frees it

Flags for tests that need a benchmark with a bug or a special habit:
  --spin-wait-at-end    a worker that has finished spins in the benchmark until all have finished
  --barrier-short       bug: at the end, the workers wait at a barrier that needs one more thread
  --stuck-loop-outside  bug: the first worker loops for ever in the benchmark after half of its iterations
  --block-signals       every worker blocks all signals
  --fork-child          forks when the run is half done; the child does the same work, and the parent
                        waits for the child
  -h, --help            print this text

Last line on stdout: threads=N seconds=S ops=N remote=N ops/s=F
Exit status: 0 success, 1 failure, 2 wrong usage. A corrupt block aborts the benchmark (SIGABRT).

Example: hangscope-bench 16 2000000 400 16 32768 90 65536
";

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Run(Settings),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Number of worker threads, at least 1.
    pub(crate) threads: usize,
    /// Number of iterations of each thread.
    pub(crate) iterations: u64,
    /// Number of blocks that each thread keeps, at least 1.
    pub(crate) working_set: usize,
    /// Smallest block in bytes, at least 1.
    pub(crate) min_size: usize,
    /// Largest block in bytes, at least `min_size`.
    pub(crate) max_size: usize,
    /// Percentage (0 to 100) of blocks that another thread frees.
    pub(crate) remote_percent: u32,
    /// Number of slots of each thread's ring, at least 1.
    pub(crate) ring_slots: usize,
    pub(crate) spin_wait_at_end: bool,
    pub(crate) barrier_short: bool,
    pub(crate) stuck_loop_outside: bool,
    pub(crate) block_signals: bool,
    pub(crate) fork_child: bool,
}

const NAMES: [&str; 7] =
    ["THREADS", "ITERATIONS", "WORKING-SET", "MIN-SIZE", "MAX-SIZE", "REMOTE-PERCENT", "RING-SLOTS"];

/// Smallest and largest value of each number. The bounds turn a typing error into a message. Without them,
/// the benchmark could use all the memory of the machine.
const BOUNDS: [(u64, u64); 7] =
    [(1, 10_000), (1, u64::MAX), (1, 10_000_000), (1, 1 << 30), (1, 1 << 30), (0, 100), (1, 1 << 24)];

/// Reads the arguments. They must not include the program's name. The error is one line without a full stop.
pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut settings = Settings::default();
    let mut numbers = Vec::with_capacity(NAMES.len());
    for argument in arguments {
        match argument.as_str() {
            "-h" | "--help" => return Ok(Command::Help),
            "--spin-wait-at-end" => settings.spin_wait_at_end = true,
            "--barrier-short" => settings.barrier_short = true,
            "--stuck-loop-outside" => settings.stuck_loop_outside = true,
            "--block-signals" => settings.block_signals = true,
            "--fork-child" => settings.fork_child = true,
            // A number with a minus sign gets the message for a bad number, not the one for a flag.
            flag if flag.starts_with('-') && !flag[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                return Err(format!("unknown flag {flag:?}"));
            }
            number => {
                let index = numbers.len();
                let Some(name) = NAMES.get(index) else {
                    return Err(format!("{number:?} is one number too many, seven are needed"));
                };
                numbers.push(bounded(name, number, BOUNDS[index])?);
            }
        }
    }
    let [threads, iterations, working_set, min_size, max_size, remote_percent, ring_slots] = numbers[..]
    else {
        return Err(format!("{} is missing, seven numbers are needed", NAMES[numbers.len()]));
    };
    if min_size > max_size {
        return Err(format!("MIN-SIZE {min_size} is more than MAX-SIZE {max_size}"));
    }
    // The casts lose nothing: every bound fits a usize of 64 bits, and the percentage fits a u32.
    settings.threads = threads as usize;
    settings.iterations = iterations;
    settings.working_set = working_set as usize;
    settings.min_size = min_size as usize;
    settings.max_size = max_size as usize;
    settings.remote_percent = remote_percent as u32;
    settings.ring_slots = ring_slots as usize;
    Ok(Command::Run(settings))
}

fn bounded(name: &str, text: &str, (low, high): (u64, u64)) -> Result<u64, String> {
    let value: u64 = text.parse().map_err(|_| format!("{name} {text:?} is not a number"))?;
    if (low..=high).contains(&value) {
        Ok(value)
    } else {
        Err(format!("{name} {value} is not in {low}..={high}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_incident_is_understood() {
        let expected = Settings {
            threads: 16,
            iterations: 2_000_000,
            working_set: 400,
            min_size: 16,
            max_size: 32768,
            remote_percent: 90,
            ring_slots: 65536,
            ..Settings::default()
        };
        assert_eq!(parsed("16 2000000 400 16 32768 90 65536"), Ok(Command::Run(expected)));
    }

    #[test]
    fn flags_may_stand_anywhere() {
        let Ok(Command::Run(settings)) =
            parsed("--block-signals 2 10 5 --fork-child 1 8 0 1 --barrier-short")
        else {
            panic!("not understood");
        };
        assert!(settings.block_signals && settings.fork_child && settings.barrier_short);
        assert!(!settings.spin_wait_at_end && !settings.stuck_loop_outside);
        assert_eq!((settings.threads, settings.remote_percent, settings.ring_slots), (2, 0, 1));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, what) in [
            ("", "THREADS is missing, seven numbers are needed"),
            ("1 2 3 4 5 6", "RING-SLOTS is missing, seven numbers are needed"),
            ("1 2 3 4 5 6 7 8", "\"8\" is one number too many, seven are needed"),
            ("0 2 3 4 5 6 7", "THREADS 0 is not in 1..=10000"),
            ("1 2 3 4 5 101 7", "REMOTE-PERCENT 101 is not in 0..=100"),
            ("1 -2 3 4 5 6 7", "ITERATIONS \"-2\" is not a number"),
            ("1 2 3 9 5 6 7", "MIN-SIZE 9 is more than MAX-SIZE 5"),
            ("1 2 3 4 5 6 7 --fast", "unknown flag \"--fast\""),
            ("-", "unknown flag \"-\""),
        ] {
            assert_eq!(parsed(line), Err(what.to_owned()), "{line}");
        }
    }
}
