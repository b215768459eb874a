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

#[test]
fn a_table_that_its_library_panics_on_is_told_of_in_one_sentence() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["parquet-levels-beyond-their-page", "parquet-chunk-of-negative-length"] {
        let (_, bytes) = corpus("ingest").into_iter().find(|(path, _)| path.ends_with(name)).expect("a finding");
        fs::write(folder.path().join("spans.parquet"), bytes).expect("written");
        let run = crate::program::run_in(folder.path(), &["convert", "spans.parquet", "-o", "again.parquet"]);
        assert_eq!(run.status, Some(2), "{name}");
        assert!(run.stderr.contains("`spans.parquet` could not be read: expected a Parquet file;"), "{}", run.stderr);
        assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    }
}
