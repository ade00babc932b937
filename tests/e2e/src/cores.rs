//! Cores in tests: what hangscope finds in one, and what gdb does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::{hangscope, run};

/// Analyses a core. Gives the command's output and `threads.json`, null if there is none.
pub fn snap(core: &Path, out: &Path, options: &[&str]) -> (Output, Value) {
    let output = run(hangscope().arg("snap").arg("--core").arg(core).arg("--out").arg(out).args(options));
    let threads = std::fs::read_to_string(out.join("hang_snap/threads.json")).unwrap_or_default();
    (output, serde_json::from_str(&threads).unwrap_or(Value::Null))
}

/// Unpacks `core.zst` beside it.
pub fn unpack(packed: &Path) -> PathBuf {
    let core = packed.with_extension("");
    let output = run(Command::new("zstd").args(["-q", "-d", "-f"]).arg(packed).arg("-o").arg(&core));
    assert!(output.status.success(), "{output:?}");
    core
}

/// Prints a line for each thread: its id, and the program counter of each frame that the stack has, without
/// those that gdb adds for inlined functions and for calls at the end of a function.
const FRAMES: &str = "set backtrace past-main on\nset backtrace past-entry on\npython\n\
for thread in gdb.selected_inferior().threads():\n\
\x20 thread.switch()\n\
\x20 frame, pcs = gdb.newest_frame(), []\n\
\x20 while frame is not None and len(pcs) < 200:\n\
\x20\x20 if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME): pcs.append(hex(frame.pc()))\n\
\x20\x20 try: frame = frame.older()\n\
\x20\x20 except gdb.error: frame = None\n\
\x20 print('FRAMES', thread.ptid[1], *pcs)\n\
end\n";

/// The program counters of each thread's frames in a core that is not packed, by gdb.
pub fn gdb(program: &Path, core: &Path) -> BTreeMap<u32, Vec<String>> {
    let script = core.with_extension("gdb");
    std::fs::write(&script, FRAMES).expect("a file");
    let gdb = run(Command::new("gdb").args(["-nx", "-batch", "-x"]).arg(&script).arg(program).arg(core));
    let text = String::from_utf8_lossy(&gdb.stdout);
    let line = |line: &str| {
        let mut words = line.strip_prefix("FRAMES ")?.split(' ').map(str::to_owned);
        Some((words.next()?.parse().ok()?, words.collect()))
    };
    let threads: BTreeMap<u32, Vec<String>> = text.lines().filter_map(line).collect();
    assert!(!threads.is_empty(), "{gdb:?}");
    threads
}

/// Where the frames of `threads.json` differ from those of gdb, a line each.
pub fn differences(threads: &Value, gdb: &BTreeMap<u32, Vec<String>>) -> Vec<String> {
    let mut wrong = vec![];
    for thread in threads["threads"].as_array().into_iter().flatten() {
        let tid = thread["tid"].as_u64().unwrap_or(0) as u32;
        let own = |frame: &&Value| frame["inlined"] != true;
        let ours: Vec<&str> = thread["frames"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(own)
            .filter_map(|f| f["pc"].as_str())
            .collect();
        let theirs = gdb.get(&tid).map_or(&[][..], Vec::as_slice);
        // At the start of a thread one of the two may go a frame further.
        let same = ours.iter().zip(theirs).all(|(ours, theirs)| ours == theirs);
        if !same || ours.len().abs_diff(theirs.len()) > 1 || ours.is_empty() {
            wrong.push(format!("tid {tid}: {ours:?}, gdb: {theirs:?}"));
        }
    }
    wrong
}
