//! How often `suspect gate` is wrong with the policy that is built in: false alarms between two runs of one build, and slowdowns of 10 % missed.
//!
//! `cargo bench --bench gate` takes some minutes and prints each rate with its 95 % interval (Wilson's). `-- --pairs N` sets the number of
//! pairs a row. Without `--bench` on its command line (`cargo test --bench gate`) a few pairs are tried, to see that it runs.
//!
//! Three questions: pairs of runs of a made shop ([`shop`], whose laws are stated there), 2,000 requests a side; the same with one operation
//! 10 % slower in the second run; and the bundled incident without a fault, whose requests in stretches of five consecutive seconds are
//! dealt at random to two sides.

#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

mod shop;

use jiff::civil::date;
use shop::Slowdown;
use std::collections::BTreeMap;
use std::path::PathBuf;
use suspect::analysis::{self, Attributes, Options, Prepared};
use suspect::compare::Selection;
use suspect::gate::policy::{Of, Policy};
use suspect::gate::{Gate, State, Verdict, judge};
use suspect::span::AttributeSelection;
use suspect::stats::random;
use suspect::{ingest, normalize, window};

/// Requests a side in the made shop.
const N_REQUESTS: u64 = 2_000;
/// Operations slowed down, each in its own row: of every service that adds 1 ms or more to a request.
const SLOWED: [&str; 6] =
    ["catalog: list", "pricing: price", "cart: load", "checkout: place", "stock: reserve", "payment: charge"];
/// How long consecutive requests of the recorded incident stay together.
const STRETCH_NS: i64 = 5_000_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let is_measured = arguments.iter().any(|argument| argument == "--bench");
    let given = arguments.iter().position(|argument| argument == "--pairs").and_then(|at| arguments.get(at + 1));
    let n_pairs = given.and_then(|text| text.parse().ok()).unwrap_or(if is_measured { 1_000 } else { 2 });
    println!("{n_pairs} pairs a row, {N_REQUESTS} requests a side in the made shop, the built-in policy\n");
    println!("one build twice                        gate failed   of        rate  95 % interval");
    alarms("made shop", n_pairs, |pair| judged(&shop_pair(pair, None)));
    let recorded = recorded();
    let windows = recorded.select(&window::Options::default()).expect("windows").0;
    alarms("bundled fault-free incident", n_pairs, |pair| {
        let options = Options { attributes: Attributes::None, ..Options::default() };
        let analysis = analysis::analyze_with(&recorded, &windows, &dealt(&recorded, pair), &options);
        decide(&analysis.expect("an analysis"))
    });
    // A trial run has few pairs, too few to tell anything of 10 %; that half as much again is seen and named shows that all works.
    let percent = if is_measured { 10 } else { 50 };
    println!(
        "\n{percent} % slower                         failed and named   of        rate  95 % interval   named first"
    );
    let (mut n_found, mut n_all) = (0, 0);
    for name in SLOWED {
        n_found += found(name, percent, n_pairs.div_ceil(SLOWED.len() as u64).max(1));
        n_all += n_pairs.div_ceil(SLOWED.len() as u64).max(1);
    }
    row("all of them", n_found, n_all);
    println!();
    assert!(is_measured || 2 * n_found > n_all, "most slowdowns are found");
}

fn shop_pair(pair: u64, slowdown: Option<Slowdown>) -> Prepared {
    let run = |side: u64, slowdown| shop::run(2 * pair + side, N_REQUESTS, slowdown);
    analysis::prepare(Some(run(0, None)), run(1, slowdown))
}

fn judged(prepared: &Prepared) -> Gate {
    let (windows, selection) = prepared.select(&window::Options::default()).expect("windows");
    let options = Options { attributes: Attributes::None, ..Options::default() };
    decide(&analysis::analyze_with(prepared, &windows, &selection, &options).expect("an analysis"))
}

fn decide(analysis: &analysis::Analysis) -> Gate {
    judge(analysis, &Policy::default(), date(2026, 1, 1), false).expect("a verdict")
}

