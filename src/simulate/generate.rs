//! Systems and faults by seed: varied, plausible, and small enough that a request stays below some hundred spans.

use super::law::{Law, Part};
use super::random::{mix, uniform};
use super::scenario::{Arrivals, Call, Fault, FaultKind, Name, Operation, Role, Scenario, Service, Target};
use toml::Spanned;

/// What to make.
#[derive(Clone, Debug)]
pub struct Options {
    /// Seed of the system and of its requests.
    pub seed: u64,
    /// Services that report spans, at least 2.
    pub services: u32,
    /// Services on the longest way of a request.
    pub depth: u32,
    /// Most services that an operation calls.
    pub fan_out: u32,
    /// What goes wrong.
    pub faults: Vec<FaultKind>,
}

/// Most spans of a request in the mean, by which the calls of an operation are limited.
const MAX_SPANS: f64 = 80.0;
const NAMES: [&str; 28] = [
    "checkout",
    "cart",
    "catalog",
    "pricing",
    "inventory",
    "shipping",
    "payment",
    "users",
    "search",
    "reviews",
    "recommend",
    "orders",
    "mailer",
    "ledger",
    "fraud",
    "coupons",
    "images",
    "geo",
    "sessions",
    "tax",
    "returns",
    "loyalty",
    "billing",
    "audit",
    "quotes",
    "stock",
    "vendors",
    "alerts",
];
const VERBS: [&str; 6] = ["GET", "POST", "list", "find", "update", "check"];

struct Dice(u64);

