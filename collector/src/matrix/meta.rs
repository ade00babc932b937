//! `meta.txt`: the machine and the settings, a line each, as `name: value`.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::utsname::uname;

use super::config::Matrix;
use super::state;
use crate::files::atomic::{Lines, WriteError};
use crate::files::bounded;
use crate::files::pin::{self, Pinned};
use crate::files::stamp;
use crate::launch::cpus::{self, Cpus};
use crate::launch::program;

/// Name of the file in OUT.
const FILE: &str = "meta.txt";

/// What a matrix begins with, or goes on with.
pub(crate) struct Meta<'a> {
    pub(crate) matrix: &'a Matrix,
    pub(crate) seed: u64,
    pub(crate) on_hang: &'a str,
    pub(crate) pinned: &'a [Pinned],
    pub(crate) shim: &'a Path,
    /// Of all lanes.
    pub(crate) cpus: &'a Cpus,
    /// Runs that were made before; none: it begins.
    pub(crate) goes_on_after: Option<usize>,
}

impl Meta<'_> {
    /// Writes the file; of a matrix that goes on, adds what the machine is now.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write(&self, out: &Path) -> Result<(), WriteError> {
        let mut lines = Lines::open(&out.join(FILE))?;
        if let Some(runs) = self.goes_on_after {
            lines.push("")?;
            lines.push(&format!("goes on after runs: {runs}"))?;
        }
        let rows = self.machine().into_iter().chain(self.settings());
        rows.into_iter().try_for_each(|(name, value)| lines.push(&format!("{name}: {value}")))
    }

    fn machine(&self) -> Vec<(String, String)> {
        let system = uname();
        let of = |value: Option<&std::ffi::OsStr>| value.unwrap_or_default().to_string_lossy().into_owned();
        let system = system.as_ref().ok();
        let cpuinfo = line_of("/proc/cpuinfo").unwrap_or_default();
        let meminfo = line_of("/proc/meminfo").unwrap_or_default();
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs());
        let rows = [
            ("time", stamp::stamp(seconds)),
            ("hangscope", env!("CARGO_PKG_VERSION").to_owned()),
            ("machine", of(system.map(|s| s.nodename()))),
            ("architecture", of(system.map(|s| s.machine()))),
            ("product", line_of("/sys/class/dmi/id/product_name").unwrap_or_else(unknown)),
            ("kernel", of(system.map(|s| s.release()))),
            ("kernel version", of(system.map(|s| s.version()))),
            ("CPU model", of_lines(&cpuinfo, "model name", ':').unwrap_or_else(unknown)),
            ("CPUs used", cpus::show(&self.cpus.used)),
            ("CPUs missing", cpus::show(&self.cpus.missing)),
            ("governor", of_cpus(&self.cpus.used, "cpufreq/scaling_governor")),
            ("frequency, most kHz", of_cpus(&self.cpus.used, "cpufreq/scaling_max_freq")),
            ("turbo", turbo()),
            (
                "transparent huge pages",
                line_of("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_else(unknown),
            ),
            ("NUMA nodes", line_of("/sys/devices/system/node/online").unwrap_or_else(unknown)),
            ("overcommit_memory", line_of("/proc/sys/vm/overcommit_memory").unwrap_or_else(unknown)),
            ("randomize_va_space", line_of("/proc/sys/kernel/randomize_va_space").unwrap_or_else(unknown)),
            ("perf_event_paranoid", line_of("/proc/sys/kernel/perf_event_paranoid").unwrap_or_else(unknown)),
            (
                "pressure (PSI)",
                if Path::new("/proc/pressure/cpu").exists() { "there" } else { "not there" }.to_owned(),
            ),
        ];
        let memory = ["MemTotal", "SwapTotal", "SwapFree", "CommitLimit", "Committed_AS"];
        let memory = memory.map(|name| (name, of_lines(&meminfo, name, ':').unwrap_or_else(unknown)));
        let rows = rows.into_iter().chain(memory).map(|(name, value)| (name.to_owned(), value));
        rows.chain([("glibc".to_owned(), glibc())]).collect()
    }

    fn settings(&self) -> Vec<(String, String)> {
        let Meta { matrix, .. } = self;
        let mut rows = vec![
            ("shim sha1".to_owned(), sha1(self.shim)),
            ("order".to_owned(), matrix.order.as_str().to_owned()),
            ("seed".to_owned(), self.seed.to_string()),
            ("on_hang".to_owned(), self.on_hang.to_owned()),
            ("stall".to_owned(), matrix.stall.to_string()),
        ];
        for (allocator, pinned) in matrix.allocators.iter().zip(self.pinned) {
            let env: Vec<String> =
                allocator.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let (path, source) = (pinned.path.display(), pinned.source.display());
            let build_id = pinned.build_id().unwrap_or("none");
            rows.push((
                format!("allocator {}", allocator.name),
                format!("sha1 {} build-id {build_id} {path} from {source} env {env:?}", pinned.sha1),
            ));
        }
        for lane in &matrix.lanes {
            let words = shlex::try_join(lane.command.iter().map(String::as_str)).unwrap_or_default();
            let program = program::benchmark(&lane.command).and_then(|word| program::find(word).ok());
            let sha1 = program.map_or_else(unknown, |path| sha1(&path));
            rows.push((format!("lane {}", lane.name), words));
            rows.push((format!("lane {} hang_after", lane.name), lane.hang_after.to_string()));
            rows.push((format!("lane {} program sha1", lane.name), sha1));
        }
        for phase in &matrix.phases {
            rows.push((
                format!("phase {}", phase.name),
                format!("runs {} warmup {}", phase.runs, phase.warmup),
            ));
        }
        rows
    }
}

