//! By which factor the usual call became longer.
//!
//! A mean is ruled by its longest calls, and ten of them hide that all others take a tenth longer. The shift is the `r` for which calls of
//! the regression, divided by `exp r`, rank as high as those of the baseline (Hodges & Lehmann, "Estimates of location based on rank tests",
//! Annals of Mathematical Statistics 34 (1963) 598, on logarithms). A rank counts by its normal score, the deviations that a normal value of that
//! rank has from its mean, two at most: a few wild calls do not move it, and of log-normal times it knows 99 % of what can be known (of plain
//! ranks, 95 %; Chernoff & Savage, "Asymptotic normality and efficiency of certain nonparametric test statistics", ibid. 29 (1958) 972). It is
//! taken a call path at a time, so that other traffic is no change, and averaged by the time that paths had in the baseline. Calls that no
//! request waited for count like any other: where two run side by side, only the longer ones of either would be seen.
//!
//! Its error comes from what each call says of it: its score among the calls of both windows. These are summed a block of traces, since calls of one request have much in common; noise between stretches of time is counted as everywhere.

use super::apart::{Draws, Shares, largest};
use super::attribute::Attribution;
use super::gather::{Gathered, gather, groups};
use super::noise::N_STRETCHES;
use super::paths::CostTable;
use super::sums::Sums;
use super::{Estimate, Selection};
use crate::normalize::Forest;
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal};
use std::sync::LazyLock;

/// Blocks of traces that errors are learnt from, a window: their variance is then known to 6 %.
const N_BLOCKS: usize = 512;
/// Calls that a path must have in either window.
const MIN_CALLS: usize = 10;
/// Smaller shares of an operation's time are not looked at.
const MIN_SHARE: f64 = 0.02;
/// Rows of two windows are compared if those of one hold at most so many times the calls of the other's.
const MOST_CALLS: f64 = 1.2;
/// Shifts further than this are told as this: a factor of 22,000.
const FAR: f64 = 10.0;
/// Half the width over which scores are seen to fall with the shift.
const WIDTH: f64 = 0.05;

/// By which share the usual call became longer; 0.1 is a tenth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// The share.
    pub share: Estimate,
    /// The same beyond what all have in common; `None` where that cannot be told.
    pub apart: Option<Estimate>,
}

/// The shifts; `None` of parts with little time or few calls.
#[derive(Debug, Default)]
pub struct Shifts {
    /// By subject.
    pub subjects: Vec<Option<Shift>>,
    /// By service, of the subjects blamed on it.
    pub services: Vec<Option<Shift>>,
}

/// Calls of one path whose time is a subject's.
struct Stratum {
    subject: usize,
    path: u32,
    part: usize,
    own_ns: f64,
}

/// One row of the cost table.
#[derive(Clone, Copy, Default)]
struct Row {
    /// Nanoseconds a call.
    ns: f64,
    weight: f64,
    block: u32,
    /// Calls of one request that the time is the mean of.
    n_calls: u32,
}

/// What a stratum says.
struct Said {
    shift: f64,
    /// What each block adds to it, in each window.
    blocks: [Vec<f64>; 2],
    freedom: f64,
}

