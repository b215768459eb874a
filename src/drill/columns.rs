//! Attributes as one code a span, those that can tell calls apart.

use super::kept::Beside;
use super::{Input, Of};
use crate::normalize::{Forest, NO_PARENT, Need};
use crate::span::{AttributeKey, AttributeScope, AttributeValue, MAX_DISTINCT, SpanFrame, tells_calls_apart};
use hashbrown::HashMap;
use rayon::prelude::*;
use std::hash::BuildHasher;

/// No value.
pub const NO_CODE: u32 = u32::MAX;
/// A number with more values than this is cut into ranges: sizes and counts carry a change by their magnitude.
const MAX_NUMBERS: usize = 20;
/// Quantiles at which ranges meet; the last range is the largest twentieth, where outliers are.
const CUTS: [f64; 4] = [0.25, 0.5, 0.75, 0.95];
/// A number whose order goes with the time like this is a counter or a time itself.
const MAX_TREND: f64 = 0.9;
/// Same-service spans around a span that are asked for an attribute it lacks: a handler's span is rarely deeper in its server span.
const MAX_AROUND: usize = 8;

/// Pairs of a number and a start by which ranges are chosen, at most: enough for quantiles that are right to a thousandth.
const MAX_SAMPLE: usize = 1 << 18;

/// Of calls alike so many are drawn at most.
const MAX_ALIKE: u32 = 1_000;

/// The keys worth looking into, in order, of those with a count that the values of each have at least.
pub(super) fn telling(attributes: &[(AttributeKey, u32)], is_named: &dyn Fn(&str) -> bool) -> Vec<AttributeKey> {
    let is_telling = |key: &str| is_named(key) || tells_calls_apart(key);
    let keys = attributes.iter().filter(|(key, _)| is_telling(&key.key) && !has_many(attributes, &key.key));
    keys.map(|(key, _)| key.clone()).collect()
}

/// Whether a key has more values than [`MAX_DISTINCT`], in either scope.
pub(super) fn has_many(attributes: &[(AttributeKey, u32)], key: &str) -> bool {
    attributes.iter().any(|(known, count)| known.key == key && *count > MAX_DISTINCT)
}

/// A value that can be told from others: none for lists and maps, which are no categories.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// A string.
    Text(String),
    /// An integer.
    Int(i64),
    /// The bits of a double.
    Double(u64),
    /// A truth value.
    Bool(bool),
}

impl Value {
    /// The value as [`AttributeTable::text`](crate::span::AttributeTable::text) has it.
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Int(value) => value.to_string(),
            Self::Double(bits) => f64::from_bits(*bits).to_string(),
            Self::Bool(value) => value.to_string(),
        }
    }

    /// The value of a number.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Double(bits) => Some(f64::from_bits(*bits)),
            _ => None,
        }
    }
}

/// How the values of an attribute become codes.
#[derive(Debug)]
enum Kind {
    Categories(HashMap<Value, u32, foldhash::fast::FixedState>),
    /// Largest number of each range but the last.
    Ranges(Vec<f64>),
}

/// An attribute that can tell calls apart.
#[derive(Debug)]
pub(super) struct Coding {
    pub(super) key: AttributeKey,
    kind: Kind,
    /// Text of each code.
    pub(super) values: Vec<String>,
}

/// What is seen of the values of an attribute.
#[derive(Debug)]
struct Survey {
    known: HashMap<Value, u32, foldhash::fast::FixedState>,
    values: Vec<String>,
    /// Whether there are more than [`MAX_DISTINCT`].
    has_many: bool,
    are_numbers: bool,
    are_finite: bool,
    n_rows: usize,
    n_with: usize,
    /// Numbers and starts of their traces whose hash has so many zeros at its end.
    sample: Vec<(f64, i64)>,
    n_zeros: u32,
}

/// The rows of a frame.
struct Rows<'a> {
    frame: &'a SpanFrame,
    /// The trace of each row; none of a row that is no span of the forest.
    trace: Vec<u32>,
    /// When each trace starts.
    start_ns: &'a [i64],
}

