use proptest::prelude::*;

use super::task::Number;
use super::*;
use crate::analysis::facts::RunOutcome;
use crate::analysis::sprt::Sprt;
use crate::analysis::stats::Counts;
use crate::analysis::words::Class;

/// A simulated benchmark: the outcome of one run with these numbers.
type Bench<'a> = &'a mut dyn FnMut(&[u64]) -> (RunOutcome, Option<Class>);

const HANG: (RunOutcome, Option<Class>) = (RunOutcome::Hung, Some(Class::LostWakeup));
const GOOD: (RunOutcome, Option<Class>) = (RunOutcome::Ok, None);

fn task(numbers: &[(u64, u64)]) -> Task {
    Task {
        numbers: numbers.iter().map(|(from, least)| Number { from: *from, least: *least }).collect(),
        class: None,
        test: Sprt::of(0.5, 0.95),
        confirm: 6,
        hang_after_s: Some(5.0),
        chooses: false,
    }
}

fn incident() -> Task {
    task(&[16, 2_000_000, 400, 16, 32768, 90, 65536].map(|from| (from, 1)))
}

fn trial(journal: &[Trial], values: &[u64], (outcome, class): (RunOutcome, Option<Class>)) -> Trial {
    Trial {
        run: journal.len() as u32 + 1,
        values: values.to_vec(),
        outcome,
        class,
        seconds: if outcome == RunOutcome::Hung { 7.0 } else { 0.25 },
        hang_after_s: Some(5.0),
        rc: None,
        note: None,
        snapshot: None,
        strategy: None,
        chooses: false,
    }
}

/// Shrinks to the end. Returns the journal and its state. Fails if the shrink needs
/// more than `most` candidates.
fn shrink(task: &Task, most: usize, bench: Bench<'_>) -> (Vec<Trial>, State) {
    let mut journal = vec![];
    loop {
        let state = look(task, &journal);
        assert!(state.candidates.len() <= most, "{} candidates", state.candidates.len());
        match &state.next {
            Ok(ask) => journal.push(trial(&journal, &ask.values, bench(&ask.values))),
            Err(_) => return (journal, state),
        }
    }
}

/// The highest number of candidates of a search. Each acceptance reduces one number by at least a quarter (or
/// 1), and a pass without an acceptance is the last.
fn most_candidates(task: &Task) -> usize {
    let bits = |number: &Number| (u64::BITS - (number.from - number.least).leading_zeros()) as usize;
    let n = task.numbers.len();
    let accepted: usize = task.numbers.iter().map(|number| 3 * bits(number) + 4).sum();
    let pass: usize = task.numbers.iter().map(|number| bits(number) + 3).sum();
    2 + accepted + (n.ilog2() as usize + 1) * 2 * n * 70 + (accepted + 1) * pass
}

/// The values after each single step that the search has to try.
fn single_steps(task: &Task, values: &[u64]) -> Vec<Values> {
    let mut steps = vec![];
    for (at, number) in task.numbers.iter().enumerate() {
        let distance = values[at] - number.least;
        for less in [distance, distance - distance / 2, (distance / 4).max(1)] {
            if distance > 0 {
                let mut step = values.to_vec();
                step[at] -= less;
                steps.push(step);
            }
        }
    }
    steps
}

fn acceptance_of(state: &State, values: &Values) -> Option<Acceptance> {
    state.candidates.iter().find(|candidate| candidate.values == *values).map(|c| c.judged.acceptance)
}

#[test]
fn a_threshold_is_found_for_every_number_in_few_candidates() {
    let task = incident();
    let needs = [3, 20_000, 1, 1, 2048, 1, 64];
    let hangs = |values: &[u64]| values.iter().zip(needs).all(|(value, least)| *value >= least);
    let (journal, state) = shrink(&task, 120, &mut |values| if hangs(values) { HANG } else { GOOD });
    let best = state.best(&task);
    assert_eq!(
        (&state.next, state.class, state.confirmed),
        (&Err(End::Minimal), Some(Class::LostWakeup), true)
    );
    assert!(hangs(&best), "{best:?}");
    // Within a quarter of the distance to 1.
    for (value, least) in best.iter().zip(needs) {
        assert!(*value - 1 <= (least - 1) * 4 / 3 + 1, "{value} for {least}");
    }
    println!("{} candidates, {} runs: {best:?}", state.candidates.len(), journal.len());
    insta::assert_snapshot!(format!("{best:?}"), @"[3, 23438, 1, 1, 2048, 1, 64]");
}

