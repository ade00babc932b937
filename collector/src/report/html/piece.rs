//! Pieces of a page: texts in both languages, names that may hold anything, tables.

use maud::{Markup, PreEscaped, Render, html};

use super::words::Html;
use crate::text::escape;
use crate::text::message::{Lang, Say, Text};

pub(crate) use crate::report::file_names::PAGE as FILE;

/// A name longer than this is in a box that scrolls, so that it cannot push the page apart.
const LONG: usize = 240;

/// A text in both languages, of which the page shows one. Where both are equal it stands once.
pub(super) fn said(text: &impl Say) -> Markup {
    of_both(&text.said(), |text| html! { (text) })
}

/// The same with a function that makes markup of each text.
pub(super) fn of_both(text: &Text, markup: impl Fn(&str) -> Markup) -> Markup {
    match text {
        Text::Same(same) => html! { bdi { (markup(&escape::lines(same))) } },
        Text::Both { en, ja } => html! {
            span lang="en" { (markup(&escape::lines(en))) }
            span lang="ja" { (markup(&escape::lines(ja))) }
        },
    }
}

/// A sentence: what stands in backquotes is in the type of code.
pub(super) fn in_code(text: &str) -> Markup {
    html! { @for (n, part) in text.split('`').enumerate() { @if n % 2 == 1 { code { (part) } } @else { (part) } } }
}

/// Texts that are made for each language.
pub(super) fn each(of: impl Fn(Lang) -> String) -> Markup {
    said(&Text::of(of))
}

/// A name of a process, a function, a file: shown as text, whatever is in it.
pub(super) fn name(name: &str) -> Markup {
    let shown = escape::line(name);
    match shown.chars().count() > LONG {
        true => html! { bdi.long tabindex="0" { (shown) } },
        false => html! { bdi { (shown) } },
    }
}

/// As [`name`], in the type of code.
pub(super) fn code(text: &str) -> Markup {
    html! { code { (name(text)) } }
}

/// The first characters of a name: for places whose full text stands elsewhere.
pub(super) fn clipped(name: &str, most: usize) -> String {
    let shown = escape::line(name);
    match shown.char_indices().nth(most) {
        Some(_) => shown.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        None => shown.into_owned(),
    }
}

/// A table that scrolls in its own box where it is too wide.
pub(super) struct Table {
    id: String,
    caption: Markup,
    head: Vec<Markup>,
    rows: Vec<Markup>,
    quiet: bool,
}

impl Table {
    pub(super) fn new(id: &str, caption: &impl Say, head: &[Html]) -> Table {
        Table::of(id, caption, head)
    }

    /// As [`Table::new`], with headings of any set of messages.
    pub(super) fn of(id: &str, caption: &impl Say, head: &[impl Say]) -> Table {
        let head = head.iter().map(said).collect();
        Table { id: id.to_owned(), caption: said(caption), head, rows: vec![], quiet: false }
    }

    /// The caption is for screen readers only: the heading above says it.
    pub(super) fn quiet(mut self) -> Table {
        self.quiet = true;
        self
    }

    /// A row; its first cell is its heading.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Markup>) {
        self.row_of("", cells);
    }

    pub(super) fn row_of(&mut self, class: &str, cells: impl IntoIterator<Item = Markup>) {
        let mut cells = cells.into_iter();
        let first = cells.next().unwrap_or_default();
        let class = Some(class).filter(|class| !class.is_empty());
        self.rows.push(
            html! { tr class=[class] { th scope="row" { (first) } @for cell in cells { td { (cell) } } } },
        );
    }

    /// A row of which the caller writes all cells.
    pub(super) fn raw(&mut self, row: Markup) {
        self.rows.push(row);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl Render for Table {
    fn render(&self) -> Markup {
        let caption = format!("{}-caption", self.id);
        html! {
            div.scroll role="group" tabindex="0" aria-labelledby=(caption) {
                table id=(self.id) {
                    caption id=(caption) class=[self.quiet.then_some("unseen")] { (self.caption) }
                    @if !self.head.is_empty() { thead { tr { @for cell in &self.head { th scope="col" { (cell) } } } } }
                    tbody { @for row in &self.rows { (row) } }
                }
            }
        }
    }
}

/// Pairs of a term and what is known of it.
pub(super) fn facts(pairs: &[(Html, Markup)]) -> Markup {
    html! { dl.facts { @for (term, value) in pairs { div { dt { (said(term)) } dd { (value) } } } } }
}

/// The link of the page in a folder. Such a name comes from numbers, times and names of arms: nothing that means
/// more in a link gets in.
pub(super) fn page_in(folder: &str) -> String {
    let plain: String = folder.chars().filter(|c| c.is_ascii_alphanumeric() || "_-./".contains(*c)).collect();
    format!("{plain}/{}", FILE)
}

/// Markup without a change, for what another library has escaped.
pub(super) fn trusted(text: String) -> Markup {
    PreEscaped(text)
}

/// A number of figures for people: thousands are separated by thin spaces.
pub(super) fn grouped(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    if number < 0.0 { format!("-{text}") } else { text }
}

/// A percentage for an attribute of SVG.
pub(super) fn percent(share: f64) -> String {
    format!("{:.2}%", share.clamp(0.0, 1.0) * 100.0)
}
