//! Notes of a look from outside. A dump has them as English text, as it has the notes of the shim; a report
//! has them in both languages.

use hangscope_protocol::record::{NoteRecord, note_code};

use super::zero::zero;
use crate::session::{Dump, Note};
use crate::text::message::{Lang, Text, in_both, messages};

messages! {
    pub(crate) OutsideNote {
        FromOutside {} => "taken from outside, without a snapshot from the start of the process: only a change time or a \
            relocated word shows whether a DSO was overwritten before",
            "外側からの観測で、プロセス開始時の記録はない。DSO が以前に上書きされたかどうかは、変更時刻か再配置済みワードからしか分からない";
        FromCore {} => "read from a core: it shows one moment; CPU times and a second look, which would show whether a thread \
            moves, are not in it",
            "コアから読み取った。コアはある一瞬の記録であり、CPU 時間も、スレッドが動いているかどうかを示す 2 回目の観測も含まない";
        NoMalloc {} => "no DSO provides malloc (a static program?); name it with --target",
            "malloc を提供する DSO が見つからない (静的リンクのプログラムか)。--target で指定できる";
        NoStack { tid, why } => "the stack of tid {tid} could not be read: {why}",
            "tid {tid} のスタックを読めなかった: {why}";
        OwnIds { pid, ids } => "the process is in another PID namespace, and process {pid} there: threads have their ids of \
            that namespace here, as locks and gettid have; in ps_L.txt and on this side they are {ids}",
            "プロセスは別の PID 名前空間にあり、そこでの pid は {pid}。スレッド ID はロックや gettid と同じくその名前空間の値で示す。\
            ps_L.txt など外側での値は {ids}";
        OtherIds {} => "the thread ids are not those that the locks of the process have (another PID namespace), and could \
            not be translated: no owner of a lock is taken for gone",
            "スレッド ID がプロセス内のロックの値と一致せず (別の PID 名前空間)、変換もできなかった。ロックの所有者が消えたとは\
            判断しない";
        LookedFromOutside { file, why } => "the shim may not read what threads wait for ({file}: {why}): states, waits and \
            stacks of all threads were read from outside",
            "シムはスレッドの待機内容を読めない ({file}: {why})。全スレッドの状態、待機、スタックは外側から読み取った";
        NotLookedFromOutside { file, why, outside } => "the shim may not read what threads wait for ({file}: {why}), and it \
            was not read from outside either: {outside}",
            "シムはスレッドの待機内容を読めず ({file}: {why})、外側からも読めなかった: {outside}";
        AskedByPtrace { tids, us } => "the shim could not see the registers of tid {tids}: stopped from outside, by ptrace, for \
            at most {us} us each",
            "シムは tid {tids} のレジスタを観測できなかったため、外側から ptrace で観測した (停止時間は最大 {us} us)";
    }
}

impl OutsideNote {
    /// The note as a dump has it. `tid` is 0 if the note is about the process.
    pub(crate) fn note(&self, tid: u32) -> Note {
        Note { record: NoteRecord { code: note_code::UNREADABLE, tid, ..zero() }, text: self.en() }
    }
}

impl OutsideNote {
    /// The notes among these texts that a look from outside made, in both languages, without
    /// [`OutsideNote::FromOutside`], which a hunt says in its own words.
    pub(crate) fn among(texts: &[String]) -> Vec<Text> {
        let both = texts.iter().map(|text| in_both::<OutsideNote>(text));
        let from_outside = OutsideNote::FromOutside {}.en();
        both.filter(|text| text.text(Lang::Ja) != text.en() && text.en() != from_outside).collect()
    }
}

/// What the notes of a dump say to people.
pub(super) fn said(dump: &Dump) -> Vec<Text> {
    let for_people = dump.notes.iter().filter(|note| !note.is_of_analysis());
    for_people.map(translated).collect()
}

/// A note of a dump in both languages, if a look from outside made it; any other note as it is.
fn translated(note: &Note) -> Text {
    in_both::<OutsideNote>(&note.text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::message::{Say as _, say};

    #[test]
    fn a_note_from_outside_is_translated_and_other_notes_stay() {
        let all = [
            OutsideNote::FromOutside {},
            OutsideNote::FromCore {},
            OutsideNote::NoMalloc {},
            say!(OutsideNote::NoStack { tid: 7, why: "No such process" }),
            say!(OutsideNote::AskedByPtrace { tids: "7", us: 40 }),
            say!(OutsideNote::OwnIds { pid: 1, ids: "1 = 1800, 2 = 1801" }),
            OutsideNote::OtherIds {},
            say!(OutsideNote::LookedFromOutside { file: "/proc/7/task/7/syscall", why: "Permission denied" }),
        ];
        for ours in all {
            let said = translated(&ours.note(7));
            assert_eq!((said.en(), said.text(Lang::Ja)), (&*ours.en(), &*ours.text(Lang::Ja)));
        }
        let other =
            Note { text: "more DSOs than the table holds".to_owned(), ..OutsideNote::NoMalloc {}.note(0) };
        assert_eq!(translated(&other), other.text.said());
    }
}
