//! Lines into figures, and figures over runs.

use proptest::prelude::*;

use super::model::HungWithout;
use super::*;
use crate::analysis::{RunFacts, RunOutcome};
use crate::testkit::hunt::{hung, run};
use crate::text::message::Say as _;

const PREFIXES: &[&str] = &["[B1]", "[OS", "STAT:"];

fn gathered(text: &str) -> RunCounters {
    let mut gatherer = Gatherer::new(PREFIXES);
    text.split('\n').for_each(|line| gatherer.line(line.as_bytes()));
    gatherer.end()
}

fn figures(counters: &RunCounters) -> Vec<(&str, &str, f64)> {
    counters.printed.iter().map(|c| (&*c.tag, &*c.name, c.value)).collect()
}

#[test]
fn lines_become_figures_and_other_words_are_counted() {
    let counters = gathered(
        "[B1] calls=12 mask=0xFF share=12.5% rate=-1.5e3, sc_top/size=7;\n\
         other calls=1\n [B1] calls=2\n[OS_B6] calls=3 what =5 n=inf m=nan k=0x l=0x+1 =4 a==2 p=12ns\n\
         STAT: MALLOC 123 (0.1 MiB)\n[OS\n[OS_B6] calls=99 calls=7",
    );
    assert_eq!(
        figures(&counters),
        [
            ("[B1]", "calls", 12.0),
            ("[B1]", "mask", 255.0),
            ("[B1]", "share", 12.5),
            ("[B1]", "rate", -1500.0),
            ("[B1]", "sc_top/size", 7.0),
            ("[OS_B6]", "calls", 99.0),
        ]
    );
    assert_eq!((counters.lines, counters.passed_over, counters.repeated), (5, 13, 2));
}

#[test]
fn a_prefix_of_counters_themselves_has_no_tag() {
    let mut gatherer = Gatherer::new(&["mm_"]);
    gatherer.line(b"mm_calls=5 mm_frees=4\n");
    assert_eq!(figures(&gatherer.end()), [("", "mm_calls", 5.0), ("", "mm_frees", 4.0)]);
}

fn with(run: RunFacts, text: &str, memory: Option<(Moment, &[(&str, f64)])>) -> RunFacts {
    let mut counters = gathered(text);
    counters.memory = memory.map(|(moment, values)| Reading {
        moment,
        values: values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
    });
    RunFacts { counters: Some(counters), ..run }
}

fn ratio(of: &str, to: &str) -> Ratio {
    Ratio { name: format!("{of} in {to}"), of: of.into(), to: to.into() }
}

fn summary(runs: &[RunFacts], ratios: &[Ratio]) -> LaneCounters {
    lane("stats", &runs.iter().collect::<Vec<_>>(), ratios).expect("there are counters")
}

#[test]
fn median_range_skew_and_ratios_are_of_the_good_runs() {
    let mut crashed = with(run(4), "[B1] calls=1 lock=1", None);
    crashed.outcome = RunOutcome::Crashed;
    let runs = [
        with(run(1), "[B1] calls=100 lock=10 never=0", None),
        with(run(2), "[B1] calls=200 lock=40 never=0", None),
        with(run(3), "[B1] calls=300 lock=30 never=0 late=5", None),
        crashed,
    ];
    let counters = summary(&runs, &[ratio("lock", "calls"), ratio("lock", "never"), ratio("lock", "gone")]);
    assert_eq!((counters.good, counters.hung.len()), (3, 0));
    assert_eq!(counters.zeros, ["never"]);
    let [calls, lock, late] = &counters.counters[..] else { panic!("{counters:?}") };
    assert_eq!(
        calls.good,
        Some(Figures { n: 3, median: 200.0, min: 100.0, max: 300.0, skew: Some(1.0) }),
        "(300 - 100) / 200"
    );
    assert_eq!(lock.good.map(|g| (g.median, g.skew)), Some((30.0, Some(1.0))));
    assert_eq!(late.good.map(|g| (g.n, g.skew)), Some((1, Some(0.0))));
    let [of_calls, of_never, of_gone] = &counters.ratios[..] else { panic!("{counters:?}") };
    // The median of the quotients 0.1, 0.2 and 0.1, not the quotient of the medians.
    assert_eq!(of_calls.good.map(|g| (g.median, g.min, g.max)), Some((0.1, 0.1, 0.2)));
    assert_eq!((of_never.good, of_never.zero), (None, 3));
    assert_eq!(of_gone.unknown, ["gone"]);
    assert_eq!(counters.by_chance(), 0.5);
    assert_eq!(counters.check, None);
}

