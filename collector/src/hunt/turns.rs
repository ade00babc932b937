//! The runs of the arms: which comes next, what is said of each, and when there are enough.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hangscope_protocol::duration;

use super::arm::{self, Change};
use super::crew::{self, Crew, Done, Shared, Task};
use super::holds::Holds;
use super::lane::Lane;
use super::leftovers;
use super::runs::Hunt;
use super::strategies::Strategies;
use crate::analysis::decision::Progress;
use crate::analysis::verdict::hang_sentence;
use crate::analysis::{Choice, Class, RunFacts, RunOutcome, Stir};
use crate::console::cancel::{self, Canceller};
use crate::history::RunRow;
use crate::text::message::{Say as _, Text, say};
use crate::text::progress::JobLine;

/// Folder in OUT for evidence of runs that are made again.
const LEFT: &str = "left";

/// The runs that have ended.
#[derive(Debug)]
struct Turns {
    /// In the order in which they ended.
    runs: Vec<RunFacts>,
    /// The place of each in the order of all runs.
    places: Vec<usize>,
    question: Option<InOrder>,
    strategies: Strategies,
    /// Begin no more.
    ending: bool,
    began: Instant,
    /// `--max-time`, once it has passed.
    time_over: Option<Duration>,
}

/// The question of `--until-decided`. It takes the runs in the order of their places, whichever ends first: a
/// run that hangs ends long after the good ones that began with it, and would be looked at too late.
#[derive(Clone, Debug)]
struct InOrder {
    progress: Progress,
    /// The place of the run that it takes next.
    next: usize,
    /// Runs that have ended before another one that began earlier.
    early: BTreeMap<usize, RunFacts>,
    /// Name of the run that decided it.
    decided: Option<String>,
}

impl InOrder {
    fn push(&mut self, place: usize, run: &RunFacts) {
        self.early.insert(place, run.clone());
        while let Some(run) = self.early.remove(&self.next) {
            self.next += 1;
            self.progress.push(&run);
            match self.progress.is_decided() {
                true => _ = self.decided.get_or_insert_with(|| run.name()),
                // Another run has hung meanwhile.
                false => self.decided = None,
            }
        }
    }
}

impl Turns {
    fn is_decided(&self) -> bool {
        self.question.as_ref().is_some_and(|question| question.decided.is_some())
    }

    /// Takes a run of an earlier start.
    fn made_before(&mut self, place: usize, run: RunFacts, stops_at_first: bool) {
        if let Some(stir) = run.stir {
            self.strategies.ended(stir.strategy, &run);
        }
        self.ending |= stops_at_first && run.outcome == RunOutcome::Hung && run.hang.is_some();
        self.runs.push(run);
        self.places.push(place);
    }

    /// The runs, in the order of their places.
    fn sorted(self) -> Vec<RunFacts> {
        let mut runs: Vec<(usize, RunFacts)> = self.places.into_iter().zip(self.runs).collect();
        runs.sort_by_key(|(place, _)| *place);
        runs.into_iter().map(|(_, run)| run).collect()
    }
}

