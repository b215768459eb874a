//! The full account of one suspect: what it adds, why it is accused or not, and the arithmetic behind it.
//!
//! Takes what the analysis was made of and the name of a service, operation or edge, and gives an [`Explanation`]. It works as well for what is
//! not accused: "why not this one?" is answered by the same numbers.

use super::build::{NS_PER_MS, interval_ms, operation, pair, ratio};
use super::document::{Analysis, Contribution, Edge, Errors, Suspect};
use super::evidence::{Evidence, Part, Parts};
use super::explanation::{
    About, CauseAccount, ChannelAccount, EdgeAccount, Explanation, Factor, PathAccount, SCHEMA_VERSION, Step, Term,
    Totals,
};
use super::impact::impact;
use super::resolve::Target;
use super::suspects::Front;
use super::{network, standing, structure, suspects};
use crate::compare::Estimate;
use crate::compare::attribute::tops;
use crate::compare::factors::Factors;
use crate::compare::paths::{FailureKind, Scope};
use crate::rank::{Channel, FLOOR_ERRORS, Ranking, floor_ns};

/// The account of `target`.
pub(super) fn explain(analysis: &Analysis, ranking: &Ranking, evidence: Evidence<'_>, target: &Target) -> Explanation {
    let comparison = evidence.comparison;
    let subjects = target.subjects(evidence);
    let parts = evidence.parts(&subjects);
    let stake = evidence.stake(&parts);
    let (service, about) = about(evidence, target, &subjects);
    let own = suspects_of(analysis, &about);
    let sums = [&comparison.baseline, &comparison.regression];
    let mut result = Explanation {
        schema_version: SCHEMA_VERSION,
        verdict: analysis.verdict,
        summary: String::new(),
        is_accused: !own.is_empty(),
        service_rank: (1..).zip(&ranking.services).find(|(_, ranked)| ranked.service == service).map(|(rank, _)| rank),
        standing: Vec::new(),
        contribution: contribution(evidence, target, &subjects),
        channels: channels(evidence, ranking, service),
        causes: causes(evidence, &subjects),
        totals: Totals {
            n_requests: pair(sums.map(|sums| tops(&evidence.table.paths, sums, comparison.scope))),
            mean_ms: analysis.degradation.mean_ms,
            // A sum of nothing is minus zero.
            background_per_request: comparison.background_rate + 0.0,
        },
        paths: paths(evidence, &subjects, &parts),
        edges: edges(evidence, target),
        errors: errors_of(analysis, &about),
        impact: impact(evidence, &subjects, &parts, &stake, Channel::Latency),
        suspects: own,
        about,
    };
    result.standing = standing::standing(&result, analysis);
    result.summary = standing::account(&result, analysis);
    result
}

/// What the account is about, and the service whose place in the ranking tells of it.
fn about(evidence: Evidence<'_>, target: &Target, subjects: &[u32]) -> (u32, About) {
    let forest = evidence.forest;
    let name = |service: u32| forest.services[service as usize].name.clone();
    let (service, operation, edge) = match *target {
        Target::Service(service) => (service, None, None),
        Target::Operation(service, operation) => (service, Some(forest.name(operation).to_owned()), None),
        Target::Edge(caller, callee) => (callee, None, Some(Edge { caller: name(caller), callee: name(callee) })),
    };
    // An edge whose time was given to its caller tells of the caller.
    let size = |subject: &&u32| evidence.comparison.subjects[**subject as usize].value.abs();
    let largest = subjects.iter().max_by(|left, right| size(left).total_cmp(&size(right)).then(right.cmp(left)));
    let ranked = largest.map_or(service, |&subject| evidence.comparison.attribution.blamed[subject as usize]);
    let is_inferred = forest.services[service as usize].is_inferred;
    (ranked, About { service: name(service), operation, edge, is_inferred })
}

