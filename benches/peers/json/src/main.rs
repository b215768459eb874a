//! Deserialises OTLP JSON into borrowed types with a JSON crate: `peers-json CRATE THREADS FILE`.
//!
//! The types hold what `suspect` reads of a span, attributes included. Prints the spans, the sum of their durations and the
//! seconds that parsing took without reading the file.

use rayon::prelude::*;
use serde::Deserialize;
use std::borrow::Cow;
use std::time::Instant;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    #[serde(borrow)]
    resource_spans: Vec<ResourceSpans<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    #[serde(borrow, default)]
    resource: Resource<'a>,
    #[serde(borrow)]
    scope_spans: Vec<ScopeSpans<'a>>,
}

#[derive(Deserialize, Default)]
struct Resource<'a> {
    #[serde(borrow, default)]
    attributes: Vec<KeyValue<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScopeSpans<'a> {
    #[serde(borrow)]
    spans: Vec<Span<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Span<'a> {
    #[serde(borrow)]
    trace_id: Cow<'a, str>,
    #[serde(borrow)]
    span_id: Cow<'a, str>,
    #[serde(borrow, default)]
    parent_span_id: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default)]
    kind: u8,
    #[serde(borrow)]
    start_time_unix_nano: Cow<'a, str>,
    #[serde(borrow)]
    end_time_unix_nano: Cow<'a, str>,
    #[serde(borrow, default)]
    attributes: Vec<KeyValue<'a>>,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize, Default)]
struct Status {
    #[serde(default)]
    code: u8,
}

#[derive(Deserialize)]
struct KeyValue<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    value: AnyValue<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum AnyValue<'a> {
    #[serde(borrow)]
    StringValue(Cow<'a, str>),
    #[serde(borrow)]
    IntValue(Cow<'a, str>),
    DoubleValue(f64),
    BoolValue(bool),
}

/// What is counted, so that no work is optimised away.
#[derive(Default)]
struct Sums {
    n_spans: u64,
    n_failed: u64,
    n_roots: u64,
    n_id_bytes: usize,
    n_attribute_bytes: usize,
    duration_ns: u64,
}

impl Sums {
    fn add(mut self, other: Self) -> Self {
        self.n_spans += other.n_spans;
        self.n_failed += other.n_failed;
        self.n_roots += other.n_roots;
        self.n_id_bytes += other.n_id_bytes;
        self.n_attribute_bytes += other.n_attribute_bytes;
        self.duration_ns += other.duration_ns;
        self
    }

    fn of(document: &Document) -> Self {
        let mut sums = Self::default();
        for resource in &document.resource_spans {
            sums.take_attributes(&resource.resource.attributes);
            for span in resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
                let time = |text: &str| text.parse::<u64>().expect("a time");
                sums.n_spans += 1;
                sums.n_failed += u64::from(span.status.code == 2) + u64::from(span.kind > 5);
                sums.n_roots += u64::from(span.parent_span_id.is_empty());
                sums.n_id_bytes += span.trace_id.len() + span.span_id.len() + span.name.len();
                sums.duration_ns += time(&span.end_time_unix_nano) - time(&span.start_time_unix_nano);
                sums.take_attributes(&span.attributes);
            }
        }
        sums
    }

    fn take_attributes(&mut self, attributes: &[KeyValue]) {
        for attribute in attributes {
            self.n_attribute_bytes += attribute.key.len()
                + match &attribute.value {
                    AnyValue::StringValue(text) | AnyValue::IntValue(text) => text.len(),
                    AnyValue::DoubleValue(value) => usize::from(value.is_finite()),
                    AnyValue::BoolValue(value) => usize::from(*value),
                };
        }
    }
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, name, threads, file] = &arguments[..] else { panic!("peers-json CRATE THREADS FILE") };
    let threads: usize = threads.parse().expect("a number of threads");
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("a thread pool");
    let mut bytes = std::fs::read(file).expect("a file");
    let start = Instant::now();
    // A line is a document.
    let lines: Vec<&mut [u8]> = bytes.split_mut(|&byte| byte == b'\n').filter(|line| !line.is_empty()).collect();
    let parse: fn(&mut [u8]) -> Sums = match name.as_str() {
        "serde_json" => |line| Sums::of(&serde_json::from_slice(line).expect("OTLP JSON")),
        "sonic-rs" => |line| Sums::of(&sonic_rs::from_slice(line).expect("OTLP JSON")),
        "simd-json" => |line| Sums::of(&simd_json::from_slice(line).expect("OTLP JSON")),
        other => panic!("no crate {other}"),
    };
    let sums = lines.into_par_iter().map(parse).reduce(Sums::default, Sums::add);
    println!(
        "{} spans, {} ns, {} roots, {} failed, {} bytes, parsed in {:.3} s",
        sums.n_spans,
        sums.duration_ns,
        sums.n_roots,
        sums.n_failed,
        sums.n_id_bytes + sums.n_attribute_bytes,
        start.elapsed().as_secs_f64()
    );
}
