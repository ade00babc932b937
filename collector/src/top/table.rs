//! The table of the processes.

use ratatui::text::{Line, Span};

use super::app::App;
use super::cells;
use super::columns::{Column, columns};
use super::look::{Look, Tone};
use super::words::TopWord;
use crate::analysis::{Class, Integrity};
use crate::live::model::Process;

/// Columns before the first one: the cursor, and the mark.
const BEFORE: usize = 2;

/// The heading, and as many processes as have room in `lines`.
pub(super) fn table(app: &mut App, width: usize, lines: usize) -> Vec<Line<'static>> {
    let look = app.look;
    let columns = columns(width.saturating_sub(BEFORE));
    let mut out = vec![heading(&columns, look)];
    let room = lines.saturating_sub(1);
    let first = app.window(room);
    let Some(told) = &app.told else { return out };
    if told.processes.is_empty() {
        out.push(Line::from(look.say(&TopWord::NoProcess {})));
    }
    for process in told.processes.iter().skip(first).take(room) {
        out.push(row(process, &columns, Some(process.key) == app.selected, look));
    }
    out
}

fn heading(columns: &[(Column, usize)], look: Look) -> Line<'static> {
    let cell = |(column, width): &(Column, usize)| {
        let head = column.head().map(|word| look.say(&word)).unwrap_or_default();
        cells::fit(&head, *width, column.is_right(), look)
    };
    let cells: Vec<String> = columns.iter().map(cell).collect();
    Line::styled(format!("{}{}", " ".repeat(BEFORE), cells.join(" ")), look.style(Tone::Head))
}

fn row(process: &Process, columns: &[(Column, usize)], selected: bool, look: Look) -> Line<'static> {
    let cursor = if selected { '>' } else { ' ' };
    let mark = if process.marks.is_empty() { ' ' } else { '*' };
    let mut spans = vec![Span::raw(format!("{cursor}{mark}"))];
    for (at, (column, width)) in columns.iter().enumerate() {
        if at > 0 {
            spans.push(Span::raw(" "));
        }
        let (text, tone) = cell(process, *column, *width, look);
        spans.push(Span::styled(cells::fit(&text, *width, column.is_right(), look), look.style(tone)));
    }
    let line = Line::from(spans);
    if selected { line.style(look.style(Tone::Selected)) } else { line }
}

fn cell(process: &Process, column: Column, width: usize, look: Look) -> (String, Tone) {
    let plain = |text: String| (text, Tone::Plain);
    match column {
        Column::Pid => plain(process.pid.to_string()),
        Column::Label => plain(process.label.clone()),
        Column::Allocator => plain(process.allocator.clone().unwrap_or_else(|| "-".to_owned())),
        Column::Dso => integrity(process.integrity, look),
        Column::Age => plain(match process.hang_after_s {
            Some(limit) => format!("{}/{}", cells::time(process.age_s), cells::limit(limit)),
            None => cells::time(process.age_s),
        }),
        Column::Bar => {
            let late = process.hang_after_s.is_some_and(|limit| process.age_s >= limit);
            (cells::bar(process, width, look), if late { Tone::Bad } else { Tone::Good })
        }
        Column::Threads => {
            let wide = cells::threads(&process.threads, " ");
            let fits = cells::width(&wide) <= width;
            plain(if fits { wide } else { cells::threads(&process.threads, "") })
        }
        Column::Cpu => plain(cells::cpu(process.cpu)),
        Column::Rss => plain(cells::memory(process.rss_kib)),
        Column::Spark => (cells::sparkline(&process.rss_history, width, look), Tone::Quiet),
        Column::State => state(process, look),
        Column::Class => plain(process.class.clone().unwrap_or_default()),
        Column::Command => plain(process.command.clone()),
    }
}

/// Whether the DSOs are still the files that were loaded.
pub(super) fn integrity(integrity: Integrity, look: Look) -> (String, Tone) {
    let tone = match integrity {
        Integrity::Intact => Tone::Good,
        Integrity::Unknown => Tone::Plain,
        _ => Tone::Bad,
    };
    (integrity.said().text(look.lang).to_owned(), tone)
}

/// What the process does, in one word.
pub(super) fn state(process: &Process, look: Look) -> (String, Tone) {
    let is_slow = process.class.as_deref() == Some(Class::Slow.as_str());
    let (word, tone) = match process {
        Process { ended: Some(_), hung: true, .. } => (TopWord::EndedHung {}, Tone::Bad),
        Process { ended: Some(_), .. } => (TopWord::EndedWord {}, Tone::Quiet),
        Process { hung: true, .. } => (TopWord::Hung {}, Tone::Bad),
        Process { dumping: true, .. } => (TopWord::Dumping {}, Tone::Warn),
        _ if is_slow => (TopWord::Slow {}, Tone::Warn),
        _ => (TopWord::Running {}, Tone::Good),
    };
    (look.say(&word), tone)
}