fn suspects_of(analysis: &Analysis, about: &About) -> Vec<Suspect> {
    let is_own = |suspect: &&Suspect| match (&about.operation, &about.edge) {
        (None, None) => suspect.service == about.service,
        (Some(_), _) => suspect.service == about.service && suspect.operation == about.operation,
        (None, Some(_)) => suspect.edge == about.edge,
    };
    analysis.suspects.iter().filter(is_own).cloned().collect()
}

fn errors_of(analysis: &Analysis, about: &About) -> Errors {
    let part = |list: &[super::document::ErrorPart]| {
        let is_own = |part: &&super::document::ErrorPart| {
            about.edge.is_none()
                && part.service == about.service
                && about.operation.as_ref().is_none_or(|operation| *operation == part.operation)
        };
        list.iter().filter(is_own).cloned().collect()
    };
    let errors = &analysis.errors;
    Errors {
        originates: part(&errors.originates),
        propagates: part(&errors.propagates),
        swallowed: part(&errors.swallowed),
    }
}

/// The sum over subjects. For a whole service its error is the bootstrap's; otherwise subjects move together at worst.
fn contribution(evidence: Evidence<'_>, target: &Target, subjects: &[u32]) -> Contribution {
    let comparison = evidence.comparison;
    let sum = |estimates: &[Estimate]| {
        subjects.iter().map(|&subject| estimates[subject as usize]).fold(Estimate::default(), |sum, one| Estimate {
            value: sum.value + one.value,
            error: sum.error + one.error,
            null_error: sum.null_error + one.null_error,
            freedom: sum.freedom.min(one.freedom),
        })
    };
    let (latency, failures) = match *target {
        Target::Service(service) => {
            (comparison.services[service as usize], comparison.service_failures[service as usize])
        }
        _ => (sum(&comparison.subjects), sum(&comparison.failures)),
    };
    let [fronts, _] = suspects::fronts(evidence);
    let front: Front = subjects.iter().map(|&subject| fronts[subject as usize]).sum();
    suspects::contribution(evidence, latency, failures, front)
}

fn channels(evidence: Evidence<'_>, ranking: &Ranking, service: u32) -> Vec<ChannelAccount> {
    let comparison = evidence.comparison;
    let floor = |channel: Channel| match channel {
        Channel::Errors => FLOOR_ERRORS,
        Channel::Latency | Channel::MissingCalls => ranking.floor_ns / NS_PER_MS,
        Channel::TypicalLatency => floor_ns(comparison.typical.effects.baseline_mean_ns) / NS_PER_MS,
        Channel::TailLatency => floor_ns(comparison.tail.effects.baseline_mean_ns) / NS_PER_MS,
    };
    let ranked = ranking.services.iter().find(|ranked| ranked.service == service);
    let mut channels: Vec<ChannelAccount> = ranked
        .map(|ranked| {
            let floors = ranked.findings.iter().map(|finding| match finding.channel {
                Channel::Errors => finding.floor,
                _ => finding.floor / NS_PER_MS,
            });
            suspects::findings(ranked).iter().zip(floors).map(|(own, floor)| ChannelAccount::of(own, floor)).collect()
        })
        .unwrap_or_default();
    let index = service as usize;
    let better = [
        (Channel::Latency, comparison.services[index], NS_PER_MS),
        (Channel::TypicalLatency, comparison.typical.services[index], NS_PER_MS),
        (Channel::TailLatency, comparison.tail.services[index], NS_PER_MS),
        (Channel::Errors, comparison.service_failures[index], 1.0),
    ];
    for (channel, change, scale) in better {
        if channels.iter().all(|known| known.channel != channel) {
            channels.push(ChannelAccount {
                channel,
                change: change.value / scale,
                interval: change.interval().map(|bound| bound / scale),
                q: None,
                floor: floor(channel),
                is_significant: false,
            });
        }
    }
    channels.sort_by_key(|account| account.channel);
    channels
}

