//! One process: what it does, what its last dump shows.

use ratatui::text::Line;

use super::app::{App, Opened};
use super::cells;
use super::look::{Look, Tone};
use super::table;
use super::words::TopWord;
use crate::console::wrap::wrap;
use crate::live::model::Process;
use crate::text::escape;
use crate::text::message::{Say as _, say};

/// As many lines as have room.
pub(super) fn process(app: &mut App, width: usize, lines: usize) -> Vec<Line<'static>> {
    let look = app.look;
    let Some(opened) = &mut app.opened else { return vec![] };
    let all = text(opened, width, look);
    let most = all.len().saturating_sub(lines);
    opened.scrolled = opened.scrolled.min(most);
    (app.most_scrolled, app.page) = (most, lines.max(1));
    all.into_iter().skip(opened.scrolled).take(lines).collect()
}

fn text(opened: &Opened, width: usize, look: Look) -> Vec<Line<'static>> {
    let mut page = Page { lines: vec![], width, look };
    let Process { pid, label, command, allocator, .. } = &opened.process;
    let process = &opened.process;
    let (state, tone) = table::state(process, look);
    page.put(&format!("{}  {state}", look.say(&say!(TopWord::Process { pid, label }))), tone);
    if opened.gone {
        page.say(&say!(TopWord::Gone { pid }), Tone::Warn);
    }
    if let Some(ended) = &process.ended {
        page.put(&cells::ended(ended, look), Tone::Warn);
    }
    if let Some(run) = &process.run {
        page.say(&say!(TopWord::RunOf { run }), Tone::Plain);
    }
    page.say(&say!(TopWord::CommandOf { command }), Tone::Plain);
    let name = allocator.as_ref().map_or_else(|| TopWord::NotKnown {}.said(), |name| name.said());
    page.say(&say!(TopWord::AllocatorOf { name, word: process.integrity.said() }), Tone::Plain);
    page.put(&age(process, look), Tone::Plain);
    let threads = process.threads;
    let (all, running, futex) = (threads.all, threads.running, threads.futex);
    let (sleeping, disk, other) = (threads.sleeping, threads.disk, threads.other);
    page.say(&say!(TopWord::ThreadsOf { all, running, futex, sleeping, disk, other }), Tone::Plain);
    let (cpu, rss) = (cells::cpu(process.cpu), cells::memory(process.rss_kib));
    let spark = cells::sparkline(&process.rss_history, process.rss_history.len(), look);
    page.put(&format!("{}  {spark}", look.say(&say!(TopWord::UseOf { cpu, rss }))), Tone::Plain);
    for mark in &process.marks {
        let (time, text) = (mark.time.get(11..19).unwrap_or_default(), &mark.text);
        page.say(&say!(TopWord::MarkLine { time, text }), Tone::Warn);
    }
    dump(&mut page, opened);
    page.lines
}

fn age(process: &Process, look: Look) -> String {
    let mut parts = vec![look.say(&say!(TopWord::AgeOf { time: cells::time(process.age_s) }))];
    if let Some(time) = process.hang_after_s.map(cells::limit) {
        parts.push(look.say(&say!(TopWord::Deadline { time })));
        parts.push(cells::bar(process, 10, look));
    }
    if let Some(time) = process.stall_s.map(cells::limit) {
        parts.push(look.say(&say!(TopWord::Stall { time })));
    }
    if process.still > 0 {
        parts.push(look.say(&say!(TopWord::StillFor { looks: process.still })));
    }
    parts.join("  ")
}

fn dump(page: &mut Page, opened: &Opened) {
    let (look, process) = (page.look, &opened.process);
    page.put("", Tone::Plain);
    if process.dumping {
        page.say(&TopWord::DumpUnderWay {}, Tone::Warn);
    }
    let Some(class) = &process.class else {
        if !process.dumping {
            page.say(&TopWord::NotHungYet {}, Tone::Quiet);
        }
        return;
    };
    page.say(&say!(TopWord::ClassOf { class }), Tone::Head);
    if let Some(headline) = &process.headline {
        page.put(headline.text(look.lang), Tone::Plain);
    }
    if let Some(path) = &process.bundle {
        page.say(&say!(TopWord::Bundle { path }), Tone::Plain);
    }
    let Some(dump) = &opened.dump else { return };
    let (number, time) = (dump.number, cells::time(dump.since_start_s));
    page.say(&say!(TopWord::StacksOf { number, time }), Tone::Head);
    for stacks in &dump.stacks {
        let mark = if stacks.hot { "*" } else { "-" };
        page.put(&format!("{mark} {}", stacks.what.text(look.lang)), Tone::Plain);
        for frame in &stacks.frames {
            page.cut(&format!("    {frame}"));
        }
    }
    if dump.left_out > 0 {
        page.say(&say!(TopWord::MoreThreads { threads: dump.left_out }), Tone::Quiet);
    }
}

/// Lines that are as wide as the screen.
struct Page {
    lines: Vec<Line<'static>>,
    width: usize,
    look: Look,
}

impl Page {
    fn say(&mut self, what: &TopWord, tone: Tone) {
        self.put(&self.look.say(what), tone);
    }

    /// A text, broken between words.
    fn put(&mut self, text: &str, tone: Tone) {
        let style = self.look.style(tone);
        let text = escape::line(text);
        self.lines.extend(wrap(&text, self.width).into_iter().map(|line| Line::styled(line, style)));
    }

    /// A line that is cut at the edge.
    fn cut(&mut self, text: &str) {
        let text = cells::fit(text, self.width, false, self.look);
        self.lines.push(Line::from(text.trim_end().to_owned()));
    }
}
