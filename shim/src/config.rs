//! Settings from a carrier and from the environment, read once in the constructor, and copied: the host may
//! change its environment later.

use core::time::Duration;

use hangscope_protocol::duration::{self, Limit, Problem};
use hangscope_protocol::stir::strategy;
use hangscope_protocol::variable;
use hangscope_reader::text::{base_name, decimal};

use crate::text::Text;

/// What happens where a value makes no sense.
const DEFAULT: &str = "the default is used";

const NAMES: [(&str, Setting); variable::ALL.len()] = [
    (variable::SOCKET, Setting::Socket),
    (variable::LABEL, Setting::Label),
    (variable::TARGET, Setting::Target),
    (variable::ONLY, Setting::Only),
    (variable::HANG_AFTER, Setting::HangAfter),
    (variable::STALL, Setting::Stall),
    (variable::TICK, Setting::Tick),
    (variable::SIGNAL, Setting::Signal),
    (variable::STIR, Setting::Stir),
    (variable::STIR_SEED, Setting::StirSeed),
    (variable::STIR_PLAN, Setting::StirPlan),
    (variable::DEBUG, Setting::Debug),
    (variable::GREET, Setting::Greet),
    (variable::CRASH, Setting::Crash),
    (variable::SECCOMP, Setting::Seccomp),
    (variable::PRELOADED, Setting::Preloaded),
];

enum Setting {
    Socket,
    Label,
    Target,
    Only,
    HangAfter,
    Stall,
    Tick,
    Signal,
    Stir,
    StirSeed,
    StirPlan,
    Debug,
    Greet,
    Crash,
    Seccomp,
    Preloaded,
}

pub(crate) struct Config {
    pub(crate) socket: Text<128>,
    pub(crate) label: Text<256>,
    pub(crate) target: Text<512>,
    pub(crate) only: Text<1024>,
    pub(crate) ld_preload: Text<2048>,
    pub(crate) hang_after: Limit,
    pub(crate) stall: Limit,
    pub(crate) tick: Duration,
    pub(crate) signal: u32,
    /// How the process is disturbed: a code of [`strategy`], 0 for not at all.
    pub(crate) stir: u32,
    /// Of what is disturbed when; none: one is drawn.
    pub(crate) stir_seed: Option<u32>,
    pub(crate) debug: bool,
    /// The program waits, before its `main`, until the hello is out.
    pub(crate) greet: bool,
    /// A crash leaves a record.
    pub(crate) crash: bool,
    /// Also threads and children are watched that a filter of system calls was installed on after the start.
    pub(crate) seccomp: bool,
    /// Nothing is watched where libc's own `malloc` is used, and everything that was to be preloaded is.
    pub(crate) preloaded: bool,
    /// Complaints, a line each: `NAME=value: why`.
    pub(crate) complaints: Text<1024>,
}

impl Config {
    pub(crate) const DEFAULT: Config = Config {
        socket: Text::EMPTY,
        label: Text::EMPTY,
        target: Text::EMPTY,
        only: Text::EMPTY,
        ld_preload: Text::EMPTY,
        hang_after: Limit::After(Duration::from_secs(15)),
        stall: Limit::Off,
        tick: Duration::from_secs(1),
        signal: 62,
        stir: 0,
        stir_seed: None,
        debug: false,
        greet: false,
        crash: false,
        seccomp: false,
        preloaded: false,
        complaints: Text::EMPTY,
    };

    /// The defaults, in memory of zeros: a copy of all of [`Config::DEFAULT`] would be five kilobytes more.
    pub(crate) fn set_defaults(&mut self) {
        self.hang_after = Config::DEFAULT.hang_after;
        self.stall = Config::DEFAULT.stall;
        self.tick = Config::DEFAULT.tick;
        self.signal = Config::DEFAULT.signal;
    }