/// How the attributes `keys` tell calls apart; none for one with too many values, or the same on every span.
pub(super) fn codings(input: Input<'_>, keys: &[AttributeKey]) -> Vec<Coding> {
    let mut surveys: Vec<Survey> = keys.iter().map(|_| Survey::default()).collect();
    if let Some(beside) = input.beside {
        keys.par_iter().zip(&mut surveys).for_each(|(key, survey)| survey.add_kept(beside, key));
    }
    input.forest.each_stretch_of_all(Need::All, |stretch, traces| {
        let (forest, frame) = (stretch.forest, stretch.frame(input.frame));
        let mut rows = Rows { frame, trace: vec![u32::MAX; frame.spans.len()], start_ns: &forest.root_start_ns };
        for local in traces.iter().map(|&trace| stretch.local(trace)) {
            let code = u32::try_from(local).unwrap_or(u32::MAX);
            forest.row[forest.spans_of(local)].iter().for_each(|&row| rows.trace[row as usize] = code);
        }
        keys.par_iter().zip(&mut surveys).for_each(|(key, survey)| survey.add(&rows, key));
    });
    keys.iter().zip(surveys).filter_map(|(key, survey)| survey.coding(key)).collect()
}

impl Default for Survey {
    fn default() -> Self {
        Self {
            known: HashMap::default(),
            values: Vec::new(),
            has_many: false,
            are_numbers: true,
            are_finite: true,
            n_rows: 0,
            n_with: 0,
            sample: Vec::new(),
            n_zeros: 0,
        }
    }
}

impl Survey {
    fn add(&mut self, rows: &Rows<'_>, key: &AttributeKey) {
        let frame = rows.frame;
        self.n_rows += rows.trace.iter().filter(|&&trace| trace != u32::MAX).count();
        let mut last = None;
        // Texts are looked at once a frame.
        let mut seen = vec![false; frame.attributes.values.len()];
        let column = frame.attributes.get(key.scope, &key.key);
        for (row, value) in column.iter().flat_map(|column| column.iter()) {
            let Some(&trace) = rows.trace.get(row as usize).filter(|&&trace| trace != u32::MAX) else { continue };
            self.n_with += 1;
            if let Some(number) = number(value) {
                self.are_finite &= number.is_finite();
                self.draw(number, rows.start_ns[trace as usize]);
            }
            if last == Some(value) {
                continue;
            }
            last = Some(value);
            if let AttributeValue::String(code) = value
                && let Some(seen) = seen.get_mut(code as usize)
                && std::mem::replace(seen, true)
            {
                continue;
            }
            if let Some(value) = identity(frame, value) {
                self.see(value);
            }
        }
    }

    /// Adds what was kept of calls.
    fn add_kept(&mut self, beside: &Beside, key: &AttributeKey) {
        self.n_rows += beside.n_calls();
        let Some(column) = beside.kept.column(key) else { return };
        for value in &column.values {
            self.see(value.clone());
        }
        let numbers: Vec<Option<f64>> = column.values.iter().map(Value::number).collect();
        beside.each_value(column, |code, n_calls, start_ns| {
            self.n_with += n_calls as usize;
            if let Some(number) = numbers[code as usize] {
                self.are_finite &= number.is_finite();
                (0..n_calls.min(MAX_ALIKE)).for_each(|_| self.draw(number, start_ns));
            }
        });
    }

    fn see(&mut self, value: Value) {
        self.are_numbers &= value.number().is_some();
        if self.values.len() > MAX_DISTINCT as usize {
            self.has_many |= !self.known.contains_key(&value);
        } else if !self.known.contains_key(&value) {
            self.values.push(value.text());
            self.known.insert(value, u32::try_from(self.values.len() - 1).unwrap_or(NO_CODE));
            self.has_many |= self.values.len() > MAX_DISTINCT as usize;
        }
    }