impl Dice {
    fn ratio(&mut self) -> f64 {
        self.0 = mix(self.0, 1);
        uniform(self.0)
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below `n`")]
    fn below(&mut self, n: usize) -> usize {
        (self.ratio() * n as f64) as usize
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.ratio()
    }
}

fn name(text: impl Into<String>) -> Name {
    Spanned::new(0..0, text.into())
}

fn target(service: &Service, operation: usize) -> Target {
    Target { service: service.name.clone(), operation: service.operations[operation].name.clone() }
}

fn call(to: Target) -> Call {
    Call {
        service: to.service,
        operation: to.operation,
        step: None,
        probability: 1.0,
        repeat: 1,
        network: Law::log_normal(0.3, 0.3),
        retries: 0,
        backoff_ms: 0.0,
        timeout_ms: 0.0,
        connections: 0,
        optional: false,
        hit_ratio: 1.0,
        on_miss: None,
        consumer: None,
    }
}

/// A scenario by seed.
#[must_use]
pub fn scenario(options: &Options) -> Scenario {
    let mut dice = Dice(mix(options.seed, 0x5eed));
    let services = services(options, &mut dice);
    let mut scenario = Scenario {
        seed: options.seed,
        start_unix_s: 1_700_000_000,
        duration_s: 1200.0,
        requests_per_s: 5.0,
        sampled_ratio: 1.0,
        clock_skew_ms: 0.0,
        lost_ratio: 0.0,
        lost_services: Vec::new(),
        arrivals: Arrivals { diurnal_ratio: 0.2, burst_ratio: 0.02, burst_factor: 2.0, ..Arrivals::default() },
        services,
        faults: Vec::new(),
    };
    for &kind in &options.faults {
        let fault = fault(&mut scenario.services, kind, &mut dice);
        scenario.faults.push(fault);
    }
    scenario
}

#[expect(clippy::too_many_lines, reason = "one pass, in which each draw follows from those before it")]
/// Services from the last layer to the gateway, so that what is called is there already.
fn services(options: &Options, dice: &mut Dice) -> Vec<Service> {
    let n_services = options.services.max(2) as usize;
    let depth = (options.depth.max(2) as usize).min(n_services);
    let mut services: Vec<Service> = Vec::new();
    let mut costs: Vec<Vec<f64>> = Vec::new();
    let mut layers: Vec<usize> =
        (0..n_services).map(|index| if index < depth { index } else { 1 + dice.below(depth - 1) }).collect();
    layers.sort_unstable_by(|left, right| right.cmp(left));
    let queue = plain(&mut services, &mut costs, "events", Role::Queue, "kafka", ("publish", 0.8));
    let mut reporting: Vec<(usize, usize)> = Vec::new();
    for (index, layer) in layers.into_iter().enumerate() {
        let label = if layer == 0 { "gateway".to_owned() } else { service_name(index) };
        let store = (layer > 0 && dice.ratio() < 0.5).then(|| {
            plain(&mut services, &mut costs, &format!("{label}-db"), Role::Database, "postgresql", ("SELECT", 3.0))
        });
        let cache = store
            .filter(|_| dice.ratio() < 0.5)
            .map(|_| plain(&mut services, &mut costs, &format!("{label}-cache"), Role::Cache, "redis", ("GET", 0.4)));
        let n_operations = if layer == 0 { 2 + dice.below(3) } else { 1 + dice.below(2) };
        let (mut operations, mut own_costs) = (Vec::new(), Vec::new());
        for number in 0..n_operations {
            let mut calls = Vec::new();
            let mut cost = 1.0;
            let below: Vec<usize> =
                reporting.iter().filter(|(at, _)| *at > layer).map(|&(_, service)| service).collect();
            let next: Vec<usize> =
                reporting.iter().filter(|(at, _)| *at == layer + 1).map(|&(_, service)| service).collect();
            let n_calls = if below.is_empty() { 0 } else { 1 + dice.below(options.fan_out.max(1) as usize) };
            let side_by_side = dice.ratio() < 0.5;
            for place in 0..n_calls {
                // The first goes one layer down, so that requests reach the bottom; every service below has its turn.
                let from = if place == 0 && !next.is_empty() { &next } else { &below };
                let service = from[(dice.below(from.len()) + number) % from.len()];
                // Not one that consumes messages, which comes last and has no costs.
                let operation = dice.below(costs[service].len());
                let added = 1.0 + costs[service][operation];
                if cost + added > MAX_SPANS / 1.2_f64.powi(i32::try_from(layer).unwrap_or(0)) && place > 0 {
                    continue;
                }
                let to = target(&services[service], operation);
                if calls.iter().any(|known: &Call| {
                    known.service.get_ref() == to.service.get_ref()
                        && known.operation.get_ref() == to.operation.get_ref()
                }) {
                    continue;
                }
                cost += added;
                calls.push(Call {
                    step: Some(if side_by_side { 1 } else { 1 + u32::try_from(place).unwrap_or(0) }),
                    probability: if place > 0 && dice.ratio() < 0.3 { 0.7 } else { 1.0 },
                    network: Law::log_normal(dice.between(0.2, 0.6), 0.3),
                    retries: u32::from(dice.ratio() < 0.3),
                    backoff_ms: 5.0,
                    timeout_ms: if dice.ratio() < 0.3 { 2000.0 } else { 0.0 },
                    connections: if dice.ratio() < 0.4 { 16 } else { 0 },
                    ..call(to)
                });
            }
            if let Some(store) = store {
                let query = target(&services[store], 0);
                calls.push(match cache {
                    Some(cache) => Call {
                        step: Some(0),
                        hit_ratio: 0.9,
                        on_miss: Some(query),
                        ..call(target(&services[cache], 0))
                    },
                    None => Call { step: Some(0), connections: 16, ..call(query) },
                });
                cost += 1.2;
            }
            if layer == 1 && number == 0 && !reporting.is_empty() && dice.ratio() < 0.3 {
                let consumer = reporting.first().map(|&(_, service)| consumer(&mut services[service]));
                calls.push(Call { step: Some(100), consumer, ..call(target(&services[queue], 0)) });
                cost += 2.0;
            }
            let verb = VERBS[if layer == 0 { dice.below(2) } else { dice.below(VERBS.len()) }];
            let text = if matches!(verb, "GET" | "POST") {
                format!("{verb} /{label}/{number}")
            } else {
                format!("{verb} {label} {number}")
            };
            operations.push(Operation {
                name: name(text),
                entry_weight: if layer == 0 { dice.between(0.5, 2.0) } else { 0.0 },
                work: work(dice),
                error_ratio: if dice.ratio() < 0.3 { 0.002 } else { 0.0 },
                calls,
            });
            own_costs.push(cost);
        }
        reporting.push((layer, services.len()));
        let versions = vec!["1.0.0".to_owned(), "1.1.0".to_owned()];
        services.push(Service {
            name: name(label),
            role: Role::Service,
            system: String::new(),
            hosts: 1 + u32::try_from(dice.below(4)).unwrap_or(0),
            versions: if dice.ratio() < 0.5 { versions } else { versions[..1].to_vec() },
            workers: 32,
            waits_in_span: dice.ratio() < 0.5,
            operations,
        });
        costs.push(own_costs);
    }
    services
}

/// Gives an operation a cache before a database of its service.
fn add_cache(services: &mut Vec<Service>, at: usize, operation: usize) {
    let store = records(services, at);
    let label = format!("{}-cache", services[store].name.get_ref());
    let cache = plain(services, &mut Vec::new(), &label, Role::Cache, "redis", ("GET", 0.4));
    let on_miss = Some(target(&services[store], 0));
    let call = Call { step: Some(0), hit_ratio: 0.9, on_miss, ..call(target(&services[cache], 0)) };
    services[at].operations[operation].calls.push(call);
}

/// Gives an operation one more call, of a database of its service.
fn add_call(services: &mut Vec<Service>, at: usize, operation: usize) {
    let store = records(services, at);
    let call = Call { step: Some(1), ..call(target(&services[store], 0)) };
    services[at].operations[operation].calls.push(call);
}

/// The database that a fault gives a service, which is made if it is not there yet.
fn records(services: &mut Vec<Service>, at: usize) -> usize {
    let label = format!("{}-records", services[at].name.get_ref());
    let known = services.iter().position(|service| *service.name.get_ref() == label);
    known.unwrap_or_else(|| plain(services, &mut Vec::new(), &label, Role::Database, "postgresql", ("SELECT", 3.0)))
}

/// The operation of a service that consumes messages, which it is given if it has none.
fn consumer(service: &mut Service) -> Target {
    const NAME: &str = "process events";
    let known = service.operations.iter().position(|operation| operation.name.get_ref() == NAME);
    let operation = known.unwrap_or_else(|| {
        service.operations.push(Operation {
            name: name(NAME),
            entry_weight: 0.0,
            work: Law::log_normal(5.0, 0.5),
            error_ratio: 0.0,
            calls: Vec::new(),
        });
        service.operations.len() - 1
    });
    target(service, operation)
}

fn service_name(index: usize) -> String {
    let base = NAMES[index % NAMES.len()];
    if index < NAMES.len() { base.to_owned() } else { format!("{base}-{}", index / NAMES.len() + 1) }
}

fn work(dice: &mut Dice) -> Law {
    let median_ms = dice.between(1.0, 8.0);
    match dice.below(3) {
        0 => Law::log_normal(median_ms, dice.between(0.3, 0.7)),
        1 => Law::Gamma { shape: dice.between(1.5, 6.0), mean_ms: median_ms },
        _ => Law::Mixture {
            parts: vec![
                Part { weight: 0.97, law: Law::log_normal(median_ms, 0.4) },
                Part { weight: 0.03, law: Law::Pareto { least_ms: 3.0 * median_ms, exponent: 2.5 } },
            ],
        },
    }
}

/// Adds a service without calls of its own.
fn plain(
    services: &mut Vec<Service>,
    costs: &mut Vec<Vec<f64>>,
    label: &str,
    role: Role,
    system: &str,
    (operation, median_ms): (&str, f64),
) -> usize {
    services.push(Service {
        name: name(label),
        role,
        system: system.to_owned(),
        hosts: 1,
        versions: Vec::new(),
        workers: 64,
        waits_in_span: false,
        operations: vec![Operation {
            name: name(operation),
            entry_weight: 0.0,
            work: Law::log_normal(median_ms, 0.5),
            error_ratio: 0.0,
            calls: Vec::new(),
        }],
    });
    costs.push(vec![0.0]);
    services.len() - 1
}

/// Visits of each operation a request.
fn visits(services: &[Service]) -> Vec<Vec<f64>> {
    let total: f64 = services.iter().flat_map(|service| &service.operations).map(|found| found.entry_weight).sum();
    let mut visits: Vec<Vec<f64>> = services
        .iter()
        .map(|service| service.operations.iter().map(|found| found.entry_weight / total).collect())
        .collect();
    // Callers stand after those they call.
    for (service, operation) in places(services).into_iter().rev() {
        for call in &services[service].operations[operation].calls {
            let own = visits[service][operation] * call.probability;
            if let Some((service, operation)) = find(services, &call.service, &call.operation) {
                visits[service][operation] += own;
            }
        }
    }
    visits
}

fn places(services: &[Service]) -> Vec<(usize, usize)> {
    (0..services.len())
        .flat_map(|at| (0..services[at].operations.len()).map(move |operation| (at, operation)))
        .collect()
}

fn find(services: &[Service], service: &Name, operation: &Name) -> Option<(usize, usize)> {
    let at = services.iter().position(|known| known.name.get_ref() == service.get_ref())?;
    let found = services[at].operations.iter().position(|known| known.name.get_ref() == operation.get_ref())?;
    Some((at, found))
}

/// A fault of the kind, aimed at something that requests do; a system that has nothing to aim at is given it.
fn fault(services: &mut Vec<Service>, kind: FaultKind, dice: &mut Dice) -> Fault {
    let visits = visits(services);
    let calls_services = |at: usize, operation: usize| {
        let calls = &services[at].operations[operation].calls;
        calls.iter().filter(|call| call.consumer.is_none()).count()
    };
    let wants = |&(at, operation): &(usize, usize)| {
        let service = &services[at];
        let reports = service.role == Role::Service;
        let is_entry = service.operations[operation].entry_weight > 0.0;
        visits[at][operation] > 0.15
            && match kind {
                FaultKind::TrafficMix => is_entry,
                FaultKind::LostParallelism | FaultKind::EarlyReturn => reports && calls_services(at, operation) >= 2,
                FaultKind::NPlusOne => reports && calls_services(at, operation) >= 1,
                FaultKind::ColdCache => {
                    reports && service.operations[operation].calls.iter().any(|call| call.on_miss.is_some())
                }
                FaultKind::NetworkDelay | FaultKind::NetworkLoss | FaultKind::RetryStorm => reports && !is_entry,
                _ => service.role != Role::Queue,
            }
    };
    let all = places(services);
    let mut fitting: Vec<(usize, usize)> = all.iter().copied().filter(wants).collect();
    if fitting.is_empty() {
        // Whatever requests do, called by somebody or calling somebody.
        let most = |&(at, operation): &(usize, usize)| visits[at][operation];
        let reports = |at: usize| services[at].role == Role::Service;
        fitting =
            all.into_iter().filter(|&(at, operation)| reports(at) && calls_services(at, operation) >= 1).collect();
        fitting.sort_by(|left, right| most(right).total_cmp(&most(left)));
        fitting.truncate(1);
        if let Some(&(at, operation)) = fitting.first() {
            match kind {
                FaultKind::ColdCache => add_cache(services, at, operation),
                FaultKind::LostParallelism | FaultKind::EarlyReturn => add_call(services, at, operation),
                _ => {}
            }
        }
    }
    let (at, operation) = fitting.get(dice.below(fitting.len())).copied().unwrap_or((services.len() - 1, 0));
    let mut fault = Fault {
        kind,
        service: services[at].name.clone(),
        operation: Some(services[at].operations[operation].name.clone()),
        caller: None,
        host: None,
        onset: 0.5,
        end: 1.0,
        factor: 1.0,
        add_ms: 0.0,
        ratio: 0.0,
        count: 1,
    };
    match kind {
        FaultKind::Slower => fault.add_ms = dice.between(8.0, 50.0),
        FaultKind::SlowHost => {
            (fault.host, fault.operation, fault.add_ms) = (Some(0), None, dice.between(20.0, 80.0));
        }
        FaultKind::NetworkDelay => (fault.operation, fault.add_ms) = (None, dice.between(5.0, 30.0)),
        FaultKind::NetworkLoss => (fault.operation, fault.ratio) = (None, dice.between(0.03, 0.1)),
        FaultKind::Error => fault.ratio = dice.between(0.1, 0.4),
        FaultKind::Timeout => (fault.ratio, fault.add_ms) = (dice.between(0.05, 0.2), 3000.0),
        FaultKind::RetryStorm => (fault.ratio, fault.count) = (dice.between(0.3, 0.6), 3),
        FaultKind::EarlyReturn => fault.ratio = dice.between(0.4, 0.9),
        FaultKind::TrafficMix => fault.factor = dice.between(3.0, 6.0),
        FaultKind::NPlusOne => {
            let calls = &services[at].operations[operation].calls;
            let called =
                calls.iter().filter(|call| call.consumer.is_none()).nth(dice.below(calls.len())).or(calls.first());
            fault.caller = Some(fault.service.clone());
            fault.count = 5 + u32::try_from(dice.below(10)).unwrap_or(0);
            if let Some(called) = called {
                (fault.service, fault.operation) = (called.service.clone(), Some(called.operation.clone()));
            }
        }
        FaultKind::LostParallelism => {
            // Whatever it calls runs side by side until then.
            for call in &mut services[at].operations[operation].calls {
                call.step = Some(1);
            }
        }
        FaultKind::ColdCache => {
            let caller = services[at].name.clone();
            let cached = services[at].operations[operation].calls.iter().find(|call| call.on_miss.is_some()).cloned();
            if let Some(cached) = cached {
                // Its database is slow enough that the cache matters.
                if let Some((store, query)) =
                    cached.on_miss.as_ref().and_then(|miss| find(services, &miss.service, &miss.operation))
                {
                    services[store].operations[query].work = Law::log_normal(20.0, 0.5);
                }
                (fault.service, fault.operation, fault.caller) = (cached.service, None, Some(caller));
            }
            fault.ratio = dice.between(0.05, 0.3);
        }
    }
    fault
}
