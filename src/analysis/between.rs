//! By how much requests of two windows differ, and how far chance reaches: in the mean of a value, and in the share that fails.
//!
//! A few requests tell little of how they scatter: one alone nothing, and some that are alike that there is no scatter at all. So each window
//! counts one request more that scatters as those of both windows together, and a share counts one more request that failed and one that did
//! not (Agresti & Caffo, "Simple and effective confidence intervals for proportions", The American Statistician 54 (2000) 280).
//! Of many requests neither can be seen.

use super::build::{Request, ratio};
use crate::compare::{Estimate, noise};

/// Change of a weighted mean between two windows, with Welch's error and degrees of freedom and the noise between stretches of time; no change
/// where a window is empty. Requests are in order of their traces.
pub(super) fn means(windows: [&[Request]; 2], value: impl Fn(&Request) -> f64) -> Estimate {
    if windows.iter().any(|requests| requests.is_empty()) {
        return Estimate::default();
    }
    let sum = |requests: &[Request], of: &dyn Fn(&Request) -> f64| requests.iter().map(of).sum::<f64>();
    let weights = windows.map(|requests| sum(requests, &|request| request.weight));
    let values = windows.map(|requests| sum(requests, &|request| request.weight * value(request)));
    let [before, after] = [0, 1].map(|window| ratio(values[window], weights[window]));
    let whole = ratio(values[0] + values[1], weights[0] + weights[1]);
    let all: f64 = windows
        .map(|requests| sum(requests, &|request| request.weight * (value(request) - whole).powi(2)))
        .iter()
        .sum();
    let n_all = (windows[0].len() + windows[1].len()) as f64;
    let scatter = ratio(all, weights[0] + weights[1]) * n_all / (n_all - 1.0);
    let variance = |window: usize, mean: f64| {
        let requests = windows[window];
        let own = sum(requests, &|request| (request.weight * (value(request) - mean)).powi(2));
        let one = sum(requests, &|request| request.weight.powi(2)) / requests.len() as f64;
        ratio(own + one * scatter, weights[window].powi(2))
    };
    let [variance_before, variance_after] = [variance(0, before), variance(1, after)];
    let [n_before, n_after] = windows.map(|requests| (requests.len() as f64 - 1.0).max(1.0));
    let sum_of_both = variance_before + variance_after;
    let freedom = ratio(sum_of_both.powi(2), variance_before.powi(2) / n_before + variance_after.powi(2) / n_after);
    let estimate = Estimate { freedom: freedom.max(1.0), ..Estimate::new(after - before, sum_of_both.sqrt()) };
    let factor = |_: &Request| ratio(1.0, weights[0]);
    noise::between_runs(estimate, variance_before, &stretches(windows[0], factor, |request| value(request) - before))
}

/// What each of a few stretches of a window says of a sum, in which what a request differs by counts by its weight times a factor.
fn stretches(requests: &[Request], factor: impl Fn(&Request) -> f64, rest: impl Fn(&Request) -> f64) -> Vec<f64> {
    let n_stretches = noise::N_STRETCHES.min(requests.len());
    let mut stretches = vec![0.0; n_stretches];
    for (place, request) in requests.iter().enumerate() {
        let rest = request.weight * rest(request) * factor(request);
        stretches[place * n_stretches / requests.len()] += n_stretches as f64 * rest;
    }
    stretches
}

/// Change of the share of requests that fail, as if each entry operation had the mean of its shares of both windows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ShareChange {
    /// As counted.
    pub(super) value: f64,
    /// With the requests that are counted beside.
    estimate: Estimate,
}

impl ShareChange {
    /// Of a share, which has ends; it holds what was counted.
    pub(super) fn interval(self) -> [f64; 2] {
        let [low, high] = self.estimate.interval();
        [low.min(self.value).max(-1.0), high.max(self.value).min(1.0)]
    }

    pub(super) fn p(self) -> f64 {
        self.estimate.p()
    }
}

/// Requests of one entry operation in one window.
#[derive(Clone, Copy, Default)]
struct Tally {
    n: f64,
    weight: f64,
    squares: f64,
    failed: f64,
}

impl Tally {
    fn failing(self) -> f64 {
        ratio(self.failed, self.weight)
    }

    /// As many equal requests as know as much.
    fn size(self) -> f64 {
        ratio(self.weight.powi(2), self.squares)
    }
}

/// The change of the share that fails at unchanged traffic; entries that one window lacks tell nothing. Requests are in order of their traces.
pub(super) fn failures(windows: [&[Request]; 2]) -> ShareChange {
    let entries = || windows.iter().flat_map(|requests| requests.iter().map(|request| request.entry as usize));
    let (Some(first), Some(last)) = (entries().min(), entries().max()) else { return ShareChange::default() };
    let mut tallies = vec![[Tally::default(); 2]; last - first + 1];
    for (window, requests) in windows.iter().enumerate() {
        for request in *requests {
            let tally = &mut tallies[request.entry as usize - first][window];
            tally.n += 1.0;
            tally.weight += request.weight;
            tally.squares += request.weight.powi(2);
            tally.failed += if request.has_failed { request.weight } else { 0.0 };
        }
    }
    let weights = [0, 1].map(|window| tallies.iter().map(|entry| entry[window].weight).sum::<f64>());
    let (mut value, mut centre, mut variances) = (0.0, 0.0, [0.0; 2]);
    let mut factors = vec![0.0; tallies.len()];
    for (entry, factor) in tallies.iter().zip(&mut factors) {
        if entry.iter().any(|tally| tally.n == 0.0) {
            continue;
        }
        let share = f64::midpoint(ratio(entry[0].weight, weights[0]), ratio(entry[1].weight, weights[1]));
        *factor = ratio(share, entry[0].weight);
        let sizes = entry.map(Tally::size);
        let n_failed = [0, 1].map(|window| sizes[window] * entry[window].failing());
        // A window with few of its requests is also taken to fail as both do.
        let both = ratio(n_failed[0] + n_failed[1], sizes[0] + sizes[1]);
        let failing =
            [0, 1].map(|window| (n_failed[window] + share + 2.0 * both) / (sizes[window] + 2.0 * share + 2.0));
        value += share * (entry[1].failing() - entry[0].failing());
        centre += share * (failing[1] - failing[0]);
        for window in [0, 1] {
            let variance = failing[window] * (1.0 - failing[window]) / (sizes[window] + 2.0 * share + 2.0);
            variances[window] += share.powi(2) * variance;
        }
    }
    let rest = |request: &Request| {
        let before = tallies[request.entry as usize - first][0].failing();
        f64::from(u8::from(request.has_failed)) - before
    };
    let stretches = stretches(windows[0], |request| factors[request.entry as usize - first], rest);
    let estimate = Estimate::new(centre, (variances[0] + variances[1]).sqrt());
    ShareChange { value, estimate: noise::between_runs(estimate, variances[0], &stretches) }
}
