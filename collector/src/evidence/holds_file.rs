//! `holds.tsv`: the last times that threads were held on purpose (`--stir`), the last first. Nothing is left
//! out.

use std::fmt::Write as _;

use crate::analysis::class::held;
use crate::session::Dump;
use crate::session::trace::{Frame, Traces};

const HEADER: &str = "before_s\theld_ms\ttid\ttimes\twaited_ms\twhere\tfunction\tsource\taddress\n";

/// Frames of each hold.
const MOST: usize = 8;

/// The text; none for a process in which no thread was held.
pub(super) fn text(dump: &Dump, traces: &Traces) -> Option<String> {
    let mut holds: Vec<_> = traces.holds.iter().collect();
    holds.sort_by_key(|held| std::cmp::Reverse(held.hold.began_ns));
    let mut text = HEADER.to_owned();
    for held in &holds {
        let hold = &held.hold;
        let before = dump.begin.trigger_ns.saturating_sub(hold.began_ns.saturating_add(hold.held_ns));
        // Innermost first; what contains the others comes last.
        let names: Vec<String> = held.frames.iter().take(MOST).map(name).collect();
        let sources: Vec<String> = held.frames.iter().take(MOST).filter_map(source).collect();
        let _ = writeln!(
            text,
            "{:.3}\t{:.3}\t{}\t{}\t{:.3}\t{}\t{}\t{}\t{:#x}",
            before as f64 / 1e9,
            hold.held_ns as f64 / 1e6,
            hold.tid,
            hold.times,
            f64::from(hold.waited_us) / 1e3,
            held::at(hold.at).en(),
            names.join(" < "),
            sources.join(" < "),
            hold.address
        );
    }
    (!holds.is_empty()).then_some(text)
}

fn name(frame: &Frame) -> String {
    let function = frame.function.as_deref().unwrap_or("?");
    match frame.offset {
        Some(offset) if !frame.inlined => format!("{function}+{offset:#x}"),
        _ => function.to_owned(),
    }
}

fn source(frame: &Frame) -> Option<String> {
    Some(format!("{}:{}", frame.file.as_deref()?, frame.line?))
}

#[cfg(test)]
mod tests {
    use hangscope_protocol::stir::{HoldRecord, hold_at};

    use super::*;
    use crate::session::trace::Held;
    use crate::testkit::dump::Make;

    #[test]
    fn the_last_comes_first_and_inlined_functions_come_before_what_contains_them() {
        let mut make = Make::new();
        assert_eq!(text(&make.dump, &make.traces), None);
        let trigger = 5_000_000_000;
        make.dump.begin.trigger_ns = trigger;
        let frame = |function: &str, line, inlined| Frame {
            function: Some(function.to_owned()),
            offset: Some(0x1a),
            file: Some("/src/races.c".to_owned()),
            line: Some(line),
            inlined,
            ..Frame::default()
        };
        let mut held = |began_ns, at, frames| {
            let hold = HoldRecord {
                began_ns,
                held_ns: 1_200_000,
                address: 0x7f00,
                tid: 7,
                at,
                reserved: 0,
                times: 2,
                waited_us: 0,
                stack: 0,
            };
            make.traces.holds.push(Held { hold, frames });
        };
        held(trigger - 2_000_000_000, hold_at::LOCKED, vec![Frame::default()]);
        held(
            trigger - 1_000_000_000,
            hold_at::BEFORE_INSTRUCTION,
            vec![frame("exchange", 9, true), frame("span_unlock", 52, false)],
        );
        let rows = [
            "0.999\t1.200\t7\t2\t0.000\tbefore the atomic instruction at\texchange < span_unlock+0x1a\t\
             /src/races.c:9 < /src/races.c:52\t0x7f00\n",
            "1.999\t1.200\t7\t2\t0.000\tafter it took a lock, at\t?\t\t0x7f00\n",
        ];
        assert_eq!(text(&make.dump, &make.traces).expect("two holds"), HEADER.to_owned() + &rows.concat());
    }
}
