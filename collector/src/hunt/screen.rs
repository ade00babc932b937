//! The lines of a hunt: a bar on a terminal, else one line for each run. Nothing is drawn between two events,
//! since the benchmark needs the CPUs.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, tick};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::analysis::crash::signal_name;
use crate::analysis::{RunFacts, RunOutcome};
use crate::console::out;
use crate::live::model::Kind;
use crate::live::{Board, Live};
use crate::text::message::{Lang, Say, Text, say};
use crate::text::progress::JobLine;

/// Time between two redraws of the seconds of a run.
const REDRAW: Duration = Duration::from_secs(1);

/// Several threads may write to it: runs side by side.
#[derive(Debug)]
pub(crate) struct Screen {
    bar: Option<ProgressBar>,
    tick: Receiver<Instant>,
    state: Mutex<State>,
    /// What is told to those who look.
    board: Board,
    /// Answers them; none: nobody can look.
    live: Option<Live>,
}

#[derive(Debug)]
struct State {
    planned: u32,
    tally: Tally,
    /// The runs under way, in the order of their starts.
    running: Vec<Shown>,
    /// Runs of the whole, if the runs of a shard have numbers up to it.
    numbers: Option<u32>,
    /// The text in place of the tally if no number of runs is planned.
    step: Option<String>,
}

/// A run under way.
#[derive(Clone, Debug)]
struct Shown {
    run: String,
    since: Instant,
    /// It hangs.
    capturing: bool,
}

/// Counts of the runs so far.
#[derive(Clone, Debug, Default, PartialEq)]
struct Tally {
    /// Whether there are several arms.
    arms: bool,
    made: u32,
    hangs: u32,
    last_ops: Option<f64>,
    /// Seconds of all runs, with what was captured of them.
    seconds: f64,
    /// The first hang ends the hunt.
    stops_at_first: bool,
    /// Runs at a time.
    jobs: u32,
}

impl Screen {
    /// For `planned` runs of each arm. `stops_at_first`: the first hang ends the hunt. There is a bar if the
    /// lines go to a terminal.
    pub(crate) fn new(name: &str, planned: u32, arms: usize, stops_at_first: bool) -> Screen {
        let planned = planned.saturating_mul(arms as u32);
        let bar = out::is_terminal().then(|| {
            let target = match out::is_on_stderr() {
                true => ProgressDrawTarget::stderr(),
                false => ProgressDrawTarget::stdout(),
            };
            let bar = ProgressBar::with_draw_target(Some(planned.into()), target);
            let of_runs = say!(JobLine::OfRuns { done: "{pos}/{len}" }).text(out::lang());
            if let Ok(style) =
                ProgressStyle::with_template(&format!("{{prefix}} [{{bar:20.green}}] {of_runs}  {{msg}}"))
            {
                bar.set_style(style.progress_chars("=>."));
            }
            bar.set_prefix(name.to_owned());
            bar
        });
        let tick = if bar.is_some() { tick(REDRAW) } else { never() };
        let tally = Tally { arms: arms > 1, stops_at_first, jobs: 1, ..Tally::default() };
        let state = State { planned, tally, running: vec![], numbers: None, step: None };
        let board = Board::new(Kind::Hunt);
        if planned > 0 {
            board.plan(planned);
        }
        Screen { bar, tick, state: Mutex::new(state), board, live: None }
    }

    /// From now on answers those who look at the job, on its socket and on a port for `metrics`. `out` is its
    /// folder.
    ///
    /// # Errors
    /// The port cannot be had.
    pub(crate) fn show_to_all(
        &mut self,
        (kind, name, out): (Kind, &str, &Path),
        metrics: Option<SocketAddr>,
    ) -> io::Result<()> {
        self.board.name(kind, name, out);
        let live = Live::begin(&self.board, metrics)?;
        if let Some(address) = live.metrics() {
            self.say(&say!(JobLine::Metrics { address }));
        }
        self.live = Some(live);
        Ok(())
    }

    /// Writes to the folder of the job how it is looked at. The folder must be there.
    pub(crate) fn point(&self) {
        if let Some(live) = &self.live {
            live.point();
        }
    }

    /// What is told to those who look.
    pub(crate) fn board(&self) -> &Board {
        &self.board
    }

