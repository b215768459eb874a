//! `ATTR=VALUE`: which traces hold it, which values there are, and which name was perhaps meant.

use super::Prepared;
use crate::diagnostics::SetAsideReason;
use crate::error::Error;
use crate::normalize::{Need, SpanFlags, Stretch};
use crate::span::{AttributeScope, SpanStatus};
use hashbrown::HashMap;

/// Names of what every span has, beside its attributes.
const INTRINSIC: [&str; 4] = ["service.name", "name", "kind", "status"];
/// Values shown where the right one has to be guessed.
const SHOWN: usize = 10;

/// The value that an attribute must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) key: String,
    pub(super) value: String,
}

impl Condition {
    pub(super) fn parse(text: &str, flag: &str) -> Result<Self, Error> {
        let parts = text.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
        match parts.filter(|(key, _)| !key.is_empty()) {
            Some((key, value)) => Ok(Self { key: key.to_owned(), value: value.to_owned() }),
            None => Err(Error::Usage {
                message: format!("`{flag} {text}` is no condition"),
                hint: format!("write `{flag} ATTR=VALUE`, such as `{flag} service.version=1.5`"),
            }),
        }
    }
}

/// The traces that hold a condition, or what to say if there is none.
pub(super) enum Holding {
    /// Whether each trace does.
    Traces(Vec<bool>),
    /// No span has the key; names that were perhaps meant.
    UnknownKey(String),
    /// No span has the value; the values there are.
    UnknownValue(String),
}

pub(super) fn holding(prepared: &Prepared, condition: &Condition) -> Holding {
    let mut traces = vec![false; prepared.forest.n_traces()];
    let (mut is_known, mut is_held) = (false, false);
    each(prepared, &condition.key, &mut |trace, value| {
        is_known = true;
        if value == condition.value {
            is_held = true;
            traces[trace] = true;
        }
    });
    if is_held {
        return Holding::Traces(traces);
    }
    if !is_known {
        return Holding::UnknownKey(known_keys(prepared, &condition.key));
    }
    // Counted by trace visits, which is enough to show the usual ones first.
    let mut counts: HashMap<String, u64, foldhash::fast::FixedState> = HashMap::default();
    each(prepared, &condition.key, &mut |_, value| match counts.get_mut(value) {
        Some(count) => *count += 1,
        None => {
            counts.insert(value.to_owned(), 1);
        }
    });
    let mut values: Vec<(String, u64)> = counts.into_iter().collect();
    values.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
    let n_more = values.len().saturating_sub(SHOWN);
    let mut names: Vec<String> = values.iter().take(SHOWN).map(|(value, _)| format!("`{value}`")).collect();
    if n_more > 0 {
        names.push(format!("and {n_more} more"));
    }
    Holding::UnknownValue(format!("its values are {}", names.join(", ")))
}

/// The values of an attribute in traces not set aside, by the start of the first trace that has it.
///
/// # Errors
/// The names that were perhaps meant, if no span has the attribute.
pub(super) fn values_of(
    prepared: &Prepared,
    key: &str,
    aside: &[Option<SetAsideReason>],
) -> Result<Vec<String>, String> {
    let mut first: HashMap<String, i64, foldhash::fast::FixedState> = HashMap::default();
    let mut is_known = false;
    each(prepared, key, &mut |trace, value| {
        is_known = true;
        if aside.get(trace).copied().flatten().is_some() {
            return;
        }
        let start_ns = prepared.forest.root_start_ns[trace];
        match first.get_mut(value) {
            Some(known) => *known = start_ns.min(*known),
            None => {
                first.insert(value.to_owned(), start_ns);
            }
        }
    });
    if !is_known {
        return Err(known_keys(prepared, key));
    }
    let mut values: Vec<(i64, String)> = first.into_iter().map(|(value, start)| (start, value)).collect();
    // At one moment the smaller version is the older one, as far as text can say.
    values.sort();
    Ok(values.into_iter().map(|(_, value)| value).collect())
}