impl Hunt<'_> {
    /// The runs of the arms, in their order. Also returns `--max-time`, if it ended the hunt. `earlier` were made
    /// by an earlier start of this shard, and are not made again.
    pub(super) fn run_arms(
        &mut self,
        earlier: Vec<RunFacts>,
    ) -> anyhow::Result<(Vec<RunFacts>, Option<Duration>)> {
        let configs = crew::configs(self.config);
        let (canceller, over) = cancel::pair();
        let shared = Shared { arms: self.arms, screen: self.screen, cancel: self.cancel, over: &over };
        let turns = std::thread::scope(|scope| {
            let crew = Crew::new(scope, &configs, shared)?;
            self.take_turns(crew, canceller, earlier)
        })?;
        let time_over = turns.time_over;
        let runs = turns.sorted();
        if configs.len() > 1 {
            self.files.sort(&self.config.out, &runs)?;
        }
        Ok((runs, time_over))
    }

    /// Hands out runs until there are enough, and takes them as they end. A drop of `canceller` ends the runs
    /// under way, also after an error.
    fn take_turns(
        &mut self,
        mut crew: Crew,
        canceller: Canceller,
        earlier: Vec<RunFacts>,
    ) -> anyhow::Result<Turns> {
        let config = self.config;
        let progress = config.limits.until.map(|until| Progress::new(&self.arms.facts(config), until));
        let in_order = |progress| InOrder { progress, next: 0, early: BTreeMap::new(), decided: None };
        let mut turns = Turns {
            runs: vec![],
            places: vec![],
            question: progress.map(in_order),
            strategies: Strategies::of(config, self.arms.lane(0).holds().is_none_or(Holds::has_sites)),
            ending: false,
            began: Instant::now(),
            time_over: None,
        };
        let mut canceller = Some(canceller);
        let shard = config.shard();
        let all = arm::rounds(config.arms.len(), config.runs, config.seed).enumerate();
        let mut all = all.filter(|(_, (_, number))| shard.has(*number));
        let mut earlier: BTreeMap<(String, u32), RunFacts> =
            earlier.into_iter().map(|run| ((run.arm.clone(), run.run), run)).collect();
        loop {
            // What is decided may be undecided again by a run that is still under way.
            while crew.is_free() && !turns.ending && !turns.is_decided() && !self.cancel.is_set() {
                let Some((place, (arm, number))) = all.next() else {
                    turns.ending = true;
                    break;
                };
                let stir = turns.strategies.next(number);
                if let Some(run) = earlier.remove(&(config.arms[arm].name.clone(), number)) {
                    turns.made_before(place, run, config.stops_at_first());
                    continue;
                }
                let own = self.begin(arm, number, stir, &turns.runs)?;
                let preferred_sites = turns.strategies.preferred_sites().clone();
                crew.give(Task { place, arm, number, stir, preferred_sites, own });
            }
            let Some(done) = crew.next(self.requests) else { break };
            let ends_all = self.take(done, &mut turns)?;
            if let Some(name) = ends_all
                && canceller.take().is_some()
                && crew.is_at_work()
            {
                self.say_with_mark("STOP", &say!(JobLine::EndedWith { run: name }))?;
            }
        }
        self.say_why(&turns)?;
        Ok(turns)
    }

    /// Says that a run begins. Returns the run's own copy of the DSO, if it has one.
    fn begin(
        &mut self,
        arm: usize,
        number: u32,
        stir: Option<Stir>,
        before: &[RunFacts],
    ) -> anyhow::Result<Option<(Lane, Change)>> {
        let name = self.arms.lane(arm).run_name(number);
        let chosen = self.config.stir.is_some_and(|plan| plan.choice == Choice::Auto);
        self.files.progress(&match stir.filter(|_| chosen) {
            Some(Stir { strategy, seed }) => format!("[RUN] {name} --stir {strategy} --stir-seed {seed}"),
            None => format!("[RUN] {name}"),
        })?;
        self.screen.begin(&name);
        for path in self.left_of(arm, number)? {
            let line = say!(JobLine::LeftOf { run: &name, path: path.display() });
            self.say_with_mark("LEFT", &line)?;
        }
        self.arms.own(self.config, arm, number, before)
    }

    /// Moves away what an earlier start of the shard has left of a run that it did not finish.
    fn left_of(&self, arm: usize, number: u32) -> anyhow::Result<Vec<std::path::PathBuf>> {
        match self.config.part {
            Some(_) => Ok(leftovers::move_away(self.arms.lane(arm), number, LEFT)?),
            None => Ok(vec![]),
        }
    }

    /// Takes a run that has ended. Returns its name if it ends the runs under way: it hung, and the hunt
    /// stops at its first hang.
    ///
    /// # Errors
    /// That of the run, or a file that cannot be written.
    fn take(&mut self, done: Done, turns: &mut Turns) -> anyhow::Result<Option<String>> {
        let config = self.config;
        let Done { place, arm, number, stir, facts, .. } = done;
        let (facts, name) = (facts?, self.arms.lane(arm).run_name(number));
        if let Some(stir) = stir {
            turns.strategies.ended(stir.strategy, &facts);
        }
        self.ended(&name, &facts)?;
        config.remember.run(|| {
            let build = self.arms.build(config, arm);
            RunRow::of(&facts, &name, &build, &config.workload(), &config.out)
        });
        let hung = facts.outcome == RunOutcome::Hung && facts.hang.is_some();
        let ends_all = hung && config.stops_at_first();
        turns.ending |= ends_all || facts.outcome == RunOutcome::Interrupted;
        if let Some(question) = &mut turns.question {
            question.push(place, &facts);
        }
        turns.runs.push(facts);
        turns.places.push(place);
        if !turns.ending && !turns.is_decided() {
            turns.time_over = config.limits.max_time.time().filter(|most| turns.began.elapsed() >= *most);
            turns.ending = turns.time_over.is_some();
        }
        Ok(ends_all.then_some(name))
    }

    /// The lines of a run that has ended.
    fn ended(&mut self, name: &str, facts: &RunFacts) -> anyhow::Result<()> {
        let out = &self.config.out;
        self.files.push(facts)?;
        self.screen.end(facts);
        if facts.outcome == RunOutcome::Hung {
            let label = self.config.label.as_ref().unwrap_or(&facts.arm);
            self.screen.board().hang(&self.config.name, label, facts.class().as_str());
        }
        if let Some(changed) = self.original.look() {
            let so = self.config.so.display();
            self.say_with_mark("DSO", &say!(JobLine::OriginalChanged { so, changed, run: name }))?;
        }
        let Some(hang) = &facts.hang else { return Ok(()) };
        let snapshot = out.join(&hang.snapshot);
        match facts.outcome {
            RunOutcome::Hung => {
                let snapshot = snapshot.display();
                let line = match facts.stir {
                    Some(Stir { strategy, seed }) => {
                        say!(JobLine::CapturedStirred { run: name, strategy, seed, snapshot })
                    }
                    None => say!(JobLine::Captured { run: name, snapshot }),
                };
                self.say_with_mark("HANG", &line)
            }
            RunOutcome::Interrupted => {
                let (found, snapshot) = (at_interrupt(facts), snapshot.display());
                self.say_with_mark("STOP", &say!(JobLine::AtInterrupt { run: name, found, snapshot }))
            }
            _ => Ok(()),
        }
    }

    /// Says why there are no more runs, if it is not plain.
    fn say_why(&mut self, turns: &Turns) -> anyhow::Result<()> {
        let decided = turns.question.as_ref().and_then(|question| question.decided.clone());
        let line = match (decided, turns.time_over) {
            (Some(run), _) => say!(JobLine::Decided { run }),
            (None, None) => return Ok(()),
            (None, Some(most)) => {
                let time = format!("{:#}", duration::Text(most));
                match turns.question {
                    Some(_) => say!(JobLine::TimeLimitUndecided { time }),
                    None => say!(JobLine::TimeLimit { time }),
                }
            }
        };
        self.say_with_mark("STOP", &line)
    }
}

