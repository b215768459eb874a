//! What a policy accepts for a while: its own findings, and its part of what the things that it belongs to are judged by.
//!
//! An operation that was made slower on purpose makes its service, its team and all requests slower, too. What it adds is taken off what these
//! are judged by, as the data tell it: of the mean, typical requests, the slowest 5 % and failures. An entry's requests are not split by
//! what adds to them, nor calls by who makes them: there an exception has to name what broke the rule.

use super::policy::{Allowed, Measure, Names, Of, Policy, Rule};
use super::units::{Change, Unit, name, told};
use super::{Finding, State};
use crate::analysis::{Analysis, OperationAccount};
use jiff::civil::Date;

/// The exceptions that hold, with what they are about.
pub(super) struct Accepted<'a> {
    analysis: &'a Analysis,
    exceptions: Vec<(&'a Allowed, Names, Vec<&'a OperationAccount>)>,
}

impl<'a> Accepted<'a> {
    /// Those of a policy as of `today`.
    ///
    /// # Errors
    /// What is wrong with a name.
    pub(super) fn new(analysis: &'a Analysis, policy: &'a Policy, today: Date) -> Result<Self, String> {
        let active = policy.allowed.iter().filter(|allowed| allowed.until >= today);
        let exception = |allowed: &'a Allowed| {
            let names = Names::new(&allowed.name)?;
            let parts = parts(analysis, &names);
            Ok((allowed, names, parts))
        };
        Ok(Self { analysis, exceptions: active.map(exception).collect::<Result<_, String>>()? })
    }

    pub(super) fn is_none(&self) -> bool {
        self.exceptions.is_empty()
    }

    /// What a unit is judged by: its change without what of it is accepted.
    pub(super) fn rest(&self, unit: &Unit<'_>, rule: &Rule) -> Option<Change> {
        let change = unit.change(rule.measure)?;
        let part = self.part(unit, rule);
        Some(if part > 0.0 { change.without(part) } else { change })
    }

    /// The exceptions by which something of a unit's change is accepted, with what that is; none if the unit itself is accepted.
    fn within(&self, unit: &Unit<'_>, rule: &Rule) -> Vec<(&'a Allowed, Vec<&'a OperationAccount>)> {
        let is_own = |(allowed, names, _): &(&Allowed, Names, _)| allowed.is_of(rule.measure) && names.are(&unit.name);
        if self.exceptions.iter().any(is_own) {
            return Vec::new();
        }
        let team = self.analysis.teams.iter().find(|team| team.team.as_ref() == Some(&unit.name));
        let is_in = |account: &&OperationAccount| match rule.of {
            Of::All => true,
            Of::Service => told(&account.service) == unit.name,
            Of::Team => team.is_some_and(|team| team.services.contains(&account.service)),
            Of::Entry | Of::Operation | Of::Edge => false,
        };
        let of_measure = self.exceptions.iter().filter(|(allowed, ..)| allowed.is_of(rule.measure));
        let within = of_measure.map(|(allowed, _, parts)| {
            let adds = |account: &&OperationAccount| added(account, rule) != 0.0;
            (*allowed, parts.iter().copied().filter(is_in).filter(adds).collect::<Vec<_>>())
        });
        within.filter(|(_, parts)| !parts.is_empty()).collect()
    }

    /// How much of a unit's change is by what is accepted in it; 0 if that is less than nothing, or if the unit itself is accepted.
    fn part(&self, unit: &Unit<'_>, rule: &Rule) -> f64 {
        let mut known: Vec<&OperationAccount> = Vec::new();
        let mut sum = 0.0;
        for (_, parts) in self.within(unit, rule) {
            for account in parts {
                // Two exceptions may be about one thing.
                if !known.iter().any(|known| std::ptr::eq(*known, account)) {
                    known.push(account);
                    sum += added(account, rule);
                }
            }
        }
        f64::max(sum, 0.0)
    }

    /// The exceptions by which something is taken off what a unit is judged by.
    pub(super) fn takers(&self, unit: &Unit<'_>, rule: &Rule) -> Vec<&'a Allowed> {
        if self.part(unit, rule) > 0.0 {
            self.within(unit, rule).into_iter().map(|(allowed, _)| allowed).collect()
        } else {
            Vec::new()
        }
    }

    /// A finding with how much is taken off it said.
    pub(super) fn tell(&self, unit: &Unit<'_>, rule: &Rule, mut finding: Finding) -> Finding {
        let part = self.part(unit, rule);
        if part > 0.0 {
            let told = format!("; beyond {} {} that are accepted", crate::time::format_ms(part), finding.unit);
            finding.description.push_str(&told);
        }
        finding
    }

    /// A finding that is none without what is accepted in it.
    pub(super) fn allow_whole(&self, unit: &Unit<'_>, rule: &Rule, mut finding: Finding) -> Finding {
        let mut takers = self.takers(unit, rule);
        if takers.is_empty() {
            // What is accepted elsewhere makes a finding less sure, too.
            let others =
                self.exceptions.iter().filter(|(allowed, _, parts)| allowed.is_of(rule.measure) && !parts.is_empty());
            takers = others.map(|(allowed, ..)| *allowed).collect();
        }
        let names: Vec<&str> = takers.iter().map(|allowed| allowed.name.as_str()).collect();
        let part = crate::time::format_ms(self.part(unit, rule));
        finding.state = State::Allowed;
        finding.allowed_because = Some(format!("{part} {} of it are accepted of {}", finding.unit, names.join(", ")));
        finding
    }
}