/// The shifts of the calls from the baseline, which spent `baseline`, to the regression.
pub(super) fn shifts(
    forest: &Forest,
    table: &CostTable,
    attribution: &Attribution,
    baseline: &Sums,
    selection: &Selection,
) -> Shifts {
    let n_services = forest.services.len();
    let [own_ns, _] = attribution.own_times(baseline, n_services);
    let mut strata = strata(attribution, baseline, &own_ns);
    let windows = [selection.baseline.as_slice(), &selection.regression];
    let n_visited = windows.map(|traces| table.n_visited(traces, true));
    let n_rows: Vec<usize> =
        strata.iter().map(|stratum| n_visited.iter().map(|n_visited| n_visited[stratum.path as usize]).sum()).collect();
    let mut said: Vec<Option<Said>> = Vec::with_capacity(strata.len());
    for group in groups::<Row>(&n_rows) {
        let own = &strata[group];
        let rows = windows.map(|traces| rows(forest, table, traces, own));
        let say_of = |stratum: usize| {
            let sorted = rows.each_ref().map(|rows| {
                let mut own: Vec<Row> = rows.of(stratum).collect();
                // Times are not negative, so their bits are ordered as they are.
                own.sort_unstable_by_key(|row| row.ns.max(0.0).to_bits());
                own
            });
            say(sorted.each_ref().map(Vec::as_slice))
        };
        said.par_extend((0..own.len()).into_par_iter().map(say_of));
    }
    let mut said: Vec<Said> = {
        let mut kept = said.iter().map(Option::is_some);
        strata.retain(|_| kept.next() == Some(true));
        said.into_iter().flatten().collect()
    };
    let combined = |said: &[Said]| {
        let is_edge = |subject: usize| attribution.is_edge(subject);
        let service = |subject: usize| attribution.blamed[subject] as usize;
        [
            combine(&strata, said, own_ns.len(), |subject| subject, is_edge),
            combine(&strata, said, n_services, service, |_| false),
        ]
    };
    // A share is judged by its logarithm, whose error does not grow with it.
    let [subject_logarithms, service_logarithms] = combined(&said);
    for said in &mut said {
        let factor = said.shift.exp();
        said.blocks.iter_mut().flatten().for_each(|part| *part *= factor);
        said.shift = factor - 1.0;
    }
    let [subjects, services] = combined(&said);
    Shifts { subjects: judged(subjects, subject_logarithms), services: judged(services, service_logarithms) }
}

/// Shares, each as far from none as its logarithm.
fn judged(shares: Vec<Option<Shift>>, logarithms: Vec<Option<Shift>>) -> Vec<Option<Shift>> {
    let judge = |share: Estimate, logarithm: Estimate| {
        let null_error = share.value / logarithm.z();
        let is_known = null_error > 0.0 && null_error.is_finite();
        Estimate { null_error: if is_known { null_error } else { share.error }, ..share }
    };
    let both = |(share, logarithm): (Option<Shift>, Option<Shift>)| {
        let (share, logarithm) = (share?, logarithm?);
        let apart = share.apart.zip(logarithm.apart).map(|(share, logarithm)| judge(share, logarithm));
        Some(Shift { share: judge(share.share, logarithm.share), apart })
    };
    shares.into_iter().zip(logarithms).map(both).collect()
}

/// Paths with the time of the subjects that have the most.
fn strata(attribution: &Attribution, baseline: &Sums, own_ns: &[f64]) -> Vec<Stratum> {
    let chosen = largest(own_ns);
    let mut strata = Vec::new();
    for (path, targets) in (0..).zip(&attribution.targets) {
        let parts = [&baseline.self_ns, &baseline.before_ns, &baseline.wait_ns].map(|sums| sums[path as usize]);
        for (part, own) in parts.into_iter().enumerate() {
            let subject = attribution.rows[targets[part] as usize].subject as usize;
            if own > MIN_SHARE * own_ns[subject] && chosen.binary_search(&subject).is_ok() {
                strata.push(Stratum { subject, path, part, own_ns: own });
            }
        }
    }
    strata
}

/// Rows of one window by stratum.
fn rows(forest: &Forest, table: &CostTable, traces: &[u32], strata: &[Stratum]) -> Gathered<Row> {
    // Strata of each path lie side by side.
    let first_of = |path: u32| strata.partition_point(|stratum| stratum.path < path);
    let firsts: Vec<usize> =
        (0..=table.paths.len()).map(|path| first_of(u32::try_from(path).unwrap_or(u32::MAX))).collect();
    let own = |path: u32| firsts[path as usize]..firsts[path as usize + 1];
    let count = |trace: u32, count: &mut dyn FnMut(usize)| {
        let calls = table.costs_of(trace as usize).calls().chain(table.hidden.of(trace as usize).calls());
        for calls in calls.filter(|calls| calls.n_visits > 0) {
            own(calls.path).for_each(&mut *count);
        }
    };
    gather(traces, strata.len(), count, |place, trace, give| {
        let block = u32::try_from(place * N_BLOCKS.min(traces.len()) / traces.len()).unwrap_or(u32::MAX);
        let costs = table.costs_of(trace as usize).chain(table.hidden.of(trace as usize));
        for cost in costs.filter(|cost| cost.n_visits > 0) {
            for stratum in own(cost.path) {
                let ns = [cost.self_ns, cost.before_ns, cost.wait_ns][strata[stratum].part] as f64;
                let n_visits = f64::from(cost.n_visits);
                let weight = forest.weight[trace as usize] * n_visits;
                give(stratum, Row { ns: ns / n_visits, weight, block, n_calls: cost.n_visits });
            }
        }
    })
}

