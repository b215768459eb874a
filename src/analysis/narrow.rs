//! Which traces a question is about, and which side of it a trace is on: `--entry`, `--where`, `--baseline-where`,
//! `--regression-where`, `--compare`.
//!
//! A condition is the value of an attribute, or of a span's own name, service, kind or status. A trace holds it if any
//! of its spans does. Traces that a question is not about are set aside and counted, never dropped.

use super::Prepared;
use super::conditions::{Condition, Holding, holding, values_of};
use crate::diagnostics::SetAsideReason;
use crate::error::Error;
use crate::normalize::NO_PARENT;
use globset::GlobBuilder;
use hashbrown::HashMap;

/// A question about a part of the data, or about two parts that ran side by side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// `--entry SERVICE[:OPERATION]`: only requests to these.
    pub entries: Vec<String>,
    /// `--where ATTR=VALUE`: only traces in which each of these holds.
    pub conditions: Vec<String>,
    /// `--baseline-where ATTR=VALUE`: traces in which all of these hold are the baseline's.
    pub baseline: Vec<String>,
    /// `--regression-where ATTR=VALUE`: traces in which all of these hold are the regression's.
    pub regression: Vec<String>,
    /// `--compare ATTR`: its first value against its last one.
    pub compare: Option<String>,
}

impl Question {
    /// Whether all of the data are meant.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Keys of the attributes named, for `ingest` to decode.
    #[must_use]
    pub fn attributes(&self) -> Vec<String> {
        let conditions = self.conditions.iter().chain(&self.baseline).chain(&self.regression);
        let named = conditions.map(|text| text.split_once('=').map_or(text.as_str(), |(key, _)| key));
        named.chain(self.compare.as_deref()).map(|key| key.trim().to_owned()).collect()
    }
}

/// The side of a comparison that a trace is on, when it is not its time alone that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Baseline,
    Regression,
}

/// What a question leaves of the data.
#[derive(Clone, Debug, Default)]
pub struct Narrowed {
    /// Why a trace takes no part, a trace; empty if all do.
    pub(super) aside: Vec<Option<SetAsideReason>>,
    /// On which side a trace is, a trace; empty if time decides.
    pub(super) sides: Vec<Option<Side>>,
    /// The choice of sides in a sentence, if there is one.
    pub(super) description: Option<String>,
    /// What the question is narrowed to.
    pub(super) only: Vec<String>,
    /// What a reader should know of it.
    pub(super) warnings: Vec<String>,
}

/// Applies a question to prepared data.
pub(super) fn narrow(prepared: &Prepared, question: &Question) -> Result<Narrowed, Error> {
    let mut narrowed = Narrowed::default();
    if question.is_empty() {
        return Ok(narrowed);
    }
    let n_traces = prepared.forest.n_traces();
    narrowed.aside = vec![None; n_traces];
    let entries = question.entries.iter().map(|entry| format!("requests to {entry}"));
    narrowed.only =
        entries.chain(question.conditions.iter().map(|condition| format!("traces with {condition}"))).collect();
    let mut exclude = |keep: &[bool], reason: SetAsideReason| {
        for (aside, keep) in narrowed.aside.iter_mut().zip(keep) {
            if !keep {
                aside.get_or_insert(reason);
            }
        }
    };
    if !question.entries.is_empty() {
        exclude(&of_entries(prepared, &question.entries)?, SetAsideReason::OtherEntry);
    }
    for text in &question.conditions {
        exclude(&having(prepared, text, "--where")?, SetAsideReason::ConditionNotMet);
    }
    if narrowed.aside.iter().all(Option::is_some) {
        return Err(Error::NotFound {
            message: "no trace meets `--entry` and every `--where` at once".to_owned(),
            hint: "leave one of them out".to_owned(),
        });
    }
    take_sides(prepared, question, &mut narrowed)?;
    Ok(narrowed)
}

