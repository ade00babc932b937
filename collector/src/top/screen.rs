//! The whole screen: head, table or process, foot.

use ratatui::Frame;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::app::{App, End};
use super::cells;
use super::help::help;
use super::look::{Look, Tone};
use super::process::process;
use super::table::table;
use super::words::TopWord;
use crate::live::model::{Job, Kind, Status};
use crate::text::message::{Say as _, Text, say};

/// Lines of the head, and of the foot.
const HEAD: usize = 2;
const FOOT: usize = 2;

/// Draws the screen on a terminal.
pub(crate) fn draw(app: &mut App, frame: &mut Frame<'_>) {
    let area = frame.area();
    let lines = lines(app, area.width.into(), area.height.into());
    frame.render_widget(Paragraph::new(lines), area);
}

/// The screen, one line for each of the terminal's.
pub(crate) fn lines(app: &mut App, width: usize, height: usize) -> Vec<Line<'static>> {
    let look = app.look;
    let mut lines = head(app, width);
    // A terminal of a few lines shows processes, not keys.
    let (above, below) = if height >= 8 { (HEAD, FOOT) } else { (usize::from(height > 2), 0) };
    lines.truncate(above);
    let room = height.saturating_sub(above + below);
    let mut body = match (&app.opened, app.help) {
        (_, true) => help(look, width),
        (Some(_), _) => process(app, width, room),
        (None, _) => table(app, width, room),
    };
    body.truncate(room);
    body.resize(room, Line::default());
    lines.append(&mut body);
    if below > 0 {
        lines.extend(foot(app, width));
    }
    lines.truncate(height);
    lines
}

/// Head and table with all processes, as many lines as that takes.
pub(super) fn whole(app: &mut App, width: usize) -> Vec<Line<'static>> {
    let processes = app.told.as_ref().map_or(0, |told| told.processes.len());
    app.selected = None;
    let mut lines = head(app, width);
    lines.append(&mut table(app, width, processes.max(1) + 1));
    lines
}

fn head(app: &App, width: usize) -> Vec<Line<'static>> {
    let look = app.look;
    let Some(told) = &app.told else {
        let line = Line::styled("hangscope top", look.style(Tone::Head));
        return vec![line, Line::from(look.say(&TopWord::Waiting {}))];
    };
    let job = &told.job;
    let kind = match job.kind {
        Kind::Collect => TopWord::Collector {},
        Kind::Hunt => say!(TopWord::Hunt { name: &job.name }),
        Kind::Matrix => TopWord::Matrix {},
    };
    let since = look.say(&say!(TopWord::Since { time: cells::time(job.age_s) }));
    let left = format!("hangscope top  {}  {}", look.say(&kind), job.out);
    let mut second = vec![progress(told, look), hangs(job, look)];
    let dropped = told.counts.dropped_frames;
    if dropped > 0 {
        second.push(look.say(&say!(TopWord::Dropped { frames: dropped })));
    }
    if told.left_out > 0 {
        second.push(look.say(&say!(TopWord::LeftOut { processes: told.left_out })));
    }
    let tone = if job.hung > 0 { Tone::Bad } else { Tone::Plain };
    vec![
        Line::styled(both_ends(&left, &since, width, look), look.style(Tone::Head)),
        Line::styled(cells::fit(&second.join("  "), width, false, look), look.style(tone)),
    ]
}

/// What the job does now.
fn progress(told: &Status, look: Look) -> String {
    let job = &told.job;
    if job.kind == Kind::Collect {
        let (sessions, open) = (told.counts.sessions, told.counts.open);
        return look.say(&say!(TopWord::Sessions { sessions, open }));
    }
    let made = job.made;
    let line = match job.planned {
        Some(planned) => say!(TopWord::Runs { made, planned }),
        None => say!(TopWord::RunsSoFar { made }),
    };
    let run = |run: &crate::live::model::Run| match run.capturing {
        true => look.say(&say!(TopWord::Capturing { run: &run.name })),
        false => run.name.clone(),
    };
    let runs: Vec<String> = job.running.iter().map(run).collect();
    match runs.is_empty() {
        true => look.say(&line),
        false => format!("{}  {}", look.say(&line), look.say(&say!(TopWord::Now { runs: runs.join(", ") }))),
    }
}

fn hangs(job: &Job, look: Look) -> String {
    let percent = |share: f64| format!("{:.1}", share * 100.0);
    let (hung, made, low, high) = (job.hung, job.made, percent(job.low), percent(job.high));
    look.say(&match (hung, made) {
        (_, 0) => TopWord::NoRuns {},
        (0, _) => say!(TopWord::NoHangs { made, high }),
        _ => say!(TopWord::Hangs { hung, made, low, high }),
    })
}

/// Two texts at the ends of a line. The right one stays, the left one is cut.
fn both_ends(left: &str, right: &str, width: usize, look: Look) -> String {
    let own = cells::width(right);
    match width.checked_sub(own + 2) {
        Some(room) if room > 0 => format!("{}  {right}", cells::fit(left, room, false, look)),
        _ => cells::fit(left, width, false, look),
    }
}

/// A message, and the keys.
fn foot(app: &App, width: usize) -> Vec<Line<'static>> {
    let look = app.look;
    let typed = app.typing.as_ref().map(|(_, pid, text)| say!(TopWord::MarkOf { pid, text }).said());
    let end = app.end.map(|end| match end {
        End::Ended => TopWord::JobEnded {}.said(),
        End::Killed => TopWord::JobKilled {}.said(),
    });
    let silent =
        (app.silent_s > 0.0).then(|| say!(TopWord::JobSilent { time: cells::time(app.silent_s) }).said());
    let message: Option<Text> = typed.or(app.message.clone()).or(end).or(silent);
    let message = message.map(|text| text.text(look.lang).to_owned()).unwrap_or_default();
    let keys = match (app.help, &app.opened) {
        (true, _) => TopWord::KeysHelp {},
        (_, Some(_)) => TopWord::KeysProcess {},
        (_, None) => say!(TopWord::KeysTable { sort: app.sort.word().said() }),
    };
    let line = |text: &str, tone| Line::styled(cells::fit(text, width, false, look), look.style(tone));
    vec![line(&message, Tone::Warn), line(&look.say(&keys), Tone::Quiet)]
}
