//! Names and numbers of signals, as coreutils has them.

/// Names without SIG. Where two names have one number, the first is the one that is printed.
const NAMES: &[(&str, i32)] = &[
    ("EXIT", 0),
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("SEGV", libc::SIGSEGV),
    ("BUS", libc::SIGBUS),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("USR1", libc::SIGUSR1),
    ("USR2", libc::SIGUSR2),
    ("CHLD", libc::SIGCHLD),
    ("URG", libc::SIGURG),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("CONT", libc::SIGCONT),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("SYS", libc::SIGSYS),
    ("POLL", libc::SIGPOLL),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("STKFLT", libc::SIGSTKFLT),
    ("PWR", libc::SIGPWR),
    ("WINCH", libc::SIGWINCH),
    ("IOT", libc::SIGIOT),
    ("IO", libc::SIGIO),
    ("CLD", libc::SIGCHLD),
];

/// The signal that an operand of `-s` names: a number (also one that a shell made of a signal, 128 + n), or a
/// name in any case, with SIG in front or without. None: there is no such signal.
pub(super) fn parse(text: &str) -> Option<i32> {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let number: i32 = text.parse().ok()?;
        let number = number & if number >= 0xff { 0xff } else { 0x7f };
        return name(number).map(|_| number);
    }
    let upper = text.to_ascii_uppercase();
    named(&upper).or_else(|| named(upper.strip_prefix("SIG")?))
}

fn named(name: &str) -> Option<i32> {
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        let number: i32 = name.parse().ok()?;
        return self::name(number).map(|_| number);
    }
    if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some(*number);
    }
    let (first, last) = (libc::SIGRTMIN(), libc::SIGRTMAX());
    let steps = |rest: &str, sign: char| match rest.strip_prefix(sign) {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse::<i32>().ok(),
        None if rest.is_empty() => Some(0),
        _ => None,
    };
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => first.checked_add(steps(rest, '+')?)?,
        (_, Some(rest)) => last.checked_sub(steps(rest, '-')?)?,
        _ => return None,
    };
    (first..=last).contains(&number).then_some(number)
}

/// The name of a signal; none if there is no such signal, or it is one of libc's own.
pub(super) fn name(number: i32) -> Option<String> {
    if let Some((name, _)) = NAMES.iter().find(|(_, known)| *known == number) {
        return Some((*name).to_owned());
    }
    let (first, last) = (libc::SIGRTMIN(), libc::SIGRTMAX());
    match number {
        _ if number == first => Some("RTMIN".into()),
        _ if number == last => Some("RTMAX".into()),
        _ if !(first..=last).contains(&number) => None,
        _ if number <= first + (last - first) / 2 => Some(format!("RTMIN+{}", number - first)),
        _ => Some(format!("RTMAX-{}", last - number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_read_as_coreutils_does() {
        for (text, printed) in [
            ("TERM", "TERM"),
            ("sigterm", "TERM"),
            ("SigUsr1", "USR1"),
            ("9", "KILL"),
            ("137", "KILL"),
            ("265", "KILL"),
            ("0", "EXIT"),
            ("128", "EXIT"),
            ("256", "EXIT"),
            ("IOT", "ABRT"),
            ("CLD", "CHLD"),
            ("IO", "POLL"),
            ("rtmin", "RTMIN"),
            ("sigrtmin+1", "RTMIN+1"),
            ("RTMIN+30", "RTMAX"),
            ("RTMAX-14", "RTMAX-14"),
            ("RTMAX-15", "RTMIN+15"),
            ("35", "RTMIN+1"),
            ("63", "RTMAX-1"),
        ] {
            let number = parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(name(number).as_deref(), Some(printed), "{text}");
        }
        for bad in [
            "",
            "foo",
            "SIG",
            "SIGSIGTERM",
            "32",
            "33",
            "65",
            "127",
            "255",
            "393",
            "1x",
            "+5",
            " 5",
            "-1",
            "RTMIN+",
            "RTMIN-1",
            "RTMAX+1",
            "RTMIN+31",
            "RTMAX-40",
            "RTMINx",
            "RTMIN+ 1",
            "4294967305",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