#[test]
fn the_original_has_to_hang_first_and_its_class_is_what_is_looked_for() {
    let task = incident();
    let (journal, state) = shrink(&task, 1, &mut |_| GOOD);
    assert_eq!((journal.len(), &state.next, state.class), (8, &Err(End::BelowRate), None));
    assert_eq!(state.best(&task), task.original());

    let (journal, state) = shrink(&task, 1, &mut |_| (RunOutcome::Failed, None));
    assert_eq!((journal.len(), &state.next), (1, &Err(End::Refused)));

    // The first hangs have no class, the next one has another class than most.
    let mut classes = [None, Some(Class::Unknown), Some(Class::Deadlock)].into_iter();
    let mut bench = |_: &[u64]| (RunOutcome::Hung, classes.next().unwrap_or(Some(Class::Livelock)));
    let (journal, state) = shrink(&task, 1, &mut bench);
    assert_eq!((state.class, &state.next), (Some(Class::Deadlock), &Err(End::BelowRate)));
    assert_eq!(state.candidates[0].judged.test, Counts { hung: 1, of: journal.len() as u32 });
    assert!(kept(&task, &state, &journal).contains(&4), "the first hang of another class is kept");

    let given = Task { class: Some(Class::Livelock), ..task };
    assert_eq!(
        shrink(&given, 1000, &mut |_| (RunOutcome::Hung, Some(Class::Livelock))).1.next,
        Err(End::Minimal)
    );
}

#[test]
fn a_candidate_that_is_refused_or_crashes_or_hangs_otherwise_is_rejected() {
    let task = task(&[(16, 1), (1000, 1), (32768, 1)]);
    // The second and third numbers are the smallest and the largest size of this benchmark.
    let mut bench = |values: &[u64]| match values {
        [_, small, large] if small > large => (RunOutcome::Failed, None),
        [1, ..] => (RunOutcome::Crashed, None),
        [2, ..] => (RunOutcome::Hung, Some(Class::Deadlock)),
        _ => HANG,
    };
    let (journal, state) = shrink(&task, 200, &mut bench);
    assert_eq!(state.best(&task), [3, 1, 1]);
    let acceptance = |values: &[u64]| acceptance_of(&state, &values.to_vec());
    assert_eq!(acceptance(&[1, 1, 1]), Some(Acceptance::Rejected(Rejection::Crashed)));
    assert_eq!(acceptance(&[2, 1, 1]), Some(Acceptance::Rejected(Rejection::Below)));
    let refused: Vec<_> = state
        .candidates
        .iter()
        .filter(|c| c.judged.acceptance == Acceptance::Rejected(Rejection::Refused))
        .collect();
    assert!(refused.iter().all(|c| c.values[1] > c.values[2]), "{refused:?}");
    assert!(journal.iter().filter(|t| t.values == [1, 1, 1]).count() == 1, "one crash is enough");
}

#[test]
fn a_candidate_that_was_luck_is_not_confirmed_and_the_search_goes_on_from_the_one_before() {
    let task = task(&[(100, 1)]);
    // The candidate 4 passes its test with five hangs in a row, and never hangs again.
    let mut lucky = 0;
    let mut bench = |values: &[u64]| match values[0] {
        7.. => HANG,
        4 => {
            lucky += 1;
            if lucky <= 5 { HANG } else { GOOD }
        }
        _ => GOOD,
    };
    let (journal, state) = shrink(&task, 100, &mut bench);
    assert_eq!(acceptance_of(&state, &vec![4]), Some(Acceptance::Rejected(Rejection::NotConfirmed)));
    assert_eq!((state.best(&task), state.confirmed), (vec![7], true));
    assert_eq!(journal.iter().filter(|t| t.values == [4]).count(), 5 + 6);
}

#[test]
fn a_deadline_follows_the_good_runs_of_what_was_accepted() {
    let task = Task { hang_after_s: Some(15.0), ..task(&[(64, 1)]) };
    let mut journal: Vec<Trial> = vec![];
    let push = |journal: &mut Vec<Trial>, values: &[u64], what, seconds, times| {
        for _ in 0..times {
            let next = Trial { seconds, ..trial(journal, values, what) };
            journal.push(next);
        }
    };
    let deadline = |journal: &[Trial]| look(&task, journal).next.unwrap().hang_after_s;
    push(&mut journal, &[64], HANG, 17.0, 5);
    assert_eq!(deadline(&journal), Some(15.0), "no good run was seen");
    push(&mut journal, &[1], GOOD, 0.01, 8);
    push(&mut journal, &[32], HANG, 17.0, 4);
    push(&mut journal, &[32], GOOD, 0.6, 2);
    push(&mut journal, &[32], HANG, 17.0, 3);
    assert_eq!(
        deadline(&journal),
        Some(15.0),
        "two good runs are too few, and those of a rejected candidate do not count"
    );
    let asked = look(&task, &journal).next.unwrap().values;
    assert_eq!(asked, [8]);
    push(&mut journal, &asked, HANG, 17.0, 3);
    push(&mut journal, &asked, GOOD, 0.61, 3);
    push(&mut journal, &asked, HANG, 17.0, 4);
    assert_eq!(look(&task, &journal).best(&task), [8]);
    assert_eq!(deadline(&journal), Some(2.5), "four times the longest, rounded up");
    let stall = Task { hang_after_s: None, ..task.clone() };
    assert_eq!(look(&stall, &journal).next.unwrap().hang_after_s, None);
}