/// Prints how many pairs of one build failed, and for what.
fn alarms(name: &str, n_pairs: u64, gate: impl Fn(u64) -> Gate) {
    // One after the other: an analysis is parallel by itself, and one that waits inside another would go ever deeper into the stack.
    let gates: Vec<Gate> = (0..n_pairs).map(gate).collect();
    let failed: Vec<&Gate> = gates.iter().filter(|gate| gate.verdict == Verdict::Failed).collect();
    row(name, failed.len() as u64, n_pairs);
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    for finding in failed.iter().filter_map(|gate| gate.findings.first()) {
        *reasons.entry(format!("{} {}", finding.name, finding.measure.word())).or_default() += 1;
    }
    for (reason, count) in reasons {
        println!("    {count} by {reason}");
    }
    let count = |is_of: fn(&Gate) -> bool| gates.iter().filter(|gate| is_of(gate)).count();
    let n_inconclusive = count(|gate| gate.verdict == Verdict::Inconclusive);
    let n_warned = count(|gate| gate.findings.iter().any(|finding| finding.state == State::Warned));
    println!("    {n_inconclusive} inconclusive, {n_warned} with a warning");
}

/// Prints and gives how many pairs failed with the slowed operation among the findings that fail.
fn found(name: &str, percent: u32, n_pairs: u64) -> u64 {
    let slowdown = Slowdown::of(name, 1.0 + f64::from(percent) / 100.0).expect("an operation of the shop");
    // Other runs than those without a slowdown.
    let gates: Vec<Gate> = (0..n_pairs).map(|pair| judged(&shop_pair(1_000_000 + pair, Some(slowdown)))).collect();
    let is_named = |gate: &Gate, n: usize| {
        let operations = gate.findings.iter().filter(|finding| finding.of == Of::Operation);
        operations.take(n).any(|finding| finding.state == State::Failed && finding.name == name)
    };
    let n_named = gates.iter().filter(|gate| is_named(gate, usize::MAX)).count() as u64;
    let n_first = gates.iter().filter(|gate| is_named(gate, 1)).count();
    println!("{}   {n_first}", line(name, n_named, n_pairs));
    n_named
}

fn row(name: &str, count: u64, n: u64) {
    println!("{}", line(name, count, n));
}

fn line(name: &str, count: u64, n: u64) -> String {
    let [low, high] = wilson(count, n).map(|share| 100.0 * share);
    let share = 100.0 * count as f64 / n as f64;
    format!("{name:<38}{count:>12}{n:>5}{share:>10.2} %  {low:.2} to {high:.2} %")
}

/// Wilson's 95 % interval of a share ("Probable inference", J. American Statistical Association 22 (1927) 209).
fn wilson(count: u64, n: u64) -> [f64; 2] {
    const REACH: f64 = 1.959_963_984_540_054;
    let (n, share) = (n as f64, count as f64 / n as f64);
    let spread = REACH * (share * (1.0 - share) / n + REACH * REACH / (4.0 * n * n)).sqrt();
    let middle = share + REACH * REACH / (2.0 * n);
    let width = 1.0 + REACH * REACH / n;
    [(middle - spread) / width, (middle + spread) / width].map(|bound| bound.clamp(0.0, 1.0))
}

/// The bundled incident in which nothing is wrong, both its windows and what lies around them.
fn recorded() -> Prepared {
    let paths = [PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("datasets/incidents/fault-free/spans")];
    let attributes = AttributeSelection::Keys(normalize::required_attributes());
    let options = ingest::Options { attributes, columns: Vec::new() };
    analysis::prepare(None, ingest::read(&paths, &options, &|_, _| ()).expect("the bundled incident can be read"))
}

/// Two sides of the data: each stretch of time falls to one of them at random.
fn dealt(prepared: &Prepared, pair: u64) -> Selection {
    let mut sides = Selection { baseline: Vec::new(), regression: Vec::new() };
    for (trace, start) in (0..).zip(&prepared.forest.root_start_ns) {
        let stretch = start.div_euclid(STRETCH_NS).cast_unsigned();
        let is_first = random(0xdea1, pair, stretch).is_multiple_of(2);
        if is_first { &mut sides.baseline } else { &mut sides.regression }.push(trace);
    }
    sides
}
