//! The numbers in a command: which words they are, and the command with others in their place.

use super::task::{Number, Values};

/// A command, and the numbers in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    words: Vec<String>,
    /// All numbers among the arguments, in order.
    places: Vec<Place>,
}

/// A number among the arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Index of the argument, from 1, as `$1` of a script.
    pub(crate) argument: usize,
    word: usize,
    /// What stands before it in the same word: `--threads=`.
    before: String,
    /// The number.
    pub(crate) number: Number,
    /// Whether it may change.
    pub(crate) free: bool,
}

/// Numbers that cannot be shrunk as it was asked.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum BadNumbers {
    /// `--keep` or `--min` names an argument that is no number.
    #[error("{option} {argument}: argument {argument} is no whole number; these are: {there}")]
    NoNumber {
        /// The option.
        option: &'static str,
        /// The index that was given.
        argument: usize,
        /// Those that are numbers.
        there: String,
    },
    /// A least that is more than the number itself.
    #[error("--min {argument}={least}: argument {argument} is {from}, which is less")]
    Less {
        /// The argument.
        argument: usize,
        /// Its least.
        least: u64,
        /// The number itself.
        from: u64,
    },
    /// Nothing to change.
    #[error(
        "no number to reduce among the benchmark's arguments: give the benchmark itself with whole numbers, as in \
         -- ./bench 16 2000000 (a shell's or a script's are not known), and do not --keep them all"
    )]
    None,
}

impl Shape {
    /// Of a command whose benchmark's first argument is the word at `first`. The arguments in `keep` do not change; those
    /// in `least` go down to that number, the others to 1. Indices from 1, from the benchmark on.
    ///
    /// # Errors
    /// [`BadNumbers`].
    pub(crate) fn of(
        command: &[String],
        first: usize,
        keep: &[usize],
        least: &[(usize, u64)],
    ) -> Result<Shape, BadNumbers> {
        let mut places: Vec<Place> = command
            .iter()
            .enumerate()
            .skip(first)
            .filter_map(|(word, text)| {
                let (before, from) = number(text)?;
                let number = Number { from, least: from.min(1) };
                let argument = word + 1 - first;
                Some(Place { argument, word, before: before.to_owned(), number, free: true })
            })
            .collect();
        let there: Vec<String> = places.iter().map(|place| place.argument.to_string()).collect();
        let no_number = |option, argument| {
            let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
            BadNumbers::NoNumber { option, argument, there }
        };
        for (argument, least) in least {
            let place = places.iter_mut().find(|place| place.argument == *argument);
            let place = place.ok_or_else(|| no_number("--min", *argument))?;
            if *least > place.number.from {
                let from = place.number.from;
                return Err(BadNumbers::Less { argument: *argument, least: *least, from });
            }
            place.number.least = *least;
        }
        for argument in keep {
            let place = places.iter_mut().find(|place| place.argument == *argument);
            place.ok_or_else(|| no_number("--keep", *argument))?.free = false;
        }
        for place in &mut places {
            place.free &= place.number.least < place.number.from;
        }
        let shape = Shape { words: command.to_vec(), places };
        if shape.numbers().is_empty() { Err(BadNumbers::None) } else { Ok(shape) }
    }

    /// The numbers that may change, in order.
    pub(crate) fn numbers(&self) -> Vec<Number> {
        self.free().map(|place| place.number).collect()
    }

    /// All numbers.
    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }

    fn free(&self) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(|place| place.free)
    }

    /// The command with these numbers in the place of those that may change.
    pub(crate) fn command(&self, values: &Values) -> Vec<String> {
        let mut words = self.words.clone();
        for (place, value) in self.free().zip(values) {
            words[place.word] = format!("{}{value}", place.before);
        }
        words
    }

    /// The same as a line for a shell.
    pub(crate) fn line(&self, values: &Values) -> String {
        shell_line(&self.command(values))
    }

    /// What the number at a place is among these values.
    pub(crate) fn value(&self, argument: usize, values: &Values) -> Option<u64> {
        self.free().zip(values).find(|(place, _)| place.argument == argument).map(|(_, value)| *value)
    }
}

/// Words as a line for a shell.
pub(crate) fn shell_line<S: AsRef<str>>(words: &[S]) -> String {
    // A word with a NUL byte, the one thing that cannot be quoted, cannot be in a command either.
    shlex::try_join(words.iter().map(AsRef::as_ref)).unwrap_or_default()
}

/// A whole number as it is written plainly, alone or behind `=`: what stands before it, and the number. `007` and `0x10`
/// are something else.
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
        let seen: Vec<_> = shape.places().iter().map(|p| (p.argument, p.number.from, p.free)).collect();
        assert_eq!(
            seen,
            [(1, 16, true), (2, 42, false), (7, 0, false), (9, 400, true)],
            "0 has nothing to give"
        );
        assert_eq!(shape.line(&vec![3, 1]), "taskset -c 0 ./bench 3 '--seed=42' --fast 007 0x10 1e6 0 -3 1");
        assert_eq!((shape.value(9, &vec![3, 1]), shape.value(2, &vec![3, 1])), (Some(1), None));
    }

    #[test]
    fn what_stands_before_a_number_stays_and_a_line_can_be_given_to_a_shell() {
        let shape =
            Shape::of(&["./my bench".into(), "--x=a=90".into(), "it's".into()], 1, &[], &[(1, 5)]).unwrap();
        assert_eq!(shape.numbers(), [Number { from: 90, least: 5 }]);
        assert_eq!(shape.command(&vec![7]), ["./my bench", "--x=a=7", "it's"]);
        assert_eq!(shape.line(&vec![7]), r#"'./my bench' '--x=a=7' "it's""#);
    }

    #[test]
    fn what_cannot_be_is_said() {
        let said = |line: &str, keep: &[usize], least: &[(usize, u64)]| {
            shape(line, 1, keep, least).unwrap_err().to_string()
        };
        insta::assert_snapshot!(said("./bench 16 x 400", &[2], &[]), @"--keep 2: argument 2 is no whole number; these are: 1, 3");
        insta::assert_snapshot!(said("./bench 16 x 400", &[], &[(4, 1)]), @"--min 4: argument 4 is no whole number; these are: 1, 3");
        insta::assert_snapshot!(said("./bench 16", &[], &[(1, 17)]), @"--min 1=17: argument 1 is 16, which is less");
        insta::assert_snapshot!(said("./bench x", &[1], &[]), @"--keep 1: argument 1 is no whole number; these are: none");
        insta::assert_snapshot!(said("sh -c x", &[], &[]), @"no number to reduce among the benchmark's arguments: give the benchmark itself with whole numbers, as in -- ./bench 16 2000000 (a shell's or a script's are not known), and do not --keep them all");
        assert_eq!(shape("./bench 16 1", 1, &[1], &[]), Err(BadNumbers::None), "1 is the least already");
    }
}
