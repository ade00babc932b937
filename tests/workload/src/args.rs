//! The command line: seven numbers, and flags before, between or after them.

/// What `--help` prints.
pub(crate) const HELP: &str = "\
A benchmark of malloc and free: threads that free each other's blocks.

Usage: hangscope-bench [FLAGS] THREADS ITERATIONS WORKING-SET MIN-SIZE MAX-SIZE REMOTE-PERCENT RING-SLOTS

  THREADS         worker threads
  ITERATIONS      of each thread; an iteration is one malloc and, once the working set is full, one free
  WORKING-SET     blocks that each thread keeps
  MIN-SIZE        smallest block, bytes
  MAX-SIZE        largest block, bytes
  REMOTE-PERCENT  of 100 frees, how many are left to another thread
  RING-SLOTS      blocks that can be on their way to one thread; where the ring is full, the block is
                  freed by the thread that has it

Flags, for tests that need a benchmark with a bug or a habit of its own:
  --spin-wait-at-end    a worker that is done spins in the benchmark until all are done
  --barrier-short       a bug: the workers meet at the end at a barrier that waits for one more
  --stuck-loop-outside  a bug: the first worker loops in the benchmark after half of its iterations
  --block-signals       every worker blocks all signals
  --fork-child          forks in mid-run; the child does the same work again, and the parent waits for it
  -h, --help            this

The last line on stdout: threads=N seconds=S ops=N remote=N ops/s=F
Exit status: 0 done, 1 it could not be done, 2 wrong usage; abort (SIGABRT) where a block was found corrupt.

Example: hangscope-bench 16 2000000 400 16 32768 90 65536
";

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// `--help`.
    Help,
    /// The benchmark.
    Run(Settings),
}

/// The seven numbers and the flags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Worker threads, from 1.
    pub(crate) threads: usize,
    /// Of each thread.
    pub(crate) iterations: u64,
    /// Blocks that each thread keeps, from 1.
    pub(crate) working_set: usize,
    /// Bytes, from 1.
    pub(crate) min_size: usize,
    /// Bytes, `min_size` or more.
    pub(crate) max_size: usize,
    /// 0 to 100.
    pub(crate) remote_percent: u32,
    /// Slots of each thread's ring, from 1.
    pub(crate) ring_slots: usize,
    pub(crate) spin_wait_at_end: bool,
    pub(crate) barrier_short: bool,
    pub(crate) stuck_loop_outside: bool,
    pub(crate) block_signals: bool,
    pub(crate) fork_child: bool,
}

const NAMES: [&str; 7] =
    ["THREADS", "ITERATIONS", "WORKING-SET", "MIN-SIZE", "MAX-SIZE", "REMOTE-PERCENT", "RING-SLOTS"];

/// Bounds of each number, so that a slip of the finger is a message and not a machine without memory.
const BOUNDS: [(u64, u64); 7] =
    [(1, 10_000), (1, u64::MAX), (1, 10_000_000), (1, 1 << 30), (1, 1 << 30), (0, 100), (1, 1 << 24)];

/// Reads the arguments (without the program's name). The error is one line without a full stop.
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
            // A number with a minus sign is reported as a bad number, not as a flag.
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
    // Every bound above fits a usize of 64 bits, and the percentage fits a u32.
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