#[test]
fn a_variable_that_is_missing_in_several_runs_is_named_once() {
    let mut runs = [1, 2, 3].map(|n| with(run(n), "[B1] calls=1", None));
    for (run, missing) in runs.iter_mut().zip([&["x"][..], &["x", "y (errno 14)"], &[]]) {
        run.counters.as_mut().unwrap().missing = missing.iter().map(|why| why.said()).collect();
    }
    assert_eq!(summary(&runs, &[]).missing, ["x".said(), "y (errno 14)".said()]);
}

#[test]
fn a_name_that_several_lines_have_gets_the_tag_of_its_line() {
    let runs = [with(run(1), "[B1] calls=1 frees=2\n[OS_B6] calls=4", None)];
    let counters = summary(&runs, &[ratio("calls", "frees"), ratio("[OS_B6] calls", "frees")]);
    let names: Vec<&str> = counters.counters.iter().map(|c| &*c.name).collect();
    assert_eq!(names, ["[B1] calls", "frees", "[OS_B6] calls"]);
    assert_eq!(counters.ratios[0].unknown, ["calls"]);
    assert_eq!(counters.ratios[1].good.map(|g| g.median), Some(2.0));
}

#[test]
fn a_hung_run_is_compared_with_the_good_ones_by_its_memory() {
    let exit = |calls, lock| Some((Moment::Exit, vec![("calls", calls), ("lock", lock), ("held", 0.0)]));
    let good = |n, text, memory: Option<(Moment, Vec<(&'static str, f64)>)>| {
        let memory = memory.as_ref().map(|(moment, values)| (*moment, &values[..]));
        with(run(n), text, memory)
    };
    let dump: &[_] = &[("calls", 150.0), ("lock", 149.0), ("held", 1.0)];
    let runs = [
        good(1, "[B1] calls=100 lock=10", exit(100.0, 10.0)),
        // The counter increased by one after the line was printed.
        good(2, "[B1] calls=200 lock=20", exit(201.0, 20.0)),
        with(hung(3, None), "", Some((Moment::Dump, dump))),
        with(hung(4, None), "", None),
    ];
    let mut runs = runs;
    runs[3].counters.as_mut().unwrap().not_read = Some("no dump".said());
    let counters = summary(&runs, &[ratio("lock", "calls")]);
    assert_eq!(counters.hung, ["3"]);
    assert_eq!(counters.hung_without, [HungWithout { run: "4".into(), why: "no dump".said() }]);
    let table = &counters.runs[2];
    assert_eq!((&*table.run, table.outcome, table.moment), ("3", RunOutcome::Hung, Some(Moment::Dump)));
    assert_eq!((table.printed.len(), table.memory["lock"]), (0, 149.0));
    let check = counters.check.clone().expect("good runs have both");
    assert_eq!((check.runs, check.counters, check.telling, check.differs.len()), (2, 2, 2, 0));
    let beside = |name: &str| {
        let counter = counters.counters.iter().find(|c| c.name == name).expect("it is there");
        (counter.hung[0].value, counter.hung[0].outside, counter.memory_only)
    };
    assert_eq!(beside("calls"), (Some(150.0), Some(false), false));
    assert_eq!(beside("lock"), (Some(149.0), Some(true), false));
    assert_eq!(beside("held"), (Some(1.0), Some(true), true), "only memory has it");
    let of_calls = &counters.ratios[0];
    assert_eq!(of_calls.hung[0].outside, Some(true), "{of_calls:?}");
}

#[test]
fn a_counter_whose_memory_differs_from_its_line_is_not_compared() {
    let values: &[_] = &[("calls", 7.0), ("lock", 10.0)];
    let runs = [
        with(run(1), "[B1] calls=100 lock=10", Some((Moment::Exit, values))),
        with(hung(2, None), "", Some((Moment::Dump, values))),
    ];
    let counters = summary(&runs, &[ratio("lock", "calls")]);
    let differs = &counters.check.as_ref().expect("both").differs;
    assert_eq!(differs.len(), 1);
    assert_eq!((&*differs[0].name, differs[0].printed, differs[0].memory), ("calls", 100.0, 7.0));
    assert_eq!(counters.counters[0].hung, []);
    assert_eq!(counters.counters[1].hung[0].value, Some(10.0));
    assert_eq!(counters.ratios[0].hung, []);
}

#[test]
fn runs_without_counters_have_no_table() {
    let runs = [run(1), with(run(2), "nothing", None)];
    assert_eq!(lane("stats", &runs.iter().collect::<Vec<_>>(), &[]), None);
    // A run that should have had some is in the result, with the reason.
    let mut unread = with(hung(3, None), "", None);
    unread.counters.as_mut().unwrap().not_read = Some("why".said());
    assert_eq!(summary(&[unread], &[]).hung_without.len(), 1);
}

#[test]
fn whole_numbers_are_written_as_such() {
    let runs = [
        with(run(1), "[B1] calls=9007199254740991 share=0.5", None),
        with(run(2), "[B1] calls=9007199254740991 share=1", None),
    ];
    let text = serde_json::to_string(&summary(&runs, &[])).unwrap();
    assert!(text.contains(r#""median":9007199254740991,"#) && text.contains(r#""median":0.75,"#), "{text}");
    let again: LaneCounters = serde_json::from_str(&text).unwrap();
    assert_eq!(again, summary(&runs, &[]));
}

proptest! {
    #[test]
    fn no_line_is_too_much(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20)) {
        let mut gatherer = Gatherer::new(PREFIXES);
        for line in &lines {
            gatherer.line(line);
            gatherer.line(&[b"[B1]", &line[..]].concat());
        }
        let counters = gatherer.end();
        prop_assert!(counters.lines as usize >= lines.len());
        prop_assert!(counters.printed.iter().all(|c| c.value.is_finite() && !c.name.is_empty()));
    }

    #[test]
    fn a_number_is_read_as_it_was_written(n in any::<u32>(), x in -1e12f64..1e12, name in "n[a-z0-9_]{0,20}") {
        let counters = gathered(&format!("[B1] {name}={n} x_={x:e} h_={n:#x} p_={x}%"));
        let want = [f64::from(n), x, f64::from(n), x];
        prop_assert_eq!(counters.printed.iter().map(|c| c.value).collect::<Vec<_>>(), want);
    }

    #[test]
    fn figures_hold_their_median(values in prop::collection::vec(0u32..1000, 1..12)) {
        let runs: Vec<RunFacts> =
            (1..).zip(&values).map(|(n, v)| with(run(n), &format!("[B1] a={v} one=1"), None)).collect();
        let counters = summary(&runs, &[ratio("one", "a")]);
        let zeros = values.iter().filter(|v| **v == 0).count();
        prop_assert_eq!(counters.ratios[0].zero as usize, zeros);
        match counters.counters.iter().find(|c| c.name == "a") {
            None => prop_assert_eq!(zeros, values.len()),
            Some(a) => {
                let good = a.good.unwrap();
                prop_assert!(good.min <= good.median && good.median <= good.max);
                prop_assert_eq!(good.n as usize, values.len());
            }
        }
    }
}
