//! Onsets planted in requests: early, late, over again, two of them, hidden in one service, and none at all.

use suspect::window::{
    AutomaticRule, Data, Onset, Options, Root, Signal, SignalKind, Values, Window, WindowChoice, WindowWarning,
    Windows, split,
};

const S: i64 = 1_000_000_000;
const MS: f64 = 1e6;
/// 2024-05-01T14:00:00Z
const TWO_PM: i64 = 1_714_572_000 * S;

/// The same numbers in `0..below` on every run, far from regular.
fn noise(index: usize, stream: usize, below: usize) -> usize {
    let mut key = (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (stream as u64) << 32;
    for _ in 0..2 {
        key = (key ^ (key >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        key = (key ^ (key >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        key ^= key >> 31;
    }
    usize::try_from(key % below as u64).expect("small")
}

/// A factor from 0.5 to 1.5.
fn wobble(index: usize, stream: usize) -> f64 {
    0.5 + noise(index, stream, 1_000) as f64 / 1_000.0
}

/// Requests of two entry operations, a second apart; `shape` gives their mean in ms and failure from the second.
#[derive(Clone)]
struct Planted {
    roots: Vec<Root>,
    entries: Vec<String>,
    signals: Vec<Signal>,
}

impl Planted {
    fn new(n: usize, shape: impl Fn(usize) -> (f64, bool)) -> Self {
        let roots = (0..n).map(|second| {
            let (mean_ms, is_error) = shape(second);
            let entry = u32::from(noise(second, 1, 3) == 0);
            // The second entry operation is ten times as slow.
            let scale = if entry == 1 { 10.0 } else { 1.0 };
            #[expect(clippy::cast_possible_truncation, reason = "milliseconds")]
            let duration_ns = (mean_ms * MS * scale * wobble(second, 2)) as i64;
            Root { start_unix_ns: TWO_PM + i64::try_from(second).expect("small") * S, duration_ns, is_error, entry }
        });
        let entries = ["shop: GET /", "shop: POST /order"].map(str::to_owned).to_vec();
        Self { roots: roots.collect(), entries, signals: Vec::new() }
    }

    fn signal(mut self, kind: SignalKind, name: &str, value: impl Fn(usize) -> Option<f64>) -> Self {
        let observations =
            (0..self.roots.len()).filter_map(|second| Some((u32::try_from(second).ok()?, value(second)?)));
        let (roots, values): (Vec<u32>, Vec<f64>) = observations.unzip();
        self.signals.push(Signal { kind, name: name.to_owned(), roots: roots.into(), values: Values::Numbers(values) });
        self
    }

    fn split(&self, options: &Options) -> Windows {
        let last = self.roots.iter().map(|root| root.start_unix_ns).max().expect("roots");
        let range = Window { start_unix_ns: TWO_PM, end_unix_ns: last + S };
        let data = Data { range, roots: &self.roots, weights: &[], entries: &self.entries, signals: &self.signals };
        split(options, data).expect("windows")
    }

    fn automatic(&self) -> Windows {
        self.split(&Options::default())
    }
}

fn seconds(moment: i64) -> i64 {
    (moment - TWO_PM) / S
}

#[track_caller]
fn assert_near(moment: i64, second: i64, by: i64) {
    assert!((seconds(moment) - second).abs() <= by, "{} is not within {by} of {second}", seconds(moment));
}

fn analysed(windows: &Windows) -> &Onset {
    windows.onsets.iter().find(|onset| onset.is_analysed).expect("an onset is analysed")
}

#[test]
fn an_onset_is_found_wherever_it_lies_and_parts_the_windows() {
    for second in [100, 300, 600, 1_000, 1_100] {
        let planted = Planted::new(1_200, |at| (if at < second { 20.0 } else { 40.0 }, false));
        let windows = planted.automatic();
        let at = i64::try_from(second).expect("small");
        assert_eq!(windows.onsets.len(), 1, "{windows:#?}");
        let onset = analysed(&windows);
        assert_near(onset.start_unix_ns, at, 10);
        assert_eq!(onset.end_unix_ns, None);
        assert!(onset.p_value < 0.001 && onset.confidence > 0.9, "{onset:?}");
        assert!(windows.baseline.end_unix_ns <= windows.regression.start_unix_ns);
        assert!(seconds(windows.baseline.end_unix_ns) <= at + 2, "the baseline ends before: {windows:?}");
        assert!(matches!(windows.choice, WindowChoice::Automatic(AutomaticRule::LatencyRises { .. })));
        // 20 ms to 40 ms, for a mix of a third of requests that take ten times as long: the mean doubles.
        let signal = &onset.signals[0];
        assert!((signal.during / signal.before - 2.0).abs() < 0.2, "{signal:?}");
        let all = onset.signals.iter().find(|signal| signal.name.is_empty()).expect("all requests are slower");
        assert!((all.at_stake - 1.0).abs() < 0.2, "{all:?}");
    }
}

#[test]
fn an_incident_that_is_over_is_cut_at_its_recovery() {
    let planted = Planted::new(1_200, |at| (if (500..700).contains(&at) { 60.0 } else { 20.0 }, false));
    let windows = planted.automatic();
    let onset = analysed(&windows);
    assert_near(onset.start_unix_ns, 500, 10);
    assert_near(onset.end_unix_ns.expect("over"), 700, 10);
    assert_near(windows.regression.end_unix_ns, 700, 10);
    assert_eq!(windows.baseline.start_unix_ns, TWO_PM);
}

#[test]
fn of_two_onsets_both_are_listed_and_the_worse_is_analysed_against_what_is_stable_before_it() {
    let shape = |at: usize| match at {
        200..300 => 30.0,
        800.. => 100.0,
        _ => 20.0,
    };
    let windows = Planted::new(1_200, |at| (shape(at), false)).automatic();
    let starts: Vec<i64> = windows.onsets.iter().map(|onset| seconds(onset.start_unix_ns)).collect();
    assert_eq!(starts.len(), 2, "{starts:?}");
    assert!((starts[0] - 200).abs() <= 10 && (starts[1] - 800).abs() <= 10, "{starts:?}");
    assert!(!windows.onsets[0].is_analysed && windows.onsets[1].is_analysed);
    assert_near(windows.baseline.start_unix_ns, 300, 12);
    assert!(seconds(windows.baseline.end_unix_ns) <= 802);
    assert_near(windows.regression.start_unix_ns, 800, 12);
}

#[test]
fn failures_have_an_onset_too() {
    let planted = Planted::new(1_200, |at| (20.0, at >= 700 && noise(at, 3, 10) < 3));
    let windows = planted.automatic();
    assert_near(analysed(&windows).start_unix_ns, 700, 15);
    assert!(matches!(windows.choice, WindowChoice::Automatic(AutomaticRule::ErrorsRise { .. })), "{windows:?}");
}

#[test]
fn a_change_of_the_traffic_mix_is_no_change_of_latency() {
    // The slow entry operation goes from a third to nine tenths of the requests: the mean doubles, no request is slower.
    let mut planted = Planted::new(1_200, |_| (20.0, false));
    for (at, root) in planted.roots.iter_mut().enumerate().skip(600) {
        root.entry = u32::from(noise(at, 4, 10) > 0);
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds")]
        let duration_ns = (20.0 * MS * wobble(at, 2) * if root.entry == 1 { 10.0 } else { 1.0 }) as i64;
        root.duration_ns = duration_ns;
    }
    let windows = planted.automatic();
    assert!(matches!(windows.choice, WindowChoice::Automatic(AutomaticRule::TrafficChanges { .. })), "{windows:#?}");
    let onset = analysed(&windows);
    assert_near(onset.start_unix_ns, 600, 10);
    assert!(onset.signals.iter().all(|signal| signal.kind == SignalKind::Traffic), "{onset:#?}");
}

#[test]
fn a_slow_service_hidden_in_slow_requests_is_found_by_the_time_spent_in_it() {
    // 3 ms of 20 or 200 become 9, in one request of four: next to nothing in the latency, a step in the service.
    let own = |at: usize| (noise(at, 5, 4) == 0).then(|| MS * wobble(at, 6) * if at < 800 { 3.0 } else { 9.0 });
    let planted = Planted::new(1_200, |_| (20.0, false)).signal(SignalKind::SelfTime, "stock", own).signal(
        SignalKind::SelfTime,
        "cart",
        |at| Some(5.0 * MS * wobble(at, 7)),
    );
    let windows = planted.automatic();
    let onset = analysed(&windows);
    assert_near(onset.start_unix_ns, 800, 15);
    assert_eq!(onset.signals.len(), 1, "{onset:#?}");
    assert_eq!(onset.signals[0].name, "stock");
}

#[test]
fn a_service_that_is_no_longer_called_has_an_onset() {
    let planted = Planted::new(1_200, |_| (20.0, false))
        .signal(SignalKind::Calls, "stock", |at| (at < 700 || noise(at, 8, 10) == 0).then_some(2.0));
    let windows = planted.automatic();
    let onset = analysed(&windows);
    assert_near(onset.start_unix_ns, 700, 15);
    assert!(matches!(windows.choice, WindowChoice::Automatic(AutomaticRule::CallsChange { .. })), "{windows:?}");
    // Nine tenths of the calls are gone.
    assert!((onset.signals[0].at_stake + 0.9).abs() < 0.05, "{onset:?}");
}

#[test]
fn what_the_data_begin_within_is_compared_with_what_follows() {
    let planted = Planted::new(1_200, |at| (if at < 400 { 60.0 } else { 20.0 }, false));
    let windows = planted.automatic();
    assert!(matches!(windows.choice, WindowChoice::Automatic(AutomaticRule::Recovery { .. })), "{windows:#?}");
    assert_near(windows.regression.end_unix_ns, 400, 10);
    assert_near(windows.baseline.start_unix_ns, 400, 10);
    assert!(windows.warnings.contains(&WindowWarning::RegressionFirst));
}

#[test]
fn drift_is_no_onset() {
    for mean in [|at: usize| 20.0 + at as f64 / 40.0, |at: usize| 50.0 - at as f64 / 40.0] {
        let windows = Planted::new(1_200, |at| (mean(at), false)).automatic();
        assert_eq!(windows.choice, WindowChoice::Automatic(AutomaticRule::Halves), "{:#?}", windows.onsets);
        assert_eq!(windows.warnings, [WindowWarning::NoChangeFound]);
    }
}

#[test]
fn quiet_data_have_no_onset_however_wild_single_requests_are() {
    let mut n_found = 0;
    for seed in 0..40 {
        let wild = |at: usize| if noise(at, 20 + seed, 50) == 0 { 20.0 } else { 1.0 };
        let planted =
            Planted::new(600, |at| (20.0 * wobble(at, 100 + seed) * wild(at), noise(at, 200 + seed, 60) == 0))
                .signal(SignalKind::SelfTime, "stock", |at| Some(MS * wobble(at, 300 + seed)))
                .signal(SignalKind::Calls, "stock", |at| (noise(at, 400 + seed, 2) == 0).then_some(1.0));
        n_found += usize::from(!planted.automatic().onsets.is_empty());
    }
    // One in a hundred searches may err.
    assert!(n_found <= 1, "{n_found} of 40");
}

#[test]
fn gaps_in_the_data_neither_make_nor_hide_an_onset() {
    let with_gaps = |mut planted: Planted| {
        planted.roots.retain(|root| {
            let second = seconds(root.start_unix_ns);
            !(150..400).contains(&second) && !(700..900).contains(&second)
        });
        planted
    };
    let quiet = with_gaps(Planted::new(1_200, |_| (20.0, false))).automatic();
    assert!(quiet.onsets.is_empty(), "{quiet:#?}");
    // Begins within the second gap: anywhere in it is right.
    let windows = with_gaps(Planted::new(1_200, |at| (if at < 800 { 20.0 } else { 40.0 }, false))).automatic();
    let start = seconds(analysed(&windows).start_unix_ns);
    assert!((690..=910).contains(&start), "{start}");
}

#[test]
fn few_requests_show_a_large_change_and_no_small_one() {
    let planted = |factor: f64| Planted::new(24, |at| (if at < 12 { 20.0 } else { 20.0 * factor }, false)).automatic();
    assert_near(analysed(&planted(10.0)).start_unix_ns, 12, 1);
    assert!(planted(1.2).onsets.is_empty());
}

#[test]
fn a_given_regression_stands_and_its_baseline_leaves_out_other_incidents() {
    let shape = |at: usize| match at {
        300..400 => 60.0,
        900.. => 50.0,
        _ => 20.0,
    };
    let planted = Planted::new(1_200, |at| (shape(at), false));
    let given = |text: &str| planted.split(&Options { regression: Some(text.to_owned()), ..Options::default() });
    let windows = given("14:15:00..14:20:00");
    assert_eq!((seconds(windows.regression.start_unix_ns), seconds(windows.regression.end_unix_ns)), (900, 1_200));
    assert_near(windows.baseline.start_unix_ns, 400, 10);
    assert_near(windows.baseline.end_unix_ns, 900, 10);
    assert_eq!(windows.warnings, [WindowWarning::BaselineCut]);
    // Given too late, the baseline still ends where it began; given too early, that is said.
    let late = given("14:18:00..14:20:00");
    assert_near(late.baseline.end_unix_ns, 900, 10);
    assert!(late.warnings.iter().any(|warning| matches!(warning, WindowWarning::ChangeBefore { .. })), "{late:?}");
    let early = given("14:12:00..14:20:00");
    assert_eq!(seconds(early.regression.start_unix_ns), 720);
    assert!(early.warnings.iter().any(|warning| matches!(warning, WindowWarning::ChangeInside { .. })), "{early:?}");
}

#[test]
fn a_few_failures_that_chance_put_near_each_other_are_no_onset() {
    // Two of three lie 4 s apart: by chance any stretch as long holds two of them one time in fifty, in one of several series.
    let fails = |at: usize| [200, 700, 704].contains(&at);
    let quiet = Planted::new(1_200, |at| (20.0, fails(at)))
        .signal(SignalKind::Failures, "stock", move |at| Some(f64::from(u8::from(fails(at)))))
        .signal(SignalKind::Failures, "tax", |_| Some(0.0))
        .automatic();
    assert_eq!(quiet.onsets, []);
    // Ten of twelve in two minutes are.
    let fails = |at: usize| [200, 400].contains(&at) || ((700..820).contains(&at) && at.is_multiple_of(12));
    let incident = Planted::new(1_200, |at| (20.0, fails(at))).automatic();
    assert_eq!(incident.onsets.len(), 1, "{:?}", incident.onsets);
}

#[test]
fn onsets_do_not_depend_on_the_order_of_requests() {
    let planted = Planted::new(600, |at| (if at < 350 { 20.0 } else { 40.0 }, noise(at, 3, 20) == 0)).signal(
        SignalKind::SelfTime,
        "stock",
        |at| Some(MS * wobble(at, 6)),
    );
    let mut turned = planted.clone();
    turned.roots.reverse();
    turned.signals[0].roots = turned.signals[0].roots.iter().map(|root| 599 - root).collect();
    assert_eq!(planted.automatic(), turned.automatic());
}

#[test]
fn the_timeline_counts_every_request_and_shows_latency_for_an_equal_mix() {
    let windows = Planted::new(1_200, |at| (if at < 600 { 20.0 } else { 40.0 }, at % 10 == 0)).automatic();
    let timeline = windows.timeline.expect("a timeline");
    assert!((timeline.n_requests.iter().sum::<f64>() - 1_200.0).abs() < 1e-9);
    let latencies: Vec<f64> = timeline.latency_ms.iter().flatten().copied().collect();
    let ratio = latencies[latencies.len() - 3] / latencies[3];
    assert!((1.5..2.6).contains(&ratio), "{ratio}");
    let (sum, n) = timeline
        .error_ratio
        .iter()
        .zip(&timeline.n_requests)
        .fold((0.0, 0.0), |(sum, n), (share, &own)| (sum + share.unwrap_or(0.0) * own, n + own));
    assert!((sum / n - 0.1_f64).abs() < 1e-9);
}
