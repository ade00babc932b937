//! The sockets on which a process listens.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// `SOCK_SEQPACKET` and `__SO_ACCEPTCON`, as `/proc/net/unix` prints them.
const SEQPACKET: &str = "0005";
const LISTENS: &str = "00010000";

/// Paths of the unix sockets of packets on which a process listens, ascending. Empty if it has none, or may
/// not be looked at.
pub(crate) fn listening(pid: u32) -> Vec<PathBuf> {
    let inode = |target: PathBuf| {
        let inode = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        Some(inode.to_owned())
    };
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let own: BTreeSet<String> = fds.filter_map(|fd| inode(fs::read_link(fd.path()).ok()?)).collect();
    let table = fs::read_to_string(format!("/proc/{pid}/net/unix")).unwrap_or_default();
    let mut paths: Vec<PathBuf> = listeners(&table, |inode| own.contains(inode)).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// Rows of `/proc/net/unix`: number, count, protocol, flags, type, state, inode, path.
fn listeners<'a>(table: &'a str, is_own: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = PathBuf> + 'a {
    table.lines().filter_map(move |line| {
        let mut fields = line.split_ascii_whitespace();
        let (flags, kind, inode) = (fields.nth(3)?, fields.next()?, fields.nth(1)?);
        let path = line.find('/').map(|at| PathBuf::from(&line[at..]))?;
        (flags == LISTENS && kind == SEQPACKET && is_own(inode)).then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen::Listener;

    #[test]
    fn the_socket_of_a_listener_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a b.sock");
        let listener = Listener::bind(&path).unwrap();
        assert!(listening(std::process::id()).contains(&path));
        drop(listener);
        assert!(!listening(std::process::id()).contains(&path));
    }

    #[test]
    fn only_sockets_that_listen_for_packets_are_taken() {
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0: 00000002 00000000 00010000 0005 01 11 /run/a b\n\
            0: 00000002 00000000 00010000 0001 01 12 /run/stream\n\
            0: 00000002 00000000 00000000 0005 03 13 /run/connected\n\
            0: 00000002 00000000 00010000 0005 01 14\n";
        let all: Vec<_> = listeners(table, |_| true).collect();
        assert_eq!(all, [PathBuf::from("/run/a b")]);
        assert_eq!(listeners(table, |inode| inode == "12").count(), 0);
    }
}
