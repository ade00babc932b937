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

/// Two threads with the shim's name that run all the time: one in its code, one in that of the program.
const TWO_NAMED: &str = r#"
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
void *spin(void *count);
static void *own(void *count) { for (;;) ++*(volatile long *)count; }
int main(void) {
    static volatile long counts[2];
    pthread_t threads[2];
    pthread_create(&threads[0], 0, own, (void *)&counts[0]);
    pthread_create(&threads[1], 0, spin, (void *)&counts[1]);
    for (int i = 0; i < 2; i++) pthread_setname_np(threads[i], "hangscope");
    while (!counts[0] || !counts[1]) usleep(1000);
    puts("both run");
    fflush(stdout);
    for (;;) pause();
}"#;

#[test]
fn the_shims_thread_is_known_while_it_runs_and_no_other_of_its_name_is_taken_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let cc = |args: &[&str], text: &str| {
        let source = dir.path().join("source.c");
        fs::write(&source, text).unwrap();
        let mut cc = Command::new("cc");
        assert!(
            cc.args(["-O1", "-pthread", "source.c"]).args(args).current_dir(&dir).status().unwrap().success()
        );
    };
    let spin = "void *spin(void *count) { for (;;) ++*(volatile long *)count; }";
    cc(&["-shared", "-fPIC", "-o", "libhangscope.so"], spin);
    cc(&["-o", "program", "./libhangscope.so"], TWO_NAMED);
    let mut program = Command::new(dir.path().join("program"));
    let mut process =
        Process(program.current_dir(&dir).stdout(std::process::Stdio::piped()).spawn().unwrap());
    let mut said = [0; 9];
    std::io::Read::read_exact(process.0.stdout.as_mut().unwrap(), &mut said).unwrap();

    let dump = process.dump();
    let comms = dump.threads.iter().filter(|t| t.comm.starts_with(b"hangscope"));
    let [_, shim] = comms.map(|t| t.tid).collect::<Vec<_>>()[..] else { panic!("{:?}", dump.threads) };
    assert_eq!(dump.identity.fixed.watchdog_tid, shim);
}
