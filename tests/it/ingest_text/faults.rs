//! Broken input: nothing panics, nothing overflows, and what is lost is told.

use super::{JAEGER, OTLP, ZIPKIN, gzip, ingest, ingest_bytes, oracle, source, spans, write};
use std::path::PathBuf;
use suspect::ingest::Ingested;

/// A small sample of each format and compression.
fn samples() -> Vec<Vec<u8>> {
    let message = oracle::sample_message();
    let length = u32::try_from(message.len()).expect("a short message");
    let framed = [&length.to_be_bytes()[..], &message, &length.to_be_bytes(), &message].concat();
    let packed = zstd::encode_all(&message[..], 1).expect("compressed");
    let packed_length = u32::try_from(packed.len()).expect("a short message");
    vec![
        OTLP.into(),
        format!("{OTLP}\n{OTLP}\n").into(),
        JAEGER.into(),
        ZIPKIN.into(),
        gzip(OTLP.as_bytes()),
        [&packed_length.to_be_bytes()[..], &packed].concat(),
        packed,
        framed,
        message,
    ]
}

/// Reads all contents as files of one run, and checks that every span is accounted for.
fn ingest_all(contents: impl IntoIterator<Item = Vec<u8>>) -> Ingested {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let paths: Vec<PathBuf> = contents
        .into_iter()
        .enumerate()
        .map(|(index, content)| write(folder.path(), &format!("{index:05}"), content))
        .collect();
    let read = ingest(&paths);
    let n_spans: u64 = read.sources.iter().map(|report| report.n_spans - report.set_aside.total()).sum();
    assert_eq!(read.frame.spans.len() as u64, n_spans);
    read
}

#[test]
fn input_cut_off_anywhere_is_told() {
    for sample in samples() {
        let whole = ingest_bytes(&sample);
        let n_spans = whole.sources[0].n_spans;
        let read = ingest_all((1..sample.len()).map(|end| sample[..end].to_vec()));
        for (index, report) in read.sources.iter().enumerate() {
            let told = report.truncated || report.error.is_some() || report.n_skipped_records > 0;
            let complete = report.n_spans == n_spans;
            // A cut between two records leaves a smaller file without fault.
            let between = matches!(sample.get(index), Some(b'\n' | b'}')) || report.format.contains("protobuf");
            assert!(told || complete || between, "cut after {} of {}: {report:?}", index + 1, sample.len());
        }
    }
}

#[test]
fn a_live_export_loses_only_its_last_line() {
    let text = format!("{OTLP}\n{OTLP}\n{}", &OTLP[..OTLP.len() / 2]);
    let read = ingest_bytes(&text);
    assert_eq!((read.frame.spans.len(), source(&read).truncated, source(&read).n_skipped_records), (2, true, 0));
    let packed = gzip(text.as_bytes());
    let read = ingest_bytes(&packed[..packed.len() - 9]);
    assert!(source(&read).truncated && source(&read).error.is_none());
    assert!(source(&read).notes[0].starts_with("gzip stream ends early"));
}

#[test]
fn flipped_bits_never_panic() {
    let mut state = 1_u64;
    let mut random = |bound: usize| {
        // Knuth's generator; the high bits are the good ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or(0) % bound
    };
    for sample in samples() {
        let flipped: Vec<_> = (0..300)
            .map(|_| {
                let mut copy = sample.clone();
                for _ in 0..=random(3) {
                    copy[random(sample.len())] ^= 1 << random(8);
                }
                copy
            })
            .collect();
        ingest_all(flipped);
    }
}

#[test]
fn a_hundred_megabytes_on_one_line_cost_only_that_line() {
    let long = "a".repeat(100 << 20);
    let read = ingest_bytes(&long);
    assert!(source(&read).error.as_deref().is_some_and(|error| error.starts_with("found text, expected spans")));
    let read = ingest_bytes(format!("{{\"resourceSpans\":[{{\"x\":\"{long}\n{OTLP}\n{OTLP}\n"));
    assert_eq!((read.frame.spans.len(), source(&read).n_skipped_records), (2, 1));
    let read = ingest_bytes(OTLP.replace("GET /", &long));
    assert_eq!(read.frame.spans.len(), 1);
}

#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    let depth = 100_000;
    let nested = |open: &str, inside: &str, close: &str| {
        let document = format!("{}{inside}{}", open.repeat(depth), close.repeat(depth));
        [document.clone(), OTLP.replace("{\"boolValue\":true}", &document), JAEGER.replace("\"h1\"", &document)]
    };
    let lists = nested("[", "1", "]");
    let objects = nested("{\"a\":", "1", "}");
    let values = nested("{\"arrayValue\":{\"values\":[", "{}", "]}}");
    let wrapped = nested("{\"Value\":{\"arrayValue\":{\"values\":[", "{}", "]}}}");
    let maps = nested("{\"kvlistValue\":{\"values\":[{\"key\":\"a\",\"value\":", "{}", "}]}}");
    let results = nested("{\"result\":", "{}", "}");
    let sources = nested("{\"_source\":", "{\"spanID\":1}", "}");
    for document in [lists, objects, values, wrapped, maps, results, sources].concat() {
        ingest_bytes(document);
    }
    let mut value = vec![];
    for _ in 0..10_000 {
        value = oracle::length_delimited(5, &oracle::length_delimited(1, &value));
    }
    let attribute = [oracle::length_delimited(1, b"k"), oracle::length_delimited(2, &value)].concat();
    let read = ingest_bytes(oracle::message_with_attribute(&attribute));
    assert_eq!(read.frame.spans.len(), 1);
}

#[test]
fn one_and_two_threads_read_the_same() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (index, sample) in samples().into_iter().enumerate() {
        write(folder.path(), &format!("{index}"), sample);
    }
    let padded = format!("{OTLP}{}\n", " ".repeat(400_000)).repeat(60);
    write(folder.path(), "large", padded);
    let [one, two] = [1, 2].map(|n_threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().expect("a pool");
        pool.install(|| ingest(&[folder.path().to_owned()]))
    });
    assert_eq!(spans(&one.frame), spans(&two.frame));
    assert_eq!(super::attributes(&one.frame), super::attributes(&two.frame));
    assert_eq!(one.sources, two.sources);
}

#[test]
fn text_that_an_editor_marked_as_unicode_is_read_or_told_what_it_is() {
    for text in [super::OTLP, super::JAEGER, super::ZIPKIN] {
        let plain = super::ingest_bytes(text);
        let marked = super::ingest_bytes([b"\xEF\xBB\xBF", text.as_bytes()].concat());
        assert_eq!(super::source(&marked).error, None);
        assert_eq!(super::spans(&marked.frame), super::spans(&plain.frame));
        assert_eq!(super::source(&marked).format, super::source(&plain).format);
    }
    let wide: Vec<u8> = [0xFEFF].into_iter().chain(super::OTLP.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let error = super::source(&super::ingest_bytes(wide)).error.clone().expect("an error");
    assert!(error.contains("found UTF-16 text, which `iconv -f UTF-16 -t UTF-8` converts"), "{error}");
    // A table whose header is a whole document is not printed.
    let header = "{\"a\": 1} ".repeat(10_000) + "," + &"column,".repeat(100);
    let error = super::source(&super::ingest_bytes(header + "\n1,2\n")).error.clone().expect("an error");
    assert!(error.len() < 4_000, "{} bytes", error.len());
}
