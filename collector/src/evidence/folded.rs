//! `samples.folded`: the samples from inside in the format of flame graph tools (flamegraph.pl, inferno,
//! speedscope). One line for each distinct stack: `thread;outermost;...;innermost COUNT`. And whether perf
//! agrees with the samples.

use std::collections::{BTreeMap, HashMap};

use crate::session::trace::{Frame, ThreadTrace, Traces};
use crate::session::{Dump, record_text};
use crate::text::escape;

/// perf and the samples agree about a function if both have at least this share of it.
const AGREE_PERCENT: usize = 10;

pub(crate) fn text_of(dump: &Dump, traces: &Traces) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (tid, samples) in &traces.samples {
        let comm = dump.thread(*tid).map(|t| record_text::padded(&t.comm)).filter(|c| !c.is_empty());
        let thread = format!("{}-{tid}", plain(comm.as_deref().unwrap_or("thread")));
        for sample in samples.iter().filter(|s| !s.frames.is_empty()) {
            let cut = sample.truncated.then(|| "[cut]".to_owned());
            let frames = sample.frames.iter().rev().map(name);
            let stack: Vec<String> = [thread.clone()].into_iter().chain(cut).chain(frames).collect();
            *counts.entry(stack.join(";")).or_default() += 1;
        }
    }
    if counts.is_empty() {
        return "# samples: no thread that ran could be sampled\n".to_owned();
    }
    counts.iter().map(|(stack, count)| format!("{stack} {count}\n")).collect()
}

/// A frame's function, else `lib.so+0x1234`, else its address.
pub(crate) fn name(frame: &Frame) -> String {
    match (&frame.function, &frame.dso, frame.dso_offset) {
        (Some(function), ..) => plain(function),
        (None, Some(dso), Some(offset)) => {
            plain(&format!("{}+{offset:#x}", dso.rsplit('/').next().unwrap_or(dso)))
        }
        _ => format!("{:#x}", frame.pc),
    }
}

/// A name without `;` and line ends: they separate frames and stacks.
fn plain(name: &str) -> String {
    escape::line(name).replace(';', ":")
}

/// A line that says that perf and the samples disagree about the hottest function of a thread; none if they
/// agree, or if one of them has no function. `report` is `perf report --stdio --no-children` of that
/// thread.
pub(crate) fn disagreement(tid: u32, samples: &[ThreadTrace], report: &str) -> Option<String> {
    let perf = hottest_of(report)?;
    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut all = 0;
    // perf's symbol is the function that was called, not a function that is inlined into it.
    for frame in samples.iter().filter_map(|s| s.frames.iter().find(|f| !f.inlined)) {
        *counts.entry(comparable(frame.function.as_deref()?)).or_default() += 1;
        all += 1;
    }
    let (inside, count) = counts.iter().max_by_key(|(name, count)| (**count, std::cmp::Reverse(*name)))?;
    let of_perf = counts.get(&comparable(&perf.0)).copied().unwrap_or_default();
    (of_perf * 100 < all * AGREE_PERCENT).then(|| {
        format!(
            "perf and the samples from inside disagree about tid {tid}: perf has `{}` with {} (perf_hot_tid.txt), the \
             samples `{inside}` with {count} of {all} (samples.folded)",
            perf.0, perf.1
        )
    })
}

/// The first symbol of a report that is not the kernel's, and its share. The samples cannot see the kernel.
fn hottest_of(report: &str) -> Option<(String, String)> {
    report.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let share = line.split_whitespace().next().filter(|word| word.ends_with('%'))?;
        share.trim_end_matches('%').parse::<f64>().ok()?;
        let symbol = line.split_once("[.] ")?.1.trim();
        let symbol = symbol.split("  ").next().unwrap_or(symbol);
        (!symbol.starts_with("0x")).then(|| (symbol.to_owned(), share.to_owned()))
    })
}

/// A name in the form that all tools agree on: without Rust's hash, version, and suffix of a clone.
fn comparable(name: &str) -> String {
    let name = name.split('@').next().unwrap_or(name);
    let hash =
        name.rsplit_once("::h").filter(|(_, h)| h.len() == 16 && h.bytes().all(|b| b.is_ascii_hexdigit()));
    let name = hash.map_or(name, |(name, _)| name);
    name.split(" [").next().unwrap_or(name).split(".").next().unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use crate::evidence::folded::*;
    use crate::testkit::dump::{Make, Sampled};

    const LOOP: &[&str] = &["foo_refill@foo:foo.c:87", "foo_malloc@foo:foo.c:60", "worker@bench:bench.c:40"];

    fn made(function: &str, samples: usize) -> (Dump, Traces) {
        let mut make = Make::new();
        let stack = [&[function], &LOOP[1..]].concat();
        make.runs(101, 1.0, &stack, Sampled::OneCall(samples));
        (make.finish(), make.traces.clone())
    }

    #[test]
    fn equal_stacks_are_one_line_outermost_first() {
        let (dump, mut traces) = made("foo_refill@foo:foo.c:87", 5);
        let samples = traces.samples.get_mut(&101).unwrap();
        samples[1].frames[0].function = Some("a;b\nc".to_owned());
        samples[2].frames[0].function = None;
        samples[2].frames[0].dso_offset = Some(0x1234);
        samples[3].frames.clear();
        insta::assert_snapshot!(text_of(&dump, &traces), @"
        bench-101;clone3;start_thread;worker;foo_malloc;a:b\\x0ac 1
        bench-101;clone3;start_thread;worker;foo_malloc;foo_refill 2
        bench-101;clone3;start_thread;worker;foo_malloc;libfoo.so+0x1234 1
        ");
        insta::assert_snapshot!(text_of(&dump, &Traces::default()), @"# samples: no thread that ran could be sampled");
    }

    /// As perf 6.1 prints it, with a call chain.
    const REPORT: &str = "# Samples: 597  of event 'cpu-clock:pppH'\n#\n# Overhead       Samples  Command  Shared Object     \
        Symbol\n# ........  ............  .......  ...\n#\n    51.00%           300  bench    [kernel.kallsyms]  [k] do_syscall\n\
        \n    48.50%           297  bench    libfoo.so         [.] foo_refill\n            |\n            ---clone3\n";

    #[test]
    fn perf_agrees_or_the_line_names_both() {
        let of = |function: &str, report| {
            let (_, traces) = made(function, 50);
            disagreement(101, &traces.samples[&101], report)
        };
        assert_eq!(of("foo_refill@foo:foo.c:87", REPORT), None);
        assert_eq!(of("foo_refill::h0123456789abcdef@foo", REPORT), None);
        assert_eq!(of("foo_refill@foo", "# perf: not permitted (perf_event_paranoid=3)\n"), None);
        assert_eq!(of("?@foo", REPORT), None, "a sample without a name says nothing");
        insta::assert_snapshot!(of("foo_scan@foo:foo.c:9", REPORT).unwrap(), @"perf and the samples from inside disagree about tid 101: perf has `foo_refill` with 48.50% (perf_hot_tid.txt), the samples `foo_scan` with 50 of 50 (samples.folded)");
    }
}
