//! Runs `hangscope collect` for a test, and reads what it prints and the sessions that it records.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use crossbeam_channel::Receiver;
use serde_json::Value;

use crate::{GIVE_UP_AFTER, hangscope, send_signal, wait};

/// A running `hangscope collect`. Dropping the value kills it.
pub struct Collect {
    /// The folder of the socket and of OUT.
    pub dir: tempfile::TempDir,
    child: Child,
    lines: Receiver<String>,
    errors: Arc<Mutex<Vec<String>>>,
    /// The lines before it listened.
    before: Vec<String>,
}

impl Collect {
    /// Starts the collector in a new folder.
    pub fn new(options: &[&str]) -> Collect {
        Collect::within(tempfile::tempdir().expect("a folder"), options)
    }

    /// Starts the collector in `dir`, and waits until it listens.
    pub fn within(dir: tempfile::TempDir, options: &[&str]) -> Collect {
        let mut command = hangscope();
        command.arg("collect").arg("--socket").arg(dir.path().join("run/s.sock"));
        command.arg("--out").arg(dir.path().join("out")).args(options);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("hangscope starts");
        let (sender, lines) = crossbeam_channel::unbounded();
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let errors = Arc::new(Mutex::new(vec![]));
        let kept = errors.clone();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                eprintln!("{line}");
                kept.lock().expect("nobody panics with it").push(line);
            }
        });
        let mut collect = Collect { dir, child, lines, errors, before: vec![] };
        collect.before = collect.lines_until("listening on");
        collect
    }

    /// Kills the collector, and starts another one in the same folder.
    pub fn again(mut self, options: &[&str]) -> Collect {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().expect("a folder"));
        Collect::within(dir, options)
    }

    /// The lines on stderr so far that contain a text.
    pub fn errors_with(&self, part: &str) -> Vec<String> {
        let errors = self.errors.lock().expect("nobody panics with it");
        errors.iter().filter(|line| line.contains(part)).cloned().collect()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The path of the socket that the collector listens on.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("run/s.sock")
    }

    /// The folder that the collector writes to.
    pub fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// The rest of the line that starts like this, and came before the collector listened.
    pub fn first_line(&self, start: &str) -> &str {
        let found = self.before.iter().find_map(|line| line.strip_prefix(start));
        found.unwrap_or_else(|| panic!("no line starts with {start:?}: {:#?}", self.before))
    }

    /// Waits for a line on stdout that starts like this, and returns those before it.
    fn lines_until(&self, start: &str) -> Vec<String> {
        let mut before = vec![];
        loop {
            match self.lines.recv_timeout(GIVE_UP_AFTER) {
                Ok(line) if line.starts_with(start) => return before,
                Ok(line) => before.push(line),
                Err(_) => panic!("no line starts with {start:?}; the lines were: {before:#?}"),
            }
        }
    }

    /// Waits for a line on stdout that starts with one of `starts`, and returns the line.
    pub fn line_with(&self, starts: &[&str]) -> String {
        let mut others = vec![];
        loop {
            match self.lines.recv_timeout(GIVE_UP_AFTER) {
                Ok(line) if starts.iter().any(|start| line.starts_with(start)) => return line,
                Ok(line) => others.push(line),
                Err(_) => panic!("no line starts with any of {starts:?}; the lines were: {others:#?}"),
            }
        }
    }

    /// Stops the collector with SIGSTOP: its socket still takes what is sent, and nobody answers.
    pub fn stop(&self) {
        send_signal(&self.child, libc::SIGSTOP);
    }

    /// Sends Ctrl-C (SIGINT), and returns the collector's exit status.
    pub fn interrupt(&mut self) -> Option<i32> {
        send_signal(&self.child, libc::SIGINT);
        wait(&mut self.child, GIVE_UP_AFTER).expect("the collector ends").code()
    }

    /// Reads the sessions that have ended.
    pub fn sessions(&self) -> Vec<Value> {
        let lines = std::fs::read_to_string(self.out().join("sessions.jsonl")).expect("the sessions");
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

impl Drop for Collect {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
