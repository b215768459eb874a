//! A scenario made ready to run: names are looked up once, laws are checked, faults know what they touch.

use super::law::{Sampler, ns};
use super::random::{mix, uniform};
use super::scenario::{Call, Fault, FaultKind, Name, Problem, Role, Scenario};
use crate::span::SpanKind;
use std::collections::BTreeMap;
use std::ops::Range;

/// More faults than this have no place in a set of bits.
pub(super) const MAX_FAULTS: usize = 32;
/// More hosts of one service than this are a mistake.
const MAX_HOSTS: u32 = 10_000;
/// More calls one after the other than this are, too.
const MAX_REPEAT: u32 = 10_000;
/// And more tries.
const MAX_RETRIES: u32 = 100;

/// A scenario made ready to run.
#[derive(Debug)]
pub struct Model {
    pub(super) seed: u64,
    /// Start of the simulated time, nanoseconds since the Unix epoch.
    pub start_unix_ns: i64,
    /// Time in which requests arrive, nanoseconds.
    pub duration_ns: i64,
    pub(super) requests_per_ns: f64,
    pub(super) arrivals: super::scenario::Arrivals,
    pub(super) sampled_ratio: f64,
    pub(super) lost_ratio: f64,
    /// The `tracestate` of sampled spans, if they are sampled.
    pub tracestate: Option<String>,
    pub(super) services: Vec<Service>,
    pub(super) hosts: Vec<Host>,
    pub(super) operations: Vec<Operation>,
    pub(super) edges: Vec<Edge>,
    pub(super) n_pools: usize,
    /// Operations that users ask for, with sums of weights.
    pub(super) entries: Vec<usize>,
    pub(super) faults: Vec<ActiveFault>,
}

#[derive(Debug)]
pub(super) struct Service {
    /// Name by which the analysis knows it.
    pub(super) name: String,
    pub(super) reports: bool,
    pub(super) is_lost: bool,
    pub(super) hosts: Range<u32>,
    pub(super) workers: u32,
    pub(super) waits_in_span: bool,
}

#[derive(Debug)]
pub(super) struct Host {
    pub(super) service: u32,
    pub(super) skew_ns: i64,
    /// Attributes of the resource, `service.name` not among them.
    pub(super) attributes: Vec<(&'static str, String)>,
}

#[derive(Debug)]
pub(super) struct Operation {
    pub(super) service: u32,
    pub(super) name: String,
    pub(super) kind: SpanKind,
    pub(super) entry_weight: f64,
    pub(super) work: Sampler,
    pub(super) error_ratio: f64,
    pub(super) steps: Vec<Vec<u32>>,
    pub(super) faults: Vec<u32>,
    pub(super) attributes: Vec<(&'static str, String)>,
}

#[derive(Debug)]
pub(super) struct Edge {
    pub(super) callee: u32,
    pub(super) kind: SpanKind,
    pub(super) probability: f64,
    pub(super) repeat: u32,
    pub(super) network: Sampler,
    pub(super) retries: u32,
    pub(super) backoff_ns: i64,
    pub(super) timeout_ns: i64,
    pub(super) connections: u32,
    /// First of the caller's pools of connections, one a host.
    pub(super) pool: usize,
    pub(super) optional: bool,
    pub(super) hit_ratio: f64,
    pub(super) on_miss: Option<u32>,
    pub(super) consumer: Option<u32>,
    pub(super) faults: Vec<u32>,
    pub(super) attributes: Vec<(&'static str, String)>,
}

impl Operation {
    /// Whether a fault of the kind changes what it does.
    fn is_open_to(&self, kind: FaultKind, edges: &[Edge]) -> bool {
        let n_made = |step: &Vec<u32>| step.iter().filter(|&&edge| edges[edge as usize].probability > 0.0).count();
        match kind {
            FaultKind::LostParallelism => self.steps.iter().any(|step| n_made(step) > 1),
            FaultKind::EarlyReturn => self.steps.iter().any(|step| n_made(step) > 0),
            _ => true,
        }
    }
}

impl Edge {
    /// Whether a fault of the kind changes calls of it.
    fn is_open_to(&self, kind: FaultKind) -> bool {
        let can_miss = self.on_miss.is_some() && self.hit_ratio > 0.0;
        self.probability > 0.0 && (kind != FaultKind::ColdCache || can_miss)
    }
}

/// A fault with its times and what it touches looked up.
#[derive(Debug)]
pub(super) struct ActiveFault {
    pub(super) kind: FaultKind,
    pub(super) start_ns: i64,
    pub(super) end_ns: i64,
    pub(super) factor: f64,
    pub(super) add_ns: i64,
    pub(super) ratio: f64,
    pub(super) count: u32,
    /// Host, if it is about one.
    pub(super) host: Option<u32>,
    pub(super) operation: Option<u32>,
    /// Service at fault; none for a traffic mix.
    pub(super) culprit: Option<String>,
    /// Operation at fault, if it is about one that reports spans.
    pub(super) culprit_operation: Option<String>,
}

/// Names of services and operations.
struct Names<'s> {
    services: BTreeMap<&'s str, u32>,
    operations: BTreeMap<(u32, &'s str), u32>,
}

impl Names<'_> {
    fn service(&self, name: &Name) -> Result<u32, Problem> {
        self.services.get(name.get_ref().as_str()).copied().ok_or_else(|| {
            let known: Vec<String> = self.services.keys().take(12).map(|known| format!("`{known}`")).collect();
            Problem::of(name, format!("no service `{}`; services are {}", name.get_ref(), known.join(", ")))
        })
    }

