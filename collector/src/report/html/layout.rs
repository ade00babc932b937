//! Where the nodes of a wait-for graph stand: layers from waiters to owners, by the method of Sugiyama.

use rust_sugiyama::configure::{Config, RankingType};
use rust_sugiyama::from_vertices_and_edges;

/// Between nodes, pixels.
const GAP: f64 = 44.0;
/// Around all of them.
const MARGIN: f64 = 12.0;

/// A node's middle, and its size, pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Spot {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Layout {
    /// In the order of the sizes.
    pub(super) spots: Vec<Spot>,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Lays out nodes with these sizes. `arrows`: from and to.
pub(super) fn layout(sizes: &[(f64, f64)], arrows: &[(usize, usize)]) -> Layout {
    let vertices: Vec<(u32, (f64, f64))> =
        sizes.iter().enumerate().map(|(n, (width, height))| (n as u32, (*width, *height))).collect();
    let mut edges: Vec<(u32, u32)> =
        arrows.iter().filter(|(from, to)| from != to).map(|(from, to)| (*from as u32, *to as u32)).collect();
    edges.sort_unstable();
    edges.dedup();
    let few = vertices.len() <= 40;
    let config = Config {
        vertex_spacing: GAP,
        transpose: few,
        dummy_vertices: few,
        // Each node close above what it waits for. The default is the network simplex method without a rule
        // against cycles: with some graphs it goes round for ever.
        ranking_type: RankingType::Down,
        ..Config::default()
    };
    let mut all = Layout { spots: vec![Spot::default(); sizes.len()], width: 0.0, height: 0.0 };
    let mut left = MARGIN;
    for (nodes, ..) in from_vertices_and_edges(&vertices, &edges, &config) {
        let spot = |(n, (x, y)): &(usize, (f64, f64))| {
            let (width, height) = sizes.get(*n).copied().unwrap_or_default();
            (*n, Spot { x: *x, y: *y, width, height })
        };
        let nodes: Vec<(usize, Spot)> = nodes.iter().map(spot).collect();
        // The library gives middles from any origin.
        let min = |of: fn(&Spot) -> f64| nodes.iter().map(|(_, s)| of(s)).fold(f64::INFINITY, f64::min);
        let (x0, y0) = (min(|s| s.x - s.width / 2.0), min(|s| s.y - s.height / 2.0));
        let mut right = left;
        for (n, spot) in nodes {
            let placed = Spot { x: spot.x - x0 + left, y: spot.y - y0 + MARGIN, ..spot };
            right = right.max(placed.x + placed.width / 2.0);
            all.height = all.height.max(placed.y + placed.height / 2.0 + MARGIN);
            if let Some(slot) = all.spots.get_mut(n) {
                *slot = placed;
            }
        }
        left = right + GAP;
    }
    all.width = left - GAP + MARGIN;
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn apart(spots: &[Spot]) -> bool {
        let overlap = |a: &Spot, b: &Spot| {
            (a.x - b.x).abs() < (a.width + b.width) / 2.0 - 0.5
                && (a.y - b.y).abs() < (a.height + b.height) / 2.0 - 0.5
        };
        spots.iter().enumerate().all(|(n, a)| spots[n + 1..].iter().all(|b| !overlap(a, b)))
    }

    #[test]
    fn waiters_stand_above_their_owner() {
        let sizes = [(200.0, 60.0), (200.0, 40.0), (200.0, 60.0), (200.0, 60.0)];
        let layout = layout(&sizes, &[(0, 1), (3, 1), (1, 2)]);
        let y = |n: usize| layout.spots[n].y;
        assert!(y(0) < y(1) && y(3) < y(1) && y(1) < y(2), "{layout:?}");
        assert!(apart(&layout.spots), "{layout:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        /// Any graph has a layout: a page must never end the command.
        #[test]
        fn every_graph_has_a_layout(
            sizes in prop::collection::vec((60.0..260.0_f64, 20.0..70.0_f64), 1..96),
            arrows in prop::collection::vec((0..96_usize, 0..96_usize), 0..120),
        ) {
            let arrows: Vec<(usize, usize)> =
                arrows.into_iter().filter(|(a, b)| *a < sizes.len() && *b < sizes.len()).collect();
            let layout = layout(&sizes, &arrows);
            prop_assert!(layout.spots.iter().all(|s| s.x.is_finite() && s.y.is_finite() && s.x >= 0.0));
            prop_assert!(apart(&layout.spots), "{:?}", layout);
        }
    }
}
