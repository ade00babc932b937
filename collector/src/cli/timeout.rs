//! `hangscope timeout`, also where this program is called by the name `timeout`. It has a parser of its own:
//! the grammar is that of getopt_long, and a `timeout` must start at once.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::console::exit::Status;
use crate::console::out;
use crate::text::message::Lang;
use crate::timeout::options::{self, Asked, BadUsage};
use crate::timeout::{self, look};

/// Run a command with a time limit, as coreutils' timeout does, and capture what hangs before it is ended.
///
/// Options, behaviour and exit statuses are those of timeout of coreutils 9.1. At the end of DURATION the
/// evidence is taken first: from inside, if the shim is there and a collector listens (HANGSCOPE_SOCKET),
/// else from outside as `hangscope snap` does. Then the signal is sent. One line on stderr says what hung and
/// where the evidence is. If COMMAND ends in time, nothing is printed and nothing written.
///
/// If hangscope is called by the name `timeout`, it behaves so.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    hangscope timeout 60 taskset -c 0-15 ./bench 16 2000000\n  \
    hangscope timeout -k 5 --capture 3s --out evidence 2m ./run_matrix.sh\n  \
    ln -s $(command -v hangscope) ~/bin/timeout     # every `timeout` of your scripts\n\n\
    DURATION is a number, also with a point, and s (the default), m, h or d. 0: no limit.\n\n\
    Exit status:\n  \
    124  the time ran out, and --preserve-status is not given\n  \
    125  timeout itself failed\n  \
    126  COMMAND was found and cannot be invoked\n  \
    127  COMMAND was not found\n  \
    137  COMMAND or timeout was sent KILL\n  \
    else the status of COMMAND")]
pub(crate) struct Args {
    /// The signal at the end of DURATION, by name or number [default: TERM].
    #[arg(short, long)]
    signal: Option<String>,
    /// Send KILL, too, if COMMAND still runs so long after the first signal.
    #[arg(short, long, value_name = "DURATION")]
    kill_after: Option<String>,
    /// Stay in the process group of the terminal: COMMAND may read from it, and what COMMAND starts is not
    /// ended.
    #[arg(long)]
    foreground: bool,
    /// End with the status of COMMAND, also if the time ran out.
    #[arg(long)]
    preserve_status: bool,
    /// Say on stderr which signal is sent.
    #[arg(short, long)]
    verbose: bool,
    /// How long the signal may be held back for the capture. `0` or `off`: no capture [default:
    /// HANGSCOPE_CAPTURE, else 5s].
    #[arg(long, value_name = "BUDGET")]
    capture: Option<String>,
    /// Folder for the evidence [default: hangscope-timeout_{pid}, in HANGSCOPE_OUT or in this folder]. A
    /// collector writes to its own.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// JSON in FILE (stdout is COMMAND's): command, timed_out, status and capture, what was captured (from,
    /// pid, program, class, confidence, headline, folders; or problem), or null.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[arg(value_name = "DURATION", required = true)]
    duration: String,
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Does the work of `timeout`, if this program is called for that. None: it is not.
pub(crate) fn called() -> Option<ExitCode> {
    let mut words = std::env::args_os();
    let called = words.next()?;
    let base = called.to_string_lossy().rsplit('/').next().unwrap_or_default().to_owned();
    if base == "timeout" {
        return Some(serve(&called.to_string_lossy(), &words.collect::<Vec<_>>()));
    }
    let words: Vec<OsString> = words.collect();
    if base == look::NAME {
        return Some(status(look::main(&words)));
    }
    let (lang, words) = after_lang(&words);
    let (first, words) = words.split_first()?;
    if first != "timeout" {
        return None;
    }
    if let Some(lang) = lang {
        // The process that captures asks the environment, too.
        out::set_lang(Lang::parse(lang.to_str()?).ok()?);
    }
    Some(serve("hangscope timeout", words))
}

/// The words after `--lang LANG`, if they begin so.
fn after_lang(words: &[OsString]) -> (Option<&OsStr>, &[OsString]) {
    match words {
        [option, lang, rest @ ..] if option == "--lang" => (Some(lang), rest),
        [option, rest @ ..] => match option.to_str().and_then(|option| option.strip_prefix("--lang=")) {
            Some(lang) => (Some(OsStr::new(lang)), rest),
            None => (None, words),
        },
        [] => (None, words),
    }
}

pub(crate) fn run(_: Args) -> anyhow::Result<Status> {
    anyhow::bail!("timeout: `timeout` must be the first word after --lang")
}

fn serve(name: &str, words: &[OsString]) -> ExitCode {
    let budget = std::env::var_os(options::CAPTURE_VARIABLE);
    status(match options::parse(words, budget.as_deref()) {
        Ok(Asked::Run(options)) => timeout::run(name, &options),
        Ok(Asked::Help) => print(name, &help(name)),
        Ok(Asked::Version) => print(name, &format!("timeout (hangscope) {}\n", env!("CARGO_PKG_VERSION"))),
        Err(BadUsage(line)) => {
            let line = line.map(|line| format!("{name}: {line}\n")).unwrap_or_default();
            let hint = format!("{line}Try '{name} --help' for more information.\n");
            let _ = std::io::stderr().write_all(hint.as_bytes());
            125
        }
    })
}

fn status(code: i32) -> ExitCode {
    // A status has eight bits.
    ExitCode::from(code as u8)
}

fn help(name: &str) -> String {
    let mut command =
        <Args as clap::Args>::augment_args(clap::Command::new("timeout").bin_name(name.to_owned()));
    command.render_long_help().to_string()
}

fn print(name: &str, text: &str) -> i32 {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => 0,
        Err(error) => {
            let error = error.to_string();
            let why = error.split(" (os error ").next().unwrap_or_default();
            let _ = writeln!(std::io::stderr(), "{name}: write error: {why}");
            125
        }
    }
}