/// What an interrupted run did, without a stop at the end.
fn at_interrupt(facts: &RunFacts) -> Text {
    let finding = facts.hang.as_ref().and_then(|hang| hang.finding.as_ref());
    match finding.map(|finding| finding.class) {
        // Its own sentence speaks of the deadline.
        Some(Class::Slow) => JobLine::StillWorking {}.said(),
        _ => Text::of(|lang| hang_sentence(facts, lang).trim_end_matches(['.', '。']).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sequential::Until;
    use crate::testkit::hunt::{hung, run};

    #[test]
    fn the_question_takes_runs_in_their_order_whichever_ends_first() {
        let progress = Progress::new(&[], Until::new(0.25, 0.95).unwrap());
        let mut question = InOrder { progress, next: 0, early: BTreeMap::new(), decided: None };
        // Eleven good runs decide. Run 3 takes longer than all others.
        for place in (0..14).filter(|place| *place != 2) {
            question.push(place, &run(place as u32 + 1));
            assert_eq!(question.decided, None, "{place}");
        }
        let mut hangs = question.clone();
        question.push(2, &run(3));
        assert_eq!(question.decided.as_deref(), Some("11"));
        question.push(14, &hung(15, None));
        assert_eq!(question.decided.as_deref(), Some("11"), "a hang is an answer, too");
        hangs.push(2, &hung(3, None));
        assert_eq!(hangs.decided.as_deref(), Some("3"));
    }

    #[test]
    fn runs_are_sorted_by_their_places() {
        let turns = Turns {
            runs: [2, 3, 1].map(run).to_vec(),
            places: vec![1, 2, 0],
            question: None,
            strategies: Strategies::of_plan(None, false, true),
            ending: true,
            began: Instant::now(),
            time_over: None,
        };
        assert_eq!(turns.sorted().iter().map(|run| run.run).collect::<Vec<_>>(), [1, 2, 3]);
    }
}
