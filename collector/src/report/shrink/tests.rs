//! What is written of a shrink, from built journals.

use super::{Inputs, ShrinkFile};
use crate::analysis::shrink::{self, Ask, End, Phase, Shape, Task, Trial};
use crate::analysis::sprt::Sprt;
use crate::analysis::{Class, RunOutcome, Strategy};
use crate::text::message::{Lang, Text};

/// Shrinks `./bench 16 2000 64 --x=3` (the last stays) in the head, at most so many runs.
fn shrunk(
    most: usize,
    end: Option<End>,
    bench: impl Fn(&Ask, u32) -> (RunOutcome, Option<Class>),
) -> ShrinkFile {
    shrunk_under(false, most, end, bench)
}

/// The same; `chooses`: under a strategy that is chosen first.
fn shrunk_under(
    chooses: bool,
    most: usize,
    end: Option<End>,
    bench: impl Fn(&Ask, u32) -> (RunOutcome, Option<Class>),
) -> ShrinkFile {
    let command = ["./bench", "16", "2000", "64", "--x=3"].map(str::to_owned);
    let shape = Shape::of(&command, 1, &[4], &[]).unwrap();
    let task = Task {
        numbers: shape.numbers(),
        class: None,
        test: Sprt::of(0.5, 0.95),
        confirm: 6,
        hang_after_s: Some(5.0),
        chooses,
    };
    let mut journal: Vec<Trial> = vec![];
    let mut state = shrink::look(&task, &journal);
    while let Some(ask) = state.next.clone().ok().filter(|_| journal.len() < most) {
        let run = journal.len() as u32 + 1;
        let (outcome, class) = bench(&ask, run);
        let hung = outcome == RunOutcome::Hung;
        let seconds = match outcome {
            RunOutcome::Hung => ask.hang_after_s.unwrap() + 2.0,
            _ => ask.values[1] as f64 / 1000.0,
        };
        journal.push(Trial {
            run,
            values: ask.values,
            outcome,
            class,
            seconds,
            hang_after_s: ask.hang_after_s,
            rc: (!hung).then_some(if outcome == RunOutcome::Failed { 2 } else { 0 }),
            note: (outcome == RunOutcome::Failed).then(|| Text::Same("bench: too few".to_owned())),
            snapshot: hung.then(|| format!("hang_run_{run}")),
            strategy: ask.strategy,
            chooses: ask.phase == Phase::Choose,
        });
        state = shrink::look(&task, &journal);
    }
    let catch = ["hangscope", "hunt", "--so", "my lib.so"].map(str::to_owned);
    let go_on = ["hangscope", "shrink", "--resume", "/out"].map(str::to_owned);
    ShrinkFile::of(&Inputs {
        name: "hz4",
        shape: &shape,
        task: &task,
        journal: &journal,
        state: &state,
        evidence: &shrink::kept(&task, &state, &journal),
        end: end.unwrap_or_else(|| state.next.clone().unwrap_err()),
        rate: 0.5,
        confidence: 0.95,
        catch: &catch,
        go_on: &go_on,
    })
}

fn bench(ask: &Ask, run: u32) -> (RunOutcome, Option<Class>) {
    match ask.values[..] {
        [1, ..] => (RunOutcome::Failed, None),
        [threads, iterations, _] if threads < 3 || iterations < 100 => (RunOutcome::Ok, None),
        _ if run == 3 => (RunOutcome::Hung, Some(Class::Deadlock)),
        _ if run.is_multiple_of(5) => (RunOutcome::Ok, None),
        _ => (RunOutcome::Hung, Some(Class::LostWakeup)),
    }
}

#[test]
fn the_end_of_a_shrink() {
    let file = shrunk(1000, None, bench);
    insta::assert_snapshot!("shrink_md", file.markdown(Lang::En));
    insta::assert_snapshot!("shrink_ja_md", file.markdown(Lang::Ja));
    insta::assert_snapshot!("shrink_summary", file.summary(Lang::En));
    let text = serde_json::to_string(&file).unwrap();
    let read: ShrinkFile = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text, "it can be read again");
}

#[test]
fn what_is_said_of_one_that_came_to_nothing_or_was_stopped() {
    let lines = |file: &ShrinkFile| [file.headline(Lang::En), file.headline(Lang::Ja)].join("\n");
    let good = |_: &Ask, _| (RunOutcome::Ok, None);
    let hung = |_: &Ask, _| (RunOutcome::Hung, Some(Class::LostWakeup));
    let stays = |ask: &Ask, run| match ask.values[..] {
        [16, 2000, 64] => hung(ask, run),
        _ => good(ask, run),
    };
    let stopped = shrunk(20, Some(End::OutOfTime), hung);
    let all = [
        lines(&shrunk(1000, None, good)),
        lines(&shrunk(1000, None, stays)),
        lines(&shrunk(3, Some(End::Interrupted), hung)),
        lines(&stopped),
    ];
    insta::assert_snapshot!("shrink_ends", all.join("\n\n"));
    assert!(stopped.summary(Lang::En).contains("- To continue: `hangscope shrink --resume /out`\n"));
}

#[test]
fn the_strategy_is_chosen_first_and_everything_is_compared_under_it() {
    let calls = Strategy::ALL[3];
    let bench = |ask: &Ask, run: u32| match ask.values[..] {
        _ if ask.strategy != Some(calls) => (RunOutcome::Ok, None),
        [threads, ..] if threads < 3 => (RunOutcome::Ok, None),
        _ if run.is_multiple_of(5) => (RunOutcome::Ok, None),
        _ => (RunOutcome::Hung, Some(Class::LostWakeup)),
    };
    let file = shrunk_under(true, 1000, None, bench);
    assert_eq!((file.end, file.after.command[1].as_str()), (End::Minimal, "3"));
    let lines = file.lines(Lang::En).into_iter().chain(file.lines(Lang::Ja));
    let lines = lines.filter(|line| line.contains("tir") || line.contains("Before:"));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
    assert!(file.catch.contains(" --stir calls:3 "), "{}", file.catch);
    // Nothing hangs: all strategies were tried, and the test of the original command decides.
    let file = shrunk_under(true, 1000, None, |_, _| (RunOutcome::Ok, None));
    assert_eq!((file.end, file.strategies.len()), (End::BelowRate, Strategy::ALL.len()));
}
