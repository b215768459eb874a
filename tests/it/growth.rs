//! Work grows with the spans, whatever their shape: steps are counted, for clocks of busy machines prove nothing.

#[path = "../../benches/shapes.rs"]
mod shapes;

use shapes::SHAPES;
use suspect::analysis;
use suspect::blame::{BlameKind, BlameSink, Walker};
use suspect::compare::paths;
use suspect::ingest::Ingested;
use suspect::normalize::{self, Forest};
use suspect::span::SpanFrame;
use suspect::topology::topology_of_all;
use suspect::window;

/// Counts the steps of a walk.
#[derive(Default)]
struct Steps(u64);

impl BlameSink for Steps {
    type Node = ();

    fn call(&mut self, _: Option<()>, _: usize, _: bool) {
        self.0 += 1;
    }

    fn visit(&mut self, (): (), _: usize) {
        self.0 += 1;
    }

    fn blame(&mut self, (): (), _: usize, _: BlameKind, _: i64, _: i64) {
        self.0 += 1;
    }
}

/// Steps that the walk of all requests takes.
fn steps(forest: &Forest) -> u64 {
    let (mut walker, mut steps) = (Walker::default(), Steps::default());
    for trace in 0..forest.n_traces() {
        walker.load(forest, trace);
        let spans = forest.spans_of(trace);
        for top in spans.clone().filter(|&span| forest.is_top(span)) {
            walker.walk(forest, spans.start, top, &mut steps);
        }
    }
    steps.0
}

fn linked(mut frame: SpanFrame) -> Forest {
    normalize::forest(&mut frame).0
}

#[test]
fn a_walk_takes_a_few_steps_a_span_and_of_eight_times_the_spans_no_square_of_that() {
    for (name, shape) in SHAPES {
        let [few, many] = [2_000, 16_000].map(|n_spans| linked(shape(n_spans)));
        let [few_steps, many_steps] = [&few, &many].map(steps);
        // A call and a visit a span, and one more segment than it has children.
        assert!(many_steps <= 4 * many.n_spans() as u64, "{name}: {many_steps} steps for {} spans", many.n_spans());
        // n log n makes 10 of 8; a square would make 64.
        assert!(many_steps <= 12 * few_steps, "{name}: {few_steps} steps, then {many_steps}");
    }
}

#[test]
fn tables_and_graphs_have_no_more_rows_than_spans() {
    for (name, shape) in SHAPES {
        let forest = linked(shape(16_000));
        let table = paths::cost_table(&forest);
        let (n_spans, topology) = (forest.n_spans(), topology_of_all(&forest));
        assert!(table.costs.n_rows() <= n_spans, "{name}: {} rows", table.costs.n_rows());
        assert!(table.paths.len() <= n_spans, "{name}: {} paths", table.paths.len());
        let n_edges = topology.operations.edge_count().max(topology.services.edge_count());
        assert!(n_edges <= n_spans, "{name}: {n_edges} edges");
    }
}

#[test]
fn every_shape_is_analysed_whole() {
    for (name, shape) in SHAPES {
        let frame = shape(2_000);
        let n_rows = frame.spans.len() as u64;
        let prepared = analysis::prepare(None, Ingested { frame, sources: Vec::new() });
        assert_eq!(prepared.forest.n_spans() as u64 + prepared.repairs.n_duplicates, n_rows, "{name}");
        if let Ok((windows, selection)) = prepared.select(&window::Options::default()) {
            let analysis = analysis::analyze(&prepared, &windows, &selection).expect("an analysis");
            let rows: f64 = analysis.decomposition.rows.iter().map(|row| row.contribution_ms).sum();
            assert!((rows - analysis.decomposition.change_ms).abs() < 1e-6, "{name}");
        }
    }
}
