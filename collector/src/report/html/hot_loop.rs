//! The annotated loop: instructions with their share of the samples, source lines between them, registers,
//! words of memory.

use maud::{Markup, html};

use super::piece::{Table, code, in_code, name, of_both, said};
use super::words::Html;
use crate::analysis::file_name;
use crate::analysis::hot_loop::{HotLoop, LoopInstruction, LoopWord, RegisterHow};
use crate::evidence::threads_file::{Excerpt, ThreadsFile};
use crate::text::message::say;

/// Lines of an excerpt around those that are meant.
const AROUND: usize = 40;

pub(super) fn section(file: &ThreadsFile) -> Option<Markup> {
    let hot = file.finding.hot_loop.as_ref();
    if hot.is_none() && file.finding.no_loop.is_none() && file.excerpts.is_empty() {
        return None;
    }
    Some(html! {
        @match hot {
            Some(hot) => {
                p.lead { (of_both(&hot.summary, in_code)) }
                (instructions(hot, &file.excerpts))
                @if hot.more > 0 { p.note { (said(&say!(Html::MoreInstructions { more: hot.more }))) } }
                @if !hot.registers.is_empty() { (registers(hot)) }
                @if !hot.words.is_empty() { (words(hot)) }
            }
            None => @if let Some(why) = &file.finding.no_loop { p { (said(&say!(Html::NoLoop { why }))) } },
        }
        @for excerpt in &file.excerpts { (source(excerpt)) }
    })
}

/// The text of a source line, where an excerpt has it.
fn line_of<'a>(excerpts: &'a [Excerpt], file: &str, line: u32) -> Option<&'a str> {
    let excerpt = excerpts.iter().find(|e| e.file == file && e.first <= line)?;
    excerpt.lines.get((line - excerpt.first) as usize).map(String::as_str)
}

fn instructions(hot: &HotLoop, excerpts: &[Excerpt]) -> Table {
    let head = [Html::ColShare {}, Html::ColSamples {}, Html::ColAddress {}, Html::ColInstruction {}];
    let caption = say!(Html::LoopTable { tid: hot.tid, inside: hot.inside, samples: hot.samples });
    let mut table = Table::new("loop-table", &caption, &head);
    let most = hot.instructions.iter().map(|i| i.samples).max().unwrap_or(0).max(1);
    let mut last: Option<(&str, u32)> = None;
    for of in &hot.instructions {
        let here = of.file.as_deref().zip(of.line);
        if here.is_some() && here != last {
            table.raw(source_row(of, excerpts));
            last = here;
        }
        let share = f64::from(of.samples) * 100.0 / f64::from(hot.samples.max(1));
        table.raw(html! {
            tr class=[(of.samples == most).then_some("hot")] {
                td {
                    svg.share width="84" height="12" aria-hidden="true" {
                        rect.track width="84" height="12" rx="2" {}
                        rect.fill width=(format!("{:.1}", 84.0 * share / 100.0)) height="12" rx="2" {}
                    }
                }
                td.num { (of.samples) " (" (format!("{share:.0} %")) ")" }
                td { code { @match of.offset { Some(offset) => { (format!("+{offset:#x}")) }, None => (name(&of.pc)) } } }
                th scope="row" { code { (name(&of.text)) } }
            }
        });
    }
    table
}

fn source_row(of: &LoopInstruction, excerpts: &[Excerpt]) -> Markup {
    let (file, line) = (of.file.as_deref().unwrap_or_default(), of.line.unwrap_or_default());
    html! {
        tr.source {
            td colspan="4" {
                span.dim { (name(file_name(file))) ":" (line) }
                @if let Some(text) = line_of(excerpts, file, line) { " " code { (name(text.trim())) } }
                @if let Some(function) = &of.function { " " span.dim { (said(&Html::In {})) " " (name(function)) } }
            }
        }
    }
}

fn registers(hot: &HotLoop) -> Table {
    let head = [Html::ColRegister {}, Html::ColHow {}, Html::ColValues {}, Html::ColPointsTo {}];
    let mut table = Table::new("registers", &Html::RegisterTable {}, &head);
    for register in &hot.registers {
        let how = match register.how {
            RegisterHow::Constant => Html::Constant {},
            RegisterHow::Counting => Html::Counting {},
            RegisterHow::Round => Html::Round {},
            RegisterHow::Varying => Html::Varying {},
        };
        let between = if register.how == RegisterHow::Round { ", " } else { " … " };
        table.row([
            code(&register.name),
            said(&how),
            code(&register.values.join(between)),
            register.points_to.as_deref().map(code).unwrap_or_default(),
        ]);
    }
    table
}

fn words(hot: &HotLoop) -> Table {
    let head =
        [Html::ColAddress {}, Html::ColSymbol {}, Html::ColBytes {}, Html::ColFirst {}, Html::ColSecond {}];
    let mut table = Table::new("words", &Html::WordTable {}, &head);
    for word in &hot.words {
        let LoopWord { address, symbol, size, values: [first, second] } = word;
        let value = |value: &Option<String>| value.as_deref().map_or_else(|| said(&Html::NotRead {}), code);
        table.row_of(
            if first == second { "" } else { "changed" },
            [
                code(address),
                symbol.as_deref().map(code).unwrap_or_default(),
                html! { (size) },
                value(first),
                value(second),
            ],
        );
    }
    table
}

fn source(excerpt: &Excerpt) -> Markup {
    let id = format!("source-{}-{}", excerpt.first, excerpt.lines.len());
    html! {
        h3 id=(id) { (name(file_name(&excerpt.file))) }
        p.note { (name(&excerpt.file)) @if excerpt.newer { " " strong { (said(&Html::Newer {})) } } }
        div.scroll role="group" tabindex="0" aria-labelledby=(id) {
            pre.code { @for (number, line) in (excerpt.first..).zip(excerpt.lines.iter().take(AROUND)) {
                @let marked = excerpt.marked.contains(&number);
                @if marked { mark { (format!("{number:>5} ▸ ")) (name(line)) } } @else { (format!("{number:>5}   ")) (name(line)) }
                "\n"
            } }
        }
    }
}
