//! Looks at real processes that are unusual.

use std::fs;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use super::*;
use crate::session::Dump;

/// A process that is killed when it is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(format!("/proc/{}/{name}", self.0.id())).unwrap()
    }

    fn dump(&self) -> Dump {
        let options = Options { second_look_after: Duration::ZERO, sample_hz: 0, ..Options::default() };
        take(self.0.id(), &options).unwrap()
    }
}

#[test]
fn a_name_that_was_cut_in_the_middle_of_a_character_hides_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // The kernel keeps 15 of its 16 bytes.
    let name = "bench-of-test\u{65e5}";
    let program = dir.path().join(name);
    std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
    let process = Process(Command::new(&program).arg("1000").spawn().unwrap());
    while !process.read("wchan").ends_with(b"nanosleep") {
        thread::yield_now();
    }
    let status = process.read("status");
    assert!(status.starts_with(&format!("Name:\t{name}").as_bytes()[..6 + 15]));
    assert!(std::str::from_utf8(&status).is_err());

    let dump = process.dump();
    let looks = [dump.threads[0], dump.second[0]];
    assert_eq!(looks.map(|t| t.err_status), [0, 0]);
    assert!(looks.iter().all(|t| t.nvcsw > 0));
    assert_eq!(dump.identity.fixed.uid, nix::unistd::getuid().as_raw());
}
