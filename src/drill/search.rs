//! Best first: the value that explains most with the fewest calls, then what it explains together with another, then what is left.

use super::columns::{Coding, NO_CODE, codings, preference, telling};
use super::presence::VERSION;
use super::split::{Group, Parts};
use super::units::{NO_SPAN, Unit, collect};
use super::{Carrier, Condition, Drill, Input, Of, Target};
use crate::normalize::Need;
use crate::span::AttributeKey;
use crate::stats;
use rayon::prelude::*;

/// Largest false discovery rate at which a value is reported.
const MAX_Q: f64 = 0.01;
/// A carrier has at least this share of the contribution,
const MIN_SHARE: f64 = 0.2;
/// and more than its share of calls by this much: the part of the contribution that it explains and their number does not.
const MIN_GAIN: f64 = 0.1;
/// A pair has nearly all that its first value has,
const PAIR_SHARE: f64 = 0.8;
/// and gains this much on it within its calls, as a host would that has a quarter of them less.
const PAIR_GAIN: f64 = 0.2;
/// Values with this share of their calls in common are two names of one thing.
const SAME: f64 = 0.98;
/// Two-sided 95 % quantile of the standard normal.
const Z: f64 = 1.959_963_984_540_054;
/// Carriers a suspect: with three the text is full.
const MAX_CARRIERS: usize = 3;

/// A value that was tried.
#[derive(Clone, Debug)]
struct Tried {
    attribute: usize,
    of: Of,
    group: Group,
    q: f64,
}

/// Codes of a suspect's units by one attribute of one of its spans.
struct Coded<'a> {
    attribute: usize,
    of: Of,
    coding: &'a Coding,
    codes: Vec<u32>,
}

/// Codes of the units of a target by one attribute, of each of the spans that may carry it.
type Codes = [Vec<u32>; 4];

/// Finds what carries the contribution of each target.
///
/// `keys` are those that the user asks for; if there are none, all that can tell calls apart are tried. Cost: a pass over the spans of the
/// traces that touch a target, one over the attributes, then one a key over the targets' calls.
#[must_use]
pub fn drill(input: Input<'_>, targets: &[Target], keys: &[String]) -> Vec<Drill> {
    let wanted = wanted(input, keys);
    if wanted.is_empty() {
        return vec![Drill::default(); targets.len()];
    }
    let parts: Vec<Parts> = collect(input, targets).into_iter().map(Parts::new).collect();
    let codings = codings(input, &wanted);
    // A few keys at a time, so that memory holds the codes of these only.
    let n_at_once = rayon::current_num_threads().max(1);
    let mut tried: Vec<Vec<Tried>> = vec![Vec::new(); targets.len()];
    for (some, first) in codings.chunks(n_at_once).zip((0..).step_by(n_at_once)) {
        let some: Vec<&Coding> = some.iter().collect();
        let coded = codes(input, &some, &parts.iter().collect::<Vec<_>>());
        let found: Vec<Vec<Vec<Tried>>> = coded
            .par_iter()
            .enumerate()
            .map(|(place, coded)| {
                let of_target = |(parts, codes): (&Parts, &Codes)| try_key(parts, first + place, codes);
                parts.iter().zip(coded).map(of_target).collect()
            })
            .collect();
        for of_key in found {
            for (tried, own) in tried.iter_mut().zip(of_key) {
                tried.extend(own);
            }
        }
    }
    (parts.iter().zip(tried)).map(|(parts, tried)| search(input, &codings, parts, tried)).collect()
}

/// The attributes that are tried.
fn wanted(input: Input<'_>, keys: &[String]) -> Vec<AttributeKey> {
    let mut attributes = input.forest.attributes(input.frame);
    if let Some(beside) = input.beside {
        // What only the baseline has may be missed.
        attributes.extend(beside.kept.columns.iter().map(|column| (column.key.clone(), 0)));
        attributes.sort_unstable();
        // Of equals the one with the higher count is the last.
        attributes.reverse();
        attributes.dedup_by(|next, kept| next.0 == kept.0);
        attributes.reverse();
    }
    let mut wanted = telling(&attributes, &|key| keys.iter().any(|known| known == key));
    wanted.retain(|key| keys.is_empty() || keys.contains(&key.key));
    if let Some(beside) = input.beside {
        wanted.retain(|key| beside.kept.knows(&key.key) && !beside.kept.many.contains(&key.key));
    }
    wanted
}

