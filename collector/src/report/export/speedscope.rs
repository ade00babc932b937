//! speedscope's own format (`file-format-schema.json` of jlfwong/speedscope): a profile for each sampled
//! thread, each sample with the weight 1.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::evidence::folded;
use crate::report::hang::Hang;
use crate::session::trace::Frame;

pub(super) const SCHEMA: &str = "https://www.speedscope.app/file-format-schema.json";

pub(super) fn text(hang: &Hang) -> String {
    let mut frames = Frames::default();
    let mut profiles = vec![];
    let mut active = 0;
    let hot = hang.file.finding.hot.as_ref().map(|hot| hot.tid);
    for tid in hang.traces.samples.keys() {
        let samples = hang.samples(*tid);
        if samples.is_empty() {
            continue;
        }
        if hot == Some(*tid) {
            active = profiles.len();
        }
        let stack = |frames: &mut Frames, all: &[Frame]| -> Vec<usize> {
            all.iter().rev().map(|frame| frames.index(frame)).collect()
        };
        let stacks: Vec<Vec<usize>> =
            samples.iter().map(|sample| stack(&mut frames, &sample.trace.frames)).collect();
        profiles.push(json!({
            "type": "sampled",
            "name": format!("{} (tid {tid})", hang.comm(*tid)),
            "unit": "none",
            "startValue": 0,
            "endValue": stacks.len(),
            "weights": vec![1; stacks.len()],
            "samples": stacks,
        }));
    }
    let name = format!("pid {}", hang.file.pid);
    let exporter = concat!("hangscope@", env!("CARGO_PKG_VERSION"));
    json!({
        "$schema": SCHEMA,
        "shared": { "frames": frames.all },
        "profiles": profiles,
        "name": name,
        "activeProfileIndex": active,
        "exporter": exporter,
    })
    .to_string()
}

/// Each frame once.
#[derive(Default)]
struct Frames {
    all: Vec<Value>,
    known: HashMap<(String, Option<String>, Option<u32>), usize>,
}

impl Frames {
    fn index(&mut self, frame: &Frame) -> usize {
        let key = (folded::name(frame), frame.file.clone(), frame.line);
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let mut value = json!({ "name": key.0 });
        if let (Some(file), Some(line)) = (&frame.file, frame.line) {
            (value["file"], value["line"]) = (json!(file), json!(line));
        }
        self.all.push(value);
        self.known.insert(key, self.all.len() - 1);
        self.all.len() - 1
    }
}
