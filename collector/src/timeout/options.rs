//! The command line, in the grammar of getopt_long(3): options end at the first operand, and a long one may
//! be shortened.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

use hangscope_protocol::duration::Limit;

use super::quote::quote;
use super::{duration, signals};

/// How long a capture may take before the signal is sent.
pub(crate) const CAPTURE: Duration = Duration::from_secs(5);
/// The budget of a capture where the command line does not set one: for a `timeout` that is called by that
/// name.
pub(crate) const CAPTURE_VARIABLE: &str = "HANGSCOPE_CAPTURE";

/// What is run, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(super) signal: i32,
    pub(super) kill_after: Option<Duration>,
    pub(super) foreground: bool,
    pub(super) preserve_status: bool,
    pub(super) verbose: bool,
    /// None: no capture.
    pub(super) capture: Option<Duration>,
    pub(super) out: Option<PathBuf>,
    pub(super) json: Option<PathBuf>,
    /// None: no limit.
    pub(super) limit: Option<Duration>,
    /// DURATION as it was given.
    pub(super) limit_text: String,
    /// The command and its arguments, not empty.
    pub(super) command: Vec<OsString>,
}

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Run(Box<Options>),
    Help,
    Version,
}

/// What is wrong: a line for stderr, without the name of the program. None: only the hint at --help is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadUsage(pub(crate) Option<String>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Id {
    KillAfter,
    Signal,
    Verbose,
    Foreground,
    PreserveStatus,
    Help,
    Version,
    Capture,
    Out,
    Json,
}

/// Name, whether a value follows, and what it is. coreutils' own come first, in its order.
const LONG: &[(&str, bool, Id)] = &[
    ("kill-after", true, Id::KillAfter),
    ("signal", true, Id::Signal),
    ("verbose", false, Id::Verbose),
    ("foreground", false, Id::Foreground),
    ("preserve-status", false, Id::PreserveStatus),
    ("help", false, Id::Help),
    ("version", false, Id::Version),
    ("capture", true, Id::Capture),
    ("out", true, Id::Out),
    ("json", true, Id::Json),
];

const SHORT: &[(u8, bool, Id)] =
    &[(b'k', true, Id::KillAfter), (b's', true, Id::Signal), (b'v', false, Id::Verbose)];

/// Reads the words after the name of the program. `budget` is the value of [`CAPTURE_VARIABLE`].
///
/// # Errors
/// [`BadUsage`].
pub(crate) fn parse(words: &[OsString], budget: Option<&OsStr>) -> Result<Asked, BadUsage> {
    let mut options = Options {
        signal: libc::SIGTERM,
        kill_after: None,
        foreground: false,
        preserve_status: false,
        verbose: false,
        // A variable that cannot be read is no reason not to run the command.
        capture: budget.and_then(|text| capture(text).ok()).unwrap_or(Some(CAPTURE)),
        out: None,
        json: None,
        limit: None,
        limit_text: String::new(),
        command: vec![],
    };
    let mut words = words.iter();
    let first = loop {
        let Some(word) = words.next() else { break None };
        let bytes = word.as_bytes();
        match bytes {
            b"--" => break words.next(),
            [b'-', b'-', long @ ..] => {
                let (id, value) = long_option(long, &mut words)?;
                if let Some(asked) = options.set(id, value)? {
                    return Ok(asked);
                }
            }
            [b'-', _, ..] => options.short_options(&bytes[1..], &mut words)?,
            _ => break Some(word),
        }
    };
    let command: Vec<OsString> = words.cloned().collect();
    let Some(time) = first.filter(|_| !command.is_empty()) else { return Err(BadUsage(None)) };
    options.limit = Some(interval(time)?).filter(|limit| !limit.is_zero());
    options.limit_text = time.to_string_lossy().trim().to_owned();
    options.command = command;
    Ok(Asked::Run(Box::new(options)))
}

fn long_option<'a>(
    text: &'a [u8],
    words: &mut impl Iterator<Item = &'a OsString>,
) -> Result<(Id, Option<&'a OsStr>), BadUsage> {
    let end = text.iter().position(|b| *b == b'=').unwrap_or(text.len());
    let (given, value) = (&text[..end], text.get(end + 1..).map(OsStr::from_bytes));
    let begins = |(name, ..): &&(&str, bool, Id)| name.as_bytes().starts_with(given);
    let found: Vec<_> = match LONG.iter().find(|(name, ..)| name.as_bytes() == given) {
        Some(exact) => vec![exact],
        None => LONG.iter().filter(begins).collect(),
    };
    let said = String::from_utf8_lossy(text);
    match (&found[..], value) {
        ([], _) => Err(bad(format!("unrecognized option '--{said}'"))),
        ([(name, false, _)], Some(_)) => Err(bad(format!("option '--{name}' doesn't allow an argument"))),
        ([(_, false, id)], None) => Ok((*id, None)),
        ([(name, true, id)], value) => match value.or_else(|| words.next().map(OsString::as_os_str)) {
            Some(value) => Ok((*id, Some(value))),
            None => Err(bad(format!("option '--{name}' requires an argument"))),
        },
        (several, _) => {
            let names: String = several.iter().map(|(name, ..)| format!(" '--{name}'")).collect();
            Err(bad(format!("option '--{said}' is ambiguous; possibilities:{names}")))
        }
    }
}