    fn operation(&self, service: u32, name: &Name) -> Result<u32, Problem> {
        self.operations.get(&(service, name.get_ref().as_str())).copied().ok_or_else(|| {
            let own = self.operations.keys().filter(|(owner, _)| *owner == service);
            let known: Vec<String> = own.take(12).map(|(_, known)| format!("`{known}`")).collect();
            Problem::of(name, format!("no operation `{}` of the service; its are {}", name.get_ref(), known.join(", ")))
        })
    }
}

impl Model {
    /// Looks up what the scenario names.
    ///
    /// # Errors
    /// A [`Problem`] for a name that leads nowhere or stands twice, a law with impossible numbers, calls that go round in
    /// a circle, an operation that both consumes messages and is called, or a scenario without an entry.
    pub fn new(scenario: &Scenario) -> Result<Self, Problem> {
        let names = names(scenario)?;
        let mut model = Self {
            seed: mix(scenario.seed, 0),
            start_unix_ns: scenario
                .start_unix_s
                .checked_mul(1_000_000_000)
                .filter(|start| *start >= 0 && start.checked_add(1 << 61).is_some())
                .ok_or_else(|| {
                    let message = format!("`start_unix_s` is {}, expected 0 to 6900000000", scenario.start_unix_s);
                    Problem { key: "start_unix_s".to_owned(), ..Problem::of_all(message) }
                })?,
            duration_ns: ns(scenario.duration_s * 1e3).min(1 << 60),
            requests_per_ns: scenario.requests_per_s / 1e9,
            arrivals: scenario.arrivals.clone(),
            sampled_ratio: scenario.sampled_ratio,
            lost_ratio: scenario.lost_ratio,
            tracestate: (scenario.sampled_ratio < 1.0).then(|| tracestate(scenario.sampled_ratio)),
            services: Vec::new(),
            hosts: Vec::new(),
            operations: Vec::new(),
            edges: Vec::new(),
            n_pools: 0,
            entries: Vec::new(),
            faults: Vec::new(),
        };
        model.add_services(scenario, &names)?;
        for (service, given) in (0..).zip(&scenario.services) {
            for operation in &given.operations {
                let index = names.operation(service, &operation.name)?;
                model.add_calls(index, &operation.calls, scenario, &names)?;
            }
        }
        model.entries =
            (0..model.operations.len()).filter(|&index| model.operations[index].entry_weight > 0.0).collect();
        if model.entries.is_empty() {
            return Err(Problem::of_all("no operation has an `entry_weight` above 0".to_owned()));
        }
        model.check_circles(scenario)?;
        model.check_consumers(scenario)?;
        if scenario.faults.len() > MAX_FAULTS {
            return Err(Problem::of_all(format!("more than {MAX_FAULTS} faults")));
        }
        for fault in &scenario.faults {
            model.add_fault(fault, &names)?;
        }
        Ok(model)
    }

