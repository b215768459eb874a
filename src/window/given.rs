use super::change_point::change_point;
use super::{Data, MIN_TRACES, Options, Window, WindowChoice, WindowName, WindowWarning, Windows};
use crate::error::Error;
use crate::time::{format_bound, format_rfc3339, parse_window};

/// Finds the two windows in one set of data: as given, the data before or after the one given, or split by
/// [`change_point`](super::AutomaticRule) if none is given.
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
    let (baseline, regression, choice) = match (baseline, regression) {
        (Some(baseline), Some(regression)) => (baseline, regression, WindowChoice::Given),
        (Some(baseline), None) => {
            let after = Window { start_unix_ns: baseline.end_unix_ns, end_unix_ns: range.end_unix_ns };
            (baseline, after, WindowChoice::BaselineGiven)
        }
        (None, Some(regression)) => {
            let before = Window { start_unix_ns: range.start_unix_ns, end_unix_ns: regression.start_unix_ns };
            (before, regression, WindowChoice::RegressionGiven)
        }
        (None, None) => {
            let (split_unix_ns, rule) = change_point(data.roots).ok_or_else(|| no_split(data))?;
            (
                Window { start_unix_ns: range.start_unix_ns, end_unix_ns: split_unix_ns },
                Window { start_unix_ns: split_unix_ns, end_unix_ns: range.end_unix_ns },
                WindowChoice::Automatic(rule),
            )
        }
    };
    if baseline.overlaps(&regression) {
        return Err(overlap(baseline, regression, data));
    }
    let mut windows = check((baseline, data), (regression, data), choice)?;
    if regression.end_unix_ns <= baseline.start_unix_ns {
        windows.warnings.push(WindowWarning::RegressionFirst);
    }
    Ok(windows)
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
    match change_point(data.roots) {
        Some((split_unix_ns, _)) => {
            let split = format_bound(split_unix_ns, data.range);
            format!("try `--baseline ..{split} --regression {split}..`")
        }
        None => "give a data set for each window with `--baseline-data`".to_owned(),
    }
}
