//! Windows given, completed, split, refused.

use suspect::error::Error;
use suspect::time::parse_bound;
use suspect::window::{
    AutomaticRule, Data, Options, Root, Window, WindowChoice, WindowName, WindowWarning, candidates, split,
    split_data_sets,
};

const S: i64 = 1_000_000_000;
const MIN: i64 = 60 * S;
/// 2024-05-01T14:00:00Z
const TWO_PM: i64 = 1_714_572_000 * S;
const HOUR: Window = Window { start_unix_ns: TWO_PM, end_unix_ns: TWO_PM + 60 * MIN };

/// A trace every ten seconds for an hour; `shape` gives duration in ms and failure from the index (0 to 359).
fn hour(shape: impl Fn(i64) -> (i64, bool)) -> Vec<Root> {
    (0..360)
        .map(|index| {
            let (typical_ms, is_error) = shape(index);
            // A wobble of up to 12 %, the same on every run.
            let wobble = (index * 7_919) % 13;
            let duration_ns = typical_ms * 1_000_000 * (100 + wobble) / 100;
            Root { start_unix_ns: TWO_PM + index * 10 * S, duration_ns, is_error, entry: 0 }
        })
        .collect()
}

fn quiet() -> Vec<Root> {
    hour(|_| (20, false))
}

fn data(roots: &[Root]) -> Data<'_> {
    Data::of_roots(HOUR, roots)
}

fn options(baseline: &str, regression: &str) -> Options {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Options { baseline: given(baseline), regression: given(regression) }
}

fn refused(baseline: &str, regression: &str, roots: &[Root]) -> (String, String) {
    match split(&options(baseline, regression), data(roots)) {
        Err(error @ Error::Window { .. }) => (error.to_string(), error.hint().unwrap_or_default()),
        other => panic!("{other:?}"),
    }
}

/// Minutes after two at which the windows were split, and the rule.
fn split_minute(roots: &[Root]) -> (f64, WindowChoice) {
    let windows = split(&Options::default(), data(roots)).expect("windows");
    // What is in flight when the change begins is in neither.
    assert!(windows.baseline.end_unix_ns <= windows.regression.start_unix_ns);
    assert!(windows.n_baseline_traces + windows.n_regression_traces >= roots.len() as u64 * 9 / 10);
    ((windows.regression.start_unix_ns - TWO_PM) as f64 / MIN as f64, windows.choice)
}

#[test]
fn windows_are_half_open_and_count_the_traces_whose_root_starts_in_them() {
    let roots = quiet();
    let windows = split(&options("14:00..14:10", "14:10..14:20"), data(&roots)).expect("windows");
    assert_eq!(windows.choice, WindowChoice::Given);
    assert_eq!((windows.n_baseline_traces, windows.n_regression_traces), (60, 60));
    assert!(windows.warnings.is_empty());
}

#[test]
fn the_window_not_given_is_the_data_before_or_after_the_one_given() {
    let roots = quiet();
    let windows = split(&options("", "14:40..14:50"), data(&roots)).expect("windows");
    assert_eq!(windows.baseline, Window { start_unix_ns: TWO_PM, end_unix_ns: TWO_PM + 40 * MIN });
    assert_eq!(windows.choice, WindowChoice::RegressionGiven);
    let windows = split(&options("..+10m", ""), data(&roots)).expect("windows");
    assert_eq!(windows.regression, Window { start_unix_ns: TWO_PM + 10 * MIN, end_unix_ns: HOUR.end_unix_ns });
    assert_eq!(windows.choice, WindowChoice::BaselineGiven);
}

#[test]
fn overlapping_windows_are_refused_with_windows_that_do_not_overlap() {
    let (message, hint) = refused("14:00..14:30", "14:20..14:50", &quiet());
    assert!(message.contains("overlap"), "{message}");
    assert_eq!(hint, "end the baseline where the regression starts: `--baseline 14:00:00..14:20:00`");
}