/// The shift between two windows of sorted rows; `None` with few rows, or where times say nothing of it.
fn say([before, after]: [&[Row]; 2]) -> Option<Said> {
    if before.len().min(after.len()) < MIN_CALLS || !are_alike([before, after].map(calls_a_row)) {
        return None;
    }
    let shift = place(before, after);
    let slope = (surplus(before, after, shift - WIDTH) - surplus(before, after, shift + WIDTH)) / (2.0 * WIDTH);
    if slope <= 0.0 {
        return None;
    }
    // A call counts for half of what it exceeds, that of its own window.
    let scale = 0.5 / slope;
    let blocks = [summands(before, after, shift.exp(), -scale), summands(after, before, (-shift).exp(), scale)];
    let n_blocks = |rows: &[Row]| {
        let mut blocks: Vec<u32> = rows.iter().map(|row| row.block).collect();
        blocks.sort_unstable();
        blocks.dedup();
        blocks.len()
    };
    let freedom = n_blocks(before).min(n_blocks(after)).saturating_sub(1).max(1) as f64;
    Some(Said { shift, blocks, freedom })
}

/// Calls behind a row, on average of requests.
fn calls_a_row(rows: &[Row]) -> f64 {
    let (calls, requests) = rows.iter().fold((0.0, 0.0), |(calls, requests), row| {
        (calls + row.weight, requests + row.weight / f64::from(row.n_calls.max(1)))
    });
    calls / requests
}

/// Whether means are of as many calls each: the mean of four skewed calls is usually more than one of them, though none became longer.
fn are_alike([before, after]: [f64; 2]) -> bool {
    after <= before * MOST_CALLS && before <= after * MOST_CALLS
}

/// Cells that the range of shifts is halved into, to a hundredth of a percent, which is far below any error.
const N_CELLS: usize = 1 << 18;
/// Rows from which a few of them are asked first, and how many these are.
const MANY_ROWS: usize = 8192;
const FEW_ROWS: usize = 512;

/// The middle of the cell in which the surplus of scores, which falls with the shift, falls below nothing.
fn place(before: &[Row], after: &[Row]) -> f64 {
    // Exact: the width of a cell has few digits.
    let bound = |cell: usize| cell as f64 * (2.0 * FAR / N_CELLS as f64) - FAR;
    let cell_of = |shift: f64| {
        let cell = (shift + FAR) * (N_CELLS as f64 / (2.0 * FAR));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the number of a cell")]
        (0.0..N_CELLS as f64).contains(&cell).then_some(cell as usize)
    };
    let is_above = |before: &[Row], after: &[Row], cell: usize| surplus(before, after, bound(cell)) > 0.0;
    let is_below = |cell: usize| cell > 0 && (cell == N_CELLS || !is_above(before, after, cell));
    // The bounds with the answer between them, from the outside.
    let (mut low, mut high) = (0, N_CELLS);
    if before.len().max(after.len()) > MANY_ROWS {
        let [few_before, few_after] = [before, after].map(few);
        let mut guess = between(0, N_CELLS, |cell| !is_above(&few_before, &few_after, cell)).0;
        // The few know well how fast the surplus falls, and less well where it is nothing: a step or two of Newton's from there.
        let few_surplus = |shift: f64| surplus(&few_before, &few_after, shift);
        let slope = (few_surplus(bound(guess) - WIDTH) - few_surplus(bound(guess) + WIDTH)) / (2.0 * WIDTH);
        for _ in 0..2 {
            let step = surplus(before, after, bound(guess)) / slope;
            guess = cell_of(bound(guess) + step).unwrap_or(guess);
        }
        let mut reach = 1;
        (low, high) = (guess, guess + 1);
        while is_below(low) {
            (low, high, reach) = (low.saturating_sub(reach), low, 4 * reach);
        }
        reach = 1;
        while !is_below(high) {
            (low, high, reach) = (high, (high + reach).min(N_CELLS), 4 * reach);
        }
    }
    let (low, high) = between(low, high, is_below);
    f64::midpoint(bound(low), bound(high))
}