fn take_sides(prepared: &Prepared, question: &Question, narrowed: &mut Narrowed) -> Result<(), Error> {
    let (baseline, regression) = match &question.compare {
        Some(key) => {
            if !question.baseline.is_empty() || !question.regression.is_empty() {
                return Err(Error::Usage {
                    message: "`--compare` chooses both sides itself".to_owned(),
                    hint: "leave out `--baseline-where` and `--regression-where`".to_owned(),
                });
            }
            let [first, last] = first_and_last(prepared, key, &narrowed.aside)?;
            (vec![format!("{key}={first}")], vec![format!("{key}={last}")])
        }
        None if question.baseline.is_empty() && question.regression.is_empty() => return Ok(()),
        None => (question.baseline.clone(), question.regression.clone()),
    };
    let side = |texts: &[String], flag| -> Result<Option<Vec<bool>>, Error> {
        let mut all: Option<Vec<bool>> = None;
        for text in texts {
            let having = having(prepared, text, flag)?;
            all = Some(match all {
                Some(all) => all.iter().zip(having).map(|(&all, having)| all && having).collect(),
                None => having,
            });
        }
        Ok(all)
    };
    let [before, after] = [side(&baseline, "--baseline-where")?, side(&regression, "--regression-where")?];
    // Where one side is not given it is all the rest.
    let rest = |other: &Option<Vec<bool>>| -> Vec<bool> { other.iter().flatten().map(|&is_other| !is_other).collect() };
    let before_all = before.clone().unwrap_or_else(|| rest(&after));
    let after_all = after.unwrap_or_else(|| rest(&before));
    let (mut n_both, mut n_sides) = (0_u64, [0_u64; 2]);
    narrowed.sides = before_all
        .iter()
        .zip(&after_all)
        .zip(&mut narrowed.aside)
        .map(|((&is_before, &is_after), aside)| {
            if aside.is_some() {
                return None;
            }
            match (is_before, is_after) {
                (true, false) => {
                    n_sides[0] += 1;
                    Some(Side::Baseline)
                }
                (false, true) => {
                    n_sides[1] += 1;
                    Some(Side::Regression)
                }
                (true, true) => {
                    n_both += 1;
                    *aside = Some(SetAsideReason::BothSides);
                    None
                }
                (false, false) => {
                    *aside = Some(SetAsideReason::NeitherSide);
                    None
                }
            }
        })
        .collect();
    let words = |texts: &[String]| if texts.is_empty() { "the rest".to_owned() } else { texts.join(" and ") };
    narrowed.description =
        Some(format!("windows by attributes: requests with {} against {}", words(&baseline), words(&regression)));
    for (n_traces, texts) in n_sides.iter().zip([&baseline, &regression]) {
        if *n_traces == 0 {
            return Err(Error::NotFound {
                message: format!("no trace is on the side of {} alone", words(texts)),
                hint: if n_both > 0 {
                    format!("{n_both} traces are on both sides and belong to none")
                } else {
                    "give conditions that hold in different traces".to_owned()
                },
            });
        }
    }
    if n_both > 0 {
        narrowed.warnings.push(format!("{n_both} traces are on both sides of the comparison and were set aside"));
    }
    let n_neither = narrowed.aside.iter().filter(|aside| **aside == Some(SetAsideReason::NeitherSide)).count();
    if n_neither > 0 {
        narrowed.warnings.push(format!("{n_neither} traces are on neither side of the comparison and were set aside"));
    }
    Ok(())
}

/// Whether each trace holds a condition.
fn having(prepared: &Prepared, text: &str, flag: &'static str) -> Result<Vec<bool>, Error> {
    let condition = Condition::parse(text, flag)?;
    match holding(prepared, &condition) {
        Holding::Traces(traces) => Ok(traces),
        Holding::UnknownKey(known) => Err(Error::NotFound {
            message: format!("no span has the attribute `{}` of `{flag} {text}`", condition.key),
            hint: known,
        }),
        Holding::UnknownValue(known) => Err(Error::NotFound {
            message: format!("no span has `{}` = `{}`", condition.key, condition.value),
            hint: known,
        }),
    }
}

/// The first-seen and the last-seen of an attribute's two values.
fn first_and_last(prepared: &Prepared, key: &str, aside: &[Option<SetAsideReason>]) -> Result<[String; 2], Error> {
    const SHOWN: usize = 10;
    let values = values_of(prepared, key, aside).map_err(|hint| Error::NotFound {
        message: format!("no span has the attribute `{key}` of `--compare {key}`"),
        hint,
    })?;
    if let [first, last] = values.as_slice() {
        return Ok([first.clone(), last.clone()]);
    }
    let mut names: Vec<String> = values.iter().take(SHOWN).map(|value| format!("`{value}`")).collect();
    if values.len() > SHOWN {
        names.push("...".to_owned());
    }
    let message = match values.len() {
        0 => format!("no trace that the question is about has the attribute `{key}`"),
        1 => format!("`{key}` has one value only: {}", names.join(", ")),
        n => format!("`{key}` has {n} values, not two: {}, from the first seen to the last", names.join(", ")),
    };
    let hint = match values.as_slice() {
        [first, .., last] => {
            format!("choose two: `--baseline-where '{key}={first}' --regression-where '{key}={last}'`")
        }
        _ => "compare two stretches of time instead: `--baseline START..END --regression START..END`".to_owned(),
    };
    Err(Error::NotFound { message, hint })
}

