use super::automatic::{Found, candidates, halves};
use super::{Data, MIN_TRACES, Onset, Options, Timeline, Window, WindowChoice, WindowName, WindowWarning, Windows};
use crate::error::Error;
use crate::time::{format_bound, format_rfc3339, format_window, parse_window};

/// Both windows in the user's words, before any data are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenWindows {
    /// Baseline and regression.
    pub texts: [String; 2],
    /// Whether they may refer to the start, the end or the days of the data.
    pub may_be_relative: bool,
    /// Whether what lies between them is of use, too.
    pub with_between: bool,
}

impl GivenWindows {
    /// The windows in data that cover `range`; `None` if they are in doubt, or wrong.
    #[must_use]
    pub fn resolve(&self, range: Window) -> Option<[Window; 2]> {
        let one = |text: &str| {
            let window = parse_window(text, range).ok()?;
            let is_known = self.may_be_relative || is_absolute(text);
            (is_known && window.start_unix_ns < window.end_unix_ns).then_some(window)
        };
        let [baseline, regression] = [one(&self.texts[0])?, one(&self.texts[1])?];
        (!baseline.overlaps(&regression)).then_some([baseline, regression])
    }

    /// In what stretches of time traces of use start.
    #[must_use]
    pub fn needed(&self, windows: [Window; 2]) -> Vec<Window> {
        let [left, right] = windows;
        if !self.with_between {
            return windows.to_vec();
        }
        vec![Window {
            start_unix_ns: left.start_unix_ns.min(right.start_unix_ns),
            end_unix_ns: left.end_unix_ns.max(right.end_unix_ns),
        }]
    }
}

/// Whether a window is the same in any data.
fn is_absolute(text: &str) -> bool {
    // Two days without a moment in common.
    let data = [0, 1_000 * DAY_NS].map(|start| Window { start_unix_ns: start + 1, end_unix_ns: start + DAY_NS / 2 });
    let [left, right] = data.map(|data| parse_window(text, data).ok());
    left.is_some() && left == right
}

const DAY_NS: i64 = 86_400_000_000_000;

/// Finds the two windows in one set of data: as given; the stable stretch before the regression or the data after the
/// baseline if only one is given; about the most severe [`Onset`] or halves if none is given.
///
/// # Errors
/// [`Error::Usage`] for text that is no window; [`Error::Window`] for windows that end before they start, overlap or
/// hold no trace, with the time that the data cover and windows that would hold traces.
pub fn split(options: &Options, data: Data) -> Result<Windows, Error> {
    let range = data.range;
    let parse = |text: &Option<String>, name| -> Result<Option<Window>, Error> {
        text.as_deref().map(|text| parse_ordered(text, name, data)).transpose()
    };
    let baseline = parse(&options.baseline, WindowName::Baseline)?;
    let regression = parse(&options.regression, WindowName::Regression)?;
    let mut found = Found::default();
    let (baseline, regression, choice) = match (baseline, regression) {
        (Some(baseline), Some(regression)) => (baseline, regression, WindowChoice::Given),
        (Some(baseline), None) => {
            let after = Window { start_unix_ns: baseline.end_unix_ns, end_unix_ns: range.end_unix_ns };
            (baseline, after, WindowChoice::BaselineGiven)
        }
        (None, Some(regression)) => {
            found = Found::of(data);
            (found.baseline_of(data, regression), regression, WindowChoice::RegressionGiven)
        }
        (None, None) => {
            found = Found::of(data);
            let candidate = found.choose(data).or_else(|| halves(data)).ok_or_else(|| no_split(data))?;
            (candidate.baseline, candidate.regression, WindowChoice::Automatic(candidate.rule))
        }
    };
    if baseline.overlaps(&regression) {
        return Err(overlap(baseline, regression, data));
    }
    let mut windows = check((baseline, data), (regression, data), choice)?;
    if regression.end_unix_ns <= baseline.start_unix_ns {
        windows.warnings.push(WindowWarning::RegressionFirst);
    }
    if choice == WindowChoice::RegressionGiven {
        let before = Window { end_unix_ns: regression.start_unix_ns, ..range };
        windows.warnings.extend(doubts(&mut found.onsets, baseline, regression, before));
    }
    windows.onsets = found.onsets;
    windows.timeline = Timeline::of(data);
    Ok(windows)
}

/// What the onsets say about a regression that the user gave, and which of them it is about.
fn doubts(onsets: &mut [Onset], baseline: Window, regression: Window, before: Window) -> Vec<WindowWarning> {
    let mut warnings = Vec::new();
    let is_about = |onset: &Onset| {
        onset.start_unix_ns < regression.end_unix_ns
            && onset.end_unix_ns.is_none_or(|end_unix_ns| end_unix_ns > regression.start_unix_ns)
    };
    let overlapping = onsets.iter_mut().filter(|onset| onset.has_before && is_about(onset));
    let about = overlapping.max_by(|left, right| left.severity.total_cmp(&right.severity));
    let mut ends_at_onset = false;
    if let Some(onset) = about {
        onset.is_analysed = true;
        let onset_unix_ns = onset.start_unix_ns;
        if onset.latest_unix_ns.saturating_add(onset.tolerance_ns) < regression.start_unix_ns {
            warnings.push(WindowWarning::ChangeBefore { onset_unix_ns });
        } else if onset.earliest_unix_ns.saturating_sub(onset.tolerance_ns) > regression.start_unix_ns {
            warnings.push(WindowWarning::ChangeInside { onset_unix_ns });
        }
        ends_at_onset = baseline.end_unix_ns == onset_unix_ns;
        let last = regression.end_unix_ns.saturating_sub(onset.tolerance_ns);
        if let Some(end_unix_ns) = onset.end_unix_ns.filter(|&end_unix_ns| end_unix_ns < last) {
            warnings.push(WindowWarning::RecoveryInside { end_unix_ns });
        }
    }
    if baseline.start_unix_ns > before.start_unix_ns || (baseline.end_unix_ns < before.end_unix_ns && !ends_at_onset) {
        warnings.push(WindowWarning::BaselineCut);
    }
    warnings
}

