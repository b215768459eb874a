//! An analysis and a policy in, pass or fail out: what a build is told.
//!
//! Each rule of the [`policy`] is tested on each thing that it is about. Many are tested at once, and each by itself would be wrong once
//! in twenty; so a finding must also hold after Holm's weighted correction ("A simple sequentially rejective multiple test procedure",
//! Scandinavian J. of Statistics 6 (1979) 65) for all tests of its level, in which a test weighs the more the more that lets be seen. A machine that was busier makes all operations longer, so an operation must change by more than the
//! others have in common, unless requests as a whole changed beyond chance. A gate that found nothing has passed only if the data would have
//! shown a slowdown that matters; else it is inconclusive.

mod accepted;
mod correction;
mod doubts;
mod forbidden;
pub mod policy;
mod units;

use crate::analysis::{Analysis, Edge, Owner, Window, missing, nearest};
use accepted::Accepted;
use correction::correct;
use jiff::civil::Date;
use policy::{Allowed, Inconclusive, Level, Measure, Names, Of, Policy, Rule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use units::{Change, Unit, units};

/// Version of the document; raised when a key changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// What a gate says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gate {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The answer in a word.
    pub verdict: Verdict,
    /// The answer in a sentence.
    pub summary: String,
    /// Why the data cannot tell, in sentences; whatever the policy makes of it.
    pub doubts: Vec<String>,
    /// Rules broken and forbidden edges: those that fail first, then warnings, then those allowed.
    pub findings: Vec<Finding>,
    /// Rules, in the order of the policy.
    pub rules: Vec<RuleAccount>,
    /// Edges that must not be, in the order of the policy.
    #[serde(default)]
    pub forbidden: Vec<ForbiddenAccount>,
    /// Exceptions of the policy that no longer hold, or that match nothing.
    pub exceptions: Vec<String>,
    /// Chance that a build which changed nothing fails.
    pub false_alarm_rate: f64,
    /// The baseline.
    pub baseline: Window,
    /// The candidate.
    pub candidate: Window,
    /// What the analysis says in a sentence.
    pub analysis: String,
    /// What limits the answer, in sentences.
    pub warnings: Vec<String>,
}

/// The answer of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No rule of the level `fail` is broken.
    Passed,
    /// Some is.
    Failed,
    /// None is, but the data could not have shown what matters.
    Inconclusive,
}

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It fails the gate.
    Failed,
    /// It is a warning.
    Warned,
    /// The policy accepts it for now.
    Allowed,
}

/// A rule that is broken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// What became of it.
    pub state: State,
    /// Place of the rule in the policy, from 1; absent for a forbidden edge.
    pub rule: Option<u32>,
    /// The rule in a line.
    pub limit: String,
    /// What kind of thing broke it.
    pub of: Of,
    /// Its name as a policy writes it.
    pub name: String,
    /// Its service.
    pub service: Option<String>,
    /// Its operation.
    pub operation: Option<String>,
    /// Its edge.
    pub edge: Option<Edge>,
    /// Whether most of it is of work that no request waits for.
    #[serde(default)]
    pub is_in_background: bool,
    /// What was measured.
    pub measure: Measure,
    /// Unit of the figures.
    pub unit: String,
    /// In the baseline.
    pub baseline: f64,
    /// Change for the worse.
    pub change: f64,
    /// 95 % interval of the change.
    pub interval: [f64; 2],
    /// The change in percent of what it was; absent where that is nothing.
    pub change_percent: Option<f64>,
    /// Chance of such a change where there is none, by itself; 0 for a forbidden edge, which chance has no part in.
    pub p: f64,
    /// The same, corrected for the number of tests.
    pub p_corrected: f64,
    /// Whom to call.
    pub owner: Option<Owner>,
    /// Traces that show it.
    pub trace_ids: Vec<String>,
    /// For an allowed finding the reason.
    pub allowed_because: Option<String>,
    /// The finding in a sentence.
    pub description: String,
}

impl Finding {
    /// What is wrong with it in a word, as a policy has it.
    pub(crate) fn word(&self) -> &'static str {
        if self.rule.is_some() { self.measure.word() } else { "forbidden" }
    }

    /// Interval and percent of the change as they are told: what is less is told with its minus.
    pub(crate) fn signed(&self) -> ([f64; 2], Option<f64>) {
        let [low, high] = self.interval;
        if self.measure == Measure::FewerCalls {
            ([-high, -low], self.change_percent.map(|percent| -percent))
        } else {
            ([low, high], self.change_percent)
        }
    }
}