/// Calls `see` with the trace and value of every span that has `key`.
fn each(prepared: &Prepared, key: &str, see: &mut dyn FnMut(usize, &str)) {
    let forest = &prepared.forest;
    if INTRINSIC.contains(&key) {
        let need = if key == "status" { Need::All } else { Need::Links };
        return each_span(prepared, need, &mut |stretch, trace, span| {
            let (forest, frame) = (stretch.forest, stretch.frame(&prepared.frame));
            let operation = forest.operations[forest.operation[span] as usize];
            let row = forest.row[span] as usize;
            match key {
                "service.name" => see(trace, &forest.services[operation.service as usize].name),
                "name" => see(trace, forest.operation_name(operation)),
                "kind" => see(trace, forest.kind(span).as_str()),
                _ if forest.flags[span].has(SpanFlags::FAILED) => see(trace, SpanStatus::Error.as_str()),
                _ => see(trace, SpanStatus::from_code(u64::from(frame.spans.status[row])).as_str()),
            }
        });
    }
    if !forest.attributes(&prepared.frame).iter().any(|(known, _)| known.key == key) {
        return;
    }
    forest.each_stretch_of_all(Need::All, |stretch, traces| {
        let (forest, frame) = (stretch.forest, stretch.frame(&prepared.frame));
        // The trace of each row; duplicates are in none.
        let mut trace_of = vec![u32::MAX; frame.spans.len()];
        for &trace in traces {
            for span in forest.spans_of(stretch.local(trace)) {
                trace_of[forest.row[span] as usize] = trace;
            }
        }
        let scopes = [AttributeScope::Span, AttributeScope::Resource].into_iter();
        for column in scopes.filter_map(|scope| frame.attributes.get(scope, key)) {
            for (row, value) in column.iter() {
                let trace = trace_of[row as usize];
                if trace != u32::MAX {
                    see(trace as usize, &frame.attributes.text(value));
                }
            }
        }
    });
}

/// Calls `see` with every span and its trace; of traces that a profile tells of with their tops.
fn each_span(prepared: &Prepared, need: Need, see: &mut dyn FnMut(&Stretch<'_>, usize, usize)) {
    let forest = &prepared.forest;
    forest.with_all(|stretch| {
        for trace in (0..forest.n_traces()).filter(|&trace| forest.is_summed(trace)) {
            forest.spans_of(trace).for_each(|span| see(stretch, trace, span));
        }
    });
    forest.each_stretch_of_all(need, |stretch, traces| {
        for &trace in traces {
            stretch.forest.spans_of(stretch.local(trace)).for_each(|span| see(stretch, trace as usize, span));
        }
    });
}

/// What to say of a key that no span has: the nearest of those that were decoded, and where to find the others.
fn known_keys(prepared: &Prepared, key: &str) -> String {
    let mut keys: Vec<String> =
        prepared.forest.attributes(&prepared.frame).into_iter().map(|(known, _)| known.key).collect();
    keys.extend(INTRINSIC.map(str::to_owned));
    keys.sort_unstable();
    keys.dedup();
    keys.sort_by_cached_key(|known| distance(known, key));
    let names: Vec<String> = keys.iter().take(5).map(|known| format!("`{known}`")).collect();
    format!("the nearest of the attributes there are: {}", names.join(", "))
}

/// Edit distance of the lower-case texts (Levenshtein), of their first 100 characters.
fn distance(left: &str, right: &str) -> usize {
    let characters = |text: &str| text.chars().take(100).flat_map(char::to_lowercase).collect::<Vec<char>>();
    let (left, right) = (characters(left), characters(right));
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, from) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (place, to) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[place + 1];
            row[place + 1] = replaced.min(row[place] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distance_counts_edits_whatever_the_case() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("Service.Version", "service.version"), 0);
        assert_eq!(distance("", "abc"), 3);
    }
}
