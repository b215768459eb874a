//! What a build may not do: limits, forbidden edges and exceptions, as TOML.
//!
//! A key that is not known is an error: a misspelt limit would be no limit.

use crate::analysis::nearest;
use crate::error::Error;
use globset::{GlobBuilder, GlobMatcher};
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The policy that is used where none is given, with every key explained.
pub const EXAMPLE: &str = include_str!("policy.toml");

/// A policy.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Chance that a build which changed nothing fails: over all rules of the level `fail`, and again over all of the level `warn`.
    #[serde(default = "default_false_alarm_rate")]
    pub false_alarm_rate: f64,
    /// A slowdown of all requests by this much, in percent, must not go unseen: where the data cannot rule it out, the gate is inconclusive.
    #[serde(default = "default_must_see_percent")]
    pub must_see_percent: f64,
    /// The same of a rise of the share of all requests that fail, in points, where a rule of the level `fail` limits it.
    #[serde(default = "default_must_see_points")]
    pub must_see_points: f64,
    /// What to do then.
    #[serde(default)]
    pub inconclusive: Inconclusive,
    /// Limits.
    #[serde(default, rename = "rule")]
    pub rules: Vec<Rule>,
    /// Edges that must not be.
    #[serde(default, rename = "forbid")]
    pub forbidden: Vec<Forbidden>,
    /// Findings that are known and accepted for a while.
    #[serde(default, rename = "allow")]
    pub allowed: Vec<Allowed>,
    /// It was written without a rule of its own, so that the built-in ones hold.
    #[serde(skip)]
    pub lacks_rules: bool,
}

/// All requests, in points.
pub const MAX_POINTS: f64 = 100.0;

fn default_false_alarm_rate() -> f64 {
    0.008
}

fn default_must_see_percent() -> f64 {
    20.0
}

fn default_must_see_points() -> f64 {
    5.0
}

/// What a gate that cannot tell amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inconclusive {
    /// A verdict of its own.
    #[default]
    Inconclusive,
    /// Passed.
    Pass,
    /// Failed.
    Fail,
}

/// How grave a finding is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The gate fails.
    #[default]
    Fail,
    /// It is shown.
    Warn,
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// All requests, as if the traffic mix had stayed.
    All,
    /// Requests to an entry operation, `SERVICE: OPERATION`.
    Entry,
    /// A service as a whole.
    Service,
    /// An operation, `SERVICE: OPERATION`, or the way between two services, `CALLER -> CALLEE`.
    #[default]
    Operation,
    /// The way between two services, `CALLER -> CALLEE`.
    Edge,
    /// A team's services together.
    Team,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Milliseconds that it adds to a request on average.
    Mean,
    /// By how much its usual call takes longer, wild calls or not, of the milliseconds that it has of a request: sees small changes sooner.
    ///
    /// Of all requests the view with wild calls cut to the usual.
    Typical,
    /// Milliseconds that it adds to the slowest 5 % of requests.
    Tail,
    /// Share of requests that fail because of it.
    Errors,
    /// Calls per request, more of them.
    Calls,
    /// Calls per request, fewer of them or none: work that is no longer done.
    FewerCalls,
    /// A service calls another that it did not call.
    NewDependency,
}

/// A limit.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// How grave it is to exceed it.
    #[serde(default)]
    pub level: Level,
    /// What it is about.
    #[serde(default)]
    pub of: Of,
    /// Which of them; `*` and `?` as in file names.
    #[serde(default = "any")]
    pub name: String,
    /// What is measured.
    pub measure: Measure,
    /// Smallest change that matters: milliseconds, points of failing requests, or calls per request.
    #[serde(default)]
    pub more_than: f64,
    /// And in percent of what it was.
    #[serde(default)]
    pub more_than_percent: f64,
}

fn any() -> String {
    "*".to_owned()
}

/// An edge that must not be.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forbidden {
    /// `CALLER -> CALLEE`; `*` and `?` as in file names.
    pub edge: String,
    /// How grave it is.
    #[serde(default)]
    pub level: Level,
}

