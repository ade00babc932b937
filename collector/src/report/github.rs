//! A hunt for GitHub Actions: annotations (workflow commands, which the runner takes from either stream),
//! and the report in the summary of the step.
//!
//! Format and escapes: GitHub's documentation, "Workflow commands for GitHub Actions", and `command.ts` of
//! actions/toolkit. The runner shows ten errors, ten warnings and ten notices of a step, the first ones.

use std::fmt;
use std::path::Path;

use crate::analysis::verdict::{hang_sentence, unlike_the_others};
use crate::analysis::{Conclusion, HuntFacts, Integrity, RunFacts, RunOutcome, Verdict};
use crate::text::message::{Lang, messages, ranges, say};

/// The runner shows this many annotations of each level.
const SHOWN: usize = 10;

messages! {
    /// What stands over or in an annotation.
    pub(crate) Mark {
        Hang { run, class } => "Hang in run {run}: {class}", "実行 {run} でハング: {class}";
        MoreHangs {} => "More hangs", "ほかのハング";
        MoreHangsIn { count, runs } => "{count} more: run {runs}", "ほかに {count} 件: 実行 {runs}";
        NotIntact {} => "The DSO was not intact", "実行中に DSO が変わった";
        NotIntactIn { path, word, runs } => "{path} was {word} in run {runs}",
            "{path} の状態: {word}、実行 {runs}";
        Slow {} => "Slow runs", "低速な実行";
        SlowIn { runs } => "past the deadline, but their threads were still at work: run {runs}",
            "制限時間を過ぎたが、スレッドはまだ動作中だった: 実行 {runs}";
        Unlike {} => "Outliers", "外れ値";
        UnlikeIn { runs } => "ops/s far from the other runs: run {runs}", "ops/s がほかの実行から大きく外れている: 実行 {runs}";
        NotReproduced {} => "Not reproduced", "再現せず";
        NoHang {} => "No hang, inconclusive", "ハングなし、判定できず";
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// `::error`.
    Error,
    /// `::warning`.
    Warning,
    /// `::notice`.
    Notice,
}

/// An annotation. Its `Display` is the workflow command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Annotation {
    pub(crate) level: Level,
    pub(crate) title: String,
    pub(crate) message: String,
    /// File of the repository, and its line.
    pub(crate) at: Option<(String, Option<u32>)>,
}

impl fmt::Display for Annotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.level {
            Level::Error => "::error ",
            Level::Warning => "::warning ",
            Level::Notice => "::notice ",
        })?;
        if let Some((file, line)) = &self.at {
            write!(f, "file={},", property(file))?;
            if let Some(line) = line {
                write!(f, "line={line},")?;
            }
        }
        write!(f, "title={}::{}", property(&self.title), data(&self.message))
    }
}

/// A command's data: one line.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property's value: no comma and no colon either.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// The file of the repository that a path of the debug information names, where it is one: below the
/// workspace, or relative and there.
pub(crate) fn in_workspace(file: &str, workspace: &Path) -> Option<String> {
    let inside = Path::new(file).strip_prefix(workspace).unwrap_or(Path::new(file));
    let plain = inside.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    (plain && workspace.join(inside).is_file()).then(|| inside.to_str().map(str::to_owned))?
}

/// The annotations of a hunt, the worst first. `file` maps a path of the debug information to a file of the
/// repository.
pub(crate) fn annotations(
    facts: &HuntFacts,
    conclusion: &Conclusion,
    file: impl Fn(&str) -> Option<String>,
    lang: Lang,
) -> Vec<Annotation> {
    let plain = |level, title: Mark, message: String| Annotation {
        level,
        title: title.text(lang),
        message,
        at: None,
    };
    let mut all = vec![];
    // The DSO comes first: the runner shows only some errors, and hangs may fill them up.
    for word in Integrity::ALL.iter().rev() {
        let moved: Vec<&RunFacts> =
            facts.runs.iter().filter(|run| facts.unwanted_change(run) == Some(*word)).collect();
        if let Some(first) = moved.first() {
            let path = facts.arm(&first.arm).map_or(&facts.dso.path, |arm| &arm.path);
            let message = say!(Mark::NotIntactIn { path, word, runs: runs(&moved) });
            all.push(plain(Level::Error, Mark::NotIntact {}, message.text(lang)));
        }
    }
    let mut hung = of(facts, RunOutcome::Hung);
    hung.sort_by_key(|run| !conclusion.is_about(run));
    // All hangs if they fit. Else one line less, which counts the rest.
    let room = SHOWN.saturating_sub(all.len());
    let told = if hung.len() > room { room.saturating_sub(1) } else { hung.len() };
    all.extend(hung[..told].iter().map(|run| hang(conclusion, run, &file, lang)));
    if told < hung.len() {
        let (count, rest) = (hung.len() - told, &hung[told..]);
        let message = say!(Mark::MoreHangsIn { count, runs: runs(rest) });
        all.push(plain(Level::Error, Mark::MoreHangs {}, message.text(lang)));
    }
    let slow = of(facts, RunOutcome::Slow);
    if !slow.is_empty() {
        let message = say!(Mark::SlowIn { runs: runs(&slow) });
        all.push(plain(Level::Warning, Mark::Slow {}, message.text(lang)));
    }
    let unlike = unlike_the_others(facts);
    if !unlike.is_empty() {
        let message = say!(Mark::UnlikeIn { runs: ranges(&unlike) });
        all.push(plain(Level::Warning, Mark::Unlike {}, message.text(lang)));
    }
    match conclusion.verdict {
        _ if conclusion.hung() => {}
        Verdict::NotReproduced => {
            all.push(plain(Level::Notice, Mark::NotReproduced {}, conclusion.headline(lang)));
        }
        _ => all.push(plain(Level::Warning, Mark::NoHang {}, conclusion.headline(lang))),
    }
    all
}

