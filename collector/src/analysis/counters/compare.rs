//! Counters over the runs of a lane: median, range and skew in the good runs, ratios, and
//! the hung runs beside them.

use std::collections::{HashMap, HashSet};

use super::model::{
    Check, Differs, Figures, HungFigure, HungWithout, LaneCounters, Ratio, RatioSummary, RunTable, Summary,
};
use crate::analysis::facts::{RunFacts, RunOutcome};
use crate::analysis::run_counters::{Reading, RunCounters};
use crate::text::message::Text;

/// The largest relative difference between a printed line and memory that was read later: the counter may
/// have increased in between.
const LARGEST_INCREASE: f64 = 0.01;

/// The counters of the runs of one lane; none: no run has any.
pub(crate) fn lane(lane: &str, runs: &[&RunFacts], ratios: &[Ratio]) -> Option<LaneCounters> {
    // A run that ended well after the deadline has all of its counters.
    let outcome_of = |run: &RunFacts| match run.outcome {
        RunOutcome::Slow if run.rc == Some(0) && !run.cut_off => RunOutcome::Ok,
        outcome => outcome,
    };
    let of = |outcome| runs.iter().filter(move |r| outcome_of(r) == outcome);
    let table = Table::of(runs);
    let rows = |outcome| {
        let rows = of(outcome).filter_map(|run| {
            let counters = run.counters.as_ref().filter(|c| !c.is_empty())?;
            Some(table.row(run.name(), counters))
        });
        rows.collect::<Vec<Row>>()
    };
    let (good, mut hung) = (rows(RunOutcome::Ok), rows(RunOutcome::Hung));
    let without = of(RunOutcome::Hung).filter_map(|run| {
        let name = run.name();
        let counters = run.counters.as_ref()?;
        let why = counters.not_read.clone()?;
        (!hung.iter().any(|row| row.run == name)).then_some(HungWithout { run: name, why })
    });
    let hung_without: Vec<HungWithout> = without.collect();
    if good.is_empty() && hung.is_empty() && hung_without.is_empty() {
        return None;
    }
    let check = table.check(&good);
    for differs in check.iter().flat_map(|check| &check.differs) {
        if let Some(column) = table.names.iter().position(|name| *name == differs.name) {
            hung.iter_mut().for_each(|row| row.memory[column] = None);
        }
    }
    let (mut counters, mut zeros) = (vec![], vec![]);
    for (column, name) in table.names.iter().enumerate() {
        let printed = good.iter().chain(&hung).any(|row| row.printed[column].is_some());
        let figures: Vec<f64> = good.iter().filter_map(|row| row.value(column)).collect();
        let hung: Vec<(&str, f64)> =
            hung.iter().filter_map(|row| Some((&*row.run, row.value(column)?))).collect();
        if figures.is_empty() && hung.is_empty() {
            continue;
        }
        if figures.iter().copied().chain(hung.iter().map(|h| h.1)).all(|x| x == 0.0) {
            zeros.push(name.clone());
            continue;
        }
        let good = Figures::of(&figures);
        let beside = |(run, value): (&str, f64)| HungFigure {
            run: run.to_owned(),
            value: Some(value),
            outside: good.map(|g| g.excludes(value)),
        };
        let hung = hung.into_iter().map(beside).collect();
        counters.push(Summary { name: name.clone(), memory_only: !printed, good, hung });
    }
    let all = || runs.iter().filter_map(|r| r.counters.as_ref());
    Some(LaneCounters {
        lane: lane.to_owned(),
        good: good.len() as u32,
        hung: hung.iter().map(|row| row.run.clone()).collect(),
        hung_without,
        counters,
        zeros,
        ratios: ratios.iter().map(|r| table.ratio(r, &good, &hung)).collect(),
        check,
        missing: each_once(all().flat_map(|c| &c.missing)),
        passed_over: all().map(|c| c.passed_over).sum(),
        repeated: all().map(|c| c.repeated).sum(),
        runs: runs.iter().filter_map(|run| table.run_table(run)).collect(),
    })
}

fn each_once<'a>(texts: impl Iterator<Item = &'a Text>) -> Vec<Text> {
    let mut once: Vec<Text> = vec![];
    for text in texts {
        if !once.contains(text) {
            once.push(text.clone());
        }
    }
    once
}

/// The figures of a run, by the column of the counter.
struct Row {
    run: String,
    printed: Vec<Option<f64>>,
    memory: Vec<Option<f64>>,
}

impl Row {
    /// The printed figure, or else the one that was read from memory.
    fn value(&self, column: usize) -> Option<f64> {
        self.printed[column].or(self.memory[column])
    }
}

/// The columns of the counters.
struct Table {
    names: Vec<String>,
    /// Columns by tag and name.
    printed: HashMap<(String, String), usize>,
    /// Columns by name; none where several lines have that name.
    named: HashMap<String, Option<usize>>,
}