/// A finding that is accepted for a while.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowed {
    /// Whose; `*` and `?` as in file names. A service's or team's is that of its operations and edges, too.
    pub name: String,
    /// Which measure; all if absent. `mean` is also `typical`, which looks at the same milliseconds.
    #[serde(default)]
    pub measure: Option<Measure>,
    /// Why.
    pub reason: String,
    /// Last day, `YYYY-MM-DD`.
    #[serde(deserialize_with = "day")]
    pub until: Date,
}

/// A day, as a TOML date or as text.
fn day<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Day {
        Toml(toml::value::Datetime),
        Text(String),
    }
    let text = match Day::deserialize(deserializer)? {
        Day::Toml(date) => date.to_string(),
        Day::Text(text) => text,
    };
    let wrong = |_| serde::de::Error::custom(format!("`{text}` is no day, expected YYYY-MM-DD"));
    text.parse().map_err(wrong)
}

impl Default for Policy {
    /// The policy of [`EXAMPLE`].
    fn default() -> Self {
        // A test reads it; without it there would be no limit at all.
        toml::from_str(EXAMPLE).unwrap_or_else(|_| Self {
            false_alarm_rate: default_false_alarm_rate(),
            must_see_percent: default_must_see_percent(),
            must_see_points: default_must_see_points(),
            inconclusive: Inconclusive::default(),
            rules: Vec::new(),
            forbidden: Vec::new(),
            allowed: Vec::new(),
            lacks_rules: false,
        })
    }
}

impl Policy {
    /// Reads a policy; `path` is where its text comes from.
    ///
    /// # Errors
    /// [`Error::Usage`] with file, line and key of what is wrong.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let wrong = |message: String| Error::Usage {
            message: format!("`{}`: {message}", path.display()),
            hint: "`suspect gate --example-policy` prints a policy with every key explained".to_owned(),
        };
        let mut policy: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            let right =
                right_word(error.message()).map_or_else(String::new, |word| format!("; did you mean `{word}`?"));
            let reason = crate::error::toml_reason(error.message(), text.lines().nth(line.saturating_sub(1)));
            wrong(format!("line {line}: {reason}{right}"))
        })?;
        // Who writes exceptions or settings alone wants the rules that there are.
        policy.lacks_rules = !toml::from_str::<toml::Table>(text).is_ok_and(|table| table.contains_key("rule"));
        if policy.lacks_rules {
            policy.rules = Self::default().rules;
        }
        match policy.fault() {
            Some(fault) => {
                let line = fault.line(text).map_or_else(String::new, |line| format!("line {line}: "));
                Err(wrong(format!("{line}{}", fault.message)))
            }
            None => Ok(policy),
        }
    }

    /// What values are out of their range.
    ///
    /// # Errors
    /// A sentence that names the key, the value and what would be right.
    pub fn check(&self) -> Result<(), String> {
        self.fault().map_or(Ok(()), |fault| Err(fault.message))
    }

    fn fault(&self) -> Option<Fault> {
        let top = |key: &'static str, message: String| Some(Fault { table: None, key, message });
        if !(self.false_alarm_rate > 0.0 && self.false_alarm_rate <= 0.5) {
            let message =
                format!("`false_alarm_rate` is {}, expected more than 0 and at most 0.5", self.false_alarm_rate);
            return top("false_alarm_rate", message);
        }
        if !(self.must_see_percent > 0.0 && self.must_see_percent.is_finite()) {
            let message = format!("`must_see_percent` is {}, expected more than 0", self.must_see_percent);
            return top("must_see_percent", message);
        }
        if !(self.must_see_points > 0.0 && self.must_see_points <= MAX_POINTS) {
            let message =
                format!("`must_see_points` is {}, expected more than 0 and at most {MAX_POINTS}", self.must_see_points);
            return top("must_see_points", message);
        }
        if self.rules.is_empty() && self.forbidden.is_empty() {
            return top("rule", "there is no rule and no forbidden edge, so everything would pass".to_owned());
        }
        let fault = |table: &'static str, place: usize, result: Result<(), String>| {
            result.err().map(|message| Fault { table: Some((table, place)), key: "", message })
        };
        let rules = self.rules.iter().enumerate().map(|(place, rule)| fault("rule", place, rule.check()));
        let forbidden = self.forbidden.iter().enumerate().map(|(place, own)| fault("forbid", place, own.check()));
        let allowed = self.allowed.iter().enumerate().map(|(place, own)| fault("allow", place, own.check()));
        rules.chain(forbidden).chain(allowed).flatten().next()
    }
}

