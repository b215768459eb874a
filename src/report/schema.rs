//! JSON Schemas of the documents, generated from their types.
//!
//! Keys that a schema does not name are allowed: a reader of today must not refuse what a version of tomorrow adds.

use crate::{analysis, eval, gate, inspect, topology, trace};
use clap::ValueEnum;
use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde_json::json;

/// A document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Document {
    /// Of `analyze`.
    Analysis,
    /// Of `analyze --explain`.
    Explanation,
    /// Of `gate`.
    Gate,
    /// Of `inspect`.
    Inspection,
    /// Of `trace`.
    Trace,
    /// Of `graph`.
    Graph,
    /// Of `eval`.
    Evaluation,
}

impl Document {
    /// Its schema, of the draft 2020-12.
    #[must_use]
    pub fn schema(self) -> Schema {
        match self {
            Self::Analysis => schema::<analysis::Analysis>("analysis", Some(analysis::SCHEMA_VERSION)),
            Self::Explanation => {
                schema::<analysis::Explanation>("explanation", Some(analysis::EXPLANATION_SCHEMA_VERSION))
            }
            Self::Gate => schema::<gate::Gate>("gate", Some(gate::SCHEMA_VERSION)),
            Self::Inspection => schema::<inspect::Inspection>("inspection", Some(inspect::SCHEMA_VERSION)),
            Self::Trace => schema::<trace::TraceDocument>("trace", Some(trace::SCHEMA_VERSION)),
            Self::Graph => schema::<topology::GraphDocument>("graph", None),
            Self::Evaluation => schema::<eval::Report>("evaluation", Some(eval::SCHEMA_VERSION)),
        }
    }
}

fn schema<T: JsonSchema>(name: &str, version: Option<u32>) -> Schema {
    let mut schema = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>();
    schema.insert("$id".to_owned(), json!(format!("urn:suspect:schema:{name}:{}", version.unwrap_or(1))));
    schema.insert("title".to_owned(), json!(format!("suspect {name}")));
    // The one version whose keys this schema tells the meaning of.
    if let Some(version) = version
        && let Some(key) = schema.pointer_mut("/properties/schema_version").and_then(serde_json::Value::as_object_mut)
    {
        key.insert("const".to_owned(), json!(version));
    }
    schema
}
