//! The lines of a hunt: a bar on a terminal, else one line for each run. Nothing is drawn between two events,
//! since the benchmark needs the CPUs.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, tick};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::analysis::crash::signal_name;
use crate::analysis::{RunFacts, RunOutcome};
use crate::console::out;
use crate::text::message::{Lang, Say, Text, say};
use crate::text::progress::JobLine;

/// Time between two redraws of the seconds of a run.
const REDRAW: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Screen {
    bar: Option<ProgressBar>,
    tick: Receiver<Instant>,
    planned: u32,
    tally: Tally,
    running: Option<(String, Instant)>,
    /// The text in place of the tally if no number of runs is planned.
    step: Option<String>,
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
        let tally = Tally { arms: arms > 1, stops_at_first, ..Tally::default() };
        Screen { bar, tick, planned, tally, running: None, step: None }
    }

    /// For a job whose runs have names of their own, as arms have.
    pub(crate) fn of_cells(name: &str, planned: u32) -> Screen {
        let mut screen = Screen::new(name, planned, 1, false);
        screen.tally.arms = true;
        screen
    }

    /// For a job whose number of runs is not known. [`Screen::step`] says what it does.
    pub(crate) fn of_steps(name: &str) -> Screen {
        let mut screen = Screen::new(name, 0, 1, false);
        screen.step = Some(String::new());
        if let (Some(bar), Ok(style)) = (&screen.bar, ProgressStyle::with_template("{prefix}  {msg}")) {
            bar.set_style(style);
        }
        screen
    }

    /// Shows the current step and its run.
    pub(crate) fn step(&mut self, text: &str, run: u32) {
        self.step = Some(text.to_owned());
        self.begin(&run.to_string());
    }

    fn head(&self) -> String {
        self.step.clone().unwrap_or_else(|| self.tally.text(self.planned, out::lang()))
    }

    /// Ready when the bar must be redrawn. Never, without a terminal.
    pub(crate) fn tick(&self) -> &Receiver<Instant> {
        &self.tick
    }

    pub(crate) fn begin(&mut self, run: &str) {
        self.running = Some((run.to_owned(), Instant::now()));
        self.redraw();
    }

    pub(crate) fn redraw(&self) {
        if let Some(bar) = &self.bar {
            let running = self.running.as_ref().map_or(String::new(), |(run, since)| {
                let time = seconds(since.elapsed().as_secs_f64().floor());
                format!("  {}", say!(JobLine::Running { run, time }).text(out::lang()))
            });
            bar.set_message(format!("{}{running}", self.head()));
        }
    }

    /// Shows that the run hangs and is captured, until it has ended.
    pub(crate) fn capturing(&self, run: &str) {
        if let Some(bar) = &self.bar {
            let capturing = say!(JobLine::Capturing { run }).text(out::lang());
            bar.set_message(format!("{}  {capturing}", self.head()));
        }
    }

    pub(crate) fn end(&mut self, run: &RunFacts) {
        self.running = None;
        self.tally.add(run);
        // More runs than planned may be needed, if some died or failed.
        self.planned = self.planned.max(self.tally.made);
        match &self.bar {
            Some(bar) => {
                bar.set_length(self.planned.into());
                bar.set_position(self.tally.made.into());
                self.redraw();
            }
            None => out::line(line(run, &self.tally, self.planned, out::lang())),
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
        if let Some(ops) = self.last_ops {
            text.push_str(&format!("  {} ops/s", si(ops)));
        }
        let over = self.stops_at_first && self.hangs > 0;
        let left = planned.saturating_sub(self.made);
        if self.seconds > 0.0 && left > 0 && !over {
            // A hang takes longer than other runs, so hangs count with what they took.
            let mean = self.seconds / f64::from(self.made);
            let left = say!(JobLine::Left { time: seconds(mean * f64::from(left)) });
            text.push_str(&format!("  {}", left.text(lang)));
        }
        text
    }
}

fn line(run: &RunFacts, tally: &Tally, planned: u32, lang: Lang) -> String {
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
    let ops = run.ops.map_or(String::new(), |ops| format!("  {} ops/s", si(ops)));
    let counted = Tally { last_ops: None, ..tally.clone() }.text(planned, lang);
    // A deadline is not known to the hundredth.
    let seconds = match run.outcome {
        RunOutcome::Hung => format!("{:.1}", run.seconds),
        _ => format!("{:.2}", run.seconds),
    };
    // Of several arms the runs are counted together.
    let head = match tally.arms {
        false => say!(JobLine::Run { number: run.run, planned, how, seconds }),
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
                line(run, &tally, 50, Lang::En)
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
        assert_eq!(line(&run, &of_arms, 24, Lang::En), "run 7/24  deleted  ok  1.00 s  hangs 0");
        assert_eq!(tally.text(50, Lang::En), "hangs 1  7.10 M ops/s  left ~5 min");
        let over = Tally { stops_at_first: true, ..tally.clone() };
        assert_eq!(over.text(50, Lang::En), "hangs 1  7.10 M ops/s", "the hang ended the hunt");
        assert_eq!((si(12.0), seconds(9000.0).en()), ("12.00".into(), "2.5 h"));
        let japanese: Vec<String> = runs.iter().map(|run| line(run, &tally, 50, Lang::Ja)).collect();
        assert_eq!(japanese[0], "実行 1/50  正常  1.04 秒  7.10 M ops/s  ハング 1  残り約 5 分");
        assert_eq!(japanese[4], "実行 5/50  ハング  15.0 秒 (記録に 4.6 秒)  ハング 1  残り約 5 分");
    }
}