    /// For so many runs at a time. Their ops/s are no figures, so they are not shown.
    pub(crate) fn side_by_side(self, jobs: usize) -> Screen {
        self.state().tally.jobs = jobs.try_into().unwrap_or(u32::MAX);
        self
    }

    /// For the runs of a shard, which have their numbers in the whole, up to `runs`.
    pub(crate) fn of_whole(self, runs: u32) -> Screen {
        self.state().numbers = Some(runs);
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a job whose runs have names of their own, as arms have.
    pub(crate) fn of_cells(name: &str, planned: u32) -> Screen {
        let screen = Screen::new(name, planned, 1, false);
        screen.state().tally.arms = true;
        screen
    }

    /// For a job whose number of runs is not known. [`Screen::step`] says what it does.
    pub(crate) fn of_steps(name: &str) -> Screen {
        let screen = Screen::new(name, 0, 1, false);
        screen.state().step = Some(String::new());
        if let (Some(bar), Ok(style)) = (&screen.bar, ProgressStyle::with_template("{prefix}  {msg}")) {
            bar.set_style(style);
        }
        screen
    }

    /// Shows the current step and its run.
    pub(crate) fn step(&self, text: &str, run: u32) {
        let mut state = self.state();
        state.step = Some(text.to_owned());
        // It has no end of its own.
        state.running.clear();
        drop(state);
        self.board.no_run();
        self.begin(&run.to_string());
    }

    /// Ready when the bar must be redrawn. Never, without a terminal.
    pub(crate) fn tick(&self) -> &Receiver<Instant> {
        &self.tick
    }

    pub(crate) fn begin(&self, run: &str) {
        let shown = Shown { run: run.to_owned(), since: Instant::now(), capturing: false };
        self.state().running.push(shown);
        self.board.begin_run(run);
        self.redraw();
    }

    pub(crate) fn redraw(&self) {
        if let Some(bar) = &self.bar {
            bar.set_message(self.state().text(out::lang()));
        }
    }

    /// Shows that the run hangs and is captured, until it has ended.
    pub(crate) fn capturing(&self, run: &str) {
        let mut state = self.state();
        state.running.iter_mut().filter(|shown| shown.run == run).for_each(|shown| shown.capturing = true);
        drop(state);
        self.board.capturing(run);
        self.redraw();
    }

    pub(crate) fn end(&self, run: &RunFacts) {
        self.board.end_run(&run.name(), run);
        let mut state = self.state();
        match state.running.len() {
            // A job may have names of its own.
            1 => state.running.clear(),
            _ => state.running.retain(|shown| shown.run != run.name()),
        }
        state.tally.add(run);
        // More runs than planned may be needed, if some died or failed.
        state.planned = state.planned.max(state.tally.made);
        let (planned, made) = (state.planned, state.tally.made);
        match &self.bar {
            Some(bar) => {
                bar.set_length(planned.into());
                bar.set_position(made.into());
                bar.set_message(state.text(out::lang()));
            }
            None => {
                let of = state.numbers.unwrap_or(planned);
                out::line(line(run, &state.tally, (planned, of), out::lang()));
            }
        }
    }

    /// A line for the person, in the language of the terminal.
    pub(crate) fn say(&self, line: &impl Say) {
        match &self.bar {
            Some(bar) => bar.suspend(|| out::say(line)),
            None => out::say(line),
        }
    }

    /// Removes the bar. Further lines are plain.
    pub(crate) fn finish(&mut self) {
        self.tick = never();
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.finish();
    }
}

impl State {
    /// What stands beside the bar.
    fn text(&self, lang: Lang) -> String {
        let head = self.step.clone().unwrap_or_else(|| self.tally.text(self.planned, lang));
        let time = |shown: &Shown| seconds(shown.since.elapsed().as_secs_f64().floor());
        let captured: Vec<&str> =
            self.running.iter().filter(|shown| shown.capturing).map(|shown| &*shown.run).collect();
        let running = match &self.running[..] {
            [] => return head,
            [one] if one.capturing => say!(JobLine::Capturing { run: one.run.as_str() }),
            [one] => say!(JobLine::Running { run: one.run.as_str(), time: time(one) }),
            // Runs are begun in order, so the first is the oldest.
            [first, ..] if captured.is_empty() => {
                say!(JobLine::RunningSome {
                    runs: self.running.len(),
                    run: first.run.as_str(),
                    time: time(first)
                })
            }
            all => say!(JobLine::CapturingSome { runs: all.len(), run: captured.join(", ") }),
        };
        format!("{head}  {}", running.text(lang))
    }
}

impl Tally {
    fn add(&mut self, run: &RunFacts) {
        if run.outcome == RunOutcome::Interrupted {
            return;
        }
        self.made += 1;
        self.hangs += u32::from(run.outcome == RunOutcome::Hung);
        self.last_ops = run.ops.or(self.last_ops);
        self.seconds += run.seconds + run.captured_s.unwrap_or(0.0);
    }