    /// Number of faults.
    #[must_use]
    pub fn n_faults(&self) -> usize {
        self.faults.len()
    }

    fn add_services(&mut self, scenario: &Scenario, names: &Names<'_>) -> Result<(), Problem> {
        let lost: Vec<u32> =
            scenario.lost_services.iter().map(|name| names.service(name)).collect::<Result<_, Problem>>()?;
        for (index, given) in (0..).zip(&scenario.services) {
            let name = given.name.get_ref();
            if given.hosts == 0 || given.hosts > MAX_HOSTS {
                let message = format!("`hosts` is {}, expected 1 to {MAX_HOSTS}", given.hosts);
                return Err(Problem::beside(&given.name, "hosts", message));
            }
            let first = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
            for host in 0..given.hosts {
                let host_name = format!("{name}-{host}");
                let key = mix(mix(self.seed, 11), u64::from(first + host));
                let mut attributes = vec![("host.name", host_name.clone()), ("service.instance.id", host_name)];
                if !given.versions.is_empty() {
                    let version = &given.versions[host as usize % given.versions.len()];
                    attributes.push(("service.version", version.clone()));
                }
                let skew_ns = ns(scenario.clock_skew_ms * (2.0 * uniform(key) - 1.0));
                self.hosts.push(Host { service: index, skew_ns, attributes });
            }
            let shown = match given.role {
                Role::Queue => format!("{}:{name}", given.system),
                _ => name.clone(),
            };
            self.services.push(Service {
                name: shown,
                reports: given.role == Role::Service,
                is_lost: lost.contains(&index),
                hosts: first..first + given.hosts,
                workers: given.workers,
                waits_in_span: given.waits_in_span,
            });
            for operation in &given.operations {
                let work = operation.work.sampler().map_err(|wrong| Problem::of_law(&operation.name, "work", wrong))?;
                let name = operation.name.get_ref().clone();
                let (method, route) = name.split_once(' ').unwrap_or(("", ""));
                let attributes = if ["GET", "POST", "PUT", "DELETE", "PATCH"].contains(&method) {
                    vec![("http.request.method", method.to_owned()), ("http.route", route.to_owned())]
                } else {
                    Vec::new()
                };
                self.operations.push(Operation {
                    service: index,
                    kind: SpanKind::Server,
                    entry_weight: if given.role == Role::Service { operation.entry_weight } else { 0.0 },
                    work,
                    error_ratio: operation.error_ratio,
                    steps: Vec::new(),
                    faults: Vec::new(),
                    attributes,
                    name,
                });
            }
        }
        Ok(())
    }

