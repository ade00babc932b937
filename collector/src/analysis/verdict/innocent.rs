//! Causes that need no mistake of the allocator, as a clause of a headline.

use super::lines::Line;
use crate::analysis::class::Why;
use crate::analysis::finding::Finding;
use crate::analysis::words::Cause;
use crate::text::message::say;

/// A list that is a ring; requests for memory that fail. None for other causes.
pub(super) fn cause(finding: &Finding) -> Option<Line> {
    let ring = finding.said.iter().find_map(|why| match why {
        Why::ListRing { nodes, .. } => Some(nodes),
        _ => None,
    });
    let limit = finding.said.iter().find_map(|why| match why {
        Why::MemoryLimit { name, limit, .. } | Why::MemoryWanted { name, limit, .. } => Some((name, limit)),
        _ => None,
    });
    match (finding.cause?, ring, limit) {
        (Cause::ListRing, Some(nodes), _) => Some(say!(Line::RingOrProgram { nodes })),
        (Cause::ForkInherited, Some(nodes), _) => Some(say!(Line::RingOfFork { nodes })),
        (Cause::EnomemRetry, _, Some((name, limit))) => Some(say!(Line::LimitReached { name, limit })),
        (Cause::EnomemRetry, ..) => Some(Line::RequestsFail {}),
        _ => None,
    }
}