#[test]
fn a_window_that_is_empty_or_ends_before_it_starts_is_refused() {
    let (message, hint) = refused("14:10..14:05", "14:20..14:30", &quiet());
    assert!(message.contains("the baseline window `14:10..14:05` ends before it starts"), "{message}");
    assert!(hint.contains("the data cover 2024-05-01T14:00:00Z..2024-05-01T15:00:00Z"), "{hint}");
    let (message, _) = refused("14:00..14:05", "14:20..14:20", &quiet());
    assert!(message.contains("is empty"), "{message}");
}

#[test]
fn a_window_without_a_trace_is_refused_with_the_real_range_and_windows_that_would_do() {
    let (message, hint) = refused("14:00..14:05", "2023-05-01..2023-05-02", &quiet());
    assert_eq!(message, "no trace starts in the regression window 2023-05-01T00:00:00Z..2023-05-02T00:00:00Z");
    assert_eq!(
        hint,
        "traces start from 2024-05-01T14:00:00Z to 2024-05-01T14:59:50Z; \
         try `--baseline ..14:29:55 --regression 14:29:55..`"
    );
}

#[test]
fn a_single_window_over_all_data_leaves_nothing_for_the_other() {
    let (message, _) = refused("", "..", &quiet());
    assert!(message.contains("leaves no baseline"), "{message}");
    let (message, _) = refused("..", "", &quiet());
    assert!(message.contains("leaves no regression"), "{message}");
}

#[test]
fn few_traces_are_a_warning_for_each_window() {
    let windows = split(&options("14:00..14:04", "14:10..14:20"), data(&quiet())).expect("windows");
    assert_eq!(windows.warnings, [WindowWarning::FewTraces { window: WindowName::Baseline, n_traces: 24 }]);
    let text = windows.warnings[0].describe();
    assert!(text.contains("only 24 traces"), "{text}");
}

#[test]
fn a_regression_before_the_baseline_is_allowed_with_a_warning() {
    let windows = split(&options("14:30..14:50", "14:00..14:20"), data(&quiet())).expect("windows");
    assert_eq!(windows.warnings, [WindowWarning::RegressionFirst]);
}

#[test]
fn without_windows_the_split_is_where_roots_become_slower() {
    let (minute, choice) = split_minute(&hour(|index| (if index < 250 { 20 } else { 40 }, false)));
    assert!((minute - 250.0 / 6.0).abs() <= 1.5, "{minute}");
    assert!(matches!(choice, WindowChoice::Automatic(AutomaticRule::LatencyRises { .. })), "{choice:?}");
}

#[test]
fn without_windows_the_split_is_where_roots_begin_to_fail() {
    let (minute, choice) = split_minute(&hour(|index| (20, index >= 200 && index % 3 == 0)));
    assert!((minute - 200.0 / 6.0).abs() <= 1.5, "{minute}");
    assert!(matches!(choice, WindowChoice::Automatic(AutomaticRule::ErrorsRise { .. })), "{choice:?}");
}

#[test]
fn quiet_data_are_cut_in_halves_with_a_warning() {
    let roots = quiet();
    let (minute, choice) = split_minute(&roots);
    assert!((minute - 30.0).abs() <= 1.0, "{minute}");
    assert_eq!(choice, WindowChoice::Automatic(AutomaticRule::Halves));
    let windows = split(&Options::default(), data(&roots)).expect("windows");
    assert_eq!(windows.warnings, [WindowWarning::NoChangeFound]);
}

#[test]
fn a_few_wild_traces_do_not_move_the_split() {
    let wild = |index: i64| if index % 90 == 5 { 60_000 } else { 20 };
    let (_, choice) = split_minute(&hour(|index| (wild(index), false)));
    assert_eq!(choice, WindowChoice::Automatic(AutomaticRule::Halves));
}

