//! The totals of a job as OpenMetrics text.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::board::Board;

/// `Content-Type` of the text.
pub(super) const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;

/// What a scrape gets.
pub(super) fn text(board: &Board) -> String {
    let status = board.totals();
    let (job, counts) = (&status.0, &status.1);
    let mut all = Registry::with_prefix("hangscope");
    let count = |n: u64| -> Counter<u64, AtomicU64> {
        let counter = Counter::default();
        counter.inc_by(n);
        counter
    };
    let gauge = |n: u64| -> Gauge {
        let gauge = Gauge::default();
        gauge.set(i64::try_from(n).unwrap_or(i64::MAX));
        gauge
    };
    all.register("sessions", "Processes that said hello", count(counts.sessions));
    all.register("sessions_open", "Processes that said hello and have not ended", gauge(counts.open));
    let hangs: Family<Labels, Counter> = Family::default();
    for of in &counts.hangs {
        let labels = [("allocator", &of.allocator), ("label", &of.label), ("class", &of.class)];
        let labels = labels.map(|(name, value)| (name, value.clone())).to_vec();
        hangs.get_or_create(&labels).inc_by(of.hangs);
    }
    all.register("hangs", "Hangs that were captured", hangs);
    let runs: Family<Labels, Counter> = Family::default();
    for of in &counts.runs {
        runs.get_or_create(&vec![("outcome", of.outcome.clone())]).inc_by(of.runs);
    }
    all.register("runs", "Runs that have ended", runs);
    if let Some(planned) = job.planned {
        all.register("runs_planned", "Runs that are planned", gauge(planned.into()));
    }
    let (bytes, dropped) = (count(counts.received_bytes), count(counts.dropped_frames));
    all.register_with_unit("received", "What processes have sent", Unit::Bytes, bytes);
    all.register("dropped_frames", "Messages that processes could not send", dropped);
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = text::encode(&mut out, &all);
    out
}