fn causes(evidence: Evidence<'_>, subjects: &[u32]) -> Vec<CauseAccount> {
    let comparison = evidence.comparison;
    let rows = comparison.attribution.rows.iter().zip(&comparison.rows);
    let mut own: Vec<CauseAccount> = Vec::new();
    let mut sum_ns = 0.0;
    for (key, row) in rows.filter(|(key, row)| subjects.contains(&key.subject) && row.value != 0.0) {
        sum_ns += row.value;
        let callee = key.callee.map(|callee| structure::asked(evidence, callee));
        let [low, high] = interval_ms(*row);
        let contribution_ms = row.value / NS_PER_MS;
        match own.iter_mut().find(|known| known.cause == Some(key.cause) && known.callee == callee) {
            // Several operations or edges with one cause: their errors add up at worst.
            Some(known) => {
                known.contribution_ms += contribution_ms;
                known.interval_ms = known.interval_ms.map(|[least, most]| [least + low, most + high]);
            }
            None => own.push(CauseAccount {
                cause: Some(key.cause),
                callee,
                contribution_ms,
                interval_ms: Some([low, high]),
            }),
        }
    }
    let total_ns: f64 = subjects.iter().map(|&subject| comparison.subjects[subject as usize].value).sum();
    // Sums in another order differ by less than a nanosecond.
    if comparison.background_rate > 0.0 && (total_ns - sum_ns).abs() >= 1.0 {
        let contribution_ms = (total_ns - sum_ns) / NS_PER_MS;
        own.push(CauseAccount { cause: None, callee: None, contribution_ms, interval_ms: None });
    }
    own.sort_by(|left, right| {
        let key = |account: &CauseAccount| (account.cause, account.callee.clone());
        right.contribution_ms.abs().total_cmp(&left.contribution_ms.abs()).then_with(|| key(left).cmp(&key(right)))
    });
    own
}

/// Every path of the subjects that either window has, the largest effect first.
fn paths(evidence: Evidence<'_>, subjects: &[u32], parts: &Parts) -> Vec<PathAccount> {
    let (comparison, paths) = (evidence.comparison, &evidence.table.paths);
    let of = |scope| comparison.factors(evidence.table, scope);
    let requests = of(comparison.scope);
    let background = if comparison.background_rate > 0.0 { of(Scope::Background) } else { Vec::new() };
    let mut accounts: Vec<PathAccount> = parts
        .0
        .iter()
        .filter(|(path, _)| {
            [&comparison.baseline, &comparison.regression].iter().any(|sums| sums.n_calls[*path as usize] > 0.0)
        })
        .map(|(path, part)| {
            let is_background = paths.list[*path as usize].scope != comparison.scope;
            let factors = if is_background { &background } else { &requests };
            let rate = if is_background { comparison.background_rate } else { 1.0 };
            path_account(evidence, subjects, (*path, part), factors, rate)
        })
        .collect();
    // Stable, so that paths of one size stay in order.
    accounts.sort_by(|left, right| right.contribution_ms.abs().total_cmp(&left.contribution_ms.abs()));
    accounts
}