/// A rule and how often it was tested.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuleAccount {
    /// How grave it is to break it.
    pub level: Level,
    /// The rule in a line.
    pub rule: String,
    /// What it is about.
    pub of: Of,
    /// What it measures.
    pub measure: Measure,
    /// Things that it was tested on.
    pub n_tested: u64,
    /// Those that broke it, allowed ones included.
    pub n_broken: u64,
}

/// An edge that must not be, and whether it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ForbiddenAccount {
    /// How grave it is that it is there.
    pub level: Level,
    /// What is forbidden in a line.
    pub rule: String,
    /// Whether one of its ends is no service of the data, so that it cannot be there.
    pub is_about_nothing: bool,
    /// Edges of the candidate that are forbidden by it, allowed ones included.
    pub n_broken: u64,
}

/// One test of one rule.
#[derive(Clone)]
struct Test<'a> {
    rule: usize,
    unit: &'a Unit<'a>,
    change: Change,
    /// Chance, one-sided, of a change as much for the worse.
    p: f64,
    /// Share of the requests' time, or of their failures, that it could change.
    stake: f64,
    p_corrected: f64,
}

/// Judges an analysis by a policy as of `today`; `is_partial` if some of the input could not be read.
///
/// # Errors
/// What is wrong with the policy: see [`Policy::check`].
pub fn judge(analysis: &Analysis, policy: &Policy, today: Date, is_partial: bool) -> Result<Gate, String> {
    policy.check()?;
    let units_of: Vec<Vec<Unit<'_>>> = policy.rules.iter().map(|rule| units(analysis, rule)).collect();
    let (mut named, mut unmatched) = (Vec::new(), Vec::new());
    for (place, (rule, units)) in policy.rules.iter().zip(&units_of).enumerate() {
        let names = Names::new(&rule.name)?;
        let own: Vec<&Unit<'_>> = units.iter().filter(|unit| rule.of == Of::All || names.are(&unit.name)).collect();
        // Any team is meant where one is named at all; that there is no other thing of a kind is nothing odd.
        let is_named = rule.name != "*" || rule.of == Of::Team;
        if own.is_empty() && is_named && rule.measure != Measure::NewDependency {
            unmatched.push(place);
        }
        named.push(own);
    }
    let raw = tests(analysis, policy, &named, |unit, rule| unit.change(rule.measure));
    let accepted = Accepted::new(analysis, policy, today)?;
    let tests = if accepted.is_none() {
        raw.clone()
    } else {
        tests(analysis, policy, &named, |unit, rule| accepted.rest(unit, rule))
    };
    let rule_of = |test: &Test<'_>| &policy.rules[test.rule];
    let is_broken = |test: &&Test<'_>| is_broken(rule_of(test), test, policy.false_alarm_rate);
    let mut findings: Vec<Finding> = tests
        .iter()
        .filter(is_broken)
        .map(|test| accepted.tell(test.unit, rule_of(test), finding(rule_of(test), test)))
        .collect();
    let is_told = |findings: &[Finding], test: &Test<'_>| {
        findings.iter().any(|found| found.rule == Some(number(test.rule)) && found.name == test.unit.name)
    };
    for test in raw.iter().filter(is_broken) {
        if !is_told(&findings, test) {
            findings.push(accepted.allow_whole(test.unit, rule_of(test), finding(rule_of(test), test)));
        }
    }
    let mut edges = forbidden::judge(analysis, policy)?;
    findings.extend(edges.iter_mut().flat_map(|edge| std::mem::take(&mut edge.findings)));
    let broken = tests.iter().chain(&raw).filter(is_broken);
    let used: Vec<&Allowed> = broken.flat_map(|test| accepted.takers(test.unit, rule_of(test))).collect();
    let exceptions = accepted::allow(analysis, &mut findings, policy, &used, today)?;
    findings.sort_by(|left, right| {
        let size = |finding: &Finding| finding.change_percent.unwrap_or(f64::INFINITY);
        // The part that broke it says more than the whole that shows it.
        let key = |finding: &Finding| (finding.state, finding.of == Of::All, finding.measure);
        key(left)
            .cmp(&key(right))
            .then(right.change.total_cmp(&left.change))
            .then(size(right).total_cmp(&size(left)))
            .then_with(|| (left.rule, &left.name).cmp(&(right.rule, &right.name)))
    });
    let mut doubts = doubts::doubts(analysis, policy, &findings, is_partial);
    doubts.extend(take_back(analysis, &mut findings));
    if guards_nothing(policy, &unmatched, &edges) {
        doubts.push("no rule of level `fail` is about anything in the data".to_owned());
    }
    if analysis.teams.is_empty() && policy.rules.iter().any(|rule| rule.of == Of::Team && rule.level == Level::Fail) {
        doubts.push("there is a rule about teams, and no team is known".to_owned());
    }
    let nothing = unmatched.into_iter().map(|place| about_nothing(&policy.rules[place], &units_of[place]));
    let (forbidden, edges_of_nothing): (Vec<_>, Vec<_>) =
        edges.into_iter().map(|edge| (edge.account, edge.about_nothing)).unzip();
    let verdict = verdict(policy, &findings, &doubts);
    let account = |(place, rule): (usize, &Rule)| RuleAccount {
        level: rule.level,
        rule: rule.describe(),
        of: rule.of,
        measure: rule.measure,
        n_tested: tests.iter().filter(|test| test.rule == place).count() as u64,
        n_broken: findings.iter().filter(|finding| finding.rule == Some(number(place))).count() as u64,
    };
    Ok(Gate {
        schema_version: SCHEMA_VERSION,
        verdict,
        summary: summary(verdict, &findings, &doubts, tests.len()),
        doubts,
        rules: policy.rules.iter().enumerate().map(account).collect(),
        findings,
        forbidden,
        exceptions,
        false_alarm_rate: policy.false_alarm_rate,
        baseline: analysis.windows.baseline.clone(),
        candidate: analysis.windows.regression.clone(),
        analysis: analysis.summary.clone(),
        warnings: policy
            .lacks_rules
            .then(|| {
                "the policy has no `[[rule]]`, so the built-in rules hold; `rule = []` would do without".to_owned()
            })
            .into_iter()
            .chain(nothing)
            .chain(edges_of_nothing.into_iter().flatten())
            .chain(analysis.windows.warnings.iter().chain(&analysis.diagnostics.warnings).cloned())
            .collect(),
    })
}

