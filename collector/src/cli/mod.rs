//! The command line. Each subcommand is a file, with its arguments (`Args`) and a `run` that returns the exit
//! status. Only [`main`] turns an error into a line on stderr and a status.
//!
//! - [`collect`]: listens for processes
//! - [`dump`]: a capture of a watched program that goes on
//! - [`mod@env`]: the variables for your own command
//! - [`export`]: a hang in the format of another tool
//! - [`packet`]: a hang for whoever takes over
//! - [`pin`]: a copy of a DSO that nobody rebuilds
//! - [`plan`]: how many runs a hunt needs
//! - [`wrap`]: one file that is both, the shim and the allocator
//! - [`verify`]: proof that a program runs with exactly this DSO
//! - [`report`]: a recorded dump analysed again
//! - [`show`]: a bundle for a terminal
//! - [`history`]: what ran before, and which hangs are one bug
//! - [`snap`]: a process that already hangs, from outside
//! - [`hunt`]: runs a benchmark again and again until it hangs, and says what the hang is
//! - [`matrix`]: every allocator in every lane, a number of runs each
//! - [`merge`]: shards joined into one job
//! - [`shrink`]: the smallest numbers with which a benchmark still hangs
//! - [`top`]: a job while it works
//! - [`bisect`]: the commit, or the setting of a build, that made a program hang
//! - [`timeout`]: coreutils' `timeout` with a look before the kill
//! - `actions`: a hunt in GitHub Actions
//! - `followed`: the command that `collect` follows
//! - `args`, `settings`, [`stir`], `times`, `socket`: options that several subcommands have; `carried`: a
//!   carrier for one of them

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::console::exit::{self, Status};
use crate::console::out;
use crate::text::message::Lang;

mod actions;
mod args;
pub(crate) mod bisect;
mod carried;
pub(crate) mod collect;
pub(crate) mod dump;
pub(crate) mod env;
pub(crate) mod export;
mod followed;
pub(crate) mod history;
pub(crate) mod hunt;
pub(crate) mod matrix;
pub(crate) mod merge;
pub(crate) mod packet;
pub(crate) mod pin;
pub(crate) mod plan;
pub(crate) mod report;
mod settings;
pub(crate) mod show;
pub(crate) mod shrink;
mod size;
pub(crate) mod snap;
mod socket;
pub(crate) mod stir;
pub(crate) mod timeout;
mod times;
pub(crate) mod top;
pub(crate) mod verify;
pub(crate) mod wrap;

/// Finds out why a program under a preloaded allocator hangs: the wrong DSO, or a bug of the allocator.
#[derive(Debug, Parser)]
#[command(name = "hangscope", version, after_help = exit::help(), propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Language on the terminal, en or ja [default: HANGSCOPE_LANG, LC_ALL, LC_MESSAGES or LANG]. Reports are
    /// written in both.
    #[arg(long, global = true, value_name = "LANG", value_parser = Lang::parse)]
    lang: Option<Lang>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Hunt(Box<hunt::Args>),
    Matrix(matrix::Args),
    Merge(merge::Args),
    Shrink(Box<shrink::Args>),
    Bisect(Box<bisect::Args>),
    Collect(collect::Args),
    Dump(dump::Args),
    Env(env::Args),
    Export(export::Args),
    History(history::Args),
    Packet(packet::Args),
    Pin(pin::Args),
    Plan(plan::Args),
    Verify(verify::Args),
    Report(report::Args),
    Show(show::Args),
    Snap(snap::Args),
    Timeout(timeout::Args),
    Top(top::Args),
    Wrap(wrap::Args),
}

/// Entry point of the command.
pub fn main() -> ExitCode {
    // A `timeout` starts at once: before the definition of all commands is built.
    if let Some(code) = timeout::called() {
        return code;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error).into(),
    };
    log_to_stderr();
    cli.lang.into_iter().for_each(out::set_lang);
    match run(cli.command) {
        Ok(status) => status.into(),
        Err(error) => {
            out::error_line(exit::one_line(&error));
            exit::status_of(&error).into()
        }
    }
}

