//! Systems as `suspect simulate` makes them, each pair another one: eight services with databases, caches, hosts and pools of connections.
//!
//! A load test of one endpoint; see `src/simulate/generate.rs` for the laws. Own times are log-normal with a deviation of the logarithm from
//! 0.3 to 0.7, gamma with a shape from 1.5 to 6, or log-normal (0.4) with one wild call in 33.

use std::fs::File;
use suspect::analysis::{self, Prepared};
use suspect::export::{Compression, Format, Output, Writer};
use suspect::ingest::{self, Ingested};
use suspect::normalize;
use suspect::simulate::generate::{Options, scenario};
use suspect::simulate::scenario::{Fault, FaultKind, Name, Role, Scenario};
use suspect::simulate::{Model, run};
use suspect::span::AttributeSelection;
use suspect::stats::random;

/// Two runs of system `pair`, and what is slower in the second by `factor`, if there is one, as `SERVICE: OPERATION`.
pub(crate) fn pair(pair: u64, n_requests: u64, factor: Option<f64>) -> (Prepared, String) {
    let mut system = scenario(&Options { seed: pair, services: 8, depth: 4, fan_out: 3, faults: Vec::new() });
    system.duration_s = n_requests as f64 / system.requests_per_s;
    let operations = system.services.iter_mut().flat_map(|service| &mut service.operations);
    for entry in operations.filter(|operation| operation.entry_weight > 0.0).skip(1) {
        entry.entry_weight = 0.0;
    }
    let always = always(&system);
    let chosen = random(0x5157, pair, 0) % always.len() as u64;
    let (service, operation) = &always[usize::try_from(chosen).expect("a place")];
    let name = format!("{}: {}", service.get_ref(), operation.get_ref());
    let baseline = spans(&Scenario { seed: random(0x5157, pair, 1), ..system.clone() });
    let slower = |factor| Fault {
        kind: FaultKind::Slower,
        service: service.clone(),
        operation: Some(operation.clone()),
        caller: None,
        host: None,
        onset: 0.0,
        end: 1.0,
        factor,
        add_ms: 0.0,
        ratio: 0.0,
        count: 1,
    };
    let faults = factor.map(slower).into_iter().collect();
    let candidate = spans(&Scenario { seed: random(0x5157, pair, 2), faults, ..system });
    (analysis::prepare(Some(baseline), candidate), name)
}

/// Operations of services that report spans, of which each request calls one or more.
fn always(system: &Scenario) -> Vec<(Name, Name)> {
    let operations =
        || system.services.iter().flat_map(|service| service.operations.iter().map(move |own| (service, own)));
    let entry = operations().find(|(_, operation)| operation.entry_weight > 0.0).expect("an entry");
    let (mut reached, mut next) = (vec![entry], 0);
    while next < reached.len() {
        for call in reached[next].1.calls.iter().filter(|call| call.probability >= 1.0 && call.consumer.is_none()) {
            let is_called = |service: &Name, operation: &Name| {
                (service.get_ref(), operation.get_ref()) == (call.service.get_ref(), call.operation.get_ref())
            };
            let called = operations().find(|(service, own)| is_called(&service.name, &own.name)).expect("an operation");
            if !reached.iter().any(|(service, own)| is_called(&service.name, &own.name)) {
                reached.push(called);
            }
        }
        next += 1;
    }
    let reporting = reached.into_iter().filter(|(service, _)| service.role == Role::Service);
    reporting.map(|(service, operation)| (service.name.clone(), operation.name.clone())).collect()
}

fn spans(system: &Scenario) -> Ingested {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("spans.parquet");
    let out = Output::new(File::create(&path).expect("a file"), Compression::None).expect("a file");
    let model = Model::new(system).expect("a system that can be");
    let mut writer = Writer::new(Format::Parquet, out, &path).expect("a table");
    run(&model, &mut writer, &|_, _| ()).expect("a run");
    writer.finish().expect("a table");
    let attributes = AttributeSelection::Keys(normalize::required_attributes());
    ingest::read(&[path], &ingest::Options { attributes, columns: Vec::new() }, &|_, _| ()).expect("spans")
}
