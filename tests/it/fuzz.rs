//! What fuzzers found stays found: their inputs are read again, and random traces sum exactly.

#[path = "../fuzz/targets.rs"]
mod targets;

use std::fs;
use std::path::{Path, PathBuf};
use suspect::normalize;
pub(crate) use targets::{Random, random_frame};
use targets::{check, check_sums};

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/corpus").join(name);
    let Ok(entries) = fs::read_dir(&folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(&path).expect("a file"))).collect()
}

#[test]
fn findings_of_fuzzers_are_read_without_harm() {
    let mut n_inputs = 0;
    for (name, target) in [
        ("ingest", targets::ingest as fn(&[u8])),
        ("settings", targets::settings),
        ("profile", targets::profile),
        ("kernel", targets::kernel),
    ] {
        for (path, bytes) in corpus(name) {
            let result = std::panic::catch_unwind(|| target(&bytes));
            assert!(result.is_ok(), "{}", path.display());
            n_inputs += 1;
        }
    }
    assert!(n_inputs > 0, "the corpus is there");
}

#[test]
fn thousands_of_random_traces_sum_exactly() {
    for seed in 0..4 {
        let mut frame = random_frame(seed, 1_000);
        let n_rows = frame.spans.len() as u64;
        let (forest, repairs) = normalize::forest(&mut frame);
        assert_eq!(forest.n_spans() as u64 + repairs.n_duplicates, n_rows);
        check_sums(&forest);
    }
    for seed in 10..40 {
        check(random_frame(seed, 20));
    }
}

#[test]
fn a_million_random_traces_sum_exactly() {
    for seed in 1_000..2_000 {
        let mut frame = random_frame(seed, 1_000);
        let n_rows = frame.spans.len() as u64;
        let (forest, repairs) = normalize::forest(&mut frame);
        assert_eq!(forest.n_spans() as u64 + repairs.n_duplicates, n_rows, "seed {seed}");
        check_sums(&forest);
    }
}
