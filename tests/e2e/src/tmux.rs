//! A terminal for a test: tmux runs a command in it, and tells what is on the screen.

use std::io::Read as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, bounded};

use crate::{GIVE_UP_AFTER, run};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A terminal. Dropping the value kills what runs in it.
pub struct Terminal {
    /// Name of the tmux server: each terminal has its own.
    server: String,
    /// A message for each output of the command.
    output: Receiver<()>,
}

impl Terminal {
    /// Runs a shell's script in a terminal of this size.
    pub fn start(dir: &Path, (width, height): (u32, u32), script: &str) -> Terminal {
        let server = format!("hangscope_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let fifo = dir.join(format!("{server}.output"));
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
        let (sender, output) = bounded(1);
        // The script waits for its first line, so that all of its output is told.
        let script = format!("read _; {script}");
        let terminal = Terminal { server, output };
        let (x, y) = (width.to_string(), height.to_string());
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", &x, "-y", &y, "sh", "-c", &script]);
        terminal.tmux(&["pipe-pane", "-o", &format!("cat > {}", fifo.display())]);
        std::thread::spawn(move || {
            let mut file = std::fs::File::open(&fifo).expect("the fifo");
            while matches!(file.read(&mut [0; 4096]), Ok(1..)) {
                // A full channel holds a message already.
                let _ = sender.try_send(());
            }
        });
        terminal.keys(&["Enter"]);
        terminal
    }

    fn tmux(&self, args: &[&str]) -> String {
        let output = run(Command::new("tmux").env("LC_ALL", "C.UTF-8").args(["-L", &self.server]).args(args));
        assert!(output.status.success(), "tmux {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Presses keys, as `tmux send-keys` names them.
    pub fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Another size.
    pub fn resize(&self, (width, height): (u32, u32)) {
        self.tmux(&["resize-window", "-x", &width.to_string(), "-y", &height.to_string()]);
    }

    /// The screen with its escape sequences for colour.
    pub fn coloured(&self) -> String {
        self.tmux(&["capture-pane", "-e", "-p"])
    }

    /// Waits for a screen with all of these texts, and returns it.
    pub fn until(&self, texts: &[&str]) -> String {
        self.until_that(&format!("{texts:?}"), |screen| texts.iter().all(|text| screen.contains(text)))
    }

    /// Waits for a screen that is as wanted, and returns it. `what` names it in the message of a failure.
    pub fn until_that(&self, what: &str, is_wanted: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + GIVE_UP_AFTER;
        loop {
            let screen = self.tmux(&["capture-pane", "-p"]);
            if is_wanted(&screen) {
                return screen;
            }
            let left = until.saturating_duration_since(Instant::now());
            let came = self.output.recv_timeout(left).is_ok();
            assert!(came, "{what} is not on the screen:\n{screen}");
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = run(Command::new("tmux").args(["-L", &self.server, "kill-server"]));
    }
}