#[test]
fn one_trace_with_a_wrong_clock_does_not_hide_the_change() {
    let mut roots = hour(|index| (if index < 200 { 20 } else { 40 }, false));
    roots.push(Root { start_unix_ns: 0, duration_ns: S, is_error: false, entry: 0 });
    let found = candidates(data(&roots));
    let minute = (found[0].regression.start_unix_ns - TWO_PM) as f64 / MIN as f64;
    assert!((minute - 200.0 / 6.0).abs() <= 1.5, "{minute}");
    assert!(matches!(found[1].rule, AutomaticRule::Halves));
}

#[test]
fn the_split_does_not_depend_on_the_order_of_traces() {
    let roots = hour(|index| (if index < 250 { 20 } else { 40 }, false));
    let reversed: Vec<Root> = roots.iter().rev().copied().collect();
    assert_eq!(candidates(data(&roots)), candidates(data(&reversed)));
}

#[test]
fn bursts_at_either_end_are_cut_between_traces() {
    let burst = |start: i64, n: i64| (0..n).map(move |index| (start + index, 1_000_000));
    let roots: Vec<Root> = burst(TWO_PM, 100)
        .chain(burst(TWO_PM + 59 * MIN, 3))
        .map(|(start_unix_ns, duration_ns)| Root { start_unix_ns, duration_ns, is_error: false, entry: 0 })
        .collect();
    let windows = split(&Options::default(), data(&roots)).expect("windows");
    assert_eq!((windows.n_baseline_traces, windows.n_regression_traces), (51, 52));
}

#[test]
fn two_traces_are_enough_to_split_and_one_moment_is_not() {
    let root = |start_unix_ns| Root { start_unix_ns, duration_ns: 1, is_error: false, entry: 0 };
    let windows = split(&Options::default(), data(&[root(TWO_PM), root(TWO_PM + 1)])).expect("windows");
    assert_eq!((windows.n_baseline_traces, windows.n_regression_traces), (1, 1));
    let (message, hint) = refused("", "", &[root(TWO_PM), root(TWO_PM)]);
    assert!(message.contains("all traces start at 2024-05-01T14:00:00Z"), "{message}");
    assert!(hint.contains("--baseline-data"), "{hint}");
    let (message, _) = refused("", "", &[]);
    assert_eq!(message, "there is no trace to split into windows");
}

#[test]
fn extreme_times_do_not_overflow() {
    let root = |start_unix_ns| Root { start_unix_ns, duration_ns: i64::MAX, is_error: true, entry: 0 };
    let roots = [root(i64::MIN), root(0), root(i64::MAX - 1)];
    let range = Window { start_unix_ns: i64::MIN, end_unix_ns: i64::MAX };
    let windows = split(&Options::default(), Data::of_roots(range, &roots)).expect("windows");
    assert_eq!(windows.n_baseline_traces + windows.n_regression_traces, 3);
}

#[test]
fn the_suggested_split_is_read_back_as_it_was_meant() {
    let roots = quiet();
    let (_, hint) = refused("", "2023-05-01..2023-05-02", &roots);
    let text = hint.split("--regression ").nth(1).and_then(|rest| rest.strip_suffix("..`")).expect("a suggestion");
    assert_eq!(parse_bound(text, HOUR).ok(), Some(candidates(data(&roots))[0].regression.start_unix_ns));
}

#[test]
fn two_data_sets_are_windows_of_their_own_even_at_the_same_time() {
    let roots = quiet();
    let windows = split_data_sets(&Options::default(), data(&roots), data(&roots[..100])).expect("windows");
    assert_eq!(windows.choice, WindowChoice::DataSets);
    assert_eq!((windows.n_baseline_traces, windows.n_regression_traces), (360, 100));
    let part = split_data_sets(&options("..+10m", ""), data(&roots), data(&roots)).expect("windows");
    assert_eq!((part.n_baseline_traces, part.n_regression_traces), (60, 360));
}