impl Options {
    /// Reads options of one letter, which may stand together.
    fn short_options<'a>(
        &mut self,
        letters: &'a [u8],
        words: &mut impl Iterator<Item = &'a OsString>,
    ) -> Result<(), BadUsage> {
        for (at, letter) in letters.iter().enumerate() {
            let shown = String::from_utf8_lossy(&letters[at..=at]);
            let Some((_, takes_value, id)) = SHORT.iter().find(|(known, ..)| known == letter) else {
                return Err(bad(format!("invalid option -- '{shown}'")));
            };
            if *takes_value {
                let rest = Some(&letters[at + 1..]).filter(|rest| !rest.is_empty()).map(OsStr::from_bytes);
                let value = rest.or_else(|| words.next().map(OsString::as_os_str));
                let missing = || bad(format!("option requires an argument -- '{shown}'"));
                self.set(*id, Some(value.ok_or_else(missing)?))?;
                return Ok(());
            }
            self.set(*id, None)?;
        }
        Ok(())
    }

    fn set(&mut self, id: Id, value: Option<&OsStr>) -> Result<Option<Asked>, BadUsage> {
        let value = value.unwrap_or_default();
        match id {
            Id::KillAfter => self.kill_after = Some(interval(value)?).filter(|time| !time.is_zero()),
            Id::Signal => {
                let signal = value.to_str().and_then(signals::parse);
                self.signal = signal.ok_or_else(|| bad(format!("{}: invalid signal", quote(value))))?;
            }
            Id::Verbose => self.verbose = true,
            Id::Foreground => self.foreground = true,
            Id::PreserveStatus => self.preserve_status = true,
            Id::Help => return Ok(Some(Asked::Help)),
            Id::Version => return Ok(Some(Asked::Version)),
            Id::Capture => self.capture = capture(value)?,
            Id::Out => self.out = Some(value.into()),
            Id::Json => self.json = Some(value.into()),
        }
        Ok(None)
    }
}

fn interval(text: &OsStr) -> Result<Duration, BadUsage> {
    let read = text.to_str().and_then(duration::parse);
    read.ok_or_else(|| bad(format!("invalid time interval {}", quote(text))))
}

/// `0` and `off`: none.
fn capture(text: &OsStr) -> Result<Option<Duration>, BadUsage> {
    match text.to_str() {
        Some("0") => Ok(None),
        _ => match Limit::parse(text.as_bytes()) {
            Ok(Limit::After(time)) => Ok(Some(time)),
            Ok(Limit::Off) => Ok(None),
            Err(problem) => Err(bad(format!("--capture {}: {}", quote(text), problem.message()))),
        },
    }
}

fn bad(line: String) -> BadUsage {
    BadUsage(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(words: &[&str]) -> Result<Asked, BadUsage> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        parse(&words, None)
    }

    fn options(words: &[&str]) -> Options {
        match asked(words) {
            Ok(Asked::Run(options)) => *options,
            other => panic!("{words:?}: {other:?}"),
        }
    }

    #[test]
    fn options_end_at_the_first_operand() {
        let plain = options(&["5", "ls", "-l", "--help"]);
        assert_eq!(plain.command, ["ls", "-l", "--help"]);
        assert_eq!((plain.limit, plain.signal), (Some(Duration::from_secs(5)), libc::SIGTERM));
        assert_eq!((plain.kill_after, plain.capture), (None, Some(CAPTURE)));
        assert_eq!(options(&["--", "0", "--", "x"]).command, ["--", "x"]);
        assert_eq!(options(&["0", "x"]).limit, None);
        let all = options(&[
            "-vs9",
            "-k",
            "1m",
            "--fore",
            "--pres",
            "--capture=2s",
            "--out",
            "d",
            "--json=f",
            "1d",
            "x",
        ]);
        assert!(all.verbose && all.foreground && all.preserve_status);
        assert_eq!((all.signal, all.kill_after), (9, Some(Duration::from_secs(60))));
        assert_eq!(all.capture, Some(Duration::from_secs(2)));
        assert_eq!((all.out, all.json), (Some("d".into()), Some("f".into())));
        assert_eq!(options(&["--s", "INT", "1", "x"]).signal, libc::SIGINT);
        assert_eq!(asked(&["--he"]), Ok(Asked::Help));
        assert_eq!(asked(&["--vers", "nonsense"]), Ok(Asked::Version));
    }

    #[test]
    fn the_budget_may_be_zero_and_come_from_a_variable() {
        for off in ["0", "off"] {
            assert_eq!(options(&["--capture", off, "1", "x"]).capture, None);
        }
        let words: Vec<OsString> = ["1", "x"].map(OsString::from).to_vec();
        for (budget, expected) in [("0", None), ("2s", Some(Duration::from_secs(2))), ("x", Some(CAPTURE))] {
            let Ok(Asked::Run(options)) = parse(&words, Some(budget.as_ref())) else { panic!("{budget}") };
            assert_eq!(options.capture, expected, "{budget}");
        }
    }

    #[test]
    fn wrong_usage_is_said_as_getopt_says_it() {
        for (words, line) in [
            (&["-x", "5", "a"][..], "invalid option -- 'x'"),
            (&["-v5", "a"], "invalid option -- '5'"),
            (&["-k"], "option requires an argument -- 'k'"),
            (&["--signal"], "option '--signal' requires an argument"),
            (&["--unk=3"], "unrecognized option '--unk=3'"),
            (&["--foreground=3", "5", "a"], "option '--foreground' doesn't allow an argument"),
            (&["--v=3"], "option '--v=3' is ambiguous; possibilities: '--verbose' '--version'"),
        ] {
            assert_eq!(asked(words), Err(bad(line.into())), "{words:?}");
        }
        for words in [&[][..], &["5"], &["-v"], &["--", "5"]] {
            assert_eq!(asked(words), Err(BadUsage(None)), "{words:?}");
        }
        let time = asked(&["--capture", "soon", "5", "a"]).unwrap_err().0.unwrap();
        assert!(time.starts_with("--capture ") && time.contains("not a duration"), "{time}");
    }
}
