//! The numbers in a command: finds them, and replaces them.

use super::task::{Number, Values};

/// A command, and the numbers in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    words: Vec<String>,
    /// All numbers among the arguments of the benchmark, in order.
    slots: Vec<Slot>,
}

/// An argument that is a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Index of the argument, from 1, as `$1` of a script.
    pub(crate) argument: usize,
    /// Index of the word in the command.
    word: usize,
    /// The text before the number in the same word: `--threads=`.
    before: String,
    pub(crate) number: Number,
    pub(crate) free: bool,
}

/// A command or options that leave no number to shrink.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum BadNumbers {
    /// `--keep` or `--min` names an argument that is not a number.
    #[error("{option} {argument}: argument {argument} is no whole number; these are: {there}")]
    NoNumber {
        option: &'static str,
        /// The index from the option.
        argument: usize,
        /// The indices of the numbers.
        there: String,
    },
    /// `--min` gives more than the number itself.
    #[error("--min {argument}={least}: argument {argument} is {from}, which is less")]
    Less {
        argument: usize,
        /// The number from the option.
        least: u64,
        /// The number in the command.
        from: u64,
    },
    #[error(
        "no number to reduce among the benchmark's arguments: give the benchmark itself with whole numbers, as in \
         -- ./bench 16 2000000 (a shell's or a script's are not known), and do not --keep them all"
    )]
    None,
}

impl Shape {
    /// Finds the numbers of a command. `first` is the index of the word that is the first argument of the
    /// benchmark. The arguments in `keep` do not change. Those in `least` go down to the number that is given
    /// there, the others to 1. Both name arguments by their index, from 1.
    pub(crate) fn of(
        command: &[String],
        first: usize,
        keep: &[usize],
        least: &[(usize, u64)],
    ) -> Result<Shape, BadNumbers> {
        let mut slots: Vec<Slot> = command
            .iter()
            .enumerate()
            .skip(first)
            .filter_map(|(word, text)| {
                let (before, from) = number(text)?;
                let number = Number { from, least: from.min(1) };
                let argument = word + 1 - first;
                Some(Slot { argument, word, before: before.to_owned(), number, free: true })
            })
            .collect();
        let there: Vec<String> = slots.iter().map(|slot| slot.argument.to_string()).collect();
        let no_number = |option, argument| {
            let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
            BadNumbers::NoNumber { option, argument, there }
        };
        for (argument, least) in least {
            let slot = slots.iter_mut().find(|slot| slot.argument == *argument);
            let slot = slot.ok_or_else(|| no_number("--min", *argument))?;
            if *least > slot.number.from {
                let from = slot.number.from;
                return Err(BadNumbers::Less { argument: *argument, least: *least, from });
            }
            slot.number.least = *least;
        }
        for argument in keep {
            let slot = slots.iter_mut().find(|slot| slot.argument == *argument);
            slot.ok_or_else(|| no_number("--keep", *argument))?.free = false;
        }
        for slot in &mut slots {
            slot.free &= slot.number.least < slot.number.from;
        }
        let shape = Shape { words: command.to_vec(), slots };
        if shape.numbers().is_empty() { Err(BadNumbers::None) } else { Ok(shape) }
    }

    /// The numbers that may change, in order.
    pub(crate) fn numbers(&self) -> Vec<Number> {
        self.free().map(|slot| slot.number).collect()
    }

    /// All numbers, also those that may not change.
    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    fn free(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| slot.free)
    }

    /// The command with these values for the numbers that may change.
    pub(crate) fn command(&self, values: &Values) -> Vec<String> {
        let mut words = self.words.clone();
        for (slot, value) in self.free().zip(values) {
            words[slot.word] = format!("{}{value}", slot.before);
        }
        words
    }

    /// [`Shape::command`] as a line for a shell.
    pub(crate) fn line(&self, values: &Values) -> String {
        shell_line(&self.command(values))
    }

    /// The value of an argument, by its index; none: the argument may not change.
    pub(crate) fn value(&self, argument: usize, values: &Values) -> Option<u64> {
        self.free().zip(values).find(|(slot, _)| slot.argument == argument).map(|(_, value)| *value)
    }
}

