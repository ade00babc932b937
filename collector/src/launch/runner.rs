//! A command that a standing collector follows: it has the terminal, and its end is that of the collection.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus};

use crossbeam_channel::Receiver;
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::Pid;

use crate::capture::tool;
use crate::console::cancel;
use crate::files::private;
use crate::launch::descriptors;

/// The first process. It is not stopped when this is dropped.
#[derive(Debug)]
pub(crate) struct Runner {
    child: Child,
    ended: Receiver<()>,
}

impl Runner {
    /// Starts `command` in the group and with the descriptors of this process.
    ///
    /// # Errors
    /// It could not be started, or not be waited for; then it is killed.
    pub(crate) fn start(mut command: Command) -> io::Result<Runner> {
        let no_interrupt = cancel::was_interrupt_ignored();
        let in_child = move || -> io::Result<()> {
            private::give_back();
            if no_interrupt {
                // SAFETY: to ignore a signal installs no handler.
                unsafe { signal(Signal::SIGINT, SigHandler::SigIgn) }?;
            }
            descriptors::give_back()
        };
        // SAFETY: between fork and exec it makes three system calls and touches no lock and no heap.
        unsafe { command.pre_exec(in_child) };
        let mut child = command.spawn()?;
        match tool::ended(Pid::from_raw(child.id() as i32)) {
            Ok(ended) => Ok(Runner { child, ended }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ready when it has ended.
    pub(crate) fn ended(&self) -> &Receiver<()> {
        &self.ended
    }

    /// Passes on that somebody wants the end.
    pub(crate) fn terminate(&self) {
        // It has not been waited for, so no other process can have its id.
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }
}