/// The lines of the file in OUT: name and value. Empty without the file.
pub(super) fn read(out: &Path) -> Vec<(String, String)> {
    let text = bounded::read_text(&out.join(FILE)).unwrap_or_default();
    let of = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    text.lines().filter_map(of).collect()
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// The text of a file, in one line.
fn line_of(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    // Tables keep their lines for the callers that look for one.
    Some(text.trim_end().to_owned()).filter(|text| !text.is_empty())
}

fn sha1(path: &Path) -> String {
    pin::bytes_of(path).map_or_else(|_| unknown(), |bytes| pin::sha1_hex(&bytes))
}

/// The value of the first line with this name.
fn of_lines(text: &str, name: &str, between: char) -> Option<String> {
    let of = |line: &str| {
        let (key, value) = line.split_once(between)?;
        (key.trim() == name).then(|| value.trim().to_owned())
    };
    text.lines().find_map(of)
}

/// A file of each of these processors; different values are all named.
fn of_cpus(cpus: &[usize], file: &str) -> String {
    let value = |cpu: &usize| line_of(&format!("/sys/devices/system/cpu/cpu{cpu}/{file}"));
    let mut values: Vec<String> = cpus.iter().filter_map(value).collect();
    values.sort();
    values.dedup();
    if values.is_empty() { unknown() } else { values.join(", ") }
}

fn turbo() -> String {
    let on = |value: Option<String>, on: &str| {
        value.map(|value| if value == on { "on" } else { "off" }.to_owned())
    };
    on(line_of("/sys/devices/system/cpu/intel_pstate/no_turbo"), "0")
        .or_else(|| on(line_of("/sys/devices/system/cpu/cpufreq/boost"), "1"))
        .unwrap_or_else(unknown)
}

/// What the system's libc says of itself.
fn glibc() -> String {
    const BEGIN: &[u8] = b"GNU C Library ";
    let path = state::libc().ok();
    let said = path.and_then(|path| std::fs::read(path).ok()).and_then(|bytes| {
        let at = memchr::memmem::find(&bytes, BEGIN)?;
        let line = bytes.get(at..)?.split(|byte| *byte == b'\n').next()?;
        String::from_utf8(line.get(..200.min(line.len()))?.to_vec()).ok()
    });
    said.unwrap_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::{config, example};

    #[test]
    fn the_machine_and_the_settings_are_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("matrix.toml");
        std::fs::write(&path, example::TEXT).unwrap();
        let matrix = config::load(&path).unwrap();
        let cpus = Cpus { used: vec![0], missing: vec![99] };
        let meta = Meta {
            matrix: &matrix,
            seed: 7,
            on_hang: "next",
            pinned: &[],
            shim: &path,
            cpus: &cpus,
            goes_on_after: None,
        };
        meta.write(dir.path()).unwrap();
        Meta { goes_on_after: Some(3), ..meta }.write(dir.path()).unwrap();
        let text = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
        let value = |name: &str| of_lines(&text, name, ':').unwrap_or_else(|| panic!("{name}: {text}"));
        assert!(value("CommitLimit").ends_with(" kB") && value("glibc").starts_with("GNU C Library"));
        assert_eq!(
            (value("seed"), value("CPUs used"), value("CPUs missing")),
            ("7".into(), "0".into(), "99".into())
        );
        assert_eq!(value("goes on after runs"), "3");
        assert!(!value("kernel").is_empty() && value("phase ops").starts_with("runs 10"));
        assert_eq!(value("shim sha1").len(), 40);
        assert!(value("lane main").starts_with("./bench 16 2000000"));
    }
}