/// The command line with all its subcommands and options, for man pages and completions.
pub fn definition() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Warnings go to stderr. `HANGSCOPE_LOG` sets another level (`off`, `error`, `warn`, `info`, `debug`,
/// `trace`).
fn log_to_stderr() {
    let level = std::env::var("HANGSCOPE_LOG").ok().and_then(|level| level.parse().ok());
    let started = tracing_subscriber::fmt()
        .with_max_level(level.unwrap_or(tracing_subscriber::filter::LevelFilter::WARN))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .try_init();
    // A program that uses this library has its own subscriber.
    drop(started);
}

/// Prints clap's message: help and version as they are, an error as one line.
fn usage(error: &clap::Error) -> Status {
    let help = error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if error.use_stderr() && !help {
        out::error_line(usage_line(&error.render().to_string()));
    } else {
        // clap uses colours only on a terminal. If the reader has left, there is nothing to do.
        let _ = error.print();
    }
    if error.use_stderr() { Status::Usage } else { Status::NoHang }
}

/// clap's message without its usage and its hint at --help.
fn usage_line(text: &str) -> String {
    let said = text.lines().take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let said: Vec<&str> = said.map(str::trim).filter(|line| !line.is_empty()).collect();
    let said = said.join(" ").replace(" tip: ", "; ");
    format!("hangscope: {}; see --help", said.trim_start_matches("error: "))
}

fn run(command: Command) -> anyhow::Result<Status> {
    match command {
        Command::Hunt(args) => hunt::run(*args),
        Command::Matrix(args) => matrix::run(args),
        Command::Merge(args) => merge::run(args),
        Command::Shrink(args) => shrink::run(*args),
        Command::Bisect(args) => bisect::run(*args),
        Command::Collect(args) => collect::run(args),
        Command::Dump(args) => dump::run(args),
        Command::Env(args) => env::run(args),
        Command::Export(args) => export::run(args),
        Command::History(args) => history::run(args),
        Command::Packet(args) => packet::run(args),
        Command::Pin(args) => pin::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Report(args) => report::run(args),
        Command::Show(args) => show::run(args),
        Command::Snap(args) => snap::run(args),
        Command::Timeout(args) => timeout::run(args),
        Command::Top(args) => top::run(args),
        Command::Wrap(args) => wrap::run(args),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, CommandFactory as _, Parser as _};
    use hangscope_protocol::duration::{self, Limit};

    #[test]
    fn the_arguments_are_consistent() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_json() {
        for command in super::Cli::command().get_subcommands() {
            let json = command.get_arguments().find(|arg| arg.get_long() == Some("json"));
            let help = json.and_then(|arg| arg.get_help()).map(ToString::to_string).unwrap_or_default();
            // The stdout of `timeout` is the command's.
            let where_to = if command.get_name() == "timeout" { "JSON in FILE" } else { "JSON on stdout" };
            assert!(help.contains(where_to), "{}: {help}", command.get_name());
        }
    }

    /// What `option` makes of `text`, in every command that has the option.
    fn results(option: &str, text: &str) -> Vec<Result<(), String>> {
        let (mut definition, given) = (super::Cli::command(), format!("--{option}={text}"));
        definition.build();
        let commands = definition.get_subcommands();
        let options = commands.filter_map(|c| c.get_arguments().find(|arg| arg.get_long() == Some(option)));
        let parse = |arg: &clap::Arg| {
            let alone = clap::Command::new("x").no_binary_name(true).arg(arg.clone());
            alone.try_get_matches_from([&given]).map(drop).map_err(|error| error.to_string())
        };
        options.map(parse).collect()
    }

    #[test]
    fn every_time_option_has_the_shims_grammar_limits_and_messages() {
        let definition = super::Cli::command();
        let times = definition.get_subcommands().flat_map(clap::Command::get_arguments).filter(|arg| {
            arg.get_value_names().is_some_and(|names| names.iter().any(|name| name.as_str() == "TIME"))
        });
        let mut times: Vec<&str> = times.filter_map(clap::Arg::get_long).collect();
        times.sort_unstable();
        times.dedup();
        assert_eq!(
            times,
            [
                "grace",
                "hang-after",
                "hello-within",
                "max-time",
                "perf-seconds",
                "second-look",
                "stall",
                "tick"
            ]
        );
        for (text, _) in duration::CASES {
            // clap itself refuses an empty value.
            for option in times.iter().filter(|option| !text.is_empty() && **option != "perf-seconds") {
                let expected = match *option {
                    "hang-after" | "stall" | "max-time" => Limit::parse(text.as_bytes()).map(drop),
                    "tick" => duration::parse_tick(text.as_bytes()).map(drop),
                    _ => duration::parse(text.as_bytes()).map(drop),
                };
                for result in results(option, text) {
                    match (&result, expected) {
                        (Ok(()), Ok(())) => {}
                        (Err(said), Err(problem)) => {
                            assert!(said.contains(problem.message()), "--{option} {text:?}: {said}");
                        }
                        _ => panic!("--{option} {text:?}: {result:?}, not {expected:?}"),
                    }
                }
            }
        }
        let ok = |option, text| results(option, text).iter().all(Result::is_ok);
        assert!(ok("hang-after", "5min") && ok("stall", "1ms") && ok("perf-seconds", "0.5"));
        assert!(!ok("tick", "1ms") && !ok("stall", "0") && !ok("max-time", "soon") && !ok("grace", "off"));
        assert!(!ok("perf-seconds", "50ms") && !ok("perf-seconds", "2h") && !ok("perf-seconds", "off"));
    }

    #[test]
    fn hunt_and_shrink_have_the_same_options_for_runs() {
        let definition = super::Cli::command();
        let ids = |name: &str| -> Vec<String> {
            let command = definition.find_subcommand(name).unwrap();
            command.get_arguments().map(|arg| arg.get_id().to_string()).collect()
        };
        let run = super::args::RunArgs::augment_args(clap::Command::new("x"));
        for id in run.get_arguments().map(clap::Arg::get_id) {
            assert!(ids("hunt").iter().any(|other| id == other), "{id}");
            assert!(ids("shrink").iter().any(|other| id == other), "{id}");
        }
        let stall = |words: &[&str]| match super::Cli::try_parse_from(words).unwrap().command {
            super::Command::Hunt(args) => args.run.stall,
            super::Command::Shrink(args) => args.run.stall,
            other => panic!("{other:?}"),
        };
        assert_eq!(stall(&["hangscope", "hunt"]), Limit::Off);
        assert_eq!(stall(&["hangscope", "shrink", "--so", "x"]).to_string(), "1s");
        assert_eq!(stall(&["hangscope", "shrink", "--resume", "x"]).to_string(), "1s");
        for words in
            [&["hangscope", "shrink"][..], &["hangscope", "shrink", "--resume", "x", "--stall", "1s"]]
        {
            assert!(super::Cli::try_parse_from(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn every_command_shows_an_example() {
        for command in super::Cli::command().get_subcommands() {
            let name = command.get_name();
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                help.contains("Example") && help.contains(&format!("hangscope {name} ")),
                "{name}: {help}"
            );
        }
    }

    #[test]
    fn wrong_usage_is_one_line() {
        let line = |args: &[&str]| {
            let error = super::Cli::try_parse_from([&["hangscope"], args].concat()).unwrap_err();
            super::usage_line(&error.render().to_string())
        };
        insta::assert_snapshot!(line(&["pin", "x.so"]), @"hangscope: the following required arguments were not provided: --out <DIR>; see --help");
        insta::assert_snapshot!(line(&["pim"]), @"hangscope: unrecognized subcommand 'pim'; a similar subcommand exists: 'pin'; see --help");
        insta::assert_snapshot!(line(&["env", "--tick", "x"]), @"hangscope: invalid value 'x' for '--tick <TIME>': not a duration such as 15s, 500ms, 2m, 1m30s or 1h; see --help");
    }
}
