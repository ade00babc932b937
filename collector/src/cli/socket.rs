//! Where a standing collector listens by default.

use std::path::PathBuf;

use hangscope_protocol::variable;

/// `HANGSCOPE_SOCKET`, else `hangscope/collector.sock` in XDG_RUNTIME_DIR, else
/// `/tmp/hangscope-UID/collector.sock`.
pub(super) fn default_socket() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let own = || {
        let uid = nix::unistd::geteuid();
        let run = set("XDG_RUNTIME_DIR").map(|dir| dir.join("hangscope"));
        run.unwrap_or_else(|| PathBuf::from(format!("/tmp/hangscope-{uid}"))).join("collector.sock")
    };
    set(variable::SOCKET).unwrap_or_else(own)
}
