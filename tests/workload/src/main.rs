//! `hangscope-bench`: the remote-free benchmark.
//!
//! Worker threads allocate with the process's own `malloc`, keep a working set, and free each other's
//! blocks. The blocks travel through bounded rings. Every block carries a tag, and the free checks the tag.
//! A broken allocator therefore causes a message and an abort, not a good figure.

mod args;
mod bench;
mod block;
mod fork;
mod rng;
mod stuck;

use std::process::ExitCode;

use args::{Command, Settings};
use bench::Bench;

fn main() -> ExitCode {
    // A panic ends the whole process. A worker that died alone would leave the others waiting for it.
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        std::process::abort();
    }));
    match args::parse(std::env::args().skip(1)) {
        Ok(Command::Help) => {
            print!("{}", args::HELP);
            ExitCode::SUCCESS
        }
        Ok(Command::Run(settings)) => run(&settings),
        Err(what) => {
            eprintln!("hangscope-bench: {what}; see hangscope-bench --help");
            ExitCode::from(2)
        }
    }
}

fn run(settings: &Settings) -> ExitCode {
    let bench = Bench::prepare(settings);
    let outcome = if settings.fork_child { fork::run(&bench, settings) } else { bench.run(|| Ok(())) };
    match outcome {
        Ok(totals) => {
            println!("{}", totals.summary_line(settings.threads));
            ExitCode::SUCCESS
        }
        Err(what) => {
            eprintln!("hangscope-bench: {what}");
            ExitCode::FAILURE
        }
    }
}