fn of(facts: &HuntFacts, outcome: RunOutcome) -> Vec<&RunFacts> {
    facts.runs.iter().filter(|run| run.outcome == outcome).collect()
}

/// Names of runs, at most [`SHOWN`] of them.
fn runs(all: &[&RunFacts]) -> String {
    let mut names: Vec<String> = all.iter().take(SHOWN).map(|run| run.name()).collect();
    names.extend((all.len() > SHOWN).then(|| "...".to_owned()));
    names.join(", ")
}

fn hang(
    conclusion: &Conclusion,
    run: &RunFacts,
    file: impl Fn(&str) -> Option<String>,
    lang: Lang,
) -> Annotation {
    let finding = run.hang.as_ref().and_then(|hang| hang.finding.as_ref());
    let class = finding.map_or("unknown", |finding| finding.class.as_str());
    let hot = finding.and_then(|finding| finding.hot.as_ref());
    let line = hot.and_then(|hot| hot.source.as_deref()?.rsplit_once(':')?.1.parse().ok());
    Annotation {
        level: Level::Error,
        title: say!(Mark::Hang { run: run.name(), class }).text(lang),
        message: match conclusion.is_about(run) {
            true => conclusion.headline(lang),
            false => hang_sentence(run, lang),
        },
        at: hot.and_then(|hot| file(hot.file.as_deref()?)).map(|file| (file, line)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::analysis::{Class, conclude};
    use crate::testkit::hunt::{Hunt, finding, hung, run};

    fn lines(facts: &HuntFacts, lang: Lang) -> String {
        let file = |path: &str| path.strip_prefix("/src/").map(str::to_owned);
        let all = annotations(facts, &conclude(facts), file, lang);
        all.iter().map(Annotation::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_hang_is_an_error_at_the_line_of_the_culprit() {
        let facts = Hunt::new(12).push(hung(13, Some(finding(Class::OwnerSpinning)))).facts();
        insta::assert_snapshot!(lines(&facts, Lang::En));
        insta::assert_snapshot!(lines(&facts, Lang::Ja));
    }

    #[test]
    fn what_is_wrong_without_a_hang() {
        insta::assert_snapshot!(lines(&Hunt::new(50).facts(), Lang::En));
        let mut slow = run(51);
        (slow.outcome, slow.ops) = (RunOutcome::Slow, None);
        let mut far = run(52);
        far.ops = Some(1.0);
        let mut moved = run(53);
        moved.integrity_end = Integrity::Replaced;
        insta::assert_snapshot!(lines(&Hunt::new(50).push(slow).push(far).push(moved).facts(), Lang::En));
        let mut died = run(1);
        (died.outcome, died.signal) = (RunOutcome::Crashed, Some(11));
        insta::assert_snapshot!(lines(&Hunt::new(0).push(died).facts(), Lang::En));
    }

    #[test]
    fn of_many_hangs_the_runner_gets_what_it_shows() {
        for count in [1, 9, 10, 11, 50] {
            let hunt = (1..=count).fold(Hunt::new(0), |hunt, n| hunt.push(hung(n, None)));
            let text = lines(&hunt.facts(), Lang::En);
            let errors = text.lines().filter(|line| line.starts_with("::error ")).count();
            assert_eq!(errors, (count as usize).min(SHOWN), "{text}");
            assert_eq!(text.contains("More hangs"), count > 10, "{text}");
        }
    }

    #[test]
    fn only_a_file_of_the_workspace_is_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("src")).unwrap();
        std::fs::write(dir.path().join("src/foo.c"), "").unwrap();
        let of = |file: &str| in_workspace(file, dir.path());
        let inside = format!("{}/src/foo.c", dir.path().display());
        assert_eq!(of(&inside).as_deref(), Some("src/foo.c"));
        assert_eq!(of("src/foo.c").as_deref(), Some("src/foo.c"));
        for outside in ["/usr/include/stdio.h", "src/bar.c", "../src/foo.c", "src", ""] {
            assert_eq!(of(outside), None, "{outside}");
        }
    }

    /// What the runner does with a command (`ActionCommand.cs`).
    fn read_back(line: &str) -> (String, String) {
        let unescaped = |text: &str| {
            let text = text.replace("%3A", ":").replace("%2C", ",");
            text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
        };
        let (head, message) = line.strip_prefix("::warning ").unwrap().split_once("::").unwrap();
        let title = head.split(',').find_map(|pair| pair.strip_prefix("title=")).unwrap();
        (unescaped(title), unescaped(message))
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_one_line_and_comes_back(title in "[a-z%:,\r\n]{0,12}", message in "[a-z%:,\r\n]{0,24}") {
            let one = Annotation { level: Level::Warning, title, message, at: Some(("a:b,c".into(), Some(3))) };
            let line = one.to_string();
            prop_assert!(!line.contains(['\n', '\r']), "{line:?}");
            let (title, message) = read_back(&line);
            // A percent sign is escaped, so a message may contain text that looks like an escape.
            prop_assert_eq!((title, message), (one.title, one.message));
        }
    }
}