/// The operations and edges that names are about: their own names, or those of their services and teams.
fn parts<'a>(analysis: &'a Analysis, names: &Names) -> Vec<&'a OperationAccount> {
    let is_of_team = |service: &String| {
        let mut teams = analysis.teams.iter().filter(|team| team.services.contains(service));
        teams.any(|team| team.team.as_deref().is_some_and(|team| names.are(team)))
    };
    let is_meant = |account: &&OperationAccount| {
        let is_part = account.operation.is_some() || account.edge.is_some();
        is_part && (names.are(&name(account)) || names.are(told(&account.service)) || is_of_team(&account.service))
    };
    analysis.operations.iter().filter(is_meant).collect()
}

/// What an operation or edge adds to what a rule measures of a whole.
fn added(account: &OperationAccount, rule: &Rule) -> f64 {
    match rule.measure {
        // What no request waits for is no part of their mean.
        Measure::Mean if rule.of == Of::All => account.contribution.ms - account.contribution.background_ms,
        Measure::Mean => account.contribution.ms,
        Measure::Typical if rule.of == Of::All => account.typical_ms,
        Measure::Typical => {
            account.usual_call.map_or(0.0, |call| call.change_percent / 100.0 * account.own_ms.baseline)
        }
        Measure::Tail => account.tail_ms,
        Measure::Errors => 100.0 * account.contribution.error_ratio,
        Measure::Calls | Measure::FewerCalls | Measure::NewDependency => 0.0,
    }
}

/// Marks findings that the policy accepts; says which exceptions have expired or match nothing, those `used` for a part of a finding aside.
pub(super) fn allow(
    analysis: &Analysis,
    findings: &mut [Finding],
    policy: &Policy,
    used: &[&Allowed],
    today: Date,
) -> Result<Vec<String>, String> {
    let mut notes: Vec<(usize, String)> = Vec::new();
    // Those that ended come last: what another accepts does not count again.
    let (ended, valid): (Vec<_>, Vec<_>) =
        policy.allowed.iter().enumerate().partition(|(_, allowed)| allowed.until < today);
    for (place, allowed) in valid.into_iter().chain(ended) {
        let names = Names::new(&allowed.name)?;
        // What is forbidden is accepted only by an exception for all that a name is about.
        let is_about = |finding: &Finding| match finding.rule {
            Some(_) => allowed.is_of(finding.measure),
            None => allowed.measure.is_none(),
        };
        let parts: Vec<String> = parts(analysis, &names).into_iter().map(name).collect();
        // A service is all that it does; a dependency that is new, or that must not be, has to be named.
        let is_part = |finding: &Finding| {
            let may_be = finding.rule.is_some() && matches!(finding.of, Of::Operation | Of::Edge);
            may_be && finding.measure != Measure::NewDependency && parts.contains(&finding.name)
        };
        let is_own = |finding: &&mut Finding| is_about(finding) && (names.are(&finding.name) || is_part(finding));
        let mut own: Vec<&mut Finding> = findings.iter_mut().filter(is_own).collect();
        let until = allowed.until;
        if until < today {
            let counts = if own.is_empty() {
                "nothing needs it"
            } else if own.iter().all(|finding| finding.state == State::Allowed) {
                "another accepts its findings"
            } else {
                "its findings count again"
            };
            let note = format!("the exception for {} ended on {until}: {counts} ({})", allowed.name, allowed.reason);
            notes.push((place, note));
        } else if own.is_empty() && !used.iter().any(|used| std::ptr::eq(*used, allowed)) {
            let note =
                format!("the exception for {} until {until} matches no finding ({})", allowed.name, allowed.reason);
            notes.push((place, note));
        } else {
            for finding in &mut own {
                finding.state = State::Allowed;
                finding.allowed_because = Some(format!("{} (until {until})", allowed.reason));
            }
        }
    }
    notes.sort_by_key(|&(place, _)| place);
    Ok(notes.into_iter().map(|(_, note)| note).collect())
}
