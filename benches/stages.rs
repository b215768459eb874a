//! Time of each stage on a recorded incident, in spans per second, and of the stages that walk traces on hard shapes.

mod shapes;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::path::PathBuf;
use suspect::compare::{self, paths};
use suspect::span::{AttributeSelection, SpanFrame};
use suspect::{analysis, ingest, normalize, topology, window};

fn incident() -> Vec<PathBuf> {
    vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("datasets/incidents/slow-release/spans")]
}

fn read() -> ingest::Ingested {
    let options =
        ingest::Options { attributes: AttributeSelection::Keys(normalize::required_attributes()), columns: Vec::new() };
    ingest::read(&incident(), &options, &|_, _| ()).expect("the bundled incident can be read")
}

fn stages(criterion: &mut Criterion) {
    let frame: SpanFrame = read().frame;
    let mut group = criterion.benchmark_group("stages");
    group.sample_size(10).throughput(Throughput::Elements(frame.spans.len() as u64));
    group.bench_function("ingest", |bencher| bencher.iter(|| black_box(read())));
    group.bench_function("normalize", |bencher| {
        bencher.iter_batched(|| frame.clone(), |mut frame| normalize::forest(&mut frame), BatchSize::LargeInput);
    });
    let prepared = analysis::prepare(None, read());
    group.bench_function("blame", |bencher| bencher.iter(|| black_box(paths::cost_table(&prepared.forest))));
    let (windows, selection) = prepared.select(&window::Options::default()).expect("the bundled incident has windows");
    let table = paths::cost_table(&prepared.forest);
    group.bench_function("compare", |bencher| {
        bencher.iter(|| black_box(compare::compare(&prepared.forest, &table, &selection)));
    });
    group.bench_function("analyze", |bencher| {
        bencher.iter(|| black_box(analysis::analyze(&prepared, &windows, &selection)));
    });
    group.finish();
}

/// What a span costs must not grow with their number: a shape at two sizes, eight times apart.
fn hard_shapes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("shapes");
    group.sample_size(10);
    for (name, shape) in shapes::SHAPES {
        for n_spans in [12_500, 100_000] {
            let frame = shape(n_spans);
            group.throughput(Throughput::Elements(frame.spans.len() as u64));
            group.bench_function(format!("{name}/{n_spans}"), |bencher| {
                let walk = |mut frame: SpanFrame| {
                    let (forest, _) = normalize::forest(&mut frame);
                    (topology::topology_of_all(&forest), paths::cost_table(&forest), forest)
                };
                bencher.iter_batched(|| frame.clone(), walk, BatchSize::LargeInput);
            });
        }
    }
    group.finish();
}

criterion_group!(benches, stages, hard_shapes);
criterion_main!(benches);