/// Finds the windows when each has a data set of its own: the whole set, or the part that the user names.
///
/// The two may lie at any times, even the same: a trace belongs to the window of its data set.
pub fn split_data_sets(options: &Options, baseline: Data, regression: Data) -> Result<Windows, Error> {
    let window = |text: &Option<String>, name, data: Data| match text.as_deref() {
        Some(text) => parse_ordered(text, name, data),
        None => Ok(data.range),
    };
    let baseline_window = window(&options.baseline, WindowName::Baseline, baseline)?;
    let regression_window = window(&options.regression, WindowName::Regression, regression)?;
    check((baseline_window, baseline), (regression_window, regression), WindowChoice::DataSets)
}

fn parse_ordered(text: &str, name: WindowName, data: Data) -> Result<Window, Error> {
    let window = parse_window(text, data.range)?;
    if window.start_unix_ns < window.end_unix_ns {
        return Ok(window);
    }
    let how = if window.start_unix_ns == window.end_unix_ns { "is empty" } else { "ends before it starts" };
    Err(Error::Window {
        message: format!("the {} window `{text}` {how}: {window}", name.as_str()),
        hint: format!("the data cover {}; {}", data.range, suggestion(data)),
    })
}

/// Counts the traces of both windows; none is an error, few is a warning.
fn check(baseline: (Window, Data), regression: (Window, Data), choice: WindowChoice) -> Result<Windows, Error> {
    let mut warnings = Vec::new();
    if matches!(choice, WindowChoice::Automatic(super::AutomaticRule::Halves)) {
        warnings.push(WindowWarning::NoChangeFound);
    }
    let mut count = |(window, data): (Window, Data), name| {
        let n_traces = data.roots.iter().filter(|root| window.contains(root.start_unix_ns)).count() as u64;
        match n_traces {
            0 => return Err(no_trace(window, name, data, choice)),
            1..MIN_TRACES => warnings.push(WindowWarning::FewTraces { window: name, n_traces }),
            _ => {}
        }
        Ok(n_traces)
    };
    Ok(Windows {
        n_baseline_traces: count(baseline, WindowName::Baseline)?,
        n_regression_traces: count(regression, WindowName::Regression)?,
        baseline: baseline.0,
        regression: regression.0,
        choice,
        onsets: Vec::new(),
        timeline: None,
        warnings,
    })
}

fn overlap(baseline: Window, regression: Window, data: Data) -> Error {
    let bound = |moment| format_bound(moment, data.range);
    let hint = if baseline.start_unix_ns < regression.start_unix_ns {
        let (start, end) = (bound(baseline.start_unix_ns), bound(regression.start_unix_ns));
        format!("end the baseline where the regression starts: `--baseline {start}..{end}`")
    } else {
        format!("the data cover {}; {}", data.range, suggestion(data))
    };
    Error::Window { message: format!("the windows overlap: baseline {baseline}, regression {regression}"), hint }
}

fn no_trace(window: Window, name: WindowName, data: Data, choice: WindowChoice) -> Error {
    let name = name.as_str();
    let message = match (choice, window.start_unix_ns < window.end_unix_ns) {
        (WindowChoice::RegressionGiven, false) if name == "baseline" => {
            "the regression window reaches back to the data's start and leaves no baseline".to_owned()
        }
        (WindowChoice::BaselineGiven, false) if name == "regression" => {
            "the baseline window reaches to the data's end and leaves no regression".to_owned()
        }
        _ => format!("no trace starts in the {name} window {window}"),
    };
    let starts = data.roots.iter().map(|root| root.start_unix_ns);
    let hint = match (starts.clone().min(), starts.max()) {
        (Some(first), Some(last)) if first == last => {
            format!("all traces start at {}; {}", format_rfc3339(first), suggestion(data))
        }
        (Some(first), Some(last)) => {
            format!("traces start from {} to {}; {}", format_rfc3339(first), format_rfc3339(last), suggestion(data))
        }
        _ => "this data set holds no trace".to_owned(),
    };
    Error::Window { message, hint }
}

fn no_split(data: Data) -> Error {
    let message = match data.roots.first() {
        Some(root) => {
            format!("no window was given and all traces start at {}", format_rfc3339(root.start_unix_ns))
        }
        None => "there is no trace to split into windows".to_owned(),
    };
    Error::Window {
        message,
        hint: "give a data set for each window: `suspect analyze NEW --baseline-data OLD`".to_owned(),
    }
}

/// Windows that hold traces, as flags to paste.
fn suggestion(data: Data) -> String {
    let text = |window: Window| format_window(window, data.range);
    match candidates(data).first() {
        Some(candidate) => {
            format!("try `--baseline {} --regression {}`", text(candidate.baseline), text(candidate.regression))
        }
        None => "give a data set for each window with `--baseline-data`".to_owned(),
    }
}