fn verdict(policy: &Policy, findings: &[Finding], doubts: &[String]) -> Verdict {
    if findings.iter().any(|finding| finding.state == State::Failed) {
        return Verdict::Failed;
    }
    match policy.inconclusive {
        _ if doubts.is_empty() => Verdict::Passed,
        Inconclusive::Inconclusive => Verdict::Inconclusive,
        Inconclusive::Pass => Verdict::Passed,
        Inconclusive::Fail => Verdict::Failed,
    }
}

/// Whether there are rules and edges of the level `fail`, and all of them are about nothing.
fn guards_nothing(policy: &Policy, unmatched: &[usize], edges: &[forbidden::Judged]) -> bool {
    let rules = policy.rules.iter().enumerate().filter(|(_, rule)| rule.level == Level::Fail);
    let rules = rules.map(|(place, _)| unmatched.contains(&place));
    let edges = edges.iter().filter(|edge| edge.account.level == Level::Fail);
    let mut are_of_nothing = rules.chain(edges.map(|edge| edge.about_nothing.is_some())).peekable();
    are_of_nothing.peek().is_some() && are_of_nothing.all(|is_of_nothing| is_of_nothing)
}

/// The tests of all rules on the things that each is about, corrected for their number.
fn tests<'a>(
    analysis: &Analysis,
    policy: &Policy,
    named: &[Vec<&'a Unit<'a>>],
    change_of: impl Fn(&Unit<'_>, &Rule) -> Option<Change>,
) -> Vec<Test<'a>> {
    let mut tests = Vec::new();
    for (place, (rule, units)) in policy.rules.iter().zip(named).enumerate() {
        for &unit in units {
            let Some(change) = change_of(unit, rule).filter(|change| could_matter(rule, change)) else {
                continue;
            };
            let p = change.p_of_worse();
            tests.push(Test { rule: place, unit, change, p, stake: stake(analysis, rule, &change), p_corrected: 1.0 });
        }
    }
    for level in [Level::Fail, Level::Warn] {
        correct(&mut tests, &policy.rules, level, policy.false_alarm_rate);
    }
    tests
}