/// A command as a line for a shell.
pub(crate) fn shell_line<S: AsRef<str>>(words: &[S]) -> String {
    // A word with a NUL byte, the one thing that cannot be quoted, cannot be in a command either.
    shlex::try_join(words.iter().map(AsRef::as_ref)).unwrap_or_default()
}

/// Splits a word into the text before a number and the number. The number is the whole word, or stands after
/// `=`. It is written plainly: `007` and `0x10` are not numbers here.
fn number(word: &str) -> Option<(&str, u64)> {
    let (before, digits) = word.split_at(word.rfind('=').map_or(0, |at| at + 1));
    let number: u64 = digits.parse().ok()?;
    (digits == number.to_string()).then_some((before, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn shape(line: &str, first: usize, keep: &[usize], least: &[(usize, u64)]) -> Result<Shape, BadNumbers> {
        Shape::of(&words(line), first, keep, least)
    }

    #[test]
    fn the_numbers_of_the_benchmark_are_found_and_replaced() {
        let shape =
            shape("taskset -c 0 ./bench 16 --seed=42 --fast 007 0x10 1e6 0 -3 400", 4, &[2], &[]).unwrap();
        let found: Vec<_> = shape.slots().iter().map(|p| (p.argument, p.number.from, p.free)).collect();
        assert_eq!(
            found,
            [(1, 16, true), (2, 42, false), (7, 0, false), (9, 400, true)],
            "0 cannot be reduced"
        );
        assert_eq!(shape.line(&vec![3, 1]), "taskset -c 0 ./bench 3 '--seed=42' --fast 007 0x10 1e6 0 -3 1");
        assert_eq!((shape.value(9, &vec![3, 1]), shape.value(2, &vec![3, 1])), (Some(1), None));
    }

    #[test]
    fn the_text_before_a_number_stays_and_a_line_is_quoted_for_a_shell() {
        let shape =
            Shape::of(&["./my bench".into(), "--x=a=90".into(), "it's".into()], 1, &[], &[(1, 5)]).unwrap();
        assert_eq!(shape.numbers(), [Number { from: 90, least: 5 }]);
        assert_eq!(shape.command(&vec![7]), ["./my bench", "--x=a=7", "it's"]);
        assert_eq!(shape.line(&vec![7]), r#"'./my bench' '--x=a=7' "it's""#);
    }

    #[test]
    fn numbers_that_cannot_be_shrunk_are_an_error() {
        let said = |line: &str, keep: &[usize], least: &[(usize, u64)]| {
            shape(line, 1, keep, least).unwrap_err().to_string()
        };
        insta::assert_snapshot!(said("./bench 16 x 400", &[2], &[]), @"--keep 2: argument 2 is no whole number; these are: 1, 3");
        insta::assert_snapshot!(said("./bench 16 x 400", &[], &[(4, 1)]), @"--min 4: argument 4 is no whole number; these are: 1, 3");
        insta::assert_snapshot!(said("./bench 16", &[], &[(1, 17)]), @"--min 1=17: argument 1 is 16, which is less");
        insta::assert_snapshot!(said("./bench x", &[1], &[]), @"--keep 1: argument 1 is no whole number; these are: none");
        insta::assert_snapshot!(said("sh -c x", &[], &[]), @"no number to reduce among the benchmark's arguments: give the benchmark itself with whole numbers, as in -- ./bench 16 2000000 (a shell's or a script's are not known), and do not --keep them all");
        assert_eq!(
            shape("./bench 16 1", 1, &[1], &[]),
            Err(BadNumbers::None),
            "1 is the least value already"
        );
    }
}