    fn add_calls(
        &mut self,
        caller: u32,
        calls: &[Call],
        scenario: &Scenario,
        names: &Names<'_>,
    ) -> Result<(), Problem> {
        let mut steps = BTreeMap::<(u32, u32), Vec<u32>>::new();
        for (place, call) in (0..).zip(calls) {
            let service = names.service(&call.service)?;
            let callee = names.operation(service, &call.operation)?;
            let peer = &scenario.services[service as usize];
            if call.repeat == 0 || call.repeat > MAX_REPEAT {
                let message = format!("`repeat` is {}, expected 1 to {MAX_REPEAT}", call.repeat);
                return Err(Problem::beside(&call.service, "repeat", message));
            }
            if call.retries > MAX_RETRIES {
                let message = format!("`retries` is {}, expected 0 to {MAX_RETRIES}", call.retries);
                return Err(Problem::beside(&call.service, "retries", message));
            }
            let network = call.network.sampler().map_err(|wrong| Problem::of_law(&call.service, "network", wrong))?;
            let consumer = call.consumer.as_ref().map(|target| names.target(target)).transpose()?;
            if let Some(consumer) = consumer {
                if peer.role != Role::Queue {
                    return Err(Problem::of(&call.service, "has a `consumer` but is no queue".to_owned()));
                }
                let consumer = &mut self.operations[consumer as usize];
                consumer.kind = SpanKind::Consumer;
                consumer.attributes = messaging(peer, "process");
            }
            let on_miss = match &call.on_miss {
                Some(target) => {
                    let miss = names.target(target)?;
                    let service = &scenario.services[self.operations[miss as usize].service as usize];
                    let plain = Call { on_miss: None, consumer: None, hit_ratio: 1.0, ..call.clone() };
                    Some(self.add_edge(caller, miss, service, &plain, network.clone(), None, None))
                }
                None => None,
            };
            let edge = self.add_edge(caller, callee, peer, call, network, on_miss, consumer);
            // Steps without a number stand where they are written, after those numbered so far.
            let last = steps.keys().next_back().map_or(0, |&(step, _)| step);
            let step = call.step.map_or((last, place + 1), |step| (step, 0));
            steps.entry(step).or_default().push(edge);
        }
        self.operations[caller as usize].steps = steps.into_values().collect();
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "what is looked up of a call, used in two places")]
    fn add_edge(
        &mut self,
        caller: u32,
        callee: u32,
        peer: &super::scenario::Service,
        call: &Call,
        network: Sampler,
        on_miss: Option<u32>,
        consumer: Option<u32>,
    ) -> u32 {
        let name = peer.name.get_ref();
        let attributes = match peer.role {
            Role::Service => vec![("server.address", name.clone())],
            Role::Queue => messaging(peer, "publish"),
            Role::Database | Role::Cache => {
                vec![("server.address", name.clone()), ("db.system.name", peer.system.clone())]
            }
        };
        let pool = self.n_pools;
        let owner = &self.services[self.operations[caller as usize].service as usize];
        self.n_pools += owner.hosts.len();
        self.edges.push(Edge {
            callee,
            kind: if peer.role == Role::Queue { SpanKind::Producer } else { SpanKind::Client },
            probability: call.probability,
            repeat: call.repeat,
            network,
            retries: call.retries,
            backoff_ns: ns(call.backoff_ms),
            timeout_ns: ns(call.timeout_ms),
            connections: call.connections,
            pool,
            optional: call.optional,
            hit_ratio: call.hit_ratio,
            on_miss,
            consumer,
            faults: Vec::new(),
            attributes,
        });
        u32::try_from(self.edges.len() - 1).unwrap_or(u32::MAX)
    }

    /// An operation has spans of one kind: what consumes messages answers nobody.
    fn check_consumers(&self, scenario: &Scenario) -> Result<(), Problem> {
        let given = scenario.services.iter().flat_map(|service| &service.operations);
        for (index, (given, operation)) in (0_u32..).zip(given.zip(&self.operations)) {
            let is_called = || self.edges.iter().any(|edge| edge.callee == index) || operation.entry_weight > 0.0;
            if operation.kind == SpanKind::Consumer && is_called() {
                let message = "consumes messages, so that nothing may call it and users may not ask for it".to_owned();
                return Err(Problem::of(&given.name, message));
            }
        }
        Ok(())
    }