/// The figures of all values of one key.
fn try_key(parts: &Parts, attribute: usize, codes: &Codes) -> Vec<Tried> {
    if parts.is_empty() {
        return Vec::new();
    }
    let tried = |of: Of| {
        let groups = parts.groups(&codes[of as usize]);
        groups.into_iter().map(move |group| Tried { attribute, of, group, q: 1.0 })
    };
    Of::ALL.into_iter().flat_map(tried).collect()
}

/// The codes of the units in `parts`, by attribute and part.
fn codes(input: Input<'_>, codings: &[&Coding], parts: &[&Parts]) -> Vec<Vec<Codes>> {
    let empty = |parts: &&Parts| [0; 4].map(|_| vec![NO_CODE; parts.units.len()]);
    let mut result: Vec<Vec<Codes>> = codings.iter().map(|_| parts.iter().map(empty).collect()).collect();
    let mut traces: Vec<u32> = input.selection.baseline.iter().chain(&input.selection.regression).copied().collect();
    traces.sort_unstable();
    input.each_stretch(&traces, Need::All, |stretch, traces| {
        let (Some(&first), Some(&last)) = (traces.first(), traces.last()) else { return };
        let beside = input.beside_of(first);
        codings.par_iter().zip(&mut result).for_each(|(coding, result)| {
            let dense = match beside {
                Some(beside) => coding.dense_of(beside),
                None => coding.dense(stretch.frame(input.frame)),
            };
            for (parts, codes) in parts.iter().zip(result) {
                for unit in parts.units_of(first..=last) {
                    let Unit { spans, trace, .. } = parts.units[unit];
                    // Traces that were kept and others lie among each other.
                    if input.beside_of(trace).is_some() != beside.is_some() {
                        continue;
                    }
                    let begin = stretch.forest.spans_of(stretch.local(trace)).start;
                    for (codes, span) in codes.iter_mut().zip(spans).filter(|&(_, span)| span != NO_SPAN) {
                        codes[unit] = dense.code(stretch.forest, begin, begin + span as usize);
                    }
                }
            }
        });
    });
    result
}

/// The share that a group's number explains, whether its calls or only those that have a part in the contribution are counted.
fn explained(group: &Group) -> f64 {
    group.share_of_units[1].max(group.share_of_calls[1])
}

/// What a group explains beyond its number; a share above one explains no more than all.
fn gain(group: &Group) -> f64 {
    group.share.min(1.0) - explained(group)
}

fn carries(group: &Group) -> bool {
    // Where the contribution itself is hardly known, so is any share of it.
    let is_known = group.share - Z * group.share_error > explained(group);
    group.excess > 0.0 && group.share >= MIN_SHARE && gain(group) >= MIN_GAIN && is_known
}

fn search(input: Input<'_>, codings: &[Coding], parts: &Parts, mut tried: Vec<Tried>) -> Drill {
    let tests: Vec<usize> = (0..tried.len()).filter(|&index| tried[index].group.p.is_some()).collect();
    let p: Vec<f64> = tests.iter().filter_map(|&index| tried[index].group.p).collect();
    for (&index, q) in tests.iter().zip(stats::false_discovery_rates(&p)) {
        tried[index].q = q;
    }
    let mut keys: Vec<usize> = tests.iter().map(|&index| tried[index].attribute).collect();
    keys.dedup();
    let is_carrier = |tried: &Tried| tried.q <= MAX_Q && carries(&tried.group);
    let versions =
        tests.iter().map(|&index| &tried[index]).filter(|tried| tried.of == Of::Suspect).filter_map(|tried| {
            let coding = &codings[tried.attribute];
            let version = coding.values.get(tried.group.code as usize).filter(|_| coding.key.key == VERSION)?;
            Some((version.clone(), is_carrier(tried)))
        });
    let mut drill = Drill { carriers: Vec::new(), n_keys: keys.len(), n_values: p.len(), versions: versions.collect() };

    // A value that all calls have is no carrier, but if none had it before it is worth a word.
    let is_everywhere =
        |tried: &Tried| tried.group.p.is_none() && tried.group.only_in_regression && carries_all(&tried.group);
    tried.retain(|tried| is_carrier(tried) || is_everywhere(tried));
    let coded = coded(input, codings, parts, &tried);
    let mut values: Vec<Value<'_>> = tried
        .iter()
        .filter_map(|tried| {
            let coded = coded.iter().find(|coded| (coded.attribute, coded.of) == (tried.attribute, tried.of))?;
            Some(Value { coded, group: tried.group, q: tried.group.p.map(|_| tried.q) })
        })
        .collect();
    values.sort_by(|left, right| {
        let name = |value: &Value<'_>| (preference(&value.coded.coding.key.key, value.coded.of), value.condition());
        gain(&right.group).total_cmp(&gain(&left.group)).then_with(|| name(left).cmp(&name(right)))
    });

    let mut is_left = vec![true; parts.units.len()];
    while drill.carriers.len() < MAX_CARRIERS {
        let rest = parts.of(|unit| is_left[unit]);
        let is_first = drill.carriers.is_empty();
        let Some(best) = values
            .iter()
            .find(|value| value.q.is_some() && (is_first || still_carries(value, parts, &rest, &is_left, p.len())))
        else {
            break;
        };
        let (carrier, mask) = carrier(newest(best, &values, parts), &values, parts, p.len());
        for (left, is_taken) in is_left.iter_mut().zip(mask) {
            *left &= !is_taken;
        }
        drill.carriers.push(carrier);
    }
    drill.carriers.extend(everywhere(&values, parts));
    drill
}

