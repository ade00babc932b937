//! What a look from outside notes in its dump: there it is English text, as the shim's notes are; a report says it in both
//! languages.

use hangscope_protocol::record::{NoteRecord, note_code};

use super::zero;
use crate::session::Note;
use crate::text::message::{Say as _, Text, messages, say};

messages! {
    /// A note of a look from outside.
    Remark {
        FromOutside {} => "taken from outside, without a snapshot from the start of the process: only a change time or a relocated word shows \
            whether a DSO was overwritten before",
            "外側からの観測で、プロセス開始時の記録はない。DSO が以前に上書きされたかどうかは、変更時刻か再配置済みワードからしか分からない";
        NoMalloc {} => "no DSO provides malloc (a static program?); name it with --target",
            "malloc を提供する DSO が見つからない (静的リンクのプログラムか)。--target で指定できる";
        NoStack { tid, why } => "the stack of tid {tid} could not be read: {why}",
            "tid {tid} のスタックを読めなかった: {why}";
        Deaf { tid } => "tid {tid} answers no signal: it was probed from outside, by ptrace",
            "tid {tid} はシグナルに応答しないため、外側から ptrace で観測した";
    }
}

impl Remark {
    /// For the dump.
    pub(crate) fn note(&self, tid: u32) -> Note {
        Note { record: NoteRecord { code: note_code::UNREADABLE, tid, ..zero() }, text: self.en() }
    }
}

/// A note of a dump for a report: a remark in both languages, anything else as it is.
pub(super) fn said(note: &Note) -> Text {
    let tid = note.record.tid;
    let why = note.text.rsplit(": ").next().unwrap_or_default();
    let all = [
        Remark::FromOutside {},
        Remark::NoMalloc {},
        say!(Remark::NoStack { tid, why }),
        say!(Remark::Deaf { tid }),
    ];
    let remark = all.into_iter().find(|remark| remark.en() == note.text);
    remark.map_or_else(|| note.text.said(), |remark| remark.said())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::message::Lang;

    #[test]
    fn a_remark_comes_back_from_its_dump_and_other_notes_stay() {
        let all = [
            Remark::FromOutside {},
            Remark::NoMalloc {},
            say!(Remark::NoStack { tid: 7, why: "No such process" }),
            say!(Remark::Deaf { tid: 7 }),
        ];
        for remark in all {
            let said = said(&remark.note(7));
            assert_eq!((said.en(), said.text(Lang::Ja)), (&*remark.en(), &*remark.text(Lang::Ja)));
        }
        let other = Note { text: "more DSOs than the table holds".to_owned(), ..Remark::NoMalloc {}.note(0) };
        assert_eq!(said(&other), other.text.said());
    }
}
