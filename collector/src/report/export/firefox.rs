//! The processed profile format of the Firefox Profiler
//! (`docs-developer/processed-profile-format.md` of firefox-devtools/profiler). A sampled thread has its
//! samples. Every other thread has its stack at the first look, and what it waits for as a marker from the
//! first look to the second.

use std::time::{Duration, UNIX_EPOCH};

use fxprof_processed_profile::{
    CategoryColor, CategoryHandle, CpuDelta, Frame as FxFrame, FrameFlags, FrameInfo, MarkerFieldFlags,
    MarkerFieldFormat, MarkerTiming, Profile, SamplingInterval, StaticSchemaMarker, StaticSchemaMarkerField,
    StringHandle, ThreadHandle, Timestamp,
};

use crate::evidence::folded;
use crate::evidence::threads_file::ThreadPart;
use crate::report::hang::Hang;
use crate::session::trace::{Frame, ThreadTrace};

pub(super) fn text(hang: &Hang) -> String {
    serde_json::to_string(&profile(hang)).unwrap_or_default()
}

/// The kinds of code, each with its colour.
struct Categories {
    allocator: CategoryHandle,
    other: CategoryHandle,
}

fn profile(hang: &Hang) -> Profile {
    let identity = &hang.dump.identity;
    let started = UNIX_EPOCH + Duration::from_nanos(identity.fixed.wall_ns);
    let program = identity.exe.rsplit('/').next().unwrap_or_default();
    let mut profile = Profile::new(program, started.into(), SamplingInterval::from_nanos(interval_ns(hang)));
    profile.set_symbolicated(true);
    profile.set_os_name("Linux");
    let categories = Categories {
        allocator: profile.add_category("allocator", CategoryColor::Red),
        other: profile.add_category("other code", CategoryColor::Blue),
    };
    let process = profile.add_process(program, identity.fixed.pid, at(0));
    let hot = hang.file.finding.hot.as_ref().map(|hot| hot.tid);
    for part in &hang.file.threads {
        let thread = profile.add_thread(process, part.tid, at(0), part.main);
        profile.set_thread_name(thread, &hang.comm(part.tid));
        profile.set_thread_show_markers_in_timeline(thread, true);
        let samples = hang.samples(part.tid);
        for sample in &samples {
            add(&mut profile, thread, sample.trace, sample.at_ns, &categories);
        }
        let [first, second] = hang.looks();
        match hang.traces.threads.get(&part.tid).filter(|_| samples.is_empty()) {
            Some(trace) if !trace.frames.is_empty() => {
                add(&mut profile, thread, trace, first, &categories);
            }
            _ => {}
        }
        waits(&mut profile, thread, part, [first, second]);
        if hot == Some(part.tid) {
            profile.add_initial_selected_thread(thread);
        }
        profile.add_initial_visible_thread(thread);
    }
    profile
}

fn at(ns: u64) -> Timestamp {
    Timestamp::from_nanos_since_reference(ns)
}

/// The usual time between two samples of a thread, ns.
fn interval_ns(hang: &Hang) -> u64 {
    let mut gaps: Vec<u64> = hang
        .sample_times
        .values()
        .flat_map(|times| times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])))
        .collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied().unwrap_or_default().max(1)
}

fn add(
    profile: &mut Profile,
    thread: ThreadHandle,
    trace: &ThreadTrace,
    at_ns: u64,
    categories: &Categories,
) {
    let frames: Vec<FrameInfo> = trace
        .frames
        .iter()
        .rev()
        .map(|frame| FrameInfo {
            frame: FxFrame::Label(profile.intern_string(&label(frame))),
            category_pair: if frame.in_allocator { categories.allocator } else { categories.other }.into(),
            flags: FrameFlags::empty(),
        })
        .collect();
    let stack = profile.intern_stack_frames(thread, frames.into_iter());
    profile.add_sample(thread, at(at_ns), stack, CpuDelta::ZERO, 1);
}

/// `hz4_mid_malloc (hz4_mid.c:85)`.
fn label(frame: &Frame) -> String {
    let name = folded::name(frame);
    match (&frame.file, frame.line) {
        (Some(file), Some(line)) => format!("{name} ({}:{line})", file.rsplit('/').next().unwrap_or(file)),
        _ => name,
    }
}

fn waits(profile: &mut Profile, thread: ThreadHandle, part: &ThreadPart, looks: [u64; 2]) {
    let Some(wait) = &part.wait else { return };
    let marker = Wait {
        name: profile.intern_string("waits"),
        detail: profile.intern_string(&wait.detail),
        object: profile.intern_string(wait.symbol.as_ref().or(wait.address.as_ref()).map_or("", |o| o)),
        owner: profile.intern_string(&wait.owner.map_or_else(String::new, |tid| tid.to_string())),
    };
    let [from, to] = looks.map(at);
    profile.add_marker(thread, MarkerTiming::Interval(from, to), marker);
}

/// What a thread waits for.
struct Wait {
    name: StringHandle,
    detail: StringHandle,
    object: StringHandle,
    owner: StringHandle,
}

const fn field(key: &'static str, label: &'static str) -> StaticSchemaMarkerField {
    let (format, flags) = (MarkerFieldFormat::String, MarkerFieldFlags::SEARCHABLE);
    StaticSchemaMarkerField { key, label, format, flags }
}

impl StaticSchemaMarker for Wait {
    const UNIQUE_MARKER_TYPE_NAME: &'static str = "hangscope-wait";
    const DESCRIPTION: Option<&'static str> =
        Some("A thread that waits, from the first look of the capture to the second.");
    const CHART_LABEL: Option<&'static str> = Some("{marker.data.detail}");
    const TOOLTIP_LABEL: Option<&'static str> = Some("{marker.data.detail}");
    const TABLE_LABEL: Option<&'static str> = Some("{marker.data.detail} {marker.data.object}");
    const FIELDS: &'static [StaticSchemaMarkerField] =
        &[field("detail", "Waits for"), field("object", "Object"), field("owner", "Owner (tid)")];

    fn name(&self, _profile: &mut Profile) -> StringHandle {
        self.name
    }

    fn category(&self, _profile: &mut Profile) -> CategoryHandle {
        CategoryHandle::OTHER
    }

    fn string_field_value(&self, field: u32) -> StringHandle {
        match field {
            0 => self.detail,
            1 => self.object,
            _ => self.owner,
        }
    }

    fn number_field_value(&self, _field: u32) -> f64 {
        0.0
    }
}