/// Whether a group that all calls are in has all of the contribution, as it must.
fn carries_all(group: &Group) -> bool {
    group.share_of_units[1] > 0.99 && group.part > 0.0
}

/// A value worth reporting.
struct Value<'a> {
    coded: &'a Coded<'a>,
    group: Group,
    q: Option<f64>,
}

impl Value<'_> {
    fn has(&self, unit: usize) -> bool {
        self.coded.codes[unit] == self.group.code
    }

    fn condition(&self) -> Condition {
        Condition {
            key: self.coded.coding.key.key.clone(),
            value: self.coded.coding.values.get(self.group.code as usize).cloned().unwrap_or_default(),
            of: self.coded.of,
            scope: self.coded.coding.key.scope,
        }
    }
}

/// The codes by every attribute that `tried` has a value of.
fn coded<'a>(input: Input<'_>, codings: &'a [Coding], parts: &Parts, tried: &[Tried]) -> Vec<Coded<'a>> {
    let mut attributes: Vec<usize> = tried.iter().map(|tried| tried.attribute).collect();
    attributes.dedup();
    if attributes.is_empty() {
        return Vec::new();
    }
    let chosen: Vec<&Coding> = attributes.iter().map(|&attribute| &codings[attribute]).collect();
    let mut codes: Vec<Codes> = codes(input, &chosen, &[parts]).into_iter().flatten().collect();
    let mut result: Vec<Coded<'a>> = Vec::new();
    for Tried { attribute, of, .. } in tried {
        let Ok(place) = attributes.binary_search(attribute) else { continue };
        if result.last().is_none_or(|last| (last.attribute, last.of) != (*attribute, *of)) {
            let codes = std::mem::take(&mut codes[place][*of as usize]);
            result.push(Coded { attribute: *attribute, of: *of, coding: &codings[*attribute], codes });
        }
    }
    result
}

/// Groups of the units that are kept: those of `value`, as codes of its own.
fn within(parts: &Parts, keep: &dyn Fn(usize) -> bool, value: &Value<'_>) -> Vec<u32> {
    (0..parts.units.len()).filter(|&unit| keep(unit)).map(|unit| value.coded.codes[unit]).collect()
}

/// Whether a value has more than its number explains of what others have left.
fn still_carries(value: &Value<'_>, parts: &Parts, rest: &Parts, is_left: &[bool], n_tests: usize) -> bool {
    let groups = rest.groups(&within(parts, &|unit| is_left[unit], value));
    groups.iter().filter(|group| group.code == value.group.code).any(|group| {
        let of_all = Group { share: group.part / parts.total, ..*group };
        carries(group) && of_all.share >= MIN_SHARE && group.p.is_some_and(|p| p * n_tests as f64 <= MAX_Q)
    })
}