    /// Keeps a pair by its hash, so that the order in which pairs are seen does not matter.
    fn draw(&mut self, number: f64, start_ns: i64) {
        let zeros = |&(number, start_ns): &(f64, i64)| {
            foldhash::quality::FixedState::with_seed(7).hash_one((number.to_bits(), start_ns)).trailing_zeros()
        };
        if zeros(&(number, start_ns)) >= self.n_zeros {
            self.sample.push((number, start_ns));
        }
        while self.sample.len() > MAX_SAMPLE && self.n_zeros < u64::BITS {
            self.n_zeros += 1;
            let n_zeros = self.n_zeros;
            self.sample.retain(|pair| zeros(pair) >= n_zeros);
        }
    }

    fn coding(self, key: &AttributeKey) -> Option<Coding> {
        if self.are_numbers && self.values.len() > MAX_NUMBERS {
            return self.ranges(key);
        }
        let is_constant = self.values.len() < 2 && self.n_with >= self.n_rows;
        if self.values.is_empty() || self.has_many || is_constant {
            return None;
        }
        Some(Coding { key: key.clone(), kind: Kind::Categories(self.known), values: self.values })
    }

    /// Cuts a number into ranges; `None` if it only counts on with time.
    fn ranges(self, key: &AttributeKey) -> Option<Coding> {
        let (values, starts): (Vec<f64>, Vec<i64>) = self.sample.into_iter().unzip();
        if !self.are_finite || trend(&values, &starts).abs() > MAX_TREND {
            return None;
        }
        let mut sorted = values;
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |q: f64| crate::stats::quantile(&sorted, q).unwrap_or(0.0).floor();
        let mut cuts: Vec<f64> = CUTS.into_iter().map(at).collect();
        cuts.dedup();
        let mut values = vec![format!("up to {}", cuts[0])];
        values.extend(cuts.windows(2).map(|pair| format!("over {} to {}", pair[0], pair[1])));
        values.push(format!("over {}", cuts[cuts.len() - 1]));
        Some(Coding { key: key.clone(), kind: Kind::Ranges(cuts), values })
    }
}

/// An attribute as one code a row of a frame.
pub(super) struct Dense {
    scope: AttributeScope,
    codes: Vec<u32>,
}

impl Coding {
    /// The codes of a frame's rows.
    pub(super) fn dense(&self, frame: &SpanFrame) -> Dense {
        let mut codes = vec![NO_CODE; frame.spans.len()];
        let mut last = None;
        let mut texts = vec![None; frame.attributes.values.len()];
        let column = frame.attributes.get(self.key.scope, &self.key.key);
        for (row, value) in column.iter().flat_map(|column| column.iter()) {
            let code = match (last, value) {
                (Some((known, code)), value) if known == value => code,
                (_, AttributeValue::String(text)) if (text as usize) < texts.len() => {
                    *texts[text as usize].get_or_insert_with(|| self.code(frame, value))
                }
                _ => self.code(frame, value),
            };
            last = Some((value, code));
            if let Some(slot) = codes.get_mut(row as usize) {
                *slot = code;
            }
        }
        Dense { scope: self.key.scope, codes }
    }

    /// The codes of what was kept of calls.
    pub(super) fn dense_of(&self, beside: &Beside) -> Dense {
        let mut codes = vec![NO_CODE; beside.kept.rows.len()];
        if let Some(column) = beside.kept.column(&self.key) {
            let own: Vec<u32> = column.values.iter().map(|value| self.code_of(value)).collect();
            column.each_code(&beside.order, |row, code| codes[row as usize] = own[code as usize]);
        }
        Dense { scope: self.key.scope, codes }
    }

    fn code(&self, frame: &SpanFrame, value: AttributeValue) -> u32 {
        match (&self.kind, number(value)) {
            (Kind::Ranges(cuts), Some(number)) => range(cuts, number),
            (Kind::Ranges(_), None) => NO_CODE,
            (Kind::Categories(_), _) => identity(frame, value).map_or(NO_CODE, |value| self.code_of(&value)),
        }
    }

