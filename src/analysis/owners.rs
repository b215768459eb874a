//! Whom to call: the owner of each suspect, and the change split by team.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who answers for a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Owner {
    /// Team or person.
    pub team: String,
    /// How to reach them: a channel, an address, an on-call page.
    pub contact: Option<String>,
    /// What to do first.
    pub runbook: Option<String>,
    /// Where that is written: a file, or the resource attribute that says so.
    pub source: String,
}

/// A team's part of the change; parts, what nobody owns and the traffic mix sum to the change of the mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TeamShare {
    /// Team; absent for what no team owns.
    pub team: Option<String>,
    /// Its services that take part, those with the largest part first.
    pub services: Vec<String>,
    /// What they add.
    pub contribution: super::Contribution,
}