/// Makes warnings of what parts broke if that may be nothing but how spans were kept, and says why; not where whole requests broke a rule.
fn take_back(analysis: &Analysis, findings: &mut [Finding]) -> Option<String> {
    let is_whole = |finding: &Finding| matches!(finding.of, Of::All | Of::Entry);
    if findings.iter().any(|finding| finding.state == State::Failed && is_whole(finding)) {
        return None;
    }
    let doubt = missing::untold(analysis)?;
    for finding in findings.iter_mut().filter(|finding| is_moved(finding)) {
        finding.state = State::Warned;
    }
    findings.sort_by_key(|finding| finding.state);
    Some(doubt)
}

/// Whether a failing finding is about what lost spans and other names move: times and calls of parts.
fn is_moved(finding: &Finding) -> bool {
    finding.state == State::Failed && finding.rule.is_some() && finding.measure != Measure::Errors
}

/// That a rule has nothing to test, with the names that it may mean.
fn about_nothing(rule: &Rule, units: &[Unit<'_>]) -> String {
    let mut names: Vec<String> = units.iter().map(|unit| unit.name.clone()).collect();
    names.dedup();
    let near: Vec<String> = nearest(&rule.name, names).iter().take(3).map(|name| format!("`{name}`")).collect();
    let near = match near.as_slice() {
        [] => format!("the data know no {}", rule.of.word()),
        near => format!("near it are {}", near.join(", ")),
    };
    format!("rule `{}` is about nothing in the data; {near}", rule.describe())
}

fn number(place: usize) -> u32 {
    u32::try_from(place + 1).unwrap_or(u32::MAX)
}

/// How much a unit's measure is of all that requests are: what the correction for the number of tests goes by. It is of the baseline, so that
/// no change has a say in how sure its own finding must be.
fn stake(analysis: &Analysis, rule: &Rule, change: &Change) -> f64 {
    let whole = &analysis.degradation;
    let share = |part: f64, all: f64| if all > 0.0 { (part / all).clamp(0.0, 1.0) } else { 0.0 };
    match (rule.of, rule.measure) {
        (Of::All, _) => 1.0,
        (_, Measure::Mean | Measure::Typical) => share(change.baseline, whole.mean_ms.baseline),
        (_, Measure::Errors) => share(change.baseline, 100.0 * whole.error_ratio.baseline),
        (_, Measure::Tail | Measure::Calls | Measure::FewerCalls | Measure::NewDependency) => 0.0,
    }
}

/// What has less time than the rule's limit, before and after, or no failure at all, cannot break it: testing it would only make the others
/// need to be surer.
fn could_matter(rule: &Rule, change: &Change) -> bool {
    match rule.measure {
        Measure::Mean | Measure::Typical => change.baseline.max(change.baseline + change.by) >= rule.more_than,
        Measure::Errors => change.baseline > 0.0 || change.by != 0.0,
        Measure::Tail | Measure::Calls | Measure::FewerCalls | Measure::NewDependency => true,
    }
}

fn is_broken(rule: &Rule, test: &Test<'_>, false_alarm_rate: f64) -> bool {
    let Change { by, interval, base, .. } = test.change;
    by > rule.more_than
        && by > rule.more_than_percent / 100.0 * base
        && interval[0] > 0.0
        && test.p_corrected <= false_alarm_rate
}

fn finding(rule: &Rule, test: &Test<'_>) -> Finding {
    let Unit { name, service, operation, edge, owner, traces, is_in_background, .. } = test.unit;
    let is_of_time = matches!(rule.measure, Measure::Mean | Measure::Typical);
    let Change { baseline, by: change, interval, base, .. } = test.change;
    let mut finding = Finding {
        state: state(rule.level),
        rule: Some(number(test.rule)),
        limit: rule.describe(),
        of: rule.of,
        name: name.clone(),
        service: service.map(str::to_owned),
        operation: operation.map(str::to_owned),
        edge: edge.cloned(),
        is_in_background: is_of_time && *is_in_background
            || rule.measure == Measure::Errors && test.unit.fails_in_background,
        measure: rule.measure,
        unit: rule.measure.unit().to_owned(),
        baseline,
        change,
        interval,
        change_percent: (base > 0.0).then(|| 100.0 * change / base),
        p: test.p,
        p_corrected: test.p_corrected,
        owner: owner.cloned(),
        trace_ids: traces.iter().map(|&id| id.to_owned()).collect(),
        allowed_because: None,
        description: String::new(),
    };
    finding.description = describe(&finding, test.unit);
    finding
}

fn state(level: Level) -> State {
    match level {
        Level::Fail => State::Failed,
        Level::Warn => State::Warned,
    }
}

fn describe(finding: &Finding, of: &Unit<'_>) -> String {
    let figure = |value: f64| crate::time::format_ms(value);
    let Finding { name, unit, change, baseline, measure, .. } = finding;
    let ([low, high], change_percent) = finding.signed();
    let what = match finding.measure {
        Measure::Mean if finding.of == Of::All => "take longer on average",
        Measure::Typical if finding.of == Of::All => "that are typical take longer",
        Measure::Tail if finding.of == Of::All => "that are the slowest 5 % take longer",
        Measure::Errors if finding.of == Of::All => "fail more often",
        Measure::Mean if finding.of == Of::Entry => "takes longer on average",
        Measure::Errors if finding.of == Of::Entry => "fails more often",
        Measure::Mean if finding.is_in_background => {
            "adds to work that no request waits for, by the number of requests"
        }
        Measure::Mean => "adds to a request on average",
        Measure::Typical => "takes longer in its usual call",
        Measure::Tail => "adds to the slowest 5 % of requests",
        Measure::Errors if finding.is_in_background => {
            "fails more often in work that no request waits for (points are failures of it in a hundred requests)"
        }
        Measure::Errors => "makes more requests fail",
        Measure::Calls => "is called more often",
        Measure::FewerCalls => "is called less often",
        Measure::NewDependency => return format!("{name} is new: {} calls a request", figure(*change)),
    };
    let sign = measure.sign();
    let percent = match change_percent {
        Some(percent) if finding.measure == Measure::Tail => format!("{percent:+.1} % of their mean"),
        Some(percent) => format!("{percent:+.1} % of {} {unit}", figure(*baseline)),
        None => "there was none before".to_owned(),
    };
    let how = of.how.filter(|_| finding.measure == Measure::Mean).map_or_else(String::new, |how| format!(", {how}"));
    format!(
        "{name} {what}{how}: {sign}{} {unit} (95 % interval {} to {}), {percent}",
        figure(*change),
        figure(low),
        figure(high)
    )
}

fn summary(verdict: Verdict, findings: &[Finding], doubts: &[String], n_tests: usize) -> String {
    let count = |state: State| findings.iter().filter(|finding| finding.state == state).count();
    let (n_failed, n_warned, n_allowed) = (count(State::Failed), count(State::Warned), count(State::Allowed));
    let others: Vec<String> = [(n_warned, "warning"), (n_allowed, "allowed finding")]
        .into_iter()
        .filter(|&(count, _)| count > 0)
        .map(|(count, noun)| format!("{count} {noun}{}", if count == 1 { "" } else { "s" }))
        .collect();
    let others = if others.is_empty() { String::new() } else { format!("; {}", others.join(", ")) };
    let first = findings.first().filter(|finding| finding.state == State::Failed);
    match (verdict, first) {
        (Verdict::Failed, Some(first)) => {
            let more = if n_failed > 1 { format!(" and {} more", n_failed - 1) } else { String::new() };
            format!("{}{more}{others}", first.description)
        }
        (Verdict::Failed, None) => {
            format!("the data cannot tell, which the policy takes for a failure: {}{others}", doubts.join("; "))
        }
        (Verdict::Inconclusive, _) => {
            format!("no rule is broken, but the data cannot tell: {}{others}", doubts.join("; "))
        }
        (Verdict::Passed, _) => {
            format!("no rule is broken in {n_tests} test{}{others}", if n_tests == 1 { "" } else { "s" })
        }
    }
}
