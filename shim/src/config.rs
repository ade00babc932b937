//! Settings from the environment, read once in the constructor, and copied: the host may change its
//! environment later.

use hangscope_reader::text::{base_name, decimal};

use crate::text::Text;

const SECOND: u64 = 1_000_000_000;

/// The settings. Durations are nanoseconds, 0 is off.
pub(crate) struct Config {
    pub(crate) socket: Text<128>,
    pub(crate) label: Text<256>,
    pub(crate) target: Text<512>,
    pub(crate) only: Text<1024>,
    pub(crate) ld_preload: Text<2048>,
    pub(crate) hang_after_ns: u64,
    pub(crate) stall_ns: u64,
    pub(crate) tick_ns: u64,
    pub(crate) signal: u32,
    /// How much scheduling is disturbed, 0 (not at all) to 3.
    pub(crate) stir: u32,
    /// Of what is disturbed when; none: one is drawn.
    pub(crate) stir_seed: Option<u32>,
    pub(crate) debug: bool,
    /// The program waits, before its `main`, until the hello is out.
    pub(crate) greet: bool,
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
        hang_after_ns: 15 * SECOND,
        stall_ns: 0,
        tick_ns: SECOND,
        signal: 62,
        stir: 0,
        stir_seed: None,
        debug: false,
        greet: false,
        complaints: Text::EMPTY,
    };

    /// Takes one `NAME=value` of the environment; others than ours are passed over.
    pub(crate) fn take(&mut self, variable: &[u8]) {
        if let Some(value) = variable.strip_prefix(b"LD_PRELOAD=") {
            self.ld_preload.push(value);
            return;
        }
        let Some(setting) = variable.strip_prefix(b"HANGSCOPE_") else { return };
        let Some(eq) = setting.iter().position(|b| *b == b'=') else { return };
        let (name, value) = (setting.get(..eq).unwrap_or(&[]), setting.get(eq + 1..).unwrap_or(&[]));
        let whole = |fits: bool| if fits { Ok(()) } else { Err(&b"too long, cut off"[..]) };
        let outcome = match name {
            // 107 bytes and a NUL are what a sockaddr_un holds (unix(7)).
            b"SOCKET" if value.len() > 107 => Err(&b"a socket path has at most 107 bytes"[..]),
            b"SOCKET" => whole(self.socket.push(value)),
            b"LABEL" => whole(self.label.push(value)),
            b"TARGET" => whole(self.target.push(value)),
            b"ONLY" => whole(self.only.push(value)),
            b"HANG_AFTER" => set(&mut self.hang_after_ns, duration(value)),
            b"STALL" => set(&mut self.stall_ns, duration(value)),
            b"TICK" => match duration(value) {
                Some(ns) if ns >= SECOND / 100 => set(&mut self.tick_ns, Some(ns)),
                _ => Err(&b"not a duration of at least 10ms; 1s is used"[..]),
            },
            b"SIGNAL" => match decimal(value) {
                // 32 and 33 are glibc's own (nptl(7)); 0 switches signals off.
                Some(n @ (0 | 34..=64)) => {
                    self.signal = n as u32;
                    Ok(())
                }
                _ => Err(&b"not 0 or a real-time signal, 34 to 64; 62 is used"[..]),
            },
            b"STIR" => match decimal(value) {
                Some(level @ 0..=3) => {
                    self.stir = level as u32;
                    Ok(())
                }
                _ => Err(&b"not 0, 1, 2 or 3; nothing is disturbed"[..]),
            },
            b"STIR_SEED" => match decimal(value).map(u32::try_from) {
                Some(Ok(seed)) => {
                    self.stir_seed = Some(seed);
                    Ok(())
                }
                _ => Err(&b"not a number below 2^32; one is drawn"[..]),
            },
            b"DEBUG" => {
                self.debug = value == b"1";
                Ok(())
            }
            b"GREET" => {
                self.greet = value == b"1";
                Ok(())
            }
            _ => return,
        };
        if let Err(why) = outcome {
            self.complaints.push(variable);
            self.complaints.push(b": ");
            self.complaints.push(why);
            self.complaints.push(b"\n");
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

fn set(to: &mut u64, value: Option<u64>) -> Result<(), &'static [u8]> {
    *to = value.ok_or(&b"not a duration such as 15s, 500ms, 2m or off; the default is used"[..])?;
    Ok(())
}

/// `15s`, `500ms`, `2m`, `1h`, `1.5s`, bare seconds, or `off`; nanoseconds, 0 for `off`. A 0 that is not
/// written as `off` is refused, since it is more likely a slip.
fn duration(value: &[u8]) -> Option<u64> {
    if value == b"off" {
        return Some(0);
    }
    let unit_at = value.iter().position(|b| !b.is_ascii_digit() && *b != b'.').unwrap_or(value.len());
    let unit = match value.get(unit_at..)? {
        b"" | b"s" => SECOND,
        b"ms" => SECOND / 1000,
        b"m" => 60 * SECOND,
        b"h" => 3600 * SECOND,
        _ => return None,
    };
    let number = value.get(..unit_at)?;
    let mut parts = number.splitn(2, |b| *b == b'.');
    let mut ns = decimal(parts.next()?)?.checked_mul(unit)?;
    if let Some(fraction) = parts.next() {
        let tenths = fraction.len().min(9) as u32;
        ns = ns
            .checked_add(decimal(fraction.get(..tenths as usize)?)?.checked_mul(unit)? / 10u64.pow(tenths))?;
    }
    (ns > 0 && ns < 1000 * 3600 * SECOND).then_some(ns)
}
