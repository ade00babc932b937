//! Which word of a command is the benchmark. Wrappers in front of it (`env`, `taskset`, `timeout`) are not
//! watched.

use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

/// A command that cannot be started.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum BadCommand {
    #[error("benchmark not found: {0}; build it, or give its right path")]
    NotFound(String),
    #[error("benchmark is not executable: {0}")]
    NotExecutable(String),
    #[error("benchmark is a folder: {0}")]
    Folder(String),
}

/// A wrapper: its options that take a value in the next word, and the number of words before the program.
struct Wrapper {
    name: &'static str,
    with_value: &'static [&'static str],
    words: usize,
}

const WRAPPERS: &[Wrapper] = &[
    Wrapper { name: "env", with_value: &["-u", "--unset", "-C", "--chdir"], words: 0 },
    Wrapper { name: "taskset", with_value: &["-p", "--pid"], words: 1 },
    Wrapper { name: "timeout", with_value: &["-k", "--kill-after", "-s", "--signal"], words: 1 },
    Wrapper { name: "nice", with_value: &["-n", "--adjustment"], words: 0 },
    Wrapper {
        name: "numactl",
        with_value: &[
            "-i",
            "-w",
            "-p",
            "-P",
            "-m",
            "-N",
            "-C",
            "--interleave",
            "--membind",
            "--cpunodebind",
            "--physcpubind",
            "--preferred",
        ],
        words: 0,
    },
    Wrapper { name: "stdbuf", with_value: &["-i", "-o", "-e", "--input", "--output", "--error"], words: 0 },
    Wrapper { name: "setarch", with_value: &[], words: 0 },
    Wrapper { name: "chrt", with_value: &["-T", "-P", "-D"], words: 1 },
    Wrapper { name: "ionice", with_value: &["-c", "-n", "--class", "--classdata"], words: 0 },
    Wrapper {
        name: "unshare",
        with_value: &["-S", "--setuid", "-G", "--setgid", "-R", "--root", "-w", "--wd", "--propagation"],
        words: 0,
    },
    Wrapper { name: "time", with_value: &["-f", "-o", "--format", "--output"], words: 0 },
    Wrapper { name: "setsid", with_value: &[], words: 0 },
    Wrapper { name: "nohup", with_value: &[], words: 0 },
    Wrapper { name: "prlimit", with_value: &[], words: 0 },
];

/// The benchmark's word: the first that is no wrapper, and no option or setting of a wrapper.
pub(crate) fn benchmark(command: &[String]) -> Option<&String> {
    command.get(benchmark_at(command)?)
}

/// The command with other arguments for the benchmark. None: there is no benchmark, only wrappers.
pub(crate) fn with_arguments(command: &[String], arguments: &[String]) -> Option<Vec<String>> {
    let at = benchmark_at(command)?;
    Some([&command[..=at], arguments].concat())
}

