//! Files of profiles: any names come back, and what is cut off, changed or made up is an error or fit for use.

use crate::builder::{Given, client, frame, server};
use crate::profile::{ingested, profile_of, requests, taken, tangled, written};
use crate::program::run_in;
use std::path::Path;
use suspect::analysis::{self, BaselineData, Prepared};
use suspect::profile;
use suspect::span::SpanFrame;
use suspect::window;

#[test]
fn hostile_names_come_back_as_they_were() {
    let long = "x".repeat(10_000);
    let names = ["</script>\u{202e}evil\u{0}\u{1b}[31m", "'\";--\n|", long.as_str()];
    let spans: Vec<Given> = names
        .iter()
        .zip(1..)
        .flat_map(|(name, trace)| {
            let name = format!("{} {name}", name.replace(' ', "_"));
            [server(1, 0, &name, 0..50).trace(trace), client(2, 1, &name, 1..40).failed().trace(trace)]
        })
        .collect();
    let profile = profile_of(frame(&spans));
    for name in names {
        assert!(profile.names.iter().any(|known| known == name), "{name:?}");
        assert!(profile.services.iter().any(|known| known.name == name.replace(' ', "_")), "{name:?}");
    }
}

#[test]
fn what_is_cut_off_or_changed_is_an_error_and_never_a_panic() {
    let bytes = written(&taken("all", frame(&requests(40)), profile::MAX_CELLS));
    let read = |bytes: &[u8]| profile::read(bytes, Path::new("b.suspect"));
    assert!(read(&bytes).is_ok());
    for end in 0..bytes.len() {
        assert!(read(&bytes[..end]).is_err(), "cut at {end}");
    }
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            // A bit of zstd's own head may be one that it does not look at; then the content is still the same.
            let result = read(&changed);
            assert!(result.is_err() || written(&result.expect("read")) == bytes, "bit {bit} of byte {at}");
        }
    }
    let mut followed = bytes.clone();
    followed.push(0);
    assert!(read(&followed).is_err());
    let mut newer = bytes;
    newer[8] += 1;
    let error = read(&newer).map(|_| ()).expect_err("another version");
    let (known, next) = (profile::FORMAT_VERSION, profile::FORMAT_VERSION + 1);
    assert_eq!(
        error.to_string(),
        format!("cannot use the profile `b.suspect`: it has format version {next}, and this program reads {known}")
    );
}

#[test]
fn content_that_is_no_profile_behind_a_right_checksum_is_an_error() {
    assert_survives_any_content(&frame(&requests(5)), 16);
}

#[test]
fn content_with_attributes_that_is_no_profile_is_an_error_too() {
    let spans = tangled(3, false);
    let few: Vec<Given> = spans.into_iter().filter(|span| span.number_of_trace() <= 4).collect();
    assert_survives_any_content(&frame(&few), 64);
}

/// What a hostile writer can do: any content, with its length and checksum. Of what can be read, every `step`th is used.
fn assert_survives_any_content(spans: &SpanFrame, step: usize) {
    let good = taken("all", spans.clone(), profile::MAX_CELLS);
    let content = {
        let bytes = written(&good);
        zstd::stream::decode_all(&bytes[32..]).expect("zstd")
    };
    let sealed = |content: &[u8]| {
        let fnv = content
            .iter()
            .fold(0xCBF2_9CE4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
        let mut file = profile::MAGIC.to_vec();
        file.extend_from_slice(&u64::from(profile::FORMAT_VERSION).to_le_bytes());
        file.extend_from_slice(&(content.len() as u64).to_le_bytes());
        file.extend_from_slice(&fnv.to_le_bytes());
        file.extend_from_slice(&zstd::bulk::compress(content, 1).expect("zstd"));
        file
    };
    let read = |content: &[u8]| profile::read(&sealed(content), Path::new("b.suspect"));
    assert!(read(&content).is_ok());
    let regression: Vec<Given> = requests(30).into_iter().map(|span| span.later(10_000_000)).collect();
    for at in 0..content.len() {
        assert!(read(&content[..at]).is_err(), "content cut at {at}");
        for value in [0x00, 0x7F, 0xFF, content[at] ^ 1] {
            let mut changed = content.clone();
            changed[at] = value;
            // Many numbers may be others; what is read must then be fit for use.
            if let Ok(profile) = read(&changed)
                && at % step == 0
            {
                let spans = ingested("regression", frame(&regression));
                let prepared = Prepared::against(Some(BaselineData::Profile(Box::new(profile))), spans);
                if let Ok((windows, selection)) = prepared.select(&window::Options::default()) {
                    let _ = analysis::analyze(&prepared, &windows, &selection);
                }
            }
        }
    }
}

#[test]
fn files_give_the_same_bytes_in_any_order_and_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    crate::outputs::write_spans(folder.path());
    let whole = std::fs::read_to_string(folder.path().join("spans.json")).expect("spans");
    let made = |at: &str, names: [&str; 2]| {
        std::fs::create_dir_all(folder.path().join(at)).expect("a folder");
        // The same requests once more, with other ids.
        let other = whole.replace("\"traceId\":\"", "\"traceId\":\"b");
        for (name, text) in [("a.json", &whole), ("b.json", &other)] {
            std::fs::write(folder.path().join(at).join(name), text).expect("written");
        }
        let paths = names.map(|name| format!("{at}/{name}"));
        run_in(folder.path(), &["profile", &paths[0], &paths[1], "-o", "p.suspect"]).complete();
        std::fs::read(folder.path().join("p.suspect")).expect("a profile")
    };
    let first = made("here", ["a.json", "b.json"]);
    assert!(first == made("here", ["b.json", "a.json"]), "the order of the files");
    assert!(first == made("else/where", ["a.json", "b.json"]), "the folder of the files");
    let shown = run_in(folder.path(), &["profile", "--show", "p.suspect"]).complete();
    assert!(shown.contains("from     a.json (") && !shown.contains("where"), "{shown}");
}

#[test]
fn a_sample_of_one_trace_says_nothing_of_the_others_and_one_of_none_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    crate::outputs::write_spans(folder.path());
    let profile =
        |cells: &str| run_in(folder.path(), &["profile", "spans.json", "-o", "p.suspect", "--max-cells", cells]);
    let one = profile("1");
    assert!(one.stderr.contains("1 of 80 traces (`--max-cells 1`), which adds an unknown error"), "{}", one.stderr);
    let none = profile("0");
    assert_eq!(none.status, Some(2));
    assert!(none.stderr.contains("expected a whole number, 1 or more"), "{}", none.stderr);
}