    fn code_of(&self, value: &Value) -> u32 {
        match &self.kind {
            Kind::Categories(known) => known.get(value).copied().unwrap_or(NO_CODE),
            Kind::Ranges(cuts) => value.number().map_or(NO_CODE, |number| range(cuts, number)),
        }
    }
}

fn range(cuts: &[f64], number: f64) -> u32 {
    u32::try_from(cuts.partition_point(|&cut| cut < number)).unwrap_or(NO_CODE)
}

impl Dense {
    /// Code of a span's value; a span attribute that it lacks is that of the nearest span around it in its service.
    pub(super) fn code(&self, forest: &Forest, first: usize, span: usize) -> u32 {
        let own = |span: usize| self.codes[forest.row[span] as usize];
        let mut code = own(span);
        if code != NO_CODE || self.scope == AttributeScope::Resource {
            return code;
        }
        let service = |span: usize| forest.operations[forest.operation[span] as usize].service;
        let mut around = span;
        for _ in 0..MAX_AROUND {
            let parent = forest.parent[around];
            if parent == NO_PARENT || service(first + parent as usize) != service(span) {
                break;
            }
            around = first + parent as usize;
            code = own(around);
            if code != NO_CODE {
                break;
            }
        }
        code
    }
}

pub(super) fn identity(frame: &SpanFrame, value: AttributeValue) -> Option<Value> {
    match value {
        AttributeValue::String(code) => Some(Value::Text(frame.attributes.values.get(code).to_owned())),
        AttributeValue::Int(value) => Some(Value::Int(value)),
        AttributeValue::Double(value) => Some(Value::Double(value.to_bits())),
        AttributeValue::Bool(value) => Some(Value::Bool(value)),
        AttributeValue::Json(_) => None,
    }
}

fn number(value: AttributeValue) -> Option<f64> {
    match value {
        AttributeValue::Int(value) => Some(value as f64),
        AttributeValue::Double(value) => Some(value),
        _ => None,
    }
}

/// Rank correlation of values with their times (Spearman's); 0 where there is none to speak of.
fn trend(values: &[f64], starts: &[i64]) -> f64 {
    let mut by_value = values.to_vec();
    by_value.sort_unstable_by(f64::total_cmp);
    let mut by_start = starts.to_vec();
    by_start.sort_unstable();
    // Equals have the mean of their ranks; the mean of all ranks is half their number.
    let middle = values.len() as f64 / 2.0;
    let ranks = |value: f64, start: i64| {
        let of_value =
            by_value.partition_point(|&other| other < value) + by_value.partition_point(|&other| other <= value);
        let of_start =
            by_start.partition_point(|&other| other < start) + by_start.partition_point(|&other| other <= start);
        (of_value as f64 / 2.0 - middle, of_start as f64 / 2.0 - middle)
    };
    let (mut across, mut squares) = (0.0, (0.0, 0.0));
    for (&value, &start) in values.iter().zip(starts) {
        let (left, right) = ranks(value, start);
        across += left * right;
        squares = (squares.0 + left * left, squares.1 + right * right);
    }
    let scale = (squares.0 * squares.1).sqrt();
    if scale > 0.0 { across / scale } else { 0.0 }
}

/// Names that people think in, the most telling first, where several attributes say the same.
pub(super) fn preference(key: &str, of: Of) -> (usize, usize) {
    const FIRST: [&str; 12] = [
        "service.version",
        "deployment.version",
        "version",
        "host.name",
        "k8s.pod.name",
        "k8s.node.name",
        "cloud.availability_zone",
        "cloud.region",
        "tenant",
        "tenant.id",
        "service.instance.id",
        "container.image.tag",
    ];
    // What a request brings along says more of it than of the one who passes it on.
    const SPANS: [Of; 4] = [Of::Suspect, Of::Entry, Of::Callee, Of::Caller];
    let place = |of: Of| SPANS.iter().position(|known| *known == of).unwrap_or(SPANS.len());
    (FIRST.iter().position(|known| *known == key).unwrap_or(FIRST.len()), place(of))
}
