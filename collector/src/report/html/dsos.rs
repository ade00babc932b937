//! Whether the DSOs are still the files that were loaded.

use maud::{Markup, html};

use super::piece::{Table, name, said};
use super::words::Html;
use crate::analysis::RunFacts;
use crate::analysis::integrity::Reason;
use crate::evidence::threads_file::{DsoPart, ThreadsFile};
use crate::text::message::in_both;

/// DSOs that are shown at once; the others are in a box that opens.
const FEW: usize = 4;

/// `run`: the run in which the process was, where it is known.
pub(super) fn section(file: &ThreadsFile, run: Option<&RunFacts>) -> Option<Markup> {
    if file.dsos.is_empty() {
        return None;
    }
    let telling = |dso: &&DsoPart| dso.allocator || dso.integrity.is_changed();
    let (first, others): (Vec<&DsoPart>, Vec<&DsoPart>) = file.dsos.iter().partition(telling);
    let (first, others) =
        if file.dsos.len() <= FEW { (file.dsos.iter().collect(), vec![]) } else { (first, others) };
    Some(html! {
        @if let Some(run) = run {
            p { (said(&Html::DsoStart {})) " " strong { (said(&run.integrity_start.said())) } " → " (said(&Html::DsoHang {})) " " strong { (said(&run.integrity_end.said())) } }
        }
        p.note { (said(&Html::DsoNote {})) }
        (table("dsos", &first))
        @if !others.is_empty() { details { summary { (said(&Html::OtherDsos {})) } (table("other-dsos", &others)) } }
    })
}

fn table(id: &str, dsos: &[&DsoPart]) -> Table {
    let head = [Html::ColDso {}, Html::ColIntegrity {}, Html::ColReason {}];
    let mut table = Table::new(id, &Html::DsoTable {}, &head);
    for dso in dsos {
        table.row_of(
            if dso.integrity.is_changed() { "changed" } else { "" },
            [
                html! { (name(&dso.path)) @if dso.allocator { " " span.badge { (said(&Html::Allocator {})) } } },
                html! { strong { (said(&dso.integrity.said())) } @if dso.deleted { " (deleted)" } },
                said(&in_both::<Reason>(&dso.reason)),
            ],
        );
    }
    table
}
