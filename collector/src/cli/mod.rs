//! The command line: one file a subcommand, each with its arguments (`Args`) and a `run` that gives the
//! status to end with. [`main`] is the one place where an error becomes a line on stderr and a status.
//!
//! - [`hunt`]: runs a benchmark again and again until it hangs, and says what the hang is
//! - [`out`]: printing that survives a reader who has left

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::exit::{self, Status};

pub mod hunt;
pub mod out;

/// Finds out why a program under a preloaded allocator hangs: the wrong DSO, or a bug of the allocator.
#[derive(Debug, Parser)]
#[command(name = "hangscope", version, after_help = exit::help(), propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Hunt(hunt::Args),
}

/// Entry point of the command.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap's own text, on stdout for --help and --version, else on stderr; nothing to do if it is closed.
            let _ = error.print();
            return if error.use_stderr() { Status::Usage } else { Status::NoHang }.into();
        }
    };
    match run(cli.command) {
        Ok(status) => status.into(),
        Err(error) => {
            out::error_line(exit::one_line(&error));
            exit::status_of(&error).into()
        }
    }
}

fn run(command: Command) -> anyhow::Result<Status> {
    match command {
        Command::Hunt(args) => hunt::run(args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
