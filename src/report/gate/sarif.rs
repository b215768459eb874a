use super::{Finding, Gate, State};
use crate::gate::Verdict;
use crate::report::text::escape;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The gate as SARIF 2.1.0.
///
/// What is slow has no line of code; each result names its service and operation as logical location. GitHub's code scanning also wants a
/// file: `file`, such as the policy's, relative to the repository.
#[must_use]
pub fn sarif(gate: &Gate, file: &str) -> String {
    let rules: Vec<Value> = gate
        .rules
        .iter()
        .map(|rule| {
            json!({
                "id": rule_id(rule.of.word(), rule.measure.word()),
                "shortDescription": { "text": rule.rule },
                "defaultConfiguration": { "level": if rule.level == crate::gate::policy::Level::Fail { "error" } else { "warning" } },
            })
        })
        .chain([json!({
            "id": "forbidden-edge",
            "shortDescription": { "text": "an edge that must not be" },
            "defaultConfiguration": { "level": "error" },
        })])
        .collect();
    // Several rules may be about one measure of one kind of thing: their first stands for them.
    let mut known = std::collections::BTreeSet::new();
    let rules: Vec<Value> = rules.into_iter().filter(|rule| known.insert(rule["id"].to_string())).collect();
    let results: Vec<Value> = gate.findings.iter().map(|finding| result(finding, file)).collect();
    let doubts: Vec<Value> =
        gate.doubts.iter().map(|doubt| json!({ "level": "warning", "message": { "text": doubt } })).collect();
    super::super::json(&escaped(json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "suspect",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "invocations": [{
                "executionSuccessful": gate.verdict != Verdict::Inconclusive,
                "toolExecutionNotifications": doubts,
            }],
            "results": results,
        }],
    })))
}

/// The document without a character in its texts that would hide or turn around what stands there.
fn escaped(value: Value) -> Value {
    match value {
        Value::String(text) => escape(&text).into_owned().into(),
        Value::Array(values) => values.into_iter().map(escaped).collect(),
        Value::Object(entries) => entries.into_iter().map(|(key, value)| (key, escaped(value))).collect(),
        other => other,
    }
}

fn rule_id(of: &str, measure: &str) -> String {
    format!("{of}-{}", measure.replace('_', "-"))
}

fn result(finding: &Finding, file: &str) -> Value {
    let id = match finding.rule {
        Some(_) => rule_id(finding.of.word(), finding.measure.word()),
        None => "forbidden-edge".to_owned(),
    };
    let level = match finding.state {
        State::Failed => "error",
        State::Warned => "warning",
        State::Allowed => "note",
    };
    let suppressions: Vec<Value> = finding
        .allowed_because
        .iter()
        .map(|reason| json!({ "kind": "external", "status": "accepted", "justification": reason }))
        .collect();
    let mut result = json!({
        "ruleId": id,
        "level": level,
        "message": { "text": finding.description },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": uri(file) },
                "region": { "startLine": 1 },
            },
            "logicalLocations": [{
                "fullyQualifiedName": finding.name,
                "kind": if finding.edge.is_some() { "namespace" } else { "function" },
            }],
        }],
        // The same finding in the next run is the same alert. GitHub reads only the second, and would work it out from the line, which is
        // the same for all.
        "partialFingerprints": {
            "suspectFinding/v1": format!("{id}/{}", finding.name),
            "primaryLocationLineHash": hash(&format!("{id}/{}", finding.name)),
        },
        "properties": {
            "change": finding.change,
            "interval": finding.interval,
            "unit": finding.unit,
            "traceIds": finding.trace_ids,
        },
    });
    if !suppressions.is_empty() {
        result["suppressions"] = Value::Array(suppressions);
    }
    result
}

/// Sixteen digits and a running number, as GitHub writes them.
fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let number = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{number:016x}:1")
}

/// A path as URI reference: relative to the repository, or of the machine if it is absolute.
fn uri(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/.-_~".contains(&byte);
    let byte = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    let scheme = if path.starts_with('/') { "file://" } else { "" };
    scheme.chars().map(String::from).chain(path.replace('\\', "/").bytes().map(byte)).collect()
}
