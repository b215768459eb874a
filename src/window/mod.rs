//! Two stretches of time in, checked: the baseline, when all was well, and the regression, which is to be explained.
//!
//! A trace belongs to the window in which its root starts, so no trace is cut in two. Windows are half-open: a trace
//! that starts where the regression starts is not in a baseline that ends there. [`split`] takes the user's word, or
//! looks for the [`Onset`] if the user gives none; [`split_data_sets`] is for two sets of data, where the set
//! decides and not the time.
//!
//! ```text
//! data        |--------------------------------------|
//! baseline         [-----------)                            --baseline   A..B
//! regression                         [---------)            --regression C..D
//!                                    [---------------)      ... C..   an empty bound is the data's own
//!             [----------------------)                      ... and no --baseline: the stable stretch before it
//! ```
//!
//! Requests become series over time in `signal`, changes of which `scan` finds; `onset` says which matter and
//! when they began, `choose` and `automatic` take windows about them.

mod automatic;
mod choose;
mod given;
mod halves;
mod onset;
mod scan;
mod signal;
mod timeline;

pub use automatic::{AutomaticRule, Candidate, candidates};
pub use given::{GivenWindows, split, split_data_sets};
pub use onset::{MovedSignal, Onset};
pub use signal::{Signal, SignalKind, Values};
pub use timeline::Timeline;

pub use crate::time::TimeRange as Window;
use crate::time::format_rfc3339;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Fewest traces in a window that let a median and an error share be told from noise: by the normal approximation the
/// 95 % interval of the median of 30 spans the 32nd to the 68th percentile, about the middle third; of fewer, more.
pub const MIN_TRACES: u64 = 30;

/// What a window needs to know of a trace: its root, or its earliest span if the root is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// Start, nanoseconds since the Unix epoch.
    pub start_unix_ns: i64,
    /// Duration, nanoseconds.
    pub duration_ns: i64,
    /// Whether it failed.
    pub is_error: bool,
    /// Its entry operation: a small number, the same for requests that can be compared. Place in [`Data::entries`].
    pub entry: u32,
}

/// Windows as the user writes them, in the words of [`crate::time::parse_window`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `--baseline START..END`.
    pub baseline: Option<String>,
    /// `--regression START..END`.
    pub regression: Option<String>,
}

/// One set of data to choose windows in.
#[derive(Clone, Copy, Debug)]
pub struct Data<'a> {
    /// From the first span's start to the last span's end; clock times and offsets refer to it.
    pub range: Window,
    /// A root a trace, in any order.
    pub roots: &'a [Root],
    /// Sampling weights of the roots, in their order; empty if each counts once. Only the [`Timeline`] counts by them: chance goes by
    /// what was seen.
    pub weights: &'a [f64],
    /// Names of the entry operations.
    pub entries: &'a [String],
    /// What the requests say about each service.
    pub signals: &'a [Signal],
}

impl<'a> Data<'a> {
    /// Data of which no more is known than the roots.
    #[must_use]
    pub fn of_roots(range: Window, roots: &'a [Root]) -> Self {
        Self { range, roots, weights: &[], entries: &[], signals: &[] }
    }
}

/// The two windows and how they came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Windows {
    /// When all was well.
    pub baseline: Window,
    /// What is to be explained.
    pub regression: Window,
    /// Traces whose root starts in the baseline.
    pub n_baseline_traces: u64,
    /// Traces whose root starts in the regression.
    pub n_regression_traces: u64,
    /// Who chose them.
    pub choice: WindowChoice,
    /// Changes for the worse, by time; looked for unless the user gave both windows or a data set for each.
    pub onsets: Vec<Onset>,
    /// Requests, latency and errors over all the data; absent for two data sets and if all requests start at one moment.
    pub timeline: Option<Timeline>,
    /// What makes them doubtful.
    pub warnings: Vec<WindowWarning>,
}

/// Who chose the windows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum WindowChoice {
    /// The user gave both.
    Given,
    /// The user gave the baseline; the regression is the data after it.
    BaselineGiven,
    /// The user gave the regression; the baseline is the stable stretch before it.
    RegressionGiven,
    /// Nobody: the data were split.
    Automatic(AutomaticRule),
    /// The user gave a data set for each.
    DataSets,
    /// The user told them apart by the values of attributes.
    Attributes,
}

impl WindowChoice {
    /// The choice in a sentence without its full stop.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Given => "both windows are as given".to_owned(),
            Self::BaselineGiven => "the baseline is as given, the regression is the data after it".to_owned(),
            Self::RegressionGiven => {
                "the regression is as given, the baseline is the stable stretch before it".to_owned()
            }
            Self::DataSets => "each window is a data set of its own".to_owned(),
            Self::Attributes => "the windows are told apart by the values of attributes".to_owned(),
            Self::Automatic(rule) => format!("no window was given: {}", rule.describe()),
        }
    }
}

/// Baseline or regression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WindowName {
    /// When all was well.
    Baseline,
    /// What is to be explained.
    Regression,
}

impl WindowName {
    /// `baseline` or `regression`, as in the flags.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Regression => "regression",
        }
    }
}

/// What makes a pair of windows doubtful but not unusable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "warning", rename_all = "snake_case")]
#[non_exhaustive]
pub enum WindowWarning {
    /// Fewer than [`MIN_TRACES`] traces.
    FewTraces {
        /// The window.
        window: WindowName,
        /// Traces in it.
        n_traces: u64,
    },
    /// No change stands out, so the windows are halves and may hold the same behaviour.
    NoChangeFound,
    /// The regression is over before the baseline begins.
    RegressionFirst,
    /// The given regression starts when the change is under way.
    ChangeBefore {
        /// When it began.
        onset_unix_ns: i64,
    },
    /// The given regression starts before the change.
    ChangeInside {
        /// When it began.
        onset_unix_ns: i64,
    },
    /// The data before the given regression hold other changes, which the baseline leaves out.
    BaselineCut,
    /// The change is over before the given regression ends.
    RecoveryInside {
        /// When it was over.
        end_unix_ns: i64,
    },
}

impl WindowWarning {
    /// The warning in a sentence without its full stop.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::FewTraces { window, n_traces } => {
                let s = if *n_traces == 1 { "" } else { "s" };
                let name = window.as_str();
                format!("the {name} window holds only {n_traces} trace{s}; below {MIN_TRACES} chance weighs heavily")
            }
            Self::NoChangeFound => {
                "no change for the worse in latency or errors stands out, so the data were cut in halves; \
                 give `--baseline` and `--regression` if you know when it began"
                    .to_owned()
            }
            Self::RegressionFirst => "the regression window ends before the baseline begins".to_owned(),
            Self::ChangeBefore { onset_unix_ns } => format!(
                "the change began at {}, before the given regression; the baseline ends there",
                format_rfc3339(*onset_unix_ns)
            ),
            Self::ChangeInside { onset_unix_ns } => format!(
                "the change began at {}, inside the given regression, whose first part is as before",
                format_rfc3339(*onset_unix_ns)
            ),
            Self::BaselineCut => {
                "the data before the regression hold other changes, which the baseline leaves out".to_owned()
            }
            Self::RecoveryInside { end_unix_ns } => format!(
                "the change was over at {}, inside the given regression, whose last part is as before",
                format_rfc3339(*end_unix_ns)
            ),
        }
    }
}