    /// `hangs 0  7.10 M ops/s  left ~43 s`.
    fn text(&self, planned: u32, lang: Lang) -> String {
        let mut text = say!(JobLine::Hangs { count: self.hangs }).text(lang);
        if let Some(ops) = self.last_ops.filter(|_| self.jobs <= 1) {
            text.push_str(&format!("  {} ops/s", si(ops)));
        }
        let over = self.stops_at_first && self.hangs > 0;
        let left = planned.saturating_sub(self.made);
        if self.seconds > 0.0 && left > 0 && !over {
            // A hang takes longer than other runs, so hangs count with what they took.
            let mean = self.seconds / f64::from(self.made);
            let left =
                say!(JobLine::Left { time: seconds(mean * f64::from(left.div_ceil(self.jobs.max(1)))) });
            text.push_str(&format!("  {}", left.text(lang)));
        }
        text
    }
}

/// `of`: the highest number that a run may have.
fn line(run: &RunFacts, tally: &Tally, (planned, of): (u32, u32), lang: Lang) -> String {
    let how = match run.outcome {
        RunOutcome::Ok => JobLine::Ok {},
        RunOutcome::Hung => JobLine::Hang {},
        RunOutcome::Slow if run.left_behind > 0 => JobLine::LeftDaemon {},
        RunOutcome::Slow => JobLine::Slow {},
        RunOutcome::Crashed => run
            .signal
            .map_or(JobLine::Crashed {}, |signal| say!(JobLine::Died { signal: signal_name(signal) })),
        RunOutcome::Failed => run.rc.map_or(JobLine::Failed {}, |rc| say!(JobLine::Exit { rc })),
        RunOutcome::Interrupted => JobLine::Interrupted {},
    };
    let ops = run.ops.filter(|_| tally.jobs <= 1).map_or(String::new(), |ops| format!("  {} ops/s", si(ops)));
    let counted = Tally { last_ops: None, ..tally.clone() }.text(planned, lang);
    // A deadline is not known to the hundredth.
    let seconds = match run.outcome {
        RunOutcome::Hung => format!("{:.1}", run.seconds),
        _ => format!("{:.2}", run.seconds),
    };
    // Of several arms the runs are counted together.
    let head = match tally.arms {
        false => say!(JobLine::Run { number: run.run, planned: of, how, seconds }),
        true => say!(JobLine::RunOfArm { number: tally.made, planned, arm: run.arm, how, seconds }),
    };
    let captured = run.captured_s.map_or_else(String::new, |seconds| {
        format!(" {}", say!(JobLine::CapturedIn { seconds: format!("{seconds:.1}") }).text(lang))
    });
    let mut line = format!("{}{captured}{ops}  {counted}", head.text(lang));
    if let Some(note) = &run.note {
        line.push_str(&format!("  ({})", note.text(lang)));
    }
    line
}

/// `7.10 M`.
fn si(figure: f64) -> String {
    let (unit, scale) = match figure.abs() {
        1e9.. => (" G", 1e9),
        1e6.. => (" M", 1e6),
        1e3.. => (" k", 1e3),
        _ => ("", 1.0),
    };
    format!("{:.2}{unit}", figure / scale)
}

/// `43 s`, `12 min`, `3.5 h`.
fn seconds(s: f64) -> Text {
    let time = match s {
        ..100.0 => say!(JobLine::Seconds { n: format!("{s:.0}") }),
        ..6000.0 => say!(JobLine::Minutes { n: format!("{:.0}", s / 60.0) }),
        _ => say!(JobLine::Hours { n: format!("{:.1}", s / 3600.0) }),
    };
    time.said()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_lines_say_what_the_bar_says() {
        let facts = |run, outcome, rc, signal, ops, seconds, note: Option<&str>| RunFacts {
            outcome,
            rc,
            signal,
            ops,
            seconds,
            note: note.map(|note| note.said()),
            ..RunFacts::new(run, "pinned")
        };
        let runs = [
            facts(1, RunOutcome::Ok, Some(0), None, Some(7095204.36), 1.04, None),
            facts(2, RunOutcome::Crashed, Some(139), Some(11), None, 0.5, Some("the DSO was overwritten")),
            facts(3, RunOutcome::Failed, Some(2), None, None, 0.01, None),
            facts(4, RunOutcome::Slow, Some(143), None, None, 17.5, None),
            RunFacts {
                captured_s: Some(4.62),
                ..facts(5, RunOutcome::Hung, Some(137), None, None, 15.0, None)
            },
            facts(6, RunOutcome::Interrupted, Some(143), None, None, 3.0, None),
            RunFacts { left_behind: 1, ..facts(7, RunOutcome::Slow, Some(0), None, None, 0.2, None) },
        ];
        let mut tally = Tally::default();
        let lines: Vec<String> = runs
            .iter()
            .map(|run| {
                tally.add(run);
                line(run, &tally, (50, 50), Lang::En)
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        run 1/50  ok  1.04 s  7.10 M ops/s  hangs 0  left ~51 s
        run 2/50  died by SIGSEGV  0.50 s  hangs 0  left ~37 s  (the DSO was overwritten)
        run 3/50  failed, exit status 2  0.01 s  hangs 0  left ~24 s
        run 4/50  slow  17.50 s  hangs 0  left ~4 min
        run 5/50  HANG  15.0 s (captured in 4.6 s)  hangs 1  left ~6 min
        run 6/50  interrupted  3.00 s  hangs 1  left ~6 min
        run 7/50  left a daemon at work  0.20 s  hangs 1  left ~5 min
        ");
        let of_arms = Tally { arms: true, made: 7, ..Tally::default() };
        let run =
            RunFacts { arm: "deleted".into(), ..facts(2, RunOutcome::Ok, Some(0), None, None, 1.0, None) };
        assert_eq!(line(&run, &of_arms, (24, 24), Lang::En), "run 7/24  deleted  ok  1.00 s  hangs 0");
        assert_eq!(tally.text(50, Lang::En), "hangs 1  7.10 M ops/s  left ~5 min");
        let over = Tally { stops_at_first: true, ..tally.clone() };
        assert_eq!(over.text(50, Lang::En), "hangs 1  7.10 M ops/s", "the hang ended the hunt");
        let beside = Tally { jobs: 4, ..tally.clone() };
        assert_eq!(beside.text(50, Lang::En), "hangs 1  left ~71 s", "ops/s are no figures");
        assert_eq!(line(&runs[0], &beside, (50, 50), Lang::En), "run 1/50  ok  1.04 s  hangs 1  left ~71 s");
        assert_eq!((si(12.0), seconds(9000.0).en()), ("12.00".into(), "2.5 h"));
        let japanese: Vec<String> = runs.iter().map(|run| line(run, &tally, (50, 50), Lang::Ja)).collect();
        assert_eq!(japanese[0], "実行 1/50  正常  1.04 秒  7.10 M ops/s  ハング 1  残り約 5 分");
        assert_eq!(japanese[4], "実行 5/50  ハング  15.0 秒 (記録に 4.6 秒)  ハング 1  残り約 5 分");
    }

    #[test]
    fn one_line_shows_how_many_runs_are_under_way() {
        let screen = Screen::new("x", 50, 1, true).side_by_side(3);
        let shown = || screen.state().text(Lang::En);
        screen.begin("1");
        assert_eq!(shown(), "hangs 0  run 1: 0 s");
        screen.begin("2");
        screen.begin("3");
        assert_eq!(shown(), "hangs 0  3 running, the oldest is run 1: 0 s");
        screen.capturing("2");
        assert_eq!(shown(), "hangs 0  3 running, run 2 hangs: capturing");
        screen.end(&RunFacts { outcome: RunOutcome::Ok, ..RunFacts::new(1, "pinned") });
        assert_eq!(shown(), "hangs 0  2 running, run 2 hangs: capturing");
        assert_eq!(screen.state().text(Lang::Ja), "ハング 0  2 件を実行中、実行 2 がハング: 記録中");
    }
}
