//! The environment that puts the shim and an allocator into a program.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::analysis::Stir;

/// A path that LD_PRELOAD cannot hold.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot be in LD_PRELOAD: {}: it has a {what}, which the loader {reads}; move it, or link to it from a path without",
    path.display()
)]
pub(crate) struct NotPreloadable {
    /// The path.
    path: PathBuf,
    what: &'static str,
    reads: &'static str,
}

/// The value of LD_PRELOAD for these files, in order. There is no way to quote in it.
///
/// # Errors
/// [`NotPreloadable`] for a path that the loader would read as several, or as another.
pub(crate) fn value<'a>(files: impl IntoIterator<Item = &'a Path>) -> Result<OsString, NotPreloadable> {
    let mut value = OsString::new();
    for path in files {
        check(path)?;
        if !value.is_empty() {
            value.push(":");
        }
        value.push(path);
    }
    Ok(value)
}

fn check(path: &Path) -> Result<(), NotPreloadable> {
    let bytes = path.as_os_str().as_bytes();
    let (what, reads) = if bytes.contains(&b':') {
        ("colon", "reads as the end of a name")
    } else if bytes.contains(&b' ') {
        ("space", "reads as the end of a name")
    } else if bytes.contains(&b'$') {
        ("dollar sign", "may replace with something else")
    } else if !bytes.contains(&b'/') {
        ("bare name without a slash", "searches in its own folders")
    } else {
        return Ok(());
    };
    Err(NotPreloadable { path: path.to_owned(), what, reads })
}

/// Settings of the shim; what is none is left to the shim's default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// Socket of the collector.
    pub(crate) socket: Option<PathBuf>,
    /// Deadline; zero: only on request.
    pub(crate) hang_after: Option<Duration>,
    /// Stall.
    pub(crate) stall: Option<Duration>,
    /// Between two looks.
    pub(crate) tick: Option<Duration>,
    /// Free text.
    pub(crate) label: Option<String>,
    /// Names of programs that are to be watched, comma-separated.
    pub(crate) only: Option<String>,
    /// The allocator, where the order of LD_PRELOAD does not tell.
    pub(crate) target: Option<String>,
    /// How scheduling is disturbed; none: not at all.
    pub(crate) stir: Option<Stir>,
}

impl Settings {
    /// As variables, in a fixed order. LD_PRELOAD is not among them.
    pub(crate) fn variables(&self) -> Vec<(&'static str, OsString)> {
        let text = |t: &Option<String>| t.as_ref().map(OsString::from);
        let time = |t: Option<Duration>| t.map(|t| OsString::from(duration(t)));
        [
            ("HANGSCOPE_SOCKET", self.socket.as_ref().map(|p| p.clone().into_os_string())),
            (
                "HANGSCOPE_HANG_AFTER",
                self.hang_after.map(|t| match t {
                    Duration::ZERO => "off".into(),
                    t => duration(t).into(),
                }),
            ),
            ("HANGSCOPE_STALL", time(self.stall)),
            ("HANGSCOPE_TICK", time(self.tick)),
            ("HANGSCOPE_LABEL", text(&self.label)),
            ("HANGSCOPE_ONLY", text(&self.only)),
            ("HANGSCOPE_TARGET", text(&self.target)),
            ("HANGSCOPE_STIR", self.stir.map(|stir| stir.level.to_string().into())),
            ("HANGSCOPE_STIR_SEED", self.stir.map(|stir| stir.seed.to_string().into())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}

/// A duration as the shim reads it: whole milliseconds.
pub(crate) fn duration(t: Duration) -> String {
    match t.as_millis() {
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

/// Reads a duration as the shim does: `15s`, `500ms`, `2m`, `1h`, bare seconds (`15`, `0.5`).
///
/// # Errors
/// What is wrong with it, for clap.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let scale = match unit {
        "s" | "" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("a duration is a number with ms, s, m or h: 500ms, 15s, 2m".into()),
    };
    let number: f64 = number.parse().map_err(|_| "a duration begins with a number: 500ms, 15s, 2m")?;
    let time = Duration::try_from_secs_f64(number * scale).map_err(|e| e.to_string())?;
    // As the shim: a zero that is not written as `off` is more likely a slip.
    let sane = Duration::from_millis(1)..=Duration::from_secs(999 * 3600);
    if sane.contains(&time) { Ok(time) } else { Err("a duration is 1ms to 999h".into()) }
}

/// The same, or `off` for zero.
///
/// # Errors
/// As [`parse_duration`].
pub(crate) fn parse_duration_or_off(text: &str) -> Result<Duration, String> {
    if text == "off" { Ok(Duration::ZERO) } else { parse_duration(text) }
}

#[cfg(test)]
mod tests {
    use crate::launch::preload::*;

    #[test]
    fn paths_that_the_loader_would_split_are_refused() {
        let both = [Path::new("/a/libhangscope.so"), Path::new("./hz4.so")];
        assert_eq!(value(both).unwrap(), "/a/libhangscope.so:./hz4.so");
        for bad in ["/a b/x.so", "/a:b/x.so", "/$LIB/x.so", "x.so"] {
            assert!(value([Path::new(bad)]).is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_is_said_of_what_is_left_to_the_shim() {
        assert!(Settings::default().variables().is_empty());
        let stir = Some(Stir { level: 2, seed: 7 });
        let variables = Settings { stir, ..Settings::default() }.variables();
        assert_eq!(variables, [("HANGSCOPE_STIR", "2".into()), ("HANGSCOPE_STIR_SEED", "7".into())]);
    }

    #[test]
    fn durations_are_read_and_written_as_the_shim_reads_them() {
        for (text, ms) in [("15s", 15_000), ("500ms", 500), ("2m", 120_000), ("1.5", 1500), ("1h", 3_600_000)]
        {
            let read = parse_duration(text).unwrap();
            assert_eq!(read.as_millis(), ms, "{text}");
            assert_eq!(parse_duration(&duration(read)).unwrap(), read);
        }
        for bad in ["", "s", "x", "15 s", "-1s", "1e99h", "1.2.3", "off", "NaN", "0", "0s", "1000h"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_duration_or_off("off"), Ok(Duration::ZERO));
    }
}