/// Halves the range until two neighbours are left, the first of which is not below.
fn between(mut low: usize, mut high: usize, is_below: impl Fn(usize) -> bool) -> (usize, usize) {
    while high - low > 1 {
        let half = usize::midpoint(low, high);
        if is_below(half) { high = half } else { low = half }
    }
    (low, high)
}

/// Some of the rows, spread evenly.
fn few(rows: &[Row]) -> Vec<Row> {
    rows.iter().step_by(rows.len().div_ceil(FEW_ROWS)).copied().collect()
}

/// By how much the scores of the regression's calls, made shorter by `shift`, are above those of as many of both windows.
fn surplus(before: &[Row], after: &[Row], shift: f64) -> f64 {
    let (mut sum, mut all) = (0.0, 0.0);
    scored(after, before, (-shift).exp(), |row, score| {
        sum += row.weight * score;
        all += row.weight;
    });
    sum / all
}

/// Sums a block of what rows say of the shift by their scores beside `others` if they were `factor` times as long.
fn summands(rows: &[Row], others: &[Row], factor: f64, scale: f64) -> Vec<f64> {
    let mut blocks = vec![0.0; N_BLOCKS];
    let all: f64 = rows.iter().map(|row| row.weight).sum();
    scored(rows, others, factor, |row, score| blocks[row.block as usize] += scale * row.weight / all * score);
    blocks
}

/// Calls `visit` for each row with its score among itself and `others` if rows were `factor` times as long; either counts for half.
fn scored(rows: &[Row], others: &[Row], factor: f64, mut visit: impl FnMut(&Row, f64)) {
    let (mut own, mut other) = (Ranks::new(rows), Ranks::new(others));
    for row in rows {
        visit(row, score(f64::midpoint(own.of(row.ns), other.of(row.ns * factor))));
    }
}

/// Goes along sorted rows.
struct Ranks<'a> {
    rows: &'a [Row],
    all: f64,
    /// Weight of the rows below the value and of those not above it, with how many they are.
    below: (f64, usize),
    to: (f64, usize),
}

impl<'a> Ranks<'a> {
    fn new(rows: &'a [Row]) -> Self {
        Self { rows, all: rows.iter().map(|row| row.weight).sum(), below: (0.0, 0), to: (0.0, 0) }
    }

    /// The share of the rows that a value exceeds, which is none below the last one; equal ones count half.
    fn of(&mut self, ns: f64) -> f64 {
        let [(below, n_below), (to, n_to)] = [&mut self.below, &mut self.to];
        while *n_below < self.rows.len() && self.rows[*n_below].ns < ns {
            *below += self.rows[*n_below].weight;
            *n_below += 1;
        }
        while *n_to < self.rows.len() && self.rows[*n_to].ns <= ns {
            *to += self.rows[*n_to].weight;
            *n_to += 1;
        }
        f64::midpoint(self.below.0, self.to.0) / self.all
    }
}

/// Scores are cut at so many deviations.
const MOST_SCORE: f64 = 2.0;
/// Cells of the table of scores; between its bounds a straight line is right to a ten-thousandth.
const N_SCORES: usize = 1 << 10;

/// The deviations from the mean of the normal value that exceeds such a share of all.
fn score(share: f64) -> f64 {
    static SCORES: LazyLock<Vec<f64>> = LazyLock::new(|| {
        let normal = Normal::standard();
        let at = |cell| normal.inverse_cdf(cell as f64 / N_SCORES as f64).clamp(-MOST_SCORE, MOST_SCORE);
        (0..=N_SCORES).map(at).collect()
    });
    let place = share.clamp(0.0, 1.0) * N_SCORES as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the number of a cell")]
    let cell = (place as usize).min(N_SCORES - 1);
    let [low, high] = [SCORES[cell], SCORES[cell + 1]];
    low + (place - cell as f64) * (high - low)
}

