//! What a scenario file says: services, what they call, how requests arrive, what goes wrong.
//!
//! [`EXAMPLE`] shows every key. [`Scenario::parse`] names the line and the key of what it cannot read;
//! [`super::Model::new`] does so for names that lead nowhere.

use super::law::{Law, Wrong};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A scenario with every key, as a file.
pub const EXAMPLE: &str = include_str!("example.toml");

/// A name, and where the file has it.
pub type Name = Spanned<String>;

/// A whole scenario.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Seed of every draw.
    #[serde(default)]
    pub seed: u64,
    /// Start of the simulated time, seconds since the Unix epoch.
    #[serde(default = "start")]
    pub start_unix_s: i64,
    /// Time in which requests arrive, seconds.
    #[serde(default = "duration", deserialize_with = "positive")]
    pub duration_s: f64,
    /// Requests a second in the mean of a day.
    #[serde(default = "rate", deserialize_with = "positive")]
    pub requests_per_s: f64,
    /// Share of requests whose spans are kept; spans then say so in their `tracestate`.
    #[serde(default = "one", deserialize_with = "ratio")]
    pub sampled_ratio: f64,
    /// Largest error of a host's clock, milliseconds.
    #[serde(default, deserialize_with = "amount")]
    pub clock_skew_ms: f64,
    /// Share of spans that are lost.
    #[serde(default, deserialize_with = "ratio")]
    pub lost_ratio: f64,
    /// Services whose spans are all lost.
    #[serde(default)]
    pub lost_services: Vec<Name>,
    /// How the rate of requests moves.
    #[serde(default)]
    pub arrivals: Arrivals,
    /// Services.
    #[serde(rename = "service")]
    pub services: Vec<Service>,
    /// What goes wrong.
    #[serde(default, rename = "fault")]
    pub faults: Vec<Fault>,
}

/// How the rate of requests moves around its mean.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Arrivals {
    /// Amplitude of the daily wave as a share of the mean.
    #[serde(deserialize_with = "ratio")]
    pub diurnal_ratio: f64,
    /// Length of a day, seconds.
    #[serde(deserialize_with = "positive")]
    pub day_s: f64,
    /// Share of the time that is a burst.
    #[serde(deserialize_with = "ratio")]
    pub burst_ratio: f64,
    /// How much faster requests arrive in a burst.
    #[serde(deserialize_with = "positive")]
    pub burst_factor: f64,
    /// Length of a burst, seconds.
    #[serde(deserialize_with = "positive")]
    pub burst_s: f64,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self { diurnal_ratio: 0.0, day_s: 86_400.0, burst_ratio: 0.0, burst_factor: 1.0, burst_s: 10.0 }
    }
}

/// What a service is, and whether it reports spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reports spans.
    #[default]
    Service,
    /// A database: known from its callers' client spans.
    Database,
    /// A cache: the same, and a call may miss.
    Cache,
    /// A queue: known from producer and consumer spans.
    Queue,
}

/// A service.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its name.
    pub name: Name,
    /// What it is.
    #[serde(default)]
    pub role: Role,
    /// Product, such as `postgresql` or `kafka`.
    #[serde(default)]
    pub system: String,
    /// Hosts that share its calls.
    #[serde(default = "one_host")]
    pub hosts: u32,
    /// Versions, host by host in turn.
    #[serde(default)]
    pub versions: Vec<String>,
    /// Calls that a host works on at a time, the rest wait; 0 for any number.
    #[serde(default)]
    pub workers: u32,
    /// Whether a call that waits for a worker has its span already: waiting then shows in the operation, else before it.
    #[serde(default)]
    pub waits_in_span: bool,
    /// What it does.
    #[serde(rename = "operation")]
    pub operations: Vec<Operation>,
}

/// An operation of a service.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// Its name.
    pub name: Name,
    /// How often users ask for it, relative to the others; 0 if only services do.
    #[serde(default, deserialize_with = "amount")]
    pub entry_weight: f64,
    /// Its own time, shared out before, between and after its calls.
    pub work: Law,
    /// Share of calls that fail by themselves.
    #[serde(default, deserialize_with = "ratio")]
    pub error_ratio: f64,
    /// What it calls.
    #[serde(default, rename = "call")]
    pub calls: Vec<Call>,
}

