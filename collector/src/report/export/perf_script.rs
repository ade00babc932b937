//! What `perf script` prints (perf-script(1)): a block for each sample, the innermost frame first. An inlined
//! function has its line, as with `perf script --inline`.

use std::fmt::Write as _;

use crate::evidence::folded;
use crate::report::hang::Hang;
use crate::session::trace::Frame;

/// The event of the shim's samples.
const EVENT: &str = "cpu-clock:u";

pub(super) fn text(hang: &Hang) -> String {
    let mut samples: Vec<_> = hang
        .traces
        .samples
        .keys()
        .flat_map(|tid| hang.samples(*tid).into_iter().map(move |sample| (sample.at_ns, *tid, sample)))
        .collect();
    samples.sort_by_key(|(at_ns, tid, _)| (*at_ns, *tid));
    let pid = hang.dump.identity.fixed.pid;
    let mut out = String::new();
    for (at_ns, tid, sample) in samples {
        // perf pads names, and a blank in one would end it.
        let comm = hang.comm(tid).replace(char::is_whitespace, "_");
        let (seconds, micros) = (at_ns / 1_000_000_000, at_ns / 1_000 % 1_000_000);
        let _ = writeln!(out, "{comm} {pid}/{tid} {seconds}.{micros:06}: 1 {EVENT}: ");
        for frame in &sample.trace.frames {
            let _ = writeln!(out, "\t{:16x} {} ({})", frame.pc, symbol(frame), dso(frame));
        }
        out.push('\n');
    }
    out
}

/// `hz4_mid_malloc+0x1f`; `[unknown]` without a symbol.
fn symbol(frame: &Frame) -> String {
    let Some(_) = &frame.function else { return "[unknown]".to_owned() };
    let name = folded::name(frame);
    match frame.offset.filter(|_| !frame.inlined) {
        Some(offset) => format!("{name}+{offset:#x}"),
        None => name,
    }
}

fn dso(frame: &Frame) -> &str {
    frame.dso.as_deref().filter(|dso| !dso.contains(['\n', '\r'])).unwrap_or("[unknown]")
}
