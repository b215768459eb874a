//! Traces of shapes that are hard on an analysis, of any size: for the benchmark of stages, and for the test that counts steps.

use suspect::span::{Span, SpanBatch, SpanFrame, SpanId, SpanKind, SpanStatus};

const EPOCH_NS: i64 = 1_700_000_000 * 1_000_000_000;
/// Spans of a usual trace.
const USUAL: u32 = 16;

/// Makes so many spans, at least 32, of one shape.
pub(crate) type Shape = fn(u32) -> SpanFrame;

/// All shapes, the usual one first.
pub(crate) const SHAPES: [(&str, Shape); 9] = [
    ("usual", usual),
    ("deep chain", deep),
    ("wide star", star),
    ("overlapping siblings", overlapping),
    ("cycles", cycles),
    ("duplicates", duplicates),
    ("one id for all", one_id),
    ("an operation a span", operations),
    ("one trace that is half", half),
];

/// A span by number: its trace, place and parent's place there, start and duration in microseconds, and operation.
type Row = (u32, u32, Option<u32>, i64, i64, u32);

fn frame(rows: impl IntoIterator<Item = Row>) -> SpanFrame {
    let mut batch = SpanBatch::default();
    for (trace, place, parent, start_us, duration_us, operation) in rows {
        let trace = batch.traces.intern(&format!("{:x}", trace + 1)).expect("an id");
        let service = batch.names.intern(&format!("service {}", letters(operation % 500)));
        let operation = batch.names.intern(&format!("do {}", letters(operation)));
        batch.push(Span {
            trace,
            span_id: SpanId::new(u64::from(place) + 1).expect("not 0"),
            parent_span_id: parent.and_then(|parent| SpanId::new(u64::from(parent) + 1)),
            service,
            operation,
            kind: SpanKind::Server,
            status: SpanStatus::Unset,
            start_unix_ns: EPOCH_NS + 1_000 * start_us,
            duration_ns: 1_000 * duration_us,
        });
    }
    SpanFrame::from_batches([batch])
}

/// A word without digits, which would be taken for an id.
fn letters(number: u32) -> String {
    let letter = |place: u32| char::from(b"bcdfghjklmnpqrstvwxz"[(number / 20_u32.pow(place) % 20) as usize]);
    (0..5).map(letter).collect()
}

/// Small trees in which each span calls three.
fn usual_rows(n_spans: u32, operation: impl Fn(u32) -> u32) -> impl Iterator<Item = Row> {
    (0..n_spans).map(move |span| {
        let (trace, place) = (span / USUAL, span % USUAL);
        tree(trace, place, i64::from(trace) * 100, operation(span))
    })
}

fn tree(trace: u32, place: u32, start_us: i64, operation: u32) -> Row {
    let parent = (place > 0).then(|| (place - 1) / 3);
    // Within the parent: later and half as long a level.
    let level = std::iter::successors(parent, |&above| (above > 0).then(|| (above - 1) / 3)).count();
    let level = u32::try_from(level).unwrap_or(0);
    (trace, place, parent, start_us + i64::from(level), 1 << (20 - level.min(20)), operation)
}

fn usual(n_spans: u32) -> SpanFrame {
    frame(usual_rows(n_spans, |span| span % USUAL))
}

fn deep(n_spans: u32) -> SpanFrame {
    let length = i64::from(n_spans);
    let row = |place: u32| {
        let depth = i64::from(place);
        (0, place, place.checked_sub(1), depth, 2 * (length - depth), place % 7)
    };
    frame((0..n_spans).map(row))
}

fn star(n_spans: u32) -> SpanFrame {
    let row = |place: u32| match place {
        0 => (0, 0, None, 0, i64::from(n_spans) * 10, 0),
        place => (0, place, Some(0), i64::from(place) * 10, 9, 1 + place % 7),
    };
    frame((0..n_spans).map(row))
}

fn overlapping(n_spans: u32) -> SpanFrame {
    let length = i64::from(n_spans) * 10;
    let row = |place: u32| match place {
        0 => (0, 0, None, 0, length, 0),
        place => (0, place, Some(0), i64::from(place), length - 2 * i64::from(place), 1 + place % 7),
    };
    frame((0..n_spans).map(row))
}

/// Rings of parents, one of all spans of a trace that is half, and small ones.
fn cycles(n_spans: u32) -> SpanFrame {
    let large = n_spans / 2;
    let ring = |place: u32| (0, place, Some((place + 1) % large), i64::from(place), 50, place % 7);
    let small = (0..n_spans - large).map(|span| {
        let (trace, place) = (1 + span / USUAL, span % USUAL);
        (trace, place, Some(place ^ 1), i64::from(trace) * 100, 50, place)
    });
    frame((0..large).map(ring).chain(small))
}

fn duplicates(n_spans: u32) -> SpanFrame {
    // All copies of few spans in one trace, and every span twice in the others.
    let copies = n_spans / 2;
    let many = (0..copies).map(|copy| tree(0, copy % 4, 0, copy % 4));
    let twice = (0..n_spans - copies).map(|span| {
        let span = span / 2;
        tree(1 + span / USUAL, span % USUAL, i64::from(span / USUAL) * 100, span % USUAL)
    });
    frame(many.chain(twice))
}

fn one_id(n_spans: u32) -> SpanFrame {
    frame((0..n_spans).map(|span| (0, 0, Some(0), i64::from(span), 5, span)))
}

fn operations(n_spans: u32) -> SpanFrame {
    frame(usual_rows(n_spans, |span| span))
}

fn half(n_spans: u32) -> SpanFrame {
    let large = n_spans / 2;
    let one = (0..large).map(|place| tree(n_spans, place, 0, place % 40));
    frame(one.chain(usual_rows(n_spans - large, |span| span % USUAL)))
}
