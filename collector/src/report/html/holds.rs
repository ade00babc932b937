//! Where threads were held on purpose before the hang (`--stir`).

use maud::{Markup, html};

use super::piece::{Table, code, said};
use super::words::Html;
use crate::analysis::class::held;
use crate::evidence::threads_file::ThreadsFile;

pub(super) fn section(file: &ThreadsFile) -> Option<Markup> {
    let holds = &file.finding.holds;
    if holds.is_empty() {
        return None;
    }
    let head = [Html::ColThread {}, Html::ColPlace {}, Html::ColAt {}, Html::ColHeld {}, Html::ColBefore {}];
    let mut table = Table::new("holds", &Html::HoldTable {}, &head);
    for hold in holds {
        table.row([
            html! { "tid " (hold.tid) },
            html! { (code(&hold.place().replace('`', ""))) @if let Some(from) = hold.called_from() { br; span.dim { (said(&Html::CalledFrom {})) " " (code(&from.replace('`', ""))) } } },
            said(&held::at(hold.at)),
            html! { (format!("{:.2} ms", hold.held_ms)) },
            html! { (format!("{:.3} s", hold.before_s)) },
        ]);
    }
    Some(html! { p.lead { (said(&Html::HoldLead {})) } (table) })
}