/// A value, or the pair that it is part of, as a carrier; and which units are in it.
fn carrier(best: &Value<'_>, values: &[Value<'_>], parts: &Parts, n_tests: usize) -> (Carrier, Vec<bool>) {
    let own: Vec<bool> = (0..parts.units.len()).map(|unit| best.has(unit)).collect();
    let inner = parts.of(|unit| own[unit]);
    let second = values
        .iter()
        .filter(|value| value.q.is_some() && !std::ptr::eq(value.coded, best.coded))
        .filter_map(|value| {
            let groups = inner.groups(&within(parts, &|unit| own[unit], value));
            let group = groups.into_iter().find(|group| group.code == value.group.code)?;
            let p = group.p? * n_tests as f64;
            let is_clear = group.share >= PAIR_SHARE && gain(&group) >= PAIR_GAIN && group.excess > 0.0 && p <= MAX_Q;
            is_clear.then_some((gain(&group), value, p))
        })
        // The first of equals, which stand in order.
        .reduce(|best, next| if next.0 > best.0 { next } else { best });
    let second = second.map(|(_, second, p)| (newest(second, values, parts), p));
    let Some((second, p)) = second else {
        let (conditions, also) = names(parts, &[best], &own, values);
        return (Carrier { q: best.q, ..new_carrier(parts, best.group, conditions, also) }, own);
    };
    let both: Vec<bool> = own.iter().enumerate().map(|(unit, &own)| own && second.has(unit)).collect();
    let codes: Vec<u32> = both.iter().map(|&both| if both { 0 } else { NO_CODE }).collect();
    let group = parts.groups(&codes).into_iter().next().unwrap_or(best.group);
    let (conditions, also) = names(parts, &[best, second], &both, values);
    (Carrier { q: best.q.map(|q| q.max(p)), ..new_carrier(parts, group, conditions, also) }, both)
}

/// Whether a value has the calls that are `own`, all but one in fifty. One that came has none of the baseline's: there the regression's tell.
fn are_same(parts: &Parts, own: &[bool], is_new: bool, value: &Value<'_>) -> bool {
    let is_new = is_new || value.group.only_in_regression;
    let (mut both, mut either) = (0.0, 0.0);
    for (place, (unit, &own)) in
        parts.units.iter().zip(own).enumerate().filter(|(_, (unit, _))| unit.is_regression || !is_new)
    {
        let has = value.has(place);
        let n_calls = f64::from(unit.n_calls);
        both += if own && has { n_calls } else { 0.0 };
        either += if own || has { n_calls } else { 0.0 };
    }
    both >= SAME * either
}

/// The value, or one with the same calls in the regression that the baseline had not: what came is nearer to a cause than where it came.
fn newest<'a>(best: &'a Value<'a>, values: &'a [Value<'a>], parts: &Parts) -> &'a Value<'a> {
    if best.group.only_in_regression {
        return best;
    }
    let own: Vec<bool> = (0..parts.units.len()).map(|unit| best.has(unit)).collect();
    let is_new = |value: &&Value<'_>| value.q.is_some() && value.group.only_in_regression;
    values.iter().filter(is_new).find(|value| are_same(parts, &own, true, value)).unwrap_or(best)
}

/// The values' names, and the others that mean the same calls, those that people think in first.
fn names(parts: &Parts, own: &[&Value<'_>], mask: &[bool], values: &[Value<'_>]) -> (Vec<Condition>, Vec<Condition>) {
    if let [first, second] = own {
        let mut conditions = vec![first.condition(), second.condition()];
        conditions.sort_by_cached_key(|condition| (preference(&condition.key, condition.of), condition.clone()));
        return (conditions, Vec::new());
    }
    let is_new = own.iter().any(|value| value.group.only_in_regression);
    let is_same = |value: &&Value<'_>| are_same(parts, mask, is_new, value);
    let mut same: Vec<Condition> = values.iter().filter(is_same).map(Value::condition).collect();
    same.sort_by_cached_key(|condition| (preference(&condition.key, condition.of), condition.clone()));
    // An attribute that travels with the request says the same of each of its spans.
    same.dedup_by(|next, kept| (&next.key, &next.value) == (&kept.key, &kept.value));
    let also = same.split_off(1.min(same.len()));
    (same, also)
}

fn new_carrier(parts: &Parts, group: Group, conditions: Vec<Condition>, also: Vec<Condition>) -> Carrier {
    Carrier {
        conditions,
        also,
        contribution: parts.sign * group.part,
        share: group.share,
        interval: [group.share - Z * group.share_error, group.share + Z * group.share_error],
        share_of_calls: group.share_of_calls,
        n_calls: group.n_calls,
        q: None,
        only_in_regression: group.only_in_regression,
    }
}

/// What every call of the regression has and none of the baseline had, as one carrier.
fn everywhere(values: &[Value<'_>], parts: &Parts) -> Option<Carrier> {
    let new: Vec<&Value<'_>> = values.iter().filter(|value| value.q.is_none()).collect();
    let first = new.first()?;
    let mut conditions: Vec<Condition> = new.iter().map(|value| value.condition()).collect();
    conditions.sort_by_cached_key(|condition| (preference(&condition.key, condition.of), condition.clone()));
    conditions.dedup_by(|next, kept| (&next.key, &next.value) == (&kept.key, &kept.value));
    let also = conditions.split_off(1.min(conditions.len()));
    Some(new_carrier(parts, first.group, conditions, also))
}
