//! JSON Schemas of the documents, generated from their types.
//!
//! Keys that a schema does not name are allowed: a reader of today must not refuse what a version of tomorrow adds. The files in
//! `src/report/schemas` are the same schemas for readers who do not run the program; a test holds them equal.

use crate::{analysis, eval, gate, inspect, topology, trace};
use clap::ValueEnum;
use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde_json::{Value, json};

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
    /// All documents.
    pub const ALL: [Self; 7] =
        [Self::Analysis, Self::Explanation, Self::Gate, Self::Inspection, Self::Trace, Self::Graph, Self::Evaluation];

    /// Its schema, of the draft 2020-12.
    #[must_use]
    pub fn schema(self) -> Schema {
        match self {
            Self::Analysis => self.of_type::<analysis::Analysis>(),
            Self::Explanation => self.of_type::<analysis::Explanation>(),
            Self::Gate => self.of_type::<gate::Gate>(),
            Self::Inspection => self.of_type::<inspect::Inspection>(),
            Self::Trace => self.of_type::<trace::TraceDocument>(),
            Self::Graph => self.of_type::<topology::GraphDocument>(),
            Self::Evaluation => self.of_type::<eval::Report>(),
        }
    }

    /// Name, as `suspect schema` takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Analysis => "analysis",
            Self::Explanation => "explanation",
            Self::Gate => "gate",
            Self::Inspection => "inspection",
            Self::Trace => "trace",
            Self::Graph => "graph",
            Self::Evaluation => "evaluation",
        }
    }

    /// The command that gives it as JSON.
    #[must_use]
    pub fn command(self) -> &'static str {
        match self {
            Self::Analysis => "`suspect analyze`",
            Self::Explanation => "`suspect analyze --explain`",
            Self::Gate => "`suspect gate`",
            Self::Inspection => "`suspect inspect`",
            Self::Trace => "`suspect trace`",
            Self::Graph => "`suspect graph`",
            Self::Evaluation => "`suspect eval`",
        }
    }

    fn version(self) -> u32 {
        match self {
            Self::Analysis => analysis::SCHEMA_VERSION,
            Self::Explanation => analysis::EXPLANATION_SCHEMA_VERSION,
            Self::Gate => gate::SCHEMA_VERSION,
            Self::Inspection => inspect::SCHEMA_VERSION,
            Self::Trace => trace::SCHEMA_VERSION,
            Self::Graph => topology::SCHEMA_VERSION,
            Self::Evaluation => eval::SCHEMA_VERSION,
        }
    }

    /// A key that this document has and no other has.
    fn mark(self) -> &'static str {
        match self {
            Self::Analysis => "decomposition",
            Self::Explanation => "is_accused",
            Self::Gate => "false_alarm_rate",
            Self::Inspection => "service_details",
            Self::Trace => "segments",
            Self::Graph => "service_edges",
            Self::Evaluation => "mean_over_groups",
        }
    }

    /// Which document a JSON value is, by its keys.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        Self::ALL.into_iter().find(|document| value.get(document.mark()).is_some())
    }

    fn of_type<T: JsonSchema>(self) -> Schema {
        let (name, version) = (self.name(), self.version());
        let mut schema = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>();
        schema.insert("$id".to_owned(), json!(format!("urn:suspect:schema:{name}:{version}")));
        schema.insert("title".to_owned(), json!(format!("suspect {name}")));
        let key = "schema_version";
        // The one version whose keys this schema tells the meaning of. A graph has it only where it is a document of its own.
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            let what = "Version of the document; raised when a key changes its meaning or goes away.";
            properties.insert(key.to_owned(), json!({ "description": what, "type": "integer", "const": version }));
        }
        if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut)
            && !required.iter().any(|required| required == key)
        {
            required.insert(0, json!(key));
        }
        schema
    }
}
