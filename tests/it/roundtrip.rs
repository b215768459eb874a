//! Analyses with other names and numbers than any data would give: each comes back whole from its JSON and is shown again to the same
//! bytes, in every form, and none ends the program.

use crate::program::{INCIDENTS, run_in};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;
use suspect::analysis::Analysis;
use suspect::report::{self, html, markdown, tables};

const TEXTS: [&str; 10] = [
    "",
    " ",
    "\u{0}\u{7}\u{1b}[31m\u{7f}\u{9b}",
    "</script><!-- `\"'|&\\",
    "\u{202e}\u{2066}\u{200b}\u{feff}",
    "e\u{301}\u{1f469}\u{200d}\u{1f4bb}\u{10ffff}",
    "{trace_id} ${x} %s",
    "2024-05-01T14:05:00Z",
    "https://example.org/a?b=c",
    "line\nline\r\nline\u{2028}line",
];

const NUMBERS: [f64; 10] =
    [0.0, -0.0, 5e-324, f64::MIN_POSITIVE, 1e-9, 0.1 + 0.2, 9_007_199_254_740_993.0, 1e300, f64::MAX, f64::MIN];

const INTEGERS: [i128; 9] =
    [0, 1, -1, 255, u32::MAX as i128, i64::MAX as i128, i64::MIN as i128, u64::MAX as i128, 1_700_000_000_000_000_000];

fn integer(value: i128) -> Value {
    u64::try_from(value).map_or_else(|_| Value::from(i64::try_from(value).expect("fits")), Value::from)
}

/// Calls `visit` with every leaf and its place, in which positions in lists are `*`.
fn leaves<'a>(value: &'a mut Value, place: &str, visit: &mut dyn FnMut(&str, &'a mut Value)) {
    match value {
        Value::Object(map) => map.iter_mut().for_each(|(key, value)| leaves(value, &format!("{place}/{key}"), visit)),
        Value::Array(values) => values.iter_mut().for_each(|value| leaves(value, &format!("{place}/*"), visit)),
        leaf => visit(place, leaf),
    }
}

/// Lists of no more than three, which have every kind of element still.
fn shorten(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(shorten),
        Value::Array(values) => {
            values.truncate(3);
            values.iter_mut().for_each(shorten);
        }
        _ => {}
    }
}

fn is_analysis(value: &Value) -> bool {
    serde_json::from_value::<Analysis>(value.clone()).is_ok()
}

struct Documents {
    /// Of the bundled incidents.
    all: Vec<Value>,
    /// What may stand at each place of them by the types.
    allowed: BTreeMap<String, Vec<Value>>,
}

static DOCUMENTS: LazyLock<Documents> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = |name: &str| {
        let path = format!("datasets/incidents/{name}");
        let text = run_in(root, &["analyze", &path, "--format", "json", "--quiet"]).complete();
        serde_json::from_str(&text).expect("JSON")
    };
    let documents: Vec<Value> = INCIDENTS.map(document).into();
    let mut allowed: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for document in &documents {
        let mut short = document.clone();
        shorten(&mut short);
        assert!(is_analysis(&short));
        let mut places = BTreeMap::new();
        leaves(&mut short, "", &mut |place, leaf| _ = places.entry(place.to_owned()).or_insert(leaf.clone()));
        for (place, leaf) in places {
            if allowed.contains_key(&place) {
                continue;
            }
            let candidates: Vec<Value> = match leaf {
                Value::String(_) => TEXTS.map(Value::from).into(),
                Value::Bool(_) => vec![false.into(), true.into()],
                Value::Number(number) if number.is_f64() => NUMBERS.map(Value::from).into(),
                Value::Number(_) => INTEGERS.map(integer).into(),
                _ => continue,
            };
            let fits = |candidate: &Value| {
                let mut changed = short.clone();
                leaves(&mut changed, "", &mut |at, leaf| {
                    if at == place {
                        leaf.clone_from(candidate);
                    }
                });
                is_analysis(&changed)
            };
            // Texts are all alike to a type: free, or one of a few words.
            let is_free = matches!(candidates[0], Value::String(_)) && fits(&candidates[0]);
            let candidates = candidates.into_iter().filter(|candidate| is_free || fits(candidate)).collect();
            allowed.insert(place, candidates);
        }
    }
    Documents { all: documents, allowed }
});