fn path_account(
    evidence: Evidence<'_>,
    subjects: &[u32],
    (path, part): (u32, &Part),
    factors: &[Factors],
    rate: f64,
) -> PathAccount {
    let (comparison, paths, index) = (evidence.comparison, &evidence.table.paths, path as usize);
    let sums = [&comparison.baseline, &comparison.regression];
    let visits = sums.map(|sums| sums.n_visits[index]);
    let per_visit =
        |total: [f64; 2]| pair([0, 1].map(|window: usize| ratio(total[window], visits[window]) / NS_PER_MS));
    let own = factors.get(index).copied().unwrap_or_default();
    let terms = terms(evidence, subjects, path, &own, rate);
    PathAccount {
        steps: paths.from_top(path).into_iter().map(|step| self::step(evidence, step, factors)).collect(),
        is_background: paths.list[index].scope == Scope::Background,
        n_calls: pair(sums.map(|sums| sums.n_calls[index])),
        n_visits: pair(visits),
        duration_ms: pair(sums.map(|sums| ratio(sums.call_ns[index], sums.n_calls[index]) / NS_PER_MS)),
        self_ms: per_visit(sums.map(|sums| sums.self_ns[index])),
        before_ms: per_visit(sums.map(|sums| sums.before_ns[index])),
        wait_ms: per_visit(sums.map(|sums| sums.wait_ns[index])),
        inclusive_ms: pair(own.inclusive_ns.map(|ns| ns / NS_PER_MS)),
        n_failures: pair([0, 1].map(|window: usize| {
            let own = FailureKind::ALL.map(|kind| {
                let share = evidence.failure_share(subjects, path, kind, window);
                share * sums[window].n_failures[kind as usize][index]
            });
            own.into_iter().fold(0.0, |sum, own| sum + own)
        })),
        terms,
        contribution_ms: part.effect_ns / NS_PER_MS,
    }
}

fn step(evidence: Evidence<'_>, path: u32, factors: &[Factors]) -> Step {
    let known = evidence.table.paths.list[path as usize];
    let name = operation(evidence, known.operation);
    let own = factors.get(path as usize).copied().unwrap_or_default();
    let peer = evidence.forest.operations[known.operation as usize].peer;
    Step {
        service: name.service,
        operation: name.operation,
        peer: peer.map(|peer| evidence.forest.services[peer as usize].name.clone()),
        is_retry: known.is_retry,
        share: pair(own.share),
        calls_per_visit: pair(own.kappa),
        on_path_share: pair(own.q),
        visits_per_request: own.visits,
    }
}

/// The products of one path that are the subjects'.
fn terms(evidence: Evidence<'_>, subjects: &[u32], path: u32, own: &Factors, rate: f64) -> Vec<Term> {
    let attribution = &evidence.comparison.attribution;
    let ms = |ns: [f64; 2]| ns.map(|ns| ns / NS_PER_MS);
    let products = [
        (Factor::SelfTime, own.visits, ms(own.self_ns), 1.0),
        (Factor::BeforeTime, own.visits, ms(own.before_ns), 1.0),
        (Factor::WaitTime, own.visits, ms(own.wait_ns), 1.0),
        (Factor::Calls, own.parent_visits, own.kappa, own.call_worth_ns() / NS_PER_MS),
        (Factor::OnPath, own.parent_visits, own.q, own.critical_worth_ns() / NS_PER_MS),
    ];
    let spread: Vec<(usize, &[(u32, f64)])> =
        attribution.spread().filter(|&(known, ..)| known == path).map(|(_, which, shares)| (which, shares)).collect();
    let mut terms = Vec::new();
    for (which, (factor, visits, values, worth_ms)) in products.into_iter().enumerate() {
        let shares = spread.iter().find(|(known, _)| *known == which).map_or(&[][..], |&(_, shares)| shares);
        let kept = shares.iter().fold(1.0, |kept, &(_, share)| kept - share);
        let target = attribution.targets[path as usize][which];
        for (row, part) in std::iter::once((target, kept)).chain(shares.iter().copied()) {
            let key = attribution.rows[row as usize];
            let contribution_ms = visits * (values[1] - values[0]) * worth_ms * rate * part;
            if subjects.contains(&key.subject) && contribution_ms != 0.0 {
                let values = pair(values);
                terms.push(Term { cause: key.cause, factor, visits, values, worth_ms, rate, part, contribution_ms });
            }
        }
    }
    terms
}

/// The edges that the target is an end of.
fn edges(evidence: Evidence<'_>, target: &Target) -> Vec<EdgeAccount> {
    network::accounts(evidence, |edge| match *target {
        Target::Service(service) => edge.caller == service || edge.callee == service,
        Target::Edge(caller, callee) => (edge.caller, edge.callee) == (caller, callee),
        Target::Operation(..) => false,
    })
}
