//! JSON Schemas: every document that a test makes the program give is checked against its own.

use crate::program::run_in;
use jsonschema::Validator;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;
use suspect::report::{self, schema::Document};

static VALIDATORS: LazyLock<Vec<(Document, Validator)>> = LazyLock::new(|| {
    let validator = |document: Document| {
        let schema = serde_json::to_value(document.schema()).expect("a schema");
        jsonschema::draft202012::new(&schema).expect("a schema")
    };
    Document::ALL.map(|document| (document, validator(document))).into()
});

fn faults(value: &Value, document: Document) -> Vec<String> {
    let (_, validator) = VALIDATORS.iter().find(|(own, _)| *own == document).expect("a validator of each document");
    validator.iter_errors(value).take(3).map(|fault| format!("{fault} at {}", fault.instance_path())).collect()
}

/// The schema of the document allows it.
#[track_caller]
pub(crate) fn assert_fits(value: &Value) {
    if value.get("$schema").is_some() {
        assert!(jsonschema::draft202012::meta::is_valid(value), "no schema: {value}");
        return;
    }
    let document = Document::of(value).unwrap_or_else(|| panic!("no known document: {value}"));
    let faults = faults(value, document);
    assert!(faults.is_empty(), "{document:?}: {faults:#?}");
}

/// Checks every document that a run in `folder` wrote: on standard output, and in files that are named for JSON.
#[track_caller]
pub(crate) fn assert_outputs_fit(folder: &Path, arguments: &[&str], stdout: &str) {
    if stdout.starts_with('{') {
        assert_fits(&serde_json::from_str(stdout).expect("a JSON document"));
    }
    let is_json = arguments.windows(2).any(|pair| pair == ["--format", "json"]);
    for pair in arguments.windows(2) {
        if pair[0] == "--json" || (is_json && ["-o", "--output"].contains(&pair[0])) {
            let file = folder.join(pair[1]);
            // Devices and pipes are read by nobody, or once.
            if file.is_file() {
                let text = std::fs::read_to_string(file).expect("a file of the run");
                assert_fits(&serde_json::from_str(&text).expect("a JSON document"));
            }
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_program_prints_the_schemas_that_are_shipped_with_it() {
    for document in Document::ALL {
        let name = document.name();
        let file = format!("src/report/schemas/{name}.json");
        let printed = run_in(root(), &["schema", name]).complete();
        let shipped = std::fs::read_to_string(root().join(&file)).unwrap_or_default();
        assert!(printed == shipped, "`suspect schema {name} > {file}` makes the file new");
        let schema: Value = serde_json::from_str(&printed).expect("JSON");
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["$id"], format!("urn:suspect:schema:{name}:1"));
        assert_eq!(schema["properties"]["schema_version"]["const"], 1, "{name}");
        assert!(schema["required"].as_array().expect("a list").contains(&json!("schema_version")), "{name}");
    }
    assert_eq!(run_in(root(), &["schema"]).stdout, run_in(root(), &["schema", "analysis"]).stdout);
    let files = std::fs::read_dir(root().join("src/report/schemas")).expect("a folder");
    assert_eq!(files.count(), Document::ALL.len(), "a file without a document");
}

#[test]
fn each_document_is_known_by_a_key_that_it_must_have_and_no_other_may_have() {
    for document in Document::ALL {
        let schema = serde_json::to_value(document.schema()).expect("a schema");
        let keys: BTreeSet<&String> = schema["properties"].as_object().expect("keys").keys().collect();
        let with = |keys: &[&String]| {
            let all = keys.iter().map(|key| ((*key).clone(), Value::Null)).collect();
            Document::of(&Value::Object(all))
        };
        assert_eq!(with(&keys.iter().copied().collect::<Vec<_>>()), Some(document));
        let marks: Vec<&String> = keys.iter().copied().filter(|key| with(&[*key]).is_some()).collect();
        assert_eq!(marks.len(), 1, "{document:?}: {marks:?}");
        assert!(schema["required"].as_array().expect("a list").contains(&json!(marks[0])), "{document:?}");
    }
}

#[test]
fn a_schema_refuses_what_lacks_a_key_or_has_a_wrong_type_or_version_and_allows_keys_of_tomorrow() {
    let data = "datasets/incidents/fault-free";
    let json = |arguments: &[&str]| run_in(root(), &[arguments, &["--quiet", "--format", "json"]].concat()).json();
    for good in [json(&["graph", data]), json(&["analyze", data]), json(&["inspect", data])] {
        let document = Document::of(&good).expect("a document");
        let with = |key: &str, value: Value| {
            let mut changed = good.clone();
            changed[key] = value;
            faults(&changed, document)
        };
        assert!(with("a key of tomorrow", json!(1)).is_empty());
        assert!(!with("schema_version", json!(2)).is_empty(), "{document:?}");
        let schema = serde_json::to_value(document.schema()).expect("a schema");
        for key in schema["required"].as_array().expect("a list").iter().filter_map(Value::as_str) {
            let mut lacking = good.clone();
            lacking.as_object_mut().expect("an object").remove(key).expect("a required key is there");
            assert!(!faults(&lacking, document).is_empty(), "{document:?}: `{key}` is required");
            assert!(!with(key, json!({ "no": [] })).is_empty() || good[key].is_object(), "{document:?}: `{key}`");
        }
    }
    // None fits the schema of another.
    let gate = json(&["gate", data, "--baseline", "..+100s", "--today", "2026-11-25"]);
    assert!(!faults(&gate, Document::Analysis).is_empty());
    assert!(report::json(&Document::Gate.schema()).contains("false_alarm_rate"));
}