/// What is wrong with a value.
struct Fault {
    /// The list of tables that it is in, and its place there.
    table: Option<(&'static str, usize)>,
    /// Its key, if it is in none.
    key: &'static str,
    message: String,
}

impl Fault {
    /// The line in `text` of the key, or of the table's header; `None` if it is written in another way.
    fn line(&self, text: &str) -> Option<usize> {
        let Some((table, place)) = self.table else {
            let is_key = |line: &&str| line.split_once('=').is_some_and(|(key, _)| key.trim() == self.key);
            let mut top = (1..).zip(text.lines()).take_while(|(_, line)| !line.trim_start().starts_with('['));
            return top.find(|(_, line)| is_key(line)).map(|(number, _)| number);
        };
        let is_header = |line: &&str| {
            let inner = line.trim_start().strip_prefix("[[").and_then(|rest| rest.split_once("]]"));
            inner.is_some_and(|(name, _)| name.trim() == table)
        };
        (1..).zip(text.lines()).filter(|(_, line)| is_header(line)).nth(place).map(|(number, _)| number)
    }
}

impl Forbidden {
    /// What is forbidden in a line.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("edge {}: forbidden", self.edge)
    }

    /// The names of caller and callee.
    pub(super) fn ends(&self) -> impl Iterator<Item = &str> {
        self.edge.split_once("->").into_iter().flat_map(|(caller, callee)| [caller.trim(), callee.trim()])
    }

    /// # Errors
    /// A sentence that says what is wrong with the edge.
    pub(crate) fn check(&self) -> Result<(), String> {
        if edge(&self.edge).is_none() {
            return Err(format!("`edge` is `{}`, expected `CALLER -> CALLEE`", self.edge));
        }
        Names::new(&self.edge).map(drop)
    }
}

impl Allowed {
    /// Whether it is about findings of such a measure.
    pub(super) fn is_of(&self, measure: Measure) -> bool {
        let is_mean = self.measure == Some(Measure::Mean) && measure == Measure::Typical;
        is_mean || self.measure.is_none_or(|own| own == measure)
    }

    fn check(&self) -> Result<(), String> {
        if self.reason.trim().is_empty() {
            return Err(format!("`reason` of the exception for `{}` is empty, expected why it is accepted", self.name));
        }
        Names::new(&self.name).map(drop)
    }
}

/// Of the keys that a message says are known, the one most like the key that is not. Of values that are all said none is more likely: what was
/// meant may be the stricter one.
fn right_word(message: &str) -> Option<String> {
    let mut quoted = message.starts_with("unknown field ").then(|| message.split('`').skip(1).step_by(2))?;
    let wrong = quoted.next()?;
    nearest(wrong, quoted.map(str::to_owned).collect()).into_iter().next()
}

/// Names that a policy means: as it writes them, or with the arrow of an edge as the gate writes it.
pub(super) struct Names([GlobMatcher; 2]);

impl Names {
    /// Of a pattern, in which nothing but `*` and `?` is special.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        let matcher = |pattern: &str| {
            let mut literal = String::with_capacity(pattern.len());
            for character in pattern.chars() {
                if !matches!(character, '*' | '?') && character.is_ascii_punctuation() {
                    literal.push('\\');
                }
                literal.push(character);
            }
            let glob = GlobBuilder::new(&literal).literal_separator(false).backslash_escape(true).build();
            glob.map(|glob| glob.compile_matcher())
                .map_err(|error| format!("the name `{pattern}` is no pattern: {}", error.kind()))
        };
        Ok(Self([matcher(pattern)?, matcher(&edge(pattern).unwrap_or_else(|| pattern.to_owned()))?]))
    }

    pub(super) fn are(&self, name: &str) -> bool {
        self.0.iter().any(|matcher| matcher.is_match(name))
    }
}

/// A pattern of edges as edges are written, `CALLER -> CALLEE`; `None` if it is of none.
fn edge(pattern: &str) -> Option<String> {
    let (caller, callee) = pattern.split_once("->")?;
    let ends = [caller.trim(), callee.trim()];
    (!ends.contains(&"")).then(|| ends.join(" -> "))
}

impl Level {
    /// As a policy writes it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Warn => "warn",
        }
    }
}