/// A call from one operation to another.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// Service that is called.
    pub service: Name,
    /// Its operation.
    pub operation: Name,
    /// Calls of one step run side by side, steps one after the other; by default each call is a step.
    #[serde(default)]
    pub step: Option<u32>,
    /// Share of visits that make the call.
    #[serde(default = "one", deserialize_with = "ratio")]
    pub probability: f64,
    /// Times that it is made, one after the other.
    #[serde(default = "one_host")]
    pub repeat: u32,
    /// Time on the way, each way.
    #[serde(default = "network")]
    pub network: Law,
    /// Further tries after a failure.
    #[serde(default)]
    pub retries: u32,
    /// Pause before the first further try, doubled for each.
    #[serde(default, deserialize_with = "amount")]
    pub backoff_ms: f64,
    /// When the caller gives up; 0 for never.
    #[serde(default, deserialize_with = "amount")]
    pub timeout_ms: f64,
    /// Connections that a host of the caller has; 0 for any number.
    #[serde(default)]
    pub connections: u32,
    /// Whether the caller goes on if it fails.
    #[serde(default)]
    pub optional: bool,
    /// Of a cache, the share of calls that find what they look for.
    #[serde(default = "one", deserialize_with = "ratio")]
    pub hit_ratio: f64,
    /// What is called after a miss.
    #[serde(default)]
    pub on_miss: Option<Target>,
    /// Of a queue, who gets the message, later and by itself.
    #[serde(default)]
    pub consumer: Option<Target>,
}

/// An operation by name.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Its service.
    pub service: Name,
    /// Its operation.
    pub operation: Name,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// An operation takes `factor` times its time and `add_ms` more.
    Slower,
    /// The same on one host.
    SlowHost,
    /// `add_ms` more on each way of an edge, or to and from a host.
    NetworkDelay,
    /// A share `ratio` of ways loses a packet and takes `add_ms` more.
    NetworkLoss,
    /// A share `ratio` of calls fails.
    Error,
    /// A share `ratio` of calls hangs for `add_ms`.
    Timeout,
    /// A call is made `count` times as often, one after the other.
    NPlusOne,
    /// Calls that ran side by side run one after the other.
    LostParallelism,
    /// A cache finds only a share `ratio` of what it did.
    ColdCache,
    /// A share `ratio` of visits returns before the first call.
    EarlyReturn,
    /// A share `ratio` of calls fails and callers try `count` more times.
    RetryStorm,
    /// An entry operation is asked for `factor` times as often, others so much less.
    TrafficMix,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::Slower,
        Self::SlowHost,
        Self::NetworkDelay,
        Self::NetworkLoss,
        Self::Error,
        Self::Timeout,
        Self::NPlusOne,
        Self::LostParallelism,
        Self::ColdCache,
        Self::EarlyReturn,
        Self::RetryStorm,
        Self::TrafficMix,
    ];

    /// Keys of a fault that say how it is, besides those that every kind knows.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Slower | Self::SlowHost => &["host", "factor", "add_ms"],
            Self::NetworkDelay => &["caller", "host", "add_ms"],
            Self::NetworkLoss => &["caller", "host", "ratio", "add_ms"],
            Self::Error | Self::EarlyReturn => &["host", "ratio"],
            Self::Timeout => &["host", "ratio", "add_ms"],
            Self::NPlusOne => &["caller", "count"],
            Self::LostParallelism => &[],
            Self::ColdCache => &["caller", "ratio"],
            Self::RetryStorm => &["caller", "host", "ratio", "count"],
            Self::TrafficMix => &["factor"],
        }
    }

    /// Its name in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Slower => "slower",
            Self::SlowHost => "slow_host",
            Self::NetworkDelay => "network_delay",
            Self::NetworkLoss => "network_loss",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::NPlusOne => "n_plus_one",
            Self::LostParallelism => "lost_parallelism",
            Self::ColdCache => "cold_cache",
            Self::EarlyReturn => "early_return",
            Self::RetryStorm => "retry_storm",
            Self::TrafficMix => "traffic_mix",
        }
    }
}

/// Keys that a fault of any kind knows.
const FAULT_KEYS: [&str; 5] = ["kind", "service", "operation", "onset", "end"];
/// More calls or tries than this for each one are a mistake.
const MAX_COUNT: u32 = 1000;

