//! A night for a terminal.

use super::lines;
use super::model::{Bug, Evidence, Night};
use crate::console::out::Style;
use crate::console::table::table;
use crate::console::wrap::wrap;
use crate::text::message::{Say as _, Text, say};
use crate::text::night::NightLine;

/// Most rows of the table. Rows with a hang or a crash are all shown.
const MOST_ROWS: usize = 40;
/// Most lines of a list.
const MOST_LINES: usize = 5;

/// The text, with a newline at its end.
pub(crate) fn text(night: &Night, style: Style) -> String {
    let lang = style.lang;
    let mut page = Page { text: String::new(), style };
    page.line(0, &format!("{}: {}", night.found.name, lines::headline(night).text(lang)));
    if !night.rows.is_empty() {
        page.table(night);
    }
    for bug in &night.bugs {
        page.bug(night, bug);
    }
    for remark in lines::remarks(night, MOST_LINES) {
        page.text.push('\n');
        page.say(0, &remark.heading);
        remark.all_lines().iter().for_each(|line| page.say(2, line));
    }
    page.text
}
struct Page {
    text: String,
    style: Style,
}

impl Page {
    fn say(&mut self, indent: usize, text: &Text) {
        let text = text.text(self.style.lang).to_owned();
        self.line(indent, &text);
    }

    fn line(&mut self, indent: usize, text: &str) {
        let text = crate::text::escape::line(text);
        for line in wrap(&format!("{}{text}", " ".repeat(indent)), self.style.width) {
            self.text += &line;
            self.text.push('\n');
        }
    }

    fn table(&mut self, night: &Night) {
        let lang = self.style.lang;
        let (rows, more) = lines::first_rows(night, MOST_ROWS);
        let heads = lines::heads(night.found.source).map(|head| head.text(lang)).to_vec();
        let rows = rows.iter().chain(&night.totals).map(lines::cells);
        let rows = rows.map(|cells| cells.map(|cell| cell.text(lang).to_owned()).to_vec());
        self.text.push('\n');
        self.text += &table(&std::iter::once(heads).chain(rows).collect::<Vec<_>>());
        if more > 0 {
            self.say(0, &say!(NightLine::MoreRows { more }).said());
        }
        lines::notes(night).iter().for_each(|note| self.say(0, &note.said()));
    }

    fn bug(&mut self, night: &Night, bug: &Bug) {
        let lang = self.style.lang;
        self.text.push('\n');
        let id = bug.id().map(|id| format!(" [{id}]")).unwrap_or_default();
        let times = say!(NightLine::Times { times: bug.hangs.len() }).text(lang);
        self.line(0, &format!("{times}{}{id}", lines::signature(bug).text(lang)));
        self.say(2, &bug.sentence);
        if bug.is_bare() {
            self.say(2, &NightLine::Bare {}.said());
        }
        let (labels, allocators) = (lines::names(&bug.groups), lines::names(&bug.allocators));
        self.say(2, &say!(NightLine::Where { labels, allocators }).said());
        if !bug.builds.is_empty() {
            self.say(2, &say!(NightLine::Builds { builds: lines::builds(&bug.builds) }).said());
        }
        if bug.between.is_some() {
            self.say(2, &lines::between(bug));
        }
        for run in night.hangs(bug).take(MOST_LINES) {
            let folder = run.evidence.last().map(|Evidence { folder, .. }| folder.as_str());
            let folder = folder.map_or_else(|| NightLine::NoBundle {}.text(lang), str::to_owned);
            self.line(4, &format!("{}: {folder}", run.name.text(lang)));
        }
        if let more @ 1.. = bug.hangs.len().saturating_sub(MOST_LINES) {
            self.say(4, &say!(NightLine::MoreBundles { more }).said());
        }
    }
}