/// Shifts of the parts that the strata's subjects belong to, each stratum counted by its time in the baseline.
fn combine(
    strata: &[Stratum],
    said: &[Said],
    n_parts: usize,
    part_of: impl Fn(usize) -> usize,
    is_edge: impl Fn(usize) -> bool,
) -> Vec<Option<Shift>> {
    let mut own_ns = vec![0.0; n_parts];
    for stratum in strata {
        own_ns[part_of(stratum.subject)] += stratum.own_ns;
    }
    let parts = largest(&own_ns);
    let zeros = || vec![0.0; parts.len()];
    let mut shares = Shares {
        values: zeros(),
        are_edges: parts.iter().map(|&part| is_edge(part)).collect(),
        freedom: zeros(),
        draws: [0, 1].map(|_| vec![zeros(); N_BLOCKS]),
        are: Draws::Summands,
        // Ranks know no rare call that a window may have missed.
        n_traces: [1.0; 2],
        stretches: vec![zeros(); N_STRETCHES],
    };
    for (stratum, said) in strata.iter().zip(said) {
        let part = part_of(stratum.subject);
        let Ok(place) = parts.binary_search(&part) else { continue };
        let weight = stratum.own_ns / own_ns[part];
        shares.values[place] += weight * said.shift;
        shares.freedom[place] = shares.freedom[place].max(said.freedom);
        for (draws, blocks) in shares.draws.iter_mut().zip(&said.blocks) {
            for (draw, block) in draws.iter_mut().zip(blocks) {
                draw[place] += weight * block;
            }
        }
        for (block, value) in said.blocks[0].iter().enumerate() {
            shares.stretches[block * N_STRETCHES / N_BLOCKS][place] += weight * value * N_STRETCHES as f64;
        }
    }
    let mut result = vec![None; n_parts];
    for ((&part, share), apart) in parts.iter().zip(shares.plain()).zip(shares.apart()) {
        result[part] = Some(Shift { share, apart });
    }
    result
}

#[cfg(test)]
mod tests {
    use super::{FAR, N_BLOCKS, Row, Shift, judged, place, say, score, surplus};
    use crate::compare::Estimate;

    /// Rows of calls that took so long, each its own block.
    fn rows(times: &[f64]) -> Vec<Row> {
        let mut rows: Vec<Row> =
            times.iter().zip(0..).map(|(&ns, block)| Row { ns, weight: 1.0, block: block % 512, n_calls: 1 }).collect();
        rows.sort_by(|left, right| left.ns.total_cmp(&right.ns));
        rows
    }

    /// Log-normal times with deviation 0.5, by the quantiles of a made-up grid.
    fn times(n: u32, factor: f64) -> Vec<f64> {
        use statrs::distribution::{ContinuousCDF, Normal};
        let at = |place: u32| (0.5 * Normal::standard().inverse_cdf((f64::from(place) + 0.5) / f64::from(n))).exp();
        (0..n).map(|place| factor * 1e6 * at(place)).collect()
    }

    #[test]
    fn means_of_several_calls_are_not_compared_with_single_calls() {
        let times = times(400, 1.0);
        let single = rows(&times);
        let of_four: Vec<f64> = times
            .iter()
            .enumerate()
            .map(|(at, _)| (0..4).map(|k| times[(at * 7 + k * 97) % 400]).sum::<f64>() / 4.0)
            .collect();
        let mut four = rows(&of_four);
        // As they are, they would look a tenth longer.
        assert!(say([&single, &four]).expect("a shift").shift > 0.05);
        for row in &mut four {
            (row.n_calls, row.weight) = (4, 4.0);
        }
        assert!(say([&single, &four]).is_none());
        assert!(say([&four, &four]).is_some());
    }

    #[test]
    fn the_shift_is_where_scores_of_both_windows_are_alike() {
        let (before, after): ([f64; 11], [f64; 10]) = (
            [3.0, 5.0, 8.0, 9.0, 14.0, 15.0, 21.0, 22.0, 30.0, 41.0, 50.0],
            [4.0, 7.0, 9.0, 11.0, 16.0, 17.0, 25.0, 29.0, 33.0, 52.0],
        );
        let said = say([&rows(&before), &rows(&after)]).expect("a shift");
        // Of scores cut at 2 by scipy the regression's have a mean of 0.0125 just before 33 / 30 and of -0.0044 just after it.
        assert!((said.shift - 1.1_f64.ln()).abs() < 1e-4, "{}", said.shift);
    }