/// Something that goes wrong for a while.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// Service that it is about; of an edge, the callee.
    pub service: Name,
    /// Operation; all of the service by default.
    #[serde(default)]
    pub operation: Option<Name>,
    /// Of an edge, the calling service; all callers by default.
    #[serde(default)]
    pub caller: Option<Name>,
    /// The host, by its place among the service's hosts from 0; all by default, the first of a `slow_host`.
    #[serde(default)]
    pub host: Option<u32>,
    /// Onset as a share of the whole time.
    #[serde(default = "half", deserialize_with = "ratio")]
    pub onset: f64,
    /// End as a share of the whole time.
    #[serde(default = "one", deserialize_with = "ratio")]
    pub end: f64,
    /// See the kind.
    #[serde(default = "one", deserialize_with = "amount")]
    pub factor: f64,
    /// See the kind.
    #[serde(default, deserialize_with = "amount")]
    pub add_ms: f64,
    /// See the kind.
    #[serde(default, deserialize_with = "ratio")]
    pub ratio: f64,
    /// See the kind.
    #[serde(default = "one_host")]
    pub count: u32,
}

impl Fault {
    /// What is wrong with its numbers, or missing, so that it would do nothing.
    pub(super) fn check(&self) -> Result<(), Problem> {
        if self.end <= self.onset {
            let message = format!("`end` is {}, expected a share of the time after `onset`, {}", self.end, self.onset);
            return Err(Problem::beside(&self.service, "end", message));
        }
        if self.count > MAX_COUNT {
            let message = format!("`count` is {}, expected at most {MAX_COUNT}", self.count);
            return Err(Problem::beside(&self.service, "count", message));
        }
        let is_longer = (self.factor - 1.0).abs() > 0.0;
        let (is_there, wanted) = match self.kind {
            FaultKind::Slower | FaultKind::SlowHost => (is_longer || self.add_ms > 0.0, "`factor` or `add_ms`"),
            FaultKind::NetworkDelay => (self.add_ms > 0.0, "`add_ms`"),
            FaultKind::NetworkLoss | FaultKind::Error | FaultKind::EarlyReturn | FaultKind::RetryStorm => {
                (self.ratio > 0.0, "`ratio`")
            }
            FaultKind::Timeout => (self.ratio > 0.0 && self.add_ms > 0.0, "`ratio` and `add_ms`"),
            FaultKind::NPlusOne => (self.count > 1, "a `count` above 1"),
            FaultKind::TrafficMix => (is_longer, "`factor`"),
            FaultKind::ColdCache => (self.ratio < 1.0, "a `ratio` below 1"),
            FaultKind::LostParallelism => (true, ""),
        };
        if is_there {
            Ok(())
        } else {
            let message = format!("a fault of kind `{}` without {wanted} does nothing", self.kind.as_str());
            Err(Problem::of(&self.service, message))
        }
    }
}

/// What is wrong with a scenario file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Byte of the file, if it is about one.
    pub at: Option<usize>,
    /// Another key of the table in which that byte is, or of the file, with those that lead to it and dots between; empty if it is about the
    /// byte itself.
    pub key: String,
    /// What is wrong.
    pub message: String,
}

impl Problem {
    /// A problem with a name.
    pub(super) fn of(name: &Name, message: String) -> Self {
        Self { at: Some(name.span().start), ..Self::of_all(message) }
    }

    /// A problem with the whole.
    pub(super) fn of_all(message: String) -> Self {
        Self { at: None, key: String::new(), message }
    }

    /// A problem with another key of the table that holds a name.
    pub(super) fn beside(name: &Name, key: impl Into<String>, message: String) -> Self {
        Self { key: key.into(), ..Self::of(name, message) }
    }

    /// A problem with the law that is at a key of the table that holds a name.
    pub(super) fn of_law(name: &Name, key: &str, wrong: Wrong) -> Self {
        Self::beside(name, format!("{key}.{}", wrong.key), wrong.message)
    }

    /// The problem with the line and the key that it is about.
    #[must_use]
    pub fn describe(&self, text: &str) -> String {
        let at = place_of(text, self.at, &self.key).or(self.at);
        let Some(at) = at.filter(|&at| at < text.len() && text.is_char_boundary(at)) else {
            return self.message.clone();
        };
        let number = text[..at].matches('\n').count() + 1;
        let begin = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[begin..].lines().next().unwrap_or("");
        // Of an inline table, the last key before the place.
        let before = text[begin..].get(..at - begin).filter(|before| before.contains('=')).unwrap_or(line);
        let key = before.rsplit_once('=').map_or(before, |(key, _)| key);
        let key = key.rsplit(['{', ',']).next().unwrap_or(key).trim();
        format!("line {number}, `{key}`: {}", self.message)
    }
}

