//! What changed near the onset: deploys, flags and the like, each credited or not by what its service did after it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether a change is held to have brought the regression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Credit {
    /// Its service's own contribution moved after it.
    Credited,
    /// Near in time, but its service's own contribution did not move, or moved before it.
    NotSupported,
    /// The data cannot tell.
    Unknown,
}

/// A change and what the data say of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeAccount {
    /// When, RFC 3339.
    pub time: String,
    /// When, nanoseconds since the Unix epoch.
    pub time_unix_ns: i64,
    /// Service that was changed; absent if the change is about none in particular.
    pub service: Option<String>,
    /// Such as `deploy`, `flag`, `config`, `incident`; `version` for what `service.version` itself shows.
    pub kind: String,
    /// What it was, in its author's words.
    pub title: String,
    /// More of it.
    pub url: Option<String>,
    /// Where it was read: a file, or `service.version`.
    pub source: String,
    /// Whether it is held to have brought the regression.
    pub credit: Credit,
    /// Why, in a sentence with the numbers.
    pub reason: String,
}