/// The names in a list of programs, as HANGSCOPE_ONLY takes it.
pub(crate) fn names(list: &str) -> Vec<String> {
    list.split([',', ':', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[derive(Clone, Copy)]
struct Word<'a> {
    at: usize,
    word: &'a str,
}

fn benchmark_at(command: &[String]) -> Option<usize> {
    let mut words = command.iter().enumerate().map(|(at, word)| Word { at, word }).peekable();
    'wrapper: loop {
        let word = words.next()?;
        let Some(wrapper) = WRAPPERS.iter().find(|w| w.name == base_name(word.word)) else {
            return Some(word.at);
        };
        // Machine names of setarch (`x86_64 -R`) are optional words.
        let mut before = wrapper.words;
        if wrapper.name == "setarch"
            && words.peek().is_some_and(|w| !w.word.starts_with('-') && is_machine(w.word))
        {
            words.next();
        }
        // taskset takes one word, which is a list with -c.
        while let Some(word) = words.peek().map(|word| word.word) {
            let option = word.starts_with('-') && word.len() > 1;
            let setting = wrapper.name == "env" && word.contains('=');
            if option {
                let takes_next = wrapper.with_value.contains(&word);
                let ends = word == "--";
                words.next();
                if takes_next {
                    words.next();
                }
                if ends && before == 0 && wrapper.name != "env" {
                    continue 'wrapper;
                }
            } else if setting {
                words.next();
            } else if before > 0 {
                before -= 1;
                words.next();
            } else {
                continue 'wrapper;
            }
        }
        return None;
    }
}

fn is_machine(word: &str) -> bool {
    ["x86_64", "i386", "i686", "linux32", "linux64", "aarch64", "uname26"].contains(&word)
}

/// Whether a program is one of those that execute another program in their own process.
pub(crate) fn is_wrapper(word: &str) -> bool {
    WRAPPERS.iter().any(|wrapper| wrapper.name == base_name(word))
}

/// Whether a program does little but start others.
pub(crate) fn is_launcher(word: &str) -> bool {
    const OTHERS: [&str; 20] = [
        "sh",
        "bash",
        "dash",
        "zsh",
        "ksh",
        "fish",
        "busybox",
        "xargs",
        "parallel",
        "make",
        "ninja",
        "flock",
        "sudo",
        "runuser",
        "nsenter",
        "chroot",
        "hyperfine",
        "perf",
        "strace",
        "gdb",
    ];
    is_wrapper(word) || OTHERS.contains(&base_name(word))
}

/// Whether the benchmark is a shell or a script: nobody knows what that runs.
pub(crate) fn is_shell_or_script(command: &[String]) -> bool {
    let Some(word) = benchmark(command) else { return false };
    is_launcher(word) || find(word).is_ok_and(|path| is_script(&path))
}

/// The file of a program: its path, or its place in PATH.
pub(crate) fn find(word: &str) -> Result<PathBuf, BadCommand> {
    let runs = |path: &Path| access(path, AccessFlags::X_OK).is_ok() && path.is_file();
    if word.contains('/') {
        let path = PathBuf::from(word);
        return match path.metadata() {
            Err(_) => Err(BadCommand::NotFound(word.to_owned())),
            Ok(meta) if meta.is_dir() => Err(BadCommand::Folder(word.to_owned())),
            Ok(_) if !runs(&path) => Err(BadCommand::NotExecutable(word.to_owned())),
            Ok(_) => Ok(path),
        };
    }
    let dirs = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    dirs.as_bytes()
        .split(|b| *b == b':')
        .map(|dir| Path::new(OsStr::from_bytes(dir)).join(word))
        .find(|path| runs(path))
        .ok_or_else(|| BadCommand::NotFound(word.to_owned()))
}

fn is_script(path: &Path) -> bool {
    let mut start = [0; 2];
    std::fs::File::open(path).and_then(|mut f| f.read_exact(&mut start)).is_ok() && &start == b"#!"
}

fn base_name(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use crate::launch::program::*;

    #[test]
    fn a_small_run_has_the_same_wrappers_and_program() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let small = with_arguments(&words("env A=b taskset -c 0 ./bench 16 2000000"), &words("2 1000"));
        assert_eq!(small.unwrap(), words("env A=b taskset -c 0 ./bench 2 1000"));
        assert_eq!(with_arguments(&words("timeout 5"), &words("1")), None);
        assert_eq!(names("bench,bench2 x"), ["bench", "bench2", "x"]);
    }

    fn of(command: &str) -> Option<String> {
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        benchmark(&words).cloned()
    }

    #[test]
    fn the_benchmark_is_behind_the_wrappers() {
        for command in [
            "./bench 16 2000000",
            "env HZ4_X=1 ./bench 16",
            "env -i -u A B=c ./bench",
            "env -- A=b ./bench",
            "taskset -c 0-15 ./bench 16",
            "taskset 0x3 ./bench",
            "timeout 60 ./bench",
            "timeout -k 5 -s KILL 60s ./bench",
            "timeout --signal=KILL 60 ./bench 1",
            "nice ./bench",
            "/usr/bin/nice -n 5 ./bench",
            "numactl --cpunodebind=0 -m 0 ./bench",
            "stdbuf -oL ./bench",
            "setarch x86_64 -R ./bench",
            "setarch -R ./bench",
            "chrt -f 10 ./bench",
            "ionice -c 2 -n 0 ./bench",
            "/usr/bin/time -v ./bench 16",
            "env LD_X=1 taskset -c 0-3 timeout 9 nice -n 1 ./bench 1 2",
        ] {
            assert_eq!(of(command).as_deref(), Some("./bench"), "{command}");
        }
        assert_eq!(of("timeout 60"), None);
        assert_eq!(of("env A=b"), None);
    }

    #[test]
    fn what_a_script_or_a_shell_runs_is_not_known() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert!(is_shell_or_script(&words("sh -c ./bench")));
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("run");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&script, executable).unwrap();
        assert!(is_shell_or_script(&[script.to_string_lossy().into_owned()]));
        assert!(!is_shell_or_script(&words("timeout 5 sleep 3")));
    }

    #[test]
    fn a_command_that_cannot_be_started_is_said_before() {
        assert_eq!(
            find("/nonexistent/bench").unwrap_err(),
            BadCommand::NotFound("/nonexistent/bench".into())
        );
        assert!(find("no-such-program-anywhere").is_err());
        assert_eq!(find("/tmp").unwrap_err(), BadCommand::Folder("/tmp".into()));
        let plain = tempfile::NamedTempFile::new().unwrap();
        let path = plain.path().to_string_lossy().into_owned();
        assert_eq!(find(&path).unwrap_err(), BadCommand::NotExecutable(path));
    }
}