/// Byte of the value that the keys of `path` lead to, from the table of which a value begins at byte `at`, or from the file's own.
fn place_of(text: &str, at: Option<usize>, path: &str) -> Option<usize> {
    let file = DeTable::parse(text).ok()?;
    let mut keys = path.split('.');
    let mut found = value(at.map_or(Some(file.get_ref()), |at| holder(file.get_ref(), at))?, keys.next()?)?;
    for key in keys {
        found = match found.get_ref() {
            DeValue::Table(table) => value(table, key)?,
            DeValue::Array(list) => list.get(key.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(found.span().start)
}

/// The value of a key.
fn value<'t, 'i>(table: &'t DeTable<'i>, key: &str) -> Option<&'t Spanned<DeValue<'i>>> {
    table.iter().find(|(known, _)| known.get_ref() == key).map(|(_, value)| value)
}

/// The table of which a value begins at a byte.
fn holder<'t, 'i>(table: &'t DeTable<'i>, at: usize) -> Option<&'t DeTable<'i>> {
    table.iter().find_map(|(_, value)| match value.get_ref() {
        DeValue::Table(inner) => holder(inner, at),
        DeValue::Array(list) => {
            list.iter().filter_map(|item| item.get_ref().as_table()).find_map(|inner| holder(inner, at))
        }
        _ => (value.span().start == at).then_some(table),
    })
}

impl Scenario {
    /// Reads a scenario file.
    ///
    /// # Errors
    /// A [`Problem`] with what is no scenario, or with a key of a fault that its kind does not know.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let scenario: Self = toml::from_str(text).map_err(|error: toml::de::Error| {
            let at = error.span().map(|span| span.start);
            let line = at.and_then(|at| text.get(at..)?.lines().next());
            Problem { at, ..Problem::of_all(crate::error::toml_reason(error.message(), line)) }
        })?;
        scenario.check_keys(text)?;
        Ok(scenario)
    }

    /// A key that does nothing would be taken for one that does.
    fn check_keys(&self, text: &str) -> Result<(), Problem> {
        let Ok(file) = DeTable::parse(text) else { return Ok(()) };
        let tables = value(file.get_ref(), "fault").and_then(|list| list.get_ref().as_array());
        let tables = tables.into_iter().flat_map(|list| list.iter()).filter_map(|item| item.get_ref().as_table());
        for (fault, table) in self.faults.iter().zip(tables) {
            let known = || FAULT_KEYS.iter().chain(fault.kind.keys());
            let strange = table.iter().filter(|(key, _)| !known().any(|known| key.get_ref() == known));
            if let Some((key, value)) = strange.min_by_key(|(key, _)| key.span().start) {
                let known: Vec<String> = known().map(|key| format!("`{key}`")).collect();
                let (kind, key, known) = (fault.kind.as_str(), key.get_ref(), known.join(", "));
                let message = format!("a fault of kind `{kind}` does nothing with `{key}`; its keys are {known}");
                return Err(Problem { at: Some(value.span().start), ..Problem::of_all(message) });
            }
        }
        Ok(())
    }
}

fn start() -> i64 {
    1_700_000_000
}

fn duration() -> f64 {
    1200.0
}

fn rate() -> f64 {
    5.0
}

fn one() -> f64 {
    1.0
}

fn half() -> f64 {
    0.5
}

fn one_host() -> u32 {
    1
}

fn network() -> Law {
    Law::log_normal(0.3, 0.3)
}

fn ratio<'de, D: Deserializer<'de>>(source: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(source)?;
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(D::Error::custom(format!("{value} is not from 0 to 1"))) }
}

fn amount<'de, D: Deserializer<'de>>(source: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(source)?;
    if (0.0..=1e9).contains(&value) {
        Ok(value)
    } else {
        Err(D::Error::custom(format!("{value} is not from 0 to a thousand million")))
    }
}

fn positive<'de, D: Deserializer<'de>>(source: D) -> Result<f64, D::Error> {
    let value = amount(source)?;
    if value > 0.0 { Ok(value) } else { Err(D::Error::custom(format!("{value} is not above 0"))) }
}