/// Which leaf is changed, by a number that is wrapped to their count, and to what.
fn changes() -> impl Strategy<Value = (usize, Vec<(u32, u32, f64, String)>)> {
    use prop::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    let number = POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO;
    (0..INCIDENTS.len(), prop::collection::vec((any::<u32>(), any::<u32>(), number, any::<String>()), 1..400))
}

fn changed(document: &Value, changes: &[(u32, u32, f64, String)]) -> Value {
    let allowed = &DOCUMENTS.allowed;
    let mut document = document.clone();
    let mut n_leaves = 0_u32;
    leaves(&mut document, "", &mut |_, _| n_leaves += 1);
    let changes: BTreeMap<u32, _> = changes.iter().map(|change| (change.0 % n_leaves, change)).collect();
    let mut at = 0_u32;
    leaves(&mut document, "", &mut |place, leaf| {
        if let (Some((_, which, number, text)), Some(allowed)) = (changes.get(&at), allowed.get(place)) {
            let is_free = allowed.first() == Some(&Value::from(TEXTS[0]));
            match allowed.get(*which as usize % (allowed.len() + 2)) {
                Some(value) => leaf.clone_from(value),
                None if leaf.is_f64() => *leaf = Value::from(*number),
                None if is_free => *leaf = Value::from(text.as_str()),
                None => {}
            }
        }
        at += 1;
    });
    document
}

/// The document in every form but its own.
fn shown(analysis: &Analysis) -> Vec<String> {
    let trace_url = Some("https://traces.example/{trace_id}".to_owned());
    let mut all = vec![
        report::analysis::text(analysis, report::WIDTH),
        html::page(analysis, &html::Options { trace_url: trace_url.clone() }),
        markdown::markdown(analysis, &markdown::Options { trace_url }),
    ];
    all.extend(tables::tables(analysis).expect("tables").iter().map(|(name, table)| format!("{name} {table:?}")));
    all
}

#[test]
fn names_and_numbers_of_every_kind_are_among_what_is_changed() {
    let allowed = &DOCUMENTS.allowed;
    let kinds: BTreeSet<&str> = allowed
        .values()
        .map(|values| match values.as_slice() {
            [] => "fixed",
            [Value::String(_), ..] => "text",
            [Value::Bool(_), ..] => "flag",
            [Value::Number(number), ..] if number.is_f64() => "number",
            _ => "integer",
        })
        .collect();
    assert_eq!(kinds, BTreeSet::from(["fixed", "flag", "integer", "number", "text"]));
    assert!(allowed["/suspects/*/operation"].len() == TEXTS.len() && allowed["/verdict"].is_empty());
    assert_eq!(allowed["/confidence"].len(), NUMBERS.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, rng_seed: RngSeed::Fixed(20_261_125), failure_persistence: None, max_shrink_iters: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_analysis_comes_back_whole_and_is_shown_to_the_same_bytes((incident, changes) in changes()) {
        let value = changed(&DOCUMENTS.all[incident], &changes);
        let analysis: Analysis = serde_json::from_value(value).expect("an analysis");
        let json = report::json(&analysis);
        let again: Analysis = serde_json::from_str(&json).expect("an analysis");
        prop_assert!(report::json(&again) == json);
        let (first, second) = (shown(&analysis), shown(&again));
        for line in anstream::adapter::strip_str(&first[0]).to_string().lines() {
            prop_assert_eq!(line, report::text::escape(line));
        }
        prop_assert!(first == second);
    }
}

#[test]
fn no_text_of_a_document_drives_the_terminal() {
    for document in &DOCUMENTS.all {
        let mut hostile = document.clone();
        leaves(&mut hostile, "", &mut |place, leaf| {
            if DOCUMENTS.allowed.get(place).and_then(|allowed| allowed.first()) == Some(&Value::from(TEXTS[0])) {
                *leaf = Value::from("a\u{7}\u{202e}b");
            }
        });
        let analysis: Analysis = serde_json::from_value(hostile).expect("an analysis");
        let text = report::analysis::text(&analysis, report::WIDTH);
        let faults: Vec<&str> = text.lines().filter(|line| line.contains(['\u{7}', '\u{202e}'])).collect();
        assert!(faults.is_empty(), "{faults:#?}");
    }
}
