//! The machine that makes the runs: a hang can be one machine's.

use nix::sys::utsname::uname;

use crate::analysis::shards::Machine;

/// This machine.
pub(crate) fn here() -> Machine {
    let system = uname().ok();
    let text = |value: Option<&std::ffi::OsStr>| {
        let value = value.unwrap_or_default().to_string_lossy().into_owned();
        Some(value).filter(|value| !value.is_empty())
    };
    let unknown = || "unknown".to_owned();
    Machine {
        node: text(system.as_ref().map(|s| s.nodename())).unwrap_or_else(unknown),
        kernel: text(system.as_ref().map(|s| s.release())).unwrap_or_else(unknown),
        glibc: glibc().unwrap_or_else(unknown),
        cpu: cpu(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default()).unwrap_or_else(unknown),
    }
}

fn cpu(cpuinfo: &str) -> Option<String> {
    let of = |line: &str| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == "model name").then(|| value.trim().to_owned())
    };
    cpuinfo.lines().find_map(of)
}

/// The version of the libc that this process runs with.
fn glibc() -> Option<String> {
    // SAFETY: the function takes nothing and returns a string that lives as long as the process.
    let version = unsafe { std::ffi::CStr::from_ptr(libc::gnu_get_libc_version()) };
    version.to_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known() {
        let here = super::here();
        assert!(
            here.glibc.starts_with("2.") && here.kernel != "unknown" && here.node != "unknown",
            "{here:?}"
        );
        assert_eq!(cpu("processor\t: 0\nmodel name\t: A 3 GHz\n").as_deref(), Some("A 3 GHz"));
        assert_eq!(cpu(""), None);
    }
}
