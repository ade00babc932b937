//! `{lane}/ops.tsv` and `{lane}/rss.tsv`: the figures of the runs, a row each. They follow from
//! `samples.csv`, and are written anew when a matrix goes on.

use std::path::Path;

use super::config::{Lane, PhaseName};
use super::samples::Sample;
use crate::files::atomic::{self, Lines, WriteError};

fn header(phase: PhaseName) -> &'static str {
    match phase {
        PhaseName::Ops => "allocator\trun\tops_s",
        PhaseName::Rss => "allocator\trun\tmax_rss_kib",
    }
}

/// A run's row. A figure that is not known is `nan`, as in the files of a hunt.
fn row(phase: PhaseName, sample: &Sample) -> String {
    let figure = match phase {
        PhaseName::Ops => sample.ops_s.map(|ops| ops.to_string()),
        PhaseName::Rss => sample.max_rss_kib.map(|kib| kib.to_string()),
    };
    format!("{}\t{}\t{}", sample.allocator, sample.run, figure.unwrap_or_else(|| "nan".to_owned()))
}

/// The open files of all lanes.
#[derive(Debug)]
pub(crate) struct Tables(Vec<(String, PhaseName, Lines)>);

impl Tables {
    /// Writes the files of these lanes and phases with the rows so far.
    ///
    /// # Errors
    /// The first that cannot be written.
    pub(crate) fn begin(
        out: &Path,
        lanes: &[Lane],
        phases: &[PhaseName],
        samples: &[Sample],
    ) -> Result<Tables, WriteError> {
        let mut tables = vec![];
        for lane in lanes {
            atomic::make_dir(&out.join(&lane.name))?;
            for phase in phases {
                let of = samples.iter().filter(|s| s.lane == lane.name && s.phase == phase.as_str());
                let rows = of.map(|sample| row(*phase, sample) + "\n");
                let text = header(*phase).to_owned() + "\n" + &rows.collect::<String>();
                let path = out.join(&lane.name).join(format!("{phase}.tsv"));
                atomic::write(&path, text.as_bytes())?;
                tables.push((lane.name.clone(), *phase, Lines::open(&path)?));
            }
        }
        Ok(Tables(tables))
    }

    /// Adds a run that has ended.
    pub(crate) fn push(&mut self, sample: &Sample) -> Result<(), WriteError> {
        let of =
            self.0.iter_mut().find(|(lane, phase, _)| *lane == sample.lane && phase.as_str() == sample.phase);
        of.map_or(Ok(()), |(_, phase, lines)| lines.push(&row(*phase, sample)))
    }
}