    /// Takes one `NAME=value` of a carrier or, after those, of the environment: the later value counts.
    /// Others than ours are passed over.
    pub(crate) fn take(&mut self, entry: &[u8]) {
        if let Some(value) = entry.strip_prefix(b"LD_PRELOAD=") {
            self.ld_preload.push(value);
            return;
        }
        if !entry.starts_with(variable::PREFIX.as_bytes()) {
            return;
        }
        let Some(eq) = entry.iter().position(|b| *b == b'=') else { return };
        let (name, value) = (entry.get(..eq).unwrap_or(&[]), entry.get(eq + 1..).unwrap_or(&[]));
        let whole = |fits: bool| if fits { Ok(()) } else { Err(("too long", "it is cut off")) };
        let Some((_, setting)) = NAMES.iter().find(|(known, _)| known.as_bytes() == name) else { return };
        let outcome = match setting {
            // 107 bytes and a NUL are what a sockaddr_un holds (unix(7)).
            Setting::Socket if value.len() > 107 => {
                self.socket.clear();
                Err(("a socket path has at most 107 bytes", "nothing is watched"))
            }
            Setting::Socket => whole(self.socket.set(value)),
            Setting::Label => whole(self.label.set(value)),
            Setting::Target => whole(self.target.set(value)),
            Setting::Only => whole(self.only.set(value)),
            Setting::HangAfter => set(&mut self.hang_after, Limit::parse(value)),
            Setting::Stall => set(&mut self.stall, Limit::parse(value)),
            Setting::Tick => set(&mut self.tick, duration::parse_tick(value)),
            Setting::Signal => match decimal(value) {
                // 32 and 33 are glibc's own (nptl(7)); 0 switches signals off.
                Some(n @ (0 | 34..=64)) => {
                    self.signal = n as u32;
                    Ok(())
                }
                _ => Err(("not 0 or a real-time signal, 34 to 64", DEFAULT)),
            },
            Setting::Stir => match decimal(value) {
                Some(code) if u32::try_from(code).is_ok_and(strategy::is_known) => {
                    self.stir = code as u32;
                    Ok(())
                }
                _ => Err(("not 0, 1, 2 or 3", "nothing is disturbed")),
            },
            // `libhangscope_stir.so` reads it.
            Setting::StirPlan => Ok(()),
            Setting::StirSeed => match decimal(value).map(u32::try_from) {
                Some(Ok(seed)) => {
                    self.stir_seed = Some(seed);
                    Ok(())
                }
                _ => Err(("not a number below 2^32", "one is drawn")),
            },
            Setting::Debug => {
                self.debug = value == b"1";
                Ok(())
            }
            Setting::Greet => {
                self.greet = value == b"1";
                Ok(())
            }
            Setting::Seccomp => {
                self.seccomp = value == b"1";
                Ok(())
            }
            Setting::Preloaded => {
                self.preloaded = value == b"1";
                Ok(())
            }
            Setting::Crash => {
                self.crash = value == b"on";
                if matches!(value, b"on" | b"off") {
                    Ok(())
                } else {
                    Err(("not on or off", "a crash leaves no record"))
                }
            }
        };
        if let Err((why, then)) = outcome {
            self.complaints.push(entry);
            for part in [": ", why, "; ", then, "\n"] {
                self.complaints.push(part.as_bytes());
            }
        }
    }

    /// Whether this program is to be watched: HANGSCOPE_ONLY is not set, or names it.
    pub(crate) fn watches(&self, exe: &[u8], argv0: &[u8]) -> bool {
        let only = self.only.as_bytes();
        only.is_empty()
            || only
                .split(|b| matches!(b, b',' | b':' | b' '))
                .any(|name| !name.is_empty() && (name == base_name(exe) || name == base_name(argv0)))
    }
}

/// Takes a value that was read; else why it could not be, and the default stays.
fn set<T>(to: &mut T, read: Result<T, Problem>) -> Result<(), (&'static str, &'static str)> {
    *to = read.map_err(|problem| (problem.message(), DEFAULT))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_of_the_protocol_is_a_setting() {
        for name in variable::ALL {
            assert!(name.starts_with(variable::PREFIX), "{name}");
            assert_eq!(NAMES.iter().filter(|(known, _)| *known == name).count(), 1, "{name}");
        }
    }
}
