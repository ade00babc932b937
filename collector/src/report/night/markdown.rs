//! `report.md` and `report.ja.md` of a night.

use super::lines;
use super::model::{Bug, Evidence, Night, Run};
use crate::report::file_names::PAGE;
use crate::report::page::{Page, escaped};
use crate::text::message::{Lang, say};
use crate::text::night::NightLine;

/// Most rows of the table. Rows with a hang or a crash are all there.
const MOST_ROWS: usize = 200;
/// Most lines of a list of remarks.
const MOST_LINES: usize = 40;

/// The report in one language.
pub(crate) fn report(night: &Night, lang: Lang) -> String {
    let mut page = Page::new(lang);
    page.line(&say!(NightLine::Title { name: cell_of(&night.found.name) }));
    page.raw(&format!("\n**{}**\n\n", escaped(lines::headline(night).text(lang))));
    if !night.rows.is_empty() {
        table(&mut page, night);
    }
    hangs(&mut page, night);
    for remark in lines::remarks(night, MOST_LINES) {
        let lines = remark.all_lines().iter().map(|line| line.text(lang).to_owned()).collect();
        page.list(&format!("## {}", remark.heading.text(lang)), lines);
    }
    page.finish()
}

/// A name that somebody gave, as a cell: [`Page::row`] takes care of the bars. Its backquotes are no marks.
fn cell_of(name: &str) -> String {
    escaped(&name.replace('`', "'")).replace("\\|", "|")
}

fn table(page: &mut Page, night: &Night) {
    let lang = page.lang;
    let heads = lines::heads(night.found.source).map(|head| head.text(lang));
    page.row(heads.iter().map(String::as_str));
    page.raw(&format!("|{}\n", "---|".repeat(heads.len())));
    let (rows, more) = lines::first_rows(night, MOST_ROWS);
    for row in rows.iter().chain(&night.totals) {
        let cells = lines::cells(row);
        let cells: Vec<String> = cells.iter().map(|cell| cell_of(cell.text(lang))).collect();
        page.row(cells.iter().map(String::as_str));
    }
    page.raw("\n");
    if more > 0 {
        page.raw(&format!("- {}\n", say!(NightLine::MoreRows { more }).text(lang)));
    }
    lines::notes(night).iter().for_each(|note| page.raw(&format!("- {}\n", note.text(lang))));
}

/// A row for each bug, then the bundles of each.
fn hangs(page: &mut Page, night: &Night) {
    if night.bugs.is_empty() {
        return;
    }
    let lang = page.lang;
    page.heading(&format!("## {}", NightLine::Hangs {}.text(lang)));
    let heads = lines::BUG_HEADS.map(|head| head.text(lang));
    page.row(heads.iter().map(String::as_str));
    page.raw(&format!("|{}\n", "---|".repeat(heads.len())));
    for bug in &night.bugs {
        let (labels, allocators) = (lines::names(&bug.groups), lines::names(&bug.allocators));
        let bare = if bug.is_bare() { format!(" {}", NightLine::Bare {}.text(lang)) } else { String::new() };
        let id = bug.id().map(|id| format!(" `{id}`")).unwrap_or_default();
        let cells = [
            bug.hangs.len().to_string(),
            format!("{}{id}{bare}", escaped(lines::signature(bug).text(lang))),
            escaped(bug.sentence.text(lang)),
            cell_of(&say!(NightLine::Where { labels, allocators }).text(lang)),
            lines::builds(&bug.builds).text(lang).to_owned(),
            lines::between(bug).text(lang).to_owned(),
        ];
        page.row(
            cells.iter().map(|cell| cell.replace("\\|", "|")).collect::<Vec<_>>().iter().map(String::as_str),
        );
    }
    for bug in &night.bugs {
        bundles(page, night, bug);
    }
}

/// The hangs of a bug, folded.
fn bundles(page: &mut Page, night: &Night, bug: &Bug) {
    let lang = page.lang;
    let summary = format!(
        "{}{}",
        say!(NightLine::Times { times: bug.hangs.len() }).text(lang),
        lines::signature(bug).text(lang)
    );
    page.raw(&format!("\n<details><summary>{}</summary>\n\n", escaped_html(&summary)));
    for run in night.hangs(bug) {
        let at = run.at.map(|at| format!(", {}", lines::stamp(at))).unwrap_or_default();
        page.raw(&format!("- {}{at}: {}\n", escaped(run.name.text(lang)), links(run, lang)));
    }
    page.raw("\n</details>\n");
}

fn links(run: &Run, lang: Lang) -> String {
    let link = |Evidence { folder, page }: &Evidence| {
        // Such a name comes from numbers and times. Another one is no link.
        let plain = folder.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
        match *page && plain {
            true => format!("[{folder}]({folder}/{})", PAGE),
            false => format!("`{}`", crate::text::escape::line(folder).replace('`', "'")),
        }
    };
    match run.evidence.is_empty() {
        true => NightLine::NoBundle {}.text(lang),
        false => run.evidence.iter().map(link).collect::<Vec<_>>().join(", "),
    }
}

fn escaped_html(text: &str) -> String {
    crate::text::escape::line(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