    #[test]
    fn scores_are_normal_quantiles_cut_at_two() {
        for (share, expected) in [(0.5, 0.0), (0.841_344_746, 1.0), (0.3, -0.524_400_513), (0.001, -2.0), (1.0, 2.0)] {
            assert!((score(share) - expected).abs() < 2e-4, "{share}: {}", score(share));
        }
    }

    #[test]
    fn of_many_calls_the_shift_is_found_where_halving_alone_would_find_it() {
        for factor in [1.0, 1.003, 0.7, 40.0] {
            let (before, after) = (rows(&times(9_000, 1.0)), rows(&times(8_500, factor)));
            let (mut low, mut high) = (-FAR, FAR);
            while high - low > 1e-4 {
                let half = f64::midpoint(low, high);
                if surplus(&before, &after, half) > 0.0 { low = half } else { high = half }
            }
            assert_eq!(place(&before, &after).to_bits(), f64::midpoint(low, high).to_bits(), "{factor}");
        }
        // Where a few say something else than all: every 18th row, of which these are chosen, is far off.
        let odd = |factor: f64| {
            rows(
                &(0..9_000)
                    .map(|n| if n % 18 == 0 { 1e3 + f64::from(n) } else { factor * 1e6 * f64::from(n) })
                    .collect::<Vec<_>>(),
            )
        };
        assert!((place(&odd(1.0), &odd(1.5)) - 1.5_f64.ln()).abs() < 0.01);
    }

    #[test]
    fn its_error_is_that_of_scores_of_a_normal_shift() {
        let said = say([&rows(&times(512, 1.0)), &rows(&times(512, 1.1))]).expect("a shift");
        assert!((said.shift - 1.1_f64.ln()).abs() < 1e-3, "{}", said.shift);
        // Of deviation s = 0.5, s^2 (1/m + 1/n) over the efficiency of scores cut at 2, by scipy: 0.9545^2 / 0.9205.
        let variance: f64 = said.blocks.iter().flatten().map(|part| part * part).sum();
        let expected = 0.25 * (2.0 / N_BLOCKS as f64) / 0.9897;
        assert!((variance / expected - 1.0).abs() < 0.03, "{variance} {expected}");
    }

    #[test]
    fn wild_calls_do_not_move_it_and_constant_ones_are_told() {
        let mut wild = times(200, 1.1);
        wild[199] *= 1e6;
        let [plain, with] =
            [times(200, 1.1), wild].map(|after| say([&rows(&times(200, 1.0)), &rows(&after)]).expect("a shift").shift);
        assert!((plain - with).abs() < 0.01, "{plain} {with}");
        let constant = say([&rows(&[1e6; 20]), &rows(&[2e6; 20])]).expect("a shift");
        assert!((constant.shift - 2.0_f64.ln()).abs() < 2e-4, "{}", constant.shift);
        // Nothing is longer than nothing.
        assert!(say([&rows(&[0.0; 20]), &rows(&[0.0; 20])]).is_none());
        assert!(say([&rows(&[1.0; 9]), &rows(&[1.0; 20])]).is_none());
    }

    #[test]
    fn a_share_is_as_far_from_none_as_its_logarithm() {
        let shift = |value: f64, error: f64, apart: Option<f64>| {
            let apart = apart.map(|value| Estimate::new(value, error));
            Some(Shift { share: Estimate::new(value, error), apart })
        };
        let logarithm = 1.1_f64.ln();
        let shares = vec![shift(0.1, 0.022, Some(0.08)), shift(0.0, 0.022, None), None];
        let logarithms = vec![shift(logarithm, 0.02, Some(-0.01)), shift(0.0, 0.02, None), None];
        let judged = judged(shares, logarithms);
        let first = judged[0].expect("a shift");
        assert!((first.share.z() - logarithm / 0.02).abs() < 1e-9, "{first:?}");
        assert!((first.share.error - 0.022).abs() < 1e-12, "{first:?}");
        // Of paths that changed both ways the signs may differ: then the share's own error counts.
        assert!((first.apart.expect("others").null_error - 0.022).abs() < 1e-12, "{first:?}");
        assert!(judged[1].expect("a shift").share.z().abs() < 1e-12 && judged[2].is_none(), "{judged:?}");
    }
}