    /// A circle of calls would never end.
    fn check_circles(&self, scenario: &Scenario) -> Result<(), Problem> {
        // 0 not seen, 1 on the way, 2 done.
        let mut states = vec![0_u8; self.operations.len()];
        let mut stack: Vec<(usize, usize)> = Vec::new();
        let next: Vec<Vec<u32>> = self
            .operations
            .iter()
            .map(|operation| {
                let edges = operation.steps.iter().flatten().map(|&edge| &self.edges[edge as usize]);
                edges
                    .flat_map(|edge| {
                        let miss = edge.on_miss.map(|miss| self.edges[miss as usize].callee);
                        [Some(edge.callee), edge.consumer, miss].into_iter().flatten()
                    })
                    .collect()
            })
            .collect();
        let given: Vec<&Name> =
            scenario.services.iter().flat_map(|service| &service.operations).map(|operation| &operation.name).collect();
        for first in 0..states.len() {
            if states[first] == 0 {
                states[first] = 1;
                stack.push((first, 0));
            }
            while let Some((operation, place)) = stack.pop() {
                let Some(&callee) = next[operation].get(place) else {
                    states[operation] = 2;
                    continue;
                };
                stack.push((operation, place + 1));
                match states[callee as usize] {
                    0 => {
                        states[callee as usize] = 1;
                        stack.push((callee as usize, 0));
                    }
                    1 => {
                        let message = format!("`{}` calls itself in the end", given[callee as usize].get_ref());
                        return Err(Problem::of(given[callee as usize], message));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Whether requests come to each operation, directly or by others' calls.
    fn reached(&self) -> Vec<bool> {
        let mut reached = vec![false; self.operations.len()];
        let mut next = self.entries.clone();
        while let Some(operation) = next.pop() {
            if std::mem::replace(&mut reached[operation], true) {
                continue;
            }
            let edges = self.operations[operation].steps.iter().flatten().map(|&edge| &self.edges[edge as usize]);
            for edge in edges.filter(|edge| edge.probability > 0.0) {
                let miss = edge.on_miss.map(|miss| self.edges[miss as usize].callee);
                next.extend(
                    [Some(edge.callee), edge.consumer, miss].into_iter().flatten().map(|callee| callee as usize),
                );
            }
        }
        reached
    }

    fn add_fault(&mut self, fault: &Fault, names: &Names<'_>) -> Result<(), Problem> {
        let service = names.service(&fault.service)?;
        let operation = fault.operation.as_ref().map(|name| names.operation(service, name)).transpose()?;
        let caller = fault.caller.as_ref().map(|name| names.service(name)).transpose()?;
        fault.check()?;
        let hosts = self.services[service as usize].hosts.clone();
        let host = match fault.host {
            Some(host) if host >= hosts.end - hosts.start => {
                let last = hosts.end - hosts.start - 1;
                let message = format!("`host` is {host}, expected 0 to {last}, the hosts of the service");
                return Err(Problem::beside(&fault.service, "host", message));
            }
            Some(host) => Some(hosts.start + host),
            None if fault.kind == FaultKind::SlowHost => Some(hosts.start),
            None => None,
        };
        let index = u32::try_from(self.faults.len()).unwrap_or(u32::MAX);
        let own = |at: u32, found: &Operation| found.service == service && operation.is_none_or(|wanted| wanted == at);
        let reached = self.reached();
        let mut touched = 0;
        match fault.kind {
            FaultKind::TrafficMix => {
                if self.entries.len() < 2 {
                    let message = "all requests are to one entry operation, so their mix cannot change".to_owned();
                    return Err(Problem::of(&fault.service, message));
                }
                touched = usize::from(operation.is_some_and(|entry| self.entries.contains(&(entry as usize))));
            }
            FaultKind::NetworkDelay
            | FaultKind::NetworkLoss
            | FaultKind::NPlusOne
            | FaultKind::ColdCache
            | FaultKind::RetryStorm => {
                for (at, caller_operation) in (0..).zip(&self.operations) {
                    if !reached[at as usize] {
                        continue;
                    }
                    let from = caller_operation.service;
                    let mut edges: Vec<u32> = caller_operation.steps.iter().flatten().copied().collect();
                    edges.extend(edges.clone().iter().filter_map(|&edge| self.edges[edge as usize].on_miss));
                    for edge in edges {
                        let found = &self.edges[edge as usize];
                        let callee = found.callee;
                        // A host's network is also that of the calls that leave it.
                        let is_network = matches!(fault.kind, FaultKind::NetworkDelay | FaultKind::NetworkLoss);
                        let leaves = is_network && fault.host.is_some() && own(at, caller_operation);
                        if !found.is_open_to(fault.kind) {
                            continue;
                        }
                        if leaves
                            || (own(callee, &self.operations[callee as usize])
                                && caller.is_none_or(|caller| caller == from))
                        {
                            self.edges[edge as usize].faults.push(index);
                            touched += 1;
                        }
                    }
                }
            }
            _ => {}
        }
        if !matches!(
            fault.kind,
            FaultKind::TrafficMix
                | FaultKind::NetworkDelay
                | FaultKind::NetworkLoss
                | FaultKind::NPlusOne
                | FaultKind::ColdCache
        ) {
            let edges = &self.edges;
            for (at, found) in (0..).zip(&mut self.operations) {
                if reached[at as usize] && own(at, found) && found.is_open_to(fault.kind, edges) {
                    found.faults.push(index);
                    touched += 1;
                }
            }
        }
        if touched == 0 {
            let message = format!("a fault `{}` finds nothing here that it could touch", fault.kind.as_str());
            return Err(Problem::of(&fault.service, message));
        }
        let culprit = match (fault.kind, caller) {
            (FaultKind::TrafficMix, _) => None,
            (FaultKind::NPlusOne, Some(caller)) => Some(caller),
            _ => Some(service),
        };
        self.faults.push(ActiveFault {
            kind: fault.kind,
            start_ns: share(self.duration_ns, fault.onset),
            end_ns: share(self.duration_ns, fault.end),
            factor: fault.factor,
            add_ns: ns(fault.add_ms.min(3.6e6)),
            ratio: fault.ratio,
            count: fault.count,
            host,
            operation,
            culprit: culprit.map(|service| self.services[service as usize].name.clone()),
            culprit_operation: operation
                .filter(|_| culprit == Some(service))
                .map(|operation| self.operations[operation as usize].name.clone()),
        });
        Ok(())
    }
}

impl Names<'_> {
    fn target(&self, target: &super::scenario::Target) -> Result<u32, Problem> {
        self.operation(self.service(&target.service)?, &target.operation)
    }
}

fn names(scenario: &Scenario) -> Result<Names<'_>, Problem> {
    let mut names = Names { services: BTreeMap::new(), operations: BTreeMap::new() };
    let operations = scenario.services.iter().flat_map(|service| &service.operations).map(|operation| &operation.name);
    let mut given = scenario.services.iter().map(|service| &service.name).chain(operations);
    // Databases and C programs take it for the end of the name.
    if let Some(name) = given.find(|name| name.get_ref().contains('\0')) {
        let message =
            format!("`{}` holds a NUL character, expected a name without", name.get_ref().replace('\0', "\\0"));
        return Err(Problem::of(name, message));
    }
    for (index, service) in (0..).zip(&scenario.services) {
        if names.services.insert(service.name.get_ref(), index).is_some() {
            return Err(Problem::of(&service.name, format!("a second service `{}`", service.name.get_ref())));
        }
        for operation in &service.operations {
            let at = u32::try_from(names.operations.len()).unwrap_or(u32::MAX);
            if names.operations.insert((index, operation.name.get_ref()), at).is_some() {
                return Err(Problem::of(&operation.name, format!("a second operation `{}`", operation.name.get_ref())));
            }
        }
    }
    Ok(names)
}

fn messaging(queue: &super::scenario::Service, what: &str) -> Vec<(&'static str, String)> {
    vec![
        ("messaging.system", queue.system.clone()),
        ("messaging.destination.name", queue.name.get_ref().clone()),
        ("messaging.operation.type", what.to_owned()),
    ]
}

/// A share of a time.
#[expect(clippy::cast_possible_truncation, reason = "no more than the time itself")]
pub(super) fn share(duration_ns: i64, ratio: f64) -> i64 {
    (duration_ns as f64 * ratio).round() as i64
}

/// OpenTelemetry's threshold of a sampling probability: how much of 2^56 is rejected.
fn tracestate(sampled_ratio: f64) -> String {
    const TWO_TO_56: f64 = (1_u64 << 56) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 2^56")]
    let rejected = ((1.0 - sampled_ratio) * TWO_TO_56) as u64;
    let digits = format!("{rejected:014x}");
    let digits = digits.trim_end_matches('0');
    format!("ot=th:{}", if digits.is_empty() { "0" } else { digits })
}
