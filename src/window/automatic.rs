//! Windows that nobody gave: about the most severe onset, or halves if nothing stands out.

use super::choose::{most_severe, stable_before, windows};
use super::halves::middle;
use super::onset::{Detector, Onset};
use super::signal::SignalKind;
use super::{Data, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How an automatic split was found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum AutomaticRule {
    /// Requests, or the time that they wait for a service, take longer from there on.
    LatencyRises {
        /// Chance that quiet data show as much in any series.
        p_value: f64,
        /// See [`Onset::confidence`].
        confidence: f64,
    },
    /// More requests, or more calls of a service, fail from there on.
    ErrorsRise {
        /// Chance that quiet data show as much in any series.
        p_value: f64,
        /// See [`Onset::confidence`].
        confidence: f64,
    },
    /// A service is called more or less often from there on.
    CallsChange {
        /// Chance that quiet data show as much in any series.
        p_value: f64,
        /// See [`Onset::confidence`].
        confidence: f64,
    },
    /// Other requests are made from there on.
    TrafficChanges {
        /// Chance that quiet data show as much in any series.
        p_value: f64,
        /// See [`Onset::confidence`].
        confidence: f64,
    },
    /// The data begin within the incident: the regression is what comes before its end, the baseline what comes after.
    Recovery {
        /// Chance that quiet data show as much in any series.
        p_value: f64,
        /// See [`Onset::confidence`].
        confidence: f64,
    },
    /// The middle of the data, as nothing stands out or for comparison with what does.
    Halves,
}

impl AutomaticRule {
    fn of(onset: &Onset) -> Self {
        let Onset { p_value, confidence, .. } = *onset;
        if !onset.has_before {
            return Self::Recovery { p_value, confidence };
        }
        // What is most at stake names the onset; traffic only if nothing else changed.
        let weight = |kind: SignalKind| {
            let own = onset.signals.iter().filter(|signal| signal.kind == kind);
            own.map(|signal| signal.at_stake.abs()).fold(0.0, f64::max)
        };
        let time = weight(SignalKind::Latency).max(weight(SignalKind::SelfTime));
        let errors = weight(SignalKind::Errors).max(weight(SignalKind::Failures));
        let calls = weight(SignalKind::Calls);
        if errors > 0.0 && errors >= time {
            Self::ErrorsRise { p_value, confidence }
        } else if time > 0.0 && time >= calls {
            Self::LatencyRises { p_value, confidence }
        } else if calls > 0.0 {
            Self::CallsChange { p_value, confidence }
        } else {
            Self::TrafficChanges { p_value, confidence }
        }
    }

    /// The rule in a clause.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        match self {
            Self::LatencyRises { .. } => "split where requests become slower",
            Self::ErrorsRise { .. } => "split where requests begin to fail more often",
            Self::CallsChange { .. } => "split where a service is called more or less often",
            Self::TrafficChanges { .. } => "split where other requests are made",
            Self::Recovery { .. } => "the data begin within what got better again: compared with what follows",
            Self::Halves => "split in the middle",
        }
    }
}

/// Two windows that nobody gave, and why there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// When all was well.
    pub baseline: Window,
    /// What is to be explained.
    pub regression: Window,
    /// Why there.
    pub rule: AutomaticRule,
}

/// Windows to try, the best first: about the most severe onset, and halves.
///
/// Empty if all traces start at one moment.
#[must_use]
pub fn candidates(data: Data) -> Vec<Candidate> {
    let onset = Found::of(data).candidate(data);
    onset.into_iter().chain(halves(data)).collect()
}

pub(super) fn halves(data: Data) -> Option<Candidate> {
    let split = middle(data.roots)?;
    Some(Candidate {
        baseline: Window { end_unix_ns: split, ..data.range },
        regression: Window { start_unix_ns: split, ..data.range },
        rule: AutomaticRule::Halves,
    })
}

/// The onsets of a data set, and what is needed to choose windows among them.
#[derive(Default)]
pub(super) struct Found {
    /// By time.
    pub(super) onsets: Vec<Onset>,
    /// Starts of all traces, sorted.
    starts: Vec<i64>,
    typical_ns: i64,
}

impl Found {
    pub(super) fn of(data: Data) -> Self {
        let Some(detector) = Detector::new(data) else { return Self::default() };
        let mut starts: Vec<i64> = data.roots.iter().map(|root| root.start_unix_ns).collect();
        starts.sort_unstable();
        Self { onsets: detector.onsets(), starts, typical_ns: detector.typical_ns() }
    }

    /// Windows about the most severe onset, which is marked as the one analysed.
    pub(super) fn choose(&mut self, data: Data) -> Option<Candidate> {
        let chosen = most_severe(&self.onsets)?;
        self.onsets[chosen].is_analysed = true;
        self.candidate(data)
    }

    fn candidate(&self, data: Data) -> Option<Candidate> {
        let chosen = most_severe(&self.onsets)?;
        let (baseline, regression) = windows(&self.onsets, chosen, data.range, &self.starts, self.typical_ns);
        Some(Candidate { baseline, regression, rule: AutomaticRule::of(&self.onsets[chosen]) })
    }

    /// The stable stretch before a regression that the user gave.
    pub(super) fn baseline_of(&self, data: Data, regression: Window) -> Window {
        let (start, end) = (data.range.start_unix_ns, regression.start_unix_ns);
        if end <= start {
            return Window { start_unix_ns: start, end_unix_ns: end };
        }
        stable_before(&self.onsets, start, end, &self.starts)
    }
}
