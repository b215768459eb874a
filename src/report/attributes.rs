//! Attributes as text: which calls carry a suspect's contribution, and what is new or gone.

use super::page::{Label, Page};
use super::text::{counted, fit, percent};
use crate::analysis::{Attribute, Carrier, Suspect, ValueChange};
use crate::drill::Of;
use crate::drill::presence::Change;

/// New and gone values shown, each.
const SHOWN: usize = 5;
/// Columns of a key and of a value, at the end of which a query or an address still tells what it is.
const MAX_NAME: usize = 100;

fn condition(key: &str, value: &str, of: Of) -> String {
    let of = match of {
        Of::Suspect => "",
        Of::Caller => " of its caller",
        Of::Callee => " of the callee",
        Of::Entry => " of the request",
    };
    // A value may be a whole database query; the document has it in full.
    format!("{}={}{of}", fit(key, MAX_NAME), fit(value, MAX_NAME))
}

fn named(attribute: &Attribute) -> String {
    condition(&attribute.key, &attribute.value, attribute.of)
}

/// A line for each carrier of a suspect; one that says so if calls were told apart and none carries more than its part.
pub(super) fn carriers(suspect: &Suspect) -> Vec<String> {
    let mut lines: Vec<String> = suspect.attributes.iter().map(carrier).collect();
    if let (true, Some(search)) = (lines.is_empty(), suspect.attribute_search)
        && search.n_values > 0
    {
        lines.push(format!(
            "everywhere alike: no value with enough calls ({} of {}) tells them apart",
            counted(search.n_values, "value"),
            counted(search.n_keys, "attribute")
        ));
    }
    lines
}

fn carrier(carrier: &Carrier) -> String {
    let mut text = condition(&carrier.key, &carrier.value, carrier.of);
    if let Some(and) = &carrier.and {
        text = format!("{text} and {}", named(and));
    }
    if let Some(also) = carrier.also.first() {
        let more = carrier.also.len() - 1;
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        text = format!("{text} (also {}{more})", named(also));
    }
    if carrier.q.is_none() {
        return format!("all its calls have {text}, which none had before");
    }
    let new = if carrier.only_in_regression { ", new" } else { "" };
    format!(
        "{} of it with {text}: {} of its calls, lift {:.1}{new}",
        percent(carrier.share),
        percent(carrier.share_of_calls.regression),
        carrier.lift
    )
}

/// New and gone values; nothing if there are none.
pub(super) fn write_changes(page: &mut Page, changes: &[ValueChange]) {
    if !changes.is_empty() {
        page.heading("New and gone values of attributes");
    }
    let mut n_more = 0;
    for (change, word) in [(Change::New, "new"), (Change::Gone, "gone")] {
        let replaced = |gone: &ValueChange| {
            let is_named = |new: &ValueChange| {
                (&new.service, &new.key, new.replaces.as_ref()) == (&gone.service, &gone.key, Some(&gone.value))
            };
            changes.iter().any(is_named)
        };
        let own: Vec<&ValueChange> =
            changes.iter().filter(|own| own.change == change && !(change == Change::Gone && replaced(own))).collect();
        n_more += own.len().saturating_sub(SHOWN);
        for own in own.into_iter().take(SHOWN) {
            let mut what = format!("{}={}", fit(&own.key, MAX_NAME), fit(&own.value, MAX_NAME));
            if let Some(before) = &own.replaces {
                what = format!("{what} instead of {}", fit(before, MAX_NAME));
            }
            if let Some(also) = own.also.first() {
                what = format!("{what} (also {})", fit(also, MAX_NAME));
            }
            let time = own.seen.split_once('T').map_or(own.seen.as_str(), |(_, time)| time);
            let time = time.split(['.', 'Z']).next().unwrap_or(time);
            let when = if change == Change::New { "from" } else { "until" };
            let share = percent(own.share_of_spans);
            let text = format!("{}: {what}, {share} of spans, {when} {time}", own.service);
            page.labelled(2, &Label::dim(word, 6), &text);
        }
    }
    if n_more > 0 {
        page.prose(2, &format!("and {n_more} more"));
    }
}
