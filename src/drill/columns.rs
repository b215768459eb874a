//! Attributes as one code a span, those that can tell calls apart.

use super::Of;
use crate::normalize::{Forest, NO_PARENT};
use crate::span::{
    AttributeColumn, AttributeKey, AttributeScope, AttributeTable, AttributeValue, MAX_DISTINCT, SpanFrame,
    tells_calls_apart,
};
use hashbrown::HashMap;

/// No value.
pub(super) const NO_CODE: u32 = u32::MAX;
/// A number with more values than this is cut into ranges: sizes and counts carry a change by their magnitude.
const MAX_NUMBERS: usize = 20;
/// Quantiles at which ranges meet; the last range is the largest twentieth, where outliers are.
const CUTS: [f64; 4] = [0.25, 0.5, 0.75, 0.95];
/// A number whose order goes with the time like this is a counter or a time itself.
const MAX_TREND: f64 = 0.9;
/// Same-service spans around a span that are asked for an attribute it lacks: a handler's span is rarely deeper in its server span.
const MAX_AROUND: usize = 8;

/// The columns worth looking into, by key.
pub(super) fn telling<'a>(
    table: &'a AttributeTable,
    is_named: &dyn Fn(&str) -> bool,
) -> Vec<(&'a AttributeKey, &'a AttributeColumn)> {
    let mut columns = table.sorted();
    columns.retain(|(key, column)| {
        !column.is_empty() && (is_named(&key.key) || tells_calls_apart(&key.key)) && !table.has_many(&key.key)
    });
    columns
}

/// An attribute as one code a span row.
pub(super) struct Dense {
    scope: AttributeScope,
    codes: Vec<u32>,
    /// Text of each code.
    pub(super) values: Vec<String>,
}

impl Dense {
    /// `None` if it has too many values to tell anything, or the same on every span.
    pub(super) fn new(frame: &SpanFrame, key: &AttributeKey, column: &AttributeColumn) -> Option<Self> {
        let n_rows = frame.spans.len();
        let mut known = HashMap::<(u8, u64), u32, foldhash::fast::FixedState>::default();
        let mut values: Vec<AttributeValue> = Vec::new();
        let mut codes = vec![NO_CODE; n_rows];
        let mut last = None;
        for (row, value) in column.iter() {
            let Some(identity) = identity(value) else { continue };
            let code = match last {
                Some((same, code)) if same == identity => code,
                _ => *known.entry(identity).or_insert_with(|| {
                    values.push(value);
                    u32::try_from(values.len() - 1).unwrap_or(NO_CODE)
                }),
            };
            last = Some((identity, code));
            if let Some(slot) = codes.get_mut(row as usize) {
                *slot = code;
            }
        }
        let numbers: Option<Vec<f64>> = values.iter().map(|&value| number(value)).collect();
        if let Some(numbers) = numbers.filter(|numbers| numbers.len() > MAX_NUMBERS) {
            return Self::ranges(frame, key, codes, &numbers);
        }
        let is_constant = values.len() < 2 && column.len() >= n_rows;
        if values.is_empty() || values.len() > MAX_DISTINCT as usize || is_constant {
            return None;
        }
        let values = values.into_iter().map(|value| frame.attributes.text(value).into_owned()).collect();
        Some(Self { scope: key.scope, codes, values })
    }

    /// Cuts a number into ranges; `None` if it only counts on with time.
    fn ranges(frame: &SpanFrame, key: &AttributeKey, mut codes: Vec<u32>, numbers: &[f64]) -> Option<Self> {
        if numbers.iter().any(|number| !number.is_finite()) {
            return None;
        }
        let rows = || codes.iter().enumerate().filter(|&(_, &code)| code != NO_CODE);
        let starts: Vec<i64> = rows().map(|(row, _)| frame.spans.start_unix_ns[row]).collect();
        let values: Vec<f64> = rows().map(|(_, &code)| numbers[code as usize]).collect();
        if trend(&values, &starts).abs() > MAX_TREND {
            return None;
        }
        let mut sorted = values;
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |q: f64| crate::stats::quantile(&sorted, q).unwrap_or(0.0).floor();
        let mut cuts: Vec<f64> = CUTS.into_iter().map(at).collect();
        cuts.dedup();
        for code in codes.iter_mut().filter(|code| **code != NO_CODE) {
            let number = numbers[*code as usize];
            *code = u32::try_from(cuts.partition_point(|&cut| cut < number)).unwrap_or(NO_CODE);
        }
        let mut values = vec![format!("up to {}", cuts[0])];
        values.extend(cuts.windows(2).map(|pair| format!("over {} to {}", pair[0], pair[1])));
        values.push(format!("over {}", cuts[cuts.len() - 1]));
        Some(Self { scope: key.scope, codes, values })
    }

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

/// What tells values apart; none for lists and maps, which are no categories.
fn identity(value: AttributeValue) -> Option<(u8, u64)> {
    match value {
        AttributeValue::String(code) => Some((0, u64::from(code))),
        AttributeValue::Int(value) => Some((1, value.cast_unsigned())),
        AttributeValue::Double(value) => Some((2, value.to_bits())),
        AttributeValue::Bool(value) => Some((3, u64::from(value))),
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
