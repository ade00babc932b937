//! `--cpus 0-3,8`: the CPUs that a run may use.

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

/// A list that is wrong, or has no usable CPU.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum BadCpus {
    #[error("--cpus {given}: {part:?} is no processor and no range such as 0-3")]
    NotAList { given: String, part: String },
    #[error("--cpus {given}: none of them is here (this process may use {here})")]
    None {
        given: String,
        /// The usable CPUs.
        here: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cpus {
    /// In order.
    pub(crate) used: Vec<usize>,
    /// CPUs in the list that this process may not use, in order.
    pub(crate) missing: Vec<usize>,
}

impl Cpus {
    /// All that this process may use.
    pub(crate) fn all() -> Cpus {
        Cpus { used: allowed(), missing: vec![] }
    }

    pub(crate) fn parse(given: &str) -> Result<Cpus, BadCpus> {
        Cpus::among(given, &allowed())
    }

    fn among(given: &str, here: &[usize]) -> Result<Cpus, BadCpus> {
        let wanted = list(given)?;
        let (used, missing): (Vec<usize>, Vec<usize>) =
            wanted.into_iter().partition(|cpu| here.contains(cpu));
        if used.is_empty() {
            return Err(BadCpus::None { given: given.to_owned(), here: show(here) });
        }
        Ok(Cpus { used, missing })
    }

    pub(crate) fn set(&self) -> CpuSet {
        let mut set = CpuSet::new();
        for cpu in &self.used {
            // `list` refuses a number that the set cannot hold.
            let _ = set.set(*cpu);
        }
        set
    }
}

/// The CPUs of a list, in order, each once.
pub(super) fn list(given: &str) -> Result<Vec<usize>, BadCpus> {
    let mut cpus = vec![];
    for part in given.split(',') {
        let bad = || BadCpus::NotAList { given: given.to_owned(), part: part.to_owned() };
        let number = |text: &str| {
            let number: usize = text.trim().parse().map_err(|_| bad())?;
            if number < CpuSet::count() { Ok(number) } else { Err(bad()) }
        };
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(part)?, number(part)?),
        };
        if last < first {
            return Err(bad());
        }
        cpus.extend(first..=last);
    }
    cpus.sort_unstable();
    cpus.dedup();
    Ok(cpus)
}

/// CPUs that this process may use.
fn allowed() -> Vec<usize> {
    let set = sched_getaffinity(Pid::from_raw(0)).unwrap_or_default();
    (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu) == Ok(true)).collect()
}

/// The list as a person writes it: `0-3,8`.
pub(crate) fn show(cpus: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = vec![];
    for cpu in cpus {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *cpu => *last = *cpu,
            _ => ranges.push((*cpu, *cpu)),
        }
    }
    let text = |(first, last): &(usize, usize)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use crate::launch::cpus::*;

    #[test]
    fn lists_are_read_and_written() {
        for (given, shown) in
            [("0-3,8", "0-3,8"), ("5", "5"), ("3,1,2,2", "1-3"), ("0-0", "0"), ("7, 9", "7,9")]
        {
            assert_eq!(show(&list(given).unwrap()), shown, "{given}");
        }
        for given in ["", "a", "3-1", "1,,2", "-3", "1-", "99999", "0x3"] {
            assert!(list(given).is_err(), "{given}");
        }
    }

    #[test]
    fn what_is_not_here_is_said() {
        let cpus = Cpus::among("0-15", &[0, 1]).unwrap();
        assert_eq!((show(&cpus.used), show(&cpus.missing)), ("0-1".into(), "2-15".into()));
        assert_eq!(
            Cpus::among("8-15", &[0, 1]).unwrap_err().to_string(),
            "--cpus 8-15: none of them is here (this process may use 0-1)"
        );
        assert!(!allowed().is_empty());
    }
}
