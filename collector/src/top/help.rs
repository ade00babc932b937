//! The help.

use ratatui::text::Line;

use super::look::{Look, Tone};
use crate::console::wrap::wrap;
use crate::text::message::messages;

messages! {
    /// The help.
    pub(crate) TopHelp {
        Title {} => "Keys", "キー";
        Move {} => "Up Down j k PgUp PgDn Home End   select, scroll", "上下 j k PgUp PgDn Home End   選択、移動";
        Open {} => "Enter   open the process: threads, waits, stacks", "Enter   プロセスを開く: スレッド、待ち、スタック";
        Dump {} => "d   take a dump of it now; it goes on", "d   ダンプを今取得する (プロセスは続行)";
        Mark {} => "m   write a remark to marks.jsonl", "m   marks.jsonl に印を書く";
        Sort {} => "s   sort by state, age, CPU, RSS, PID", "s   並び: 状態、時間、負荷、メモリ、番号";
        Back {} => "Esc   back; q Ctrl-C   quit. The job goes on", "Esc   戻る、q Ctrl-C   終了 (ジョブは続行)";
        Columns {} => "Columns", "列";
        AgeHelp {} => "AGE   time since its start / deadline", "時間   開始からの時間 / 制限時間";
        ThreadsHelp {} => "THREADS   all, then r running, f futex wait, s sleeping, D uninterruptible, ? other",
            "スレッド   総数、続いて r 実行中、f futex 待ち、s 休止、D 割り込み不可、? その他";
        CpuHelp {} => "CPU%   100 is one processor in use", "負荷   100 でプロセッサ 1 個を使用";
        StateHelp {} => "STATE   runs, dump (being taken), HUNG, slow, ended, ended! (it hung); * before PID: has a mark",
            "状態   実行中、取得中 (ダンプ)、ハング、低速、終了、終了! (ハングしていた)。番号の前の * は印あり";
    }
}

pub(super) fn help(look: Look, width: usize) -> Vec<Line<'static>> {
    let keys = [
        TopHelp::Move {},
        TopHelp::Open {},
        TopHelp::Dump {},
        TopHelp::Mark {},
        TopHelp::Sort {},
        TopHelp::Back {},
    ];
    let columns = [TopHelp::AgeHelp {}, TopHelp::ThreadsHelp {}, TopHelp::CpuHelp {}, TopHelp::StateHelp {}];
    let mut lines = vec![Line::styled(look.say(&TopHelp::Title {}), look.style(Tone::Head))];
    let indented = |line: &TopHelp| wrap(&format!("  {}", look.say(line)), width);
    lines.extend(keys.iter().flat_map(indented).map(Line::from));
    lines.push(Line::default());
    lines.push(Line::styled(look.say(&TopHelp::Columns {}), look.style(Tone::Head)));
    lines.extend(columns.iter().flat_map(indented).map(Line::from));
    lines
}