/// Whether each trace is a request to one of the entries.
fn of_entries(prepared: &Prepared, wanted: &[String]) -> Result<Vec<bool>, Error> {
    let forest = &prepared.forest;
    // Without any root, fragments are all there is.
    let has_roots = (0..forest.n_spans()).any(|span| forest.is_root(span));
    let entry_of = |trace: usize| {
        let top = forest.first_top(trace)?;
        (forest.parent[top] == NO_PARENT && (forest.is_root(top) || !has_roots)).then(|| forest.operation[top])
    };
    let mut n_requests: HashMap<u32, u64, foldhash::fast::FixedState> = HashMap::default();
    for entry in (0..forest.n_traces()).filter_map(entry_of) {
        *n_requests.entry(entry).or_default() += 1;
    }
    let mut is_wanted = vec![false; forest.operations.len()];
    for text in wanted {
        let matcher = EntryMatcher::new(text)?;
        let mut found = false;
        for (index, &operation) in forest.operations.iter().enumerate() {
            let is_entry = u32::try_from(index).is_ok_and(|index| n_requests.contains_key(&index));
            let service = &forest.services[operation.service as usize].name;
            if is_entry && matcher.matches(service, forest.operation_name(operation)) {
                is_wanted[index] = true;
                found = true;
            }
        }
        if !found {
            return Err(no_entry(prepared, text, &n_requests));
        }
    }
    Ok((0..forest.n_traces()).map(|trace| entry_of(trace).is_some_and(|entry| is_wanted[entry as usize])).collect())
}

fn no_entry(prepared: &Prepared, text: &str, n_requests: &HashMap<u32, u64, foldhash::fast::FixedState>) -> Error {
    const SHOWN: usize = 12;
    let forest = &prepared.forest;
    let mut entries: Vec<(u64, String)> = forest
        .operations
        .iter()
        .enumerate()
        .filter_map(|(index, &operation)| {
            let n = *n_requests.get(&u32::try_from(index).ok()?)?;
            let service = &forest.services[operation.service as usize].name;
            Some((n, format!("`{service}:{}`", forest.operation_name(operation))))
        })
        .collect();
    entries.sort_by(|left, right| right.0.cmp(&left.0).then_with(|| left.1.cmp(&right.1)));
    entries.dedup_by(|next, kept| next.1 == kept.1);
    let n_more = entries.len().saturating_sub(SHOWN);
    let mut names: Vec<String> = entries.into_iter().take(SHOWN).map(|(_, name)| name).collect();
    if n_more > 0 {
        names.push(format!("and {n_more} more"));
    }
    Error::NotFound {
        message: format!("no request begins at `--entry {text}`"),
        hint: if names.is_empty() {
            "no trace has a root".to_owned()
        } else {
            format!("requests begin at {}", names.join(", "))
        },
    }
}

/// `SERVICE[:OPERATION]` with `*` and `?`; either name may hold colons.
struct EntryMatcher {
    /// The text read as a service alone, and cut at each of its colons.
    readings: Vec<(globset::GlobMatcher, Option<globset::GlobMatcher>)>,
}

impl EntryMatcher {
    fn new(text: &str) -> Result<Self, Error> {
        let glob = |pattern: &str| {
            // Operations hold slashes and braces that mean nothing here.
            let escaped = pattern.trim().replace('\\', "[\\]").replace('{', "[{]").replace('}', "[}]");
            GlobBuilder::new(&escaped).literal_separator(false).backslash_escape(false).build().map_err(|error| {
                Error::Usage {
                    message: format!("`--entry {text}` is no pattern: {}", error.kind()),
                    hint: "write `SERVICE` or `SERVICE:OPERATION`; `*` and `?` stand for any text and character"
                        .to_owned(),
                }
            })
        };
        let mut readings = vec![(glob(text)?.compile_matcher(), None)];
        for (at, _) in text.match_indices(':') {
            readings.push((glob(&text[..at])?.compile_matcher(), Some(glob(&text[at + 1..])?.compile_matcher())));
        }
        Ok(Self { readings })
    }

    fn matches(&self, service: &str, operation: &str) -> bool {
        self.readings.iter().any(|(of_service, of_operation)| {
            of_service.is_match(service) && of_operation.as_ref().is_none_or(|matcher| matcher.is_match(operation))
        })
    }
}