#[test]
fn the_rate_is_that_of_the_fresh_runs_where_there_are_some() {
    let task = task(&[(4, 1)]);
    let mut turn = 0;
    let mut bench = |values: &[u64]| {
        turn += 1;
        if values[0] >= 3 && turn % 4 != 0 { HANG } else { GOOD }
    };
    let (journal, state) = shrink(&task, 10, &mut bench);
    let best = state.best(&task);
    let before = cost::measure(&task, &state, &journal, &task.original(), 0.95);
    let after = cost::measure(&task, &state, &journal, &best, 0.95);
    assert_eq!((best[0], before.fresh, after.fresh, after.rate.of), (3, false, true, 6));
    assert_eq!((after.good_run_s, after.hang_s), (Some(0.25), Some(7.0)));
    let runs = journal.iter().filter(|t| t.values == best);
    let (hung, good): (Vec<_>, Vec<_>) = runs.partition(|t| t.outcome == RunOutcome::Hung);
    let expected = 7.0 + 0.25 * good.len() as f64 / hung.len() as f64;
    assert!((after.seconds_per_hang.unwrap() - expected).abs() < 1e-9);
}

/// An arbitrary function of the numbers, not even monotone. The original hangs.
fn arbitrary(seed: u64, share: u64) -> impl Fn(&Task, &[u64]) -> bool {
    move |task, values| {
        let mixed = values
            .iter()
            .fold(seed, |hash, value| (hash ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29));
        *values == task.original() || mixed % 100 < share
    }
}

fn tasks() -> impl Strategy<Value = Task> {
    let number = (0u64..3, prop_oneof![1u64..20, 1u64..5000, 1u64..3_000_000]);
    proptest::collection::vec(number, 1..6).prop_map(|numbers| {
        task(&numbers.iter().map(|(least, more)| (least + more, *least)).collect::<Vec<_>>())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// For any function: the search ends, its result hangs, and no single step from the result does.
    #[test]
    fn the_result_hangs_and_no_single_step_from_it_does(task in tasks(), seed in any::<u64>(), share in 0u64..100) {
        let hangs = arbitrary(seed, share);
        let (_, state) = shrink(&task, most_candidates(&task), &mut |v| if hangs(&task, v) { HANG } else { GOOD });
        let best = state.best(&task);
        prop_assert!(hangs(&task, &best));
        prop_assert_eq!(&state.next, &Err(End::Minimal));
        for (value, number) in best.iter().zip(&task.numbers) {
            prop_assert!(number.least <= *value && *value <= number.from);
        }
        for step in single_steps(&task, &best) {
            prop_assert!(!hangs(&task, &step), "{step:?} from {best:?}");
            prop_assert_eq!(acceptance_of(&state, &step), Some(Acceptance::Rejected(Rejection::Below)));
        }
        for pair in state.path.windows(2) {
            prop_assert!(pair[0] != pair[1] && pair[0].iter().zip(&pair[1]).all(|(before, after)| after <= before));
        }
    }

    /// Random hangs, with a rate that grows with the numbers: the search ends and tried each single step. A
    /// journal that is cut off after any line asks for the run that came next.
    #[test]
    fn a_journal_that_is_read_again_goes_on_at_the_same_run(
        task in tasks(), seed in any::<u64>(), needs in 1u64..2000, cut in 0.0f64..1.0,
    ) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bench = |values: &[u64]| {
            let share = (values.iter().sum::<u64>() as f64 / needs as f64).min(1.0);
            match random.f64() {
                p if p < 0.9 * share => HANG,
                p if p > 0.998 => (RunOutcome::Crashed, None),
                p if p > 0.99 => (RunOutcome::Hung, Some(Class::Unknown)),
                p if p > 0.98 => (RunOutcome::Slow, None),
                _ => GOOD,
            }
        };
        let (journal, state) = shrink(&task, 5000, &mut bench);
        let cut = (journal.len() as f64 * cut) as usize;
        let written: Vec<String> =
            journal[..cut].iter().map(|trial| serde_json::to_string(trial).expect("JSON")).collect();
        let read: Vec<Trial> = written.iter().map(|line| serde_json::from_str(line).expect("a trial")).collect();
        prop_assert_eq!(&look(&task, &read).next.expect("not at its end").values, &journal[cut].values);
        prop_assert!(kept(&task, &state, &journal).iter().all(|run| (*run as usize) <= journal.len()));
        if state.next == Err(End::Minimal) {
            let best = state.best(&task);
            for step in single_steps(&task, &best) {
                prop_assert!(matches!(acceptance_of(&state, &step), Some(Acceptance::Rejected(_))), "{step:?} from {best:?}");
            }
            let judged = state.candidates.iter().find(|c| c.values == best).expect("it was run").judged;
            prop_assert!(judged.fresh.of == task.confirm && task.test.agrees(judged.fresh.hung, judged.fresh.of));
        }
    }
}