impl Of {
    /// As a policy writes it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Entry => "entry",
            Self::Service => "service",
            Self::Operation => "operation",
            Self::Edge => "edge",
            Self::Team => "team",
        }
    }

    /// What is measured of it.
    fn measures(self) -> &'static [Measure] {
        use Measure::{Calls, Errors, FewerCalls, Mean, NewDependency, Tail, Typical};
        match self {
            Self::All => &[Mean, Typical, Tail, Errors],
            Self::Entry => &[Mean, Errors],
            Self::Team => &[Mean, Tail, Errors, Calls, FewerCalls],
            Self::Service => &[Mean, Typical, Tail, Errors, Calls, FewerCalls],
            Self::Operation | Self::Edge => &[Mean, Typical, Tail, Errors, Calls, FewerCalls, NewDependency],
        }
    }
}

impl Measure {
    /// As a policy writes it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Typical => "typical",
            Self::Tail => "tail",
            Self::Errors => "errors",
            Self::Calls => "calls",
            Self::FewerCalls => "fewer_calls",
            Self::NewDependency => "new_dependency",
        }
    }

    /// What stands before a change for the worse.
    #[must_use]
    pub fn sign(self) -> &'static str {
        if self == Self::FewerCalls { "-" } else { "+" }
    }

    /// Its unit.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Mean | Self::Typical | Self::Tail => "ms",
            Self::Errors => "points",
            Self::Calls | Self::FewerCalls | Self::NewDependency => "calls a request",
        }
    }
}

impl Rule {
    fn check(&self) -> Result<(), String> {
        for (key, limit) in [("more_than", self.more_than), ("more_than_percent", self.more_than_percent)] {
            if !(limit >= 0.0 && limit.is_finite()) {
                return Err(format!("`{key}` is {limit}, expected 0 or more"));
            }
            if key == "more_than" && self.measure == Measure::Errors && limit > MAX_POINTS {
                return Err(format!(
                    "`{key}` is {limit}, expected at most {MAX_POINTS} points: a share of all requests"
                ));
            }
            if limit > 0.0 && self.measure == Measure::NewDependency {
                return Err(format!(
                    "`{key}` is {limit}, and a rule of `new_dependency` has no limit: leave it out, or take the measure `calls`"
                ));
            }
        }
        Names::new(&self.name)?;
        if self.of == Of::All && self.name != "*" {
            return Err(format!(
                "`name` is `{}`, but `of = \"all\"` is about all requests: leave it out, or take another `of`, such as `entry`",
                self.name
            ));
        }
        let measures = self.of.measures();
        if measures.contains(&self.measure) {
            return Ok(());
        }
        let words: Vec<String> = measures.iter().map(|measure| format!("`{}`", measure.word())).collect();
        Err(format!(
            "`measure` is `{}`, which there is not of `{}`: expected one of {}",
            self.measure.word(),
            self.of.word(),
            words.join(", ")
        ))
    }

    /// No operation may get worse at all, beyond chance: what a limit given by itself is put into.
    #[must_use]
    pub fn any_operation(measure: Measure) -> Self {
        let (level, of, name) = (Level::Fail, Of::Operation, any());
        Self { level, of, name, measure, more_than: 0.0, more_than_percent: 0.0 }
    }

    /// The rule in a line.
    #[must_use]
    pub fn describe(&self) -> String {
        let subject = match self.of {
            Of::All => "all requests".to_owned(),
            of if self.name == "*" => format!("any {}", of.word()),
            of => format!("{} {}", of.word(), self.name),
        };
        match self.measure {
            Measure::NewDependency => format!("{subject}: no new dependency"),
            measure => {
                let mut limits = Vec::new();
                let sign = measure.sign();
                if self.more_than > 0.0 || self.more_than_percent == 0.0 {
                    limits.push(format!("{sign}{} {}", self.more_than, measure.unit()));
                }
                if self.more_than_percent > 0.0 {
                    limits.push(format!("{sign}{} %", self.more_than_percent));
                }
                let word = if measure == Measure::FewerCalls { Measure::Calls.word() } else { measure.word() };
                let side = if measure == Measure::FewerCalls { "under" } else { "over" };
                format!("{subject}: {word} not {side} {}", limits.join(" and "))
            }
        }
    }
}