impl Table {
    fn of(runs: &[&RunFacts]) -> Table {
        let counters = || runs.iter().filter_map(|r| r.counters.as_ref());
        let mut keys: Vec<(&str, &str)> = vec![];
        let mut seen = HashSet::new();
        for counter in counters().flat_map(|c| &c.printed) {
            let key = (&*counter.tag, &*counter.name);
            if seen.insert(key) {
                keys.push(key);
            }
        }
        let mut named: HashMap<String, Option<usize>> = HashMap::new();
        for (column, (_, name)) in keys.iter().enumerate() {
            named.entry((*name).to_owned()).and_modify(|several| *several = None).or_insert(Some(column));
        }
        let full = |(tag, name): &(&str, &str)| match named.get(*name) {
            Some(None) => format!("{tag} {name}"),
            _ => (*name).to_owned(),
        };
        let mut names: Vec<String> = keys.iter().map(full).collect();
        for (name, _) in counters().filter_map(|c| c.memory.as_ref()).flat_map(|m| &m.values) {
            named.entry(name.clone()).or_insert_with(|| {
                names.push(name.clone());
                Some(names.len() - 1)
            });
        }
        let owned =
            |(column, (tag, name)): (usize, &(&str, &str))| (((*tag).to_owned(), (*name).to_owned()), column);
        let printed = keys.iter().enumerate().map(owned).collect();
        Table { names, printed, named }
    }

    /// The column of a counter by the name that a ratio or the memory has for it.
    fn column(&self, name: &str) -> Option<usize> {
        match self.named.get(name) {
            Some(found) => *found,
            None => self.names.iter().position(|full| full == name),
        }
    }

    fn row(&self, run: String, counters: &RunCounters) -> Row {
        let mut row =
            Row { run, printed: vec![None; self.names.len()], memory: vec![None; self.names.len()] };
        for counter in &counters.printed {
            if let Some(column) = self.printed.get(&(counter.tag.clone(), counter.name.clone())) {
                row.printed[*column] = Some(counter.value);
            }
        }
        for (name, value) in counters.memory.iter().flat_map(|Reading { values, .. }| values) {
            if let Some(column) = self.column(name) {
                row.memory[column] = Some(*value);
            }
        }
        row
    }

    fn run_table(&self, run: &RunFacts) -> Option<RunTable> {
        let counters = run.counters.as_ref()?;
        let row = self.row(run.name(), counters);
        let named = |figures: &[Option<f64>]| {
            let named = self.names.iter().zip(figures).filter_map(|(name, x)| Some((name.clone(), (*x)?)));
            named.collect()
        };
        Some(RunTable {
            outcome: run.outcome,
            printed: named(&row.printed),
            memory: named(&row.memory),
            moment: counters.memory.as_ref().map(|m| m.moment),
            not_read: counters.not_read.clone(),
            run: row.run,
        })
    }

    /// Compares memory with the printed lines; none: no good run has both.
    fn check(&self, good: &[Row]) -> Option<Check> {
        let mut check = Check { runs: 0, counters: 0, telling: 0, differs: vec![] };
        let (mut columns, mut telling) = (HashSet::new(), HashSet::new());
        for row in good {
            let mut both = false;
            for (column, name) in self.names.iter().enumerate() {
                let (Some(printed), Some(memory)) = (row.printed[column], row.memory[column]) else {
                    continue;
                };
                both = true;
                columns.insert(column);
                if printed != 0.0 || memory != 0.0 {
                    telling.insert(column);
                }
                let same = memory == printed
                    || (memory > printed && memory - printed <= LARGEST_INCREASE * printed.abs());
                if !same && !check.differs.iter().any(|d| d.name == *name) {
                    check.differs.push(Differs { name: name.clone(), run: row.run.clone(), printed, memory });
                }
            }
            check.runs += u32::from(both);
        }
        (check.counters, check.telling) = (columns.len() as u32, telling.len() as u32);
        (check.runs > 0).then_some(check)
    }

    fn ratio(&self, ratio: &Ratio, good: &[Row], hung: &[Row]) -> RatioSummary {
        let mut summary = RatioSummary {
            name: ratio.name.clone(),
            of: ratio.of.clone(),
            to: ratio.to.clone(),
            good: None,
            zero: 0,
            unknown: vec![],
            hung: vec![],
        };
        let columns = [&ratio.of, &ratio.to].map(|name| self.column(name).ok_or(name));
        let [Ok(of), Ok(to)] = columns else {
            summary.unknown = columns.iter().filter_map(|c| c.err()).cloned().collect();
            return summary;
        };
        let quotient = |row: &Row| {
            let (of, to) = (row.value(of)?, row.value(to)?);
            Some((to != 0.0).then(|| of / to))
        };
        let figures: Vec<Option<f64>> = good.iter().filter_map(quotient).collect();
        summary.zero = figures.iter().filter(|f| f.is_none()).count() as u32;
        summary.good = Figures::of(&figures.into_iter().flatten().collect::<Vec<f64>>());
        for row in hung {
            let Some(value) = quotient(row) else { continue };
            let outside = summary.good.zip(value).map(|(good, value)| good.excludes(value));
            summary.hung.push(HungFigure { run: row.run.clone(), value, outside });
        }
        summary
    }
}
