//! The attributes that the analysis reads, as one dense code a span: peer, host, failure, sampling weight.

use super::names_cache;
use crate::span::{
    AttributeColumn, AttributeScope, AttributeTable, AttributeValue, Dictionary, SpanFrame, SpanKind, SpanStatus,
    schema,
};
use hashbrown::HashSet;
use std::borrow::Cow;

/// No code: the span has no such attribute.
pub(super) const NONE: u32 = u32::MAX;

const DB: [&str; 2] = ["db.system.name", "db.system"];
const DB_NAMESPACE: [&str; 2] = ["db.namespace", "db.name"];
const ADDRESS: [&str; 4] = ["server.address", "net.peer.name", "http.host", "network.peer.address"];
const PORT: [&str; 3] = ["server.port", "net.peer.port", "network.peer.port"];
const URL: [&str; 2] = ["url.full", "http.url"];
const HOST: [&str; 5] = ["host.name", "k8s.pod.name", "k8s.pod.ip", "service.instance.id", "host.id"];
/// Before the name of a service that stands for a host: in no name of a host.
const NO_HOST: char = '\0';
const HTTP_STATUS: [&str; 2] = ["http.response.status_code", "http.status_code"];
const GRPC_STATUS: [&str; 2] = ["rpc.grpc.status_code", "rpc.response.status_code"];
const SAMPLE_RATE: [&str; 3] = ["sample_rate", "SampleRate", "sampling.rate"];

/// Keys of every attribute that the analysis reads; pass them to `ingest` so that it decodes no other.
#[must_use]
pub fn required_attributes() -> Vec<String> {
    let groups: [&[&str]; 11] =
        [&DB, &DB_NAMESPACE, &ADDRESS, &PORT, &URL, &HOST, &HTTP_STATUS, &GRPC_STATUS, &SAMPLE_RATE, &FAILURE, &OTHER];
    let mut keys: Vec<String> = groups.into_iter().flatten().map(|&key| key.to_owned()).collect();
    keys.sort_unstable();
    keys
}

/// Attributes that say whether a span failed where its status does not.
#[must_use]
pub fn failure_attributes() -> Vec<String> {
    let mut keys: Vec<String> = HTTP_STATUS.iter().chain(&GRPC_STATUS).map(|&key| key.to_owned()).collect();
    keys.push(ESCAPED.to_owned());
    keys.sort_unstable();
    keys
}

/// Gives spans that failed by their attributes alone the status that says so.
pub fn mark_failures(frame: &mut SpanFrame) {
    let failed = failed(frame);
    for (status, failed) in frame.spans.status.iter_mut().zip(failed) {
        if failed {
            *status = SpanStatus::Error as u8;
        }
    }
}

/// Whether an exception left the span, and what went wrong by type and message.
const FAILURE: [&str; 5] = [ESCAPED, "exception.type", "exception.message", "error.type", schema::STATUS_DESCRIPTION];
const ESCAPED: &str = "exception.escaped";
const OTHER: [&str; 5] =
    ["peer.service", "rpc.service", "messaging.destination.name", "messaging.system", schema::TRACESTATE];

/// What the attributes say of each span row.
pub(super) struct Facts {
    /// Who a span calls, as its attributes put it: a code of `peers`, or [`NONE`].
    pub(super) peer: Vec<u32>,
    /// Where a span ran: a code of `hosts`, which is its service's where the span does not say.
    pub(super) host: Vec<u32>,
    /// Whether the span failed.
    pub(super) failed: Vec<bool>,
    /// Adjusted count of the span's sampling, 0 where unknown; empty if no span says.
    pub(super) weight: Vec<f64>,
}

/// Texts that facts are codes of.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// Whom spans call.
    pub(super) peers: Dictionary,
    /// Codes of those peers that are caches by their product.
    pub(super) caches: HashSet<u32, foldhash::fast::FixedState>,
    /// Where they ran.
    pub(super) hosts: Dictionary,
}

pub(super) fn facts(frame: &SpanFrame, texts: &mut Texts) -> Facts {
    let n_spans = frame.spans.len();
    let Texts { peers, caches, hosts } = texts;
    let peer = peer(frame, peers);
    for column in DB.iter().flat_map(|key| columns(&frame.attributes, key)) {
        let mut last = None;
        for (row, value) in column.iter() {
            let is_cache = match last {
                Some((known, is_cache)) if known == value => is_cache,
                _ => names_cache(&frame.attributes.text(value)),
            };
            last = Some((value, is_cache));
            if is_cache && let Some(&peer) = peer.get(row as usize).filter(|&&peer| peer != NONE) {
                caches.insert(peer);
            }
        }
    }
    let mut host = vec![NONE; n_spans];
    for key in HOST {
        fill(&frame.attributes, key, &mut host, |value| hosts.intern(&frame.attributes.text(value)));
    }
    // Of spans that do not say where they ran it is known that services hardly share a host.
    let mut of_service = vec![NONE; frame.names.len()];
    for (host, &service) in host.iter_mut().zip(&frame.spans.service).filter(|(host, _)| **host == NONE) {
        let code = &mut of_service[service as usize];
        if *code == NONE {
            *code = hosts.intern(&format!("{NO_HOST}{}", frame.names.get(service)));
        }
        *host = *code;
    }
    Facts { peer, host, failed: failed(frame), weight: weight(frame) }
}

/// Columns of `key` in both scopes, span first.
fn columns<'a>(table: &'a AttributeTable, key: &str) -> impl Iterator<Item = &'a AttributeColumn> {
    [AttributeScope::Span, AttributeScope::Resource].into_iter().filter_map(move |scope| table.get(scope, key))
}

/// Gives each row that has none yet the code of its value of `key`.
fn fill(table: &AttributeTable, key: &str, codes: &mut [u32], mut code: impl FnMut(AttributeValue) -> u32) {
    for column in columns(table, key) {
        let mut last = None;
        for (row, value) in column.iter() {
            if let Some(slot) = codes.get_mut(row as usize).filter(|slot| **slot == NONE) {
                *slot = match last {
                    Some((known, code)) if known == value => code,
                    _ => code(value),
                };
                last = Some((value, *slot));
            }
        }
    }
}

impl Facts {
    /// Gives the hosts of the second recording codes of their own.
    pub(super) fn tell_hosts_apart(&mut self, is_second: impl Fn(usize) -> bool) {
        for (row, host) in self.host.iter_mut().enumerate() {
            if *host != NONE {
                *host = host.saturating_mul(2).saturating_add(u32::from(is_second(row)));
            }
        }
    }
}

/// Peer by the first rule that speaks: declared service, topic, host by name, database, host of the URL, RPC interface, host
/// by number. A number says least: it changes with every deployment.
fn peer(frame: &SpanFrame, peers: &mut Dictionary) -> Vec<u32> {
    let table = &frame.attributes;
    let n_spans = frame.spans.len();
    let mut peer = vec![NONE; n_spans];
    let named = |peers: &mut Dictionary, value| match &*table.text(value) {
        "" => NONE,
        text => peers.intern(text),
    };
    fill(table, "peer.service", &mut peer, |value| named(peers, value));

    let joined = |systems: &[&str], names: &[&str], peer: &mut Vec<u32>, peers: &mut Dictionary| {
        let mut texts = Dictionary::default();
        let (mut system, mut name) = (vec![NONE; n_spans], vec![NONE; n_spans]);
        for key in systems {
            fill(table, key, &mut system, |value| texts.intern(&table.text(value)));
        }
        if system.iter().all(|&code| code == NONE) {
            return;
        }
        for key in names {
            fill(table, key, &mut name, |value| texts.intern(&table.text(value)));
        }
        let mut pairs = hashbrown::HashMap::<(u32, u32), u32, foldhash::fast::FixedState>::default();
        for row in 0..n_spans {
            if peer[row] == NONE && system[row] != NONE {
                let pair = (system[row], name[row]);
                peer[row] = *pairs.entry(pair).or_insert_with(|| match pair {
                    (system, NONE) => peers.intern(texts.get(system)),
                    (system, name) if texts.get(name).is_empty() => peers.intern(texts.get(system)),
                    (system, name) => peers.intern(&format!("{}:{}", texts.get(system), texts.get(name))),
                });
            }
        }
    };
    joined(&["messaging.system"], &["messaging.destination.name"], &mut peer, peers);
    fill(table, "messaging.destination.name", &mut peer, |value| named(peers, value));

    let mut address = vec![NONE; n_spans];
    let mut port = vec![NONE; n_spans];
    let mut texts = Dictionary::default();
    for key in ADDRESS {
        fill(table, key, &mut address, |value| texts.intern(&table.text(value)));
    }
    for key in PORT {
        fill(table, key, &mut port, |value| texts.intern(&table.text(value)));
    }
    let by_address = |numeric: bool, peer: &mut Vec<u32>, peers: &mut Dictionary| {
        let mut pairs = hashbrown::HashMap::<(u32, u32), u32, foldhash::fast::FixedState>::default();
        for row in 0..n_spans {
            if peer[row] == NONE && address[row] != NONE {
                let pair = (address[row], port[row]);
                peer[row] = *pairs.entry(pair).or_insert_with(|| {
                    let host = texts.get(pair.0);
                    if is_number(host) != numeric {
                        return NONE;
                    }
                    // A port tells apart what shares a loopback or a numbered host; a name needs none.
                    match texts.get(pair.1) {
                        "" => peers.intern(host),
                        port if numeric => peers.intern(&format!("{host}:{port}")),
                        _ => peers.intern(host),
                    }
                });
            }
        }
    };
    by_address(false, &mut peer, peers);
    joined(&DB, &DB_NAMESPACE, &mut peer, peers);
    for key in URL {
        fill(table, key, &mut peer, |value| match url_host(&table.text(value)) {
            Some(host) => peers.intern(host),
            None => NONE,
        });
    }
    fill(table, "rpc.service", &mut peer, |value| named(peers, value));
    by_address(true, &mut peer, peers);
    peer
}

/// Whether a host is an IP address or the local machine, which name no service.
fn is_number(host: &str) -> bool {
    host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok()
}

/// Host of a URL; with its port if the host names no service by itself.
fn url_host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let named = if is_number(host) { authority } else { host };
    (!named.is_empty()).then_some(named)
}

/// A span failed if its status says so or, where the status says nothing, if its HTTP or gRPC code does or an exception escaped from it.
///
/// An exception that was only recorded may have been handled, and says nothing.
/// By OpenTelemetry's conventions a 4xx answer is the client's error, so it fails a client span and no server span.
fn failed(frame: &SpanFrame) -> Vec<bool> {
    let spans = &frame.spans;
    let mut failed: Vec<bool> = spans.status.iter().map(|&status| status == SpanStatus::Error as u8).collect();
    let mut by_code = |keys: &[&str], is_failure: fn(i64, bool) -> bool| {
        for column in keys.iter().flat_map(|key| columns(&frame.attributes, key)) {
            for (row, value) in column.iter() {
                let row = row as usize;
                let code = match value {
                    AttributeValue::Int(code) => Some(code),
                    #[expect(clippy::cast_possible_truncation, reason = "a status code is a small whole number")]
                    AttributeValue::Double(code) => Some(code as i64),
                    AttributeValue::String(text) => frame.attributes.values.get(text).trim().parse().ok(),
                    AttributeValue::Bool(_) | AttributeValue::Json(_) => None,
                };
                if let Some(code) = code
                    && spans.status.get(row) == Some(&(SpanStatus::Unset as u8))
                {
                    failed[row] |= is_failure(code, spans.kind[row] == SpanKind::Client as u8);
                }
            }
        }
    };
    by_code(&HTTP_STATUS, |code, is_client| code >= if is_client { 400 } else { 500 });
    // UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS are the server's.
    by_code(
        &GRPC_STATUS,
        |code, is_client| if is_client { (1..=16).contains(&code) } else { [2, 4, 12, 13, 14, 15].contains(&code) },
    );
    for column in columns(&frame.attributes, ESCAPED) {
        for (row, value) in column.iter() {
            let has_escaped = frame.attributes.text(value).eq_ignore_ascii_case("true");
            if has_escaped && spans.status.get(row as usize) == Some(&(SpanStatus::Unset as u8)) {
                failed[row as usize] = true;
            }
        }
    }
    failed
}

/// Adjusted count by OpenTelemetry's `ot=th:` threshold or by a sample-rate attribute; empty if no span carries either.
fn weight(frame: &SpanFrame) -> Vec<f64> {
    let table = &frame.attributes;
    let mut weights = Vec::new();
    let mut set = |row: u32, weight: Option<f64>| {
        if let Some(weight) = weight.filter(|weight| weight.is_finite() && *weight >= 1.0) {
            if weights.is_empty() {
                weights = vec![0.0; frame.spans.len()];
            }
            weights[row as usize] = weight;
        }
    };
    for column in SAMPLE_RATE.iter().flat_map(|key| columns(table, key)) {
        for (row, value) in column.iter() {
            set(row, table.text(value).parse().ok());
        }
    }
    for column in columns(table, schema::TRACESTATE) {
        for (row, value) in column.iter() {
            let text: Cow<'_, str> = table.text(value);
            set(row, threshold(&text).map(adjusted_count));
        }
    }
    weights
}

/// The rejection threshold of `ot=...;th:T`, of 2^56.
fn threshold(tracestate: &str) -> Option<u64> {
    let entry = tracestate.split(',').find_map(|member| member.trim().strip_prefix("ot="))?;
    let digits = entry.split(';').find_map(|field| field.trim().strip_prefix("th:"))?;
    if digits.is_empty() || digits.len() > 14 {
        return None;
    }
    u64::from_str_radix(&format!("{digits:0<14}"), 16).ok()
}

/// How many traces a sampled one stands for.
fn adjusted_count(threshold: u64) -> f64 {
    const TWO_TO_56: u64 = 1 << 56;
    TWO_TO_56 as f64 / TWO_TO_56.saturating_sub(threshold).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::{adjusted_count, threshold, url_host};

    #[test]
    fn a_threshold_is_padded_on_the_right() {
        assert_eq!(threshold("vendor=1,ot=th:8"), Some(1 << 55));
        assert!((adjusted_count(1 << 55) - 2.0).abs() < 1e-12);
        assert!((adjusted_count(threshold("ot=rv:1;th:c").unwrap_or_default()) - 4.0).abs() < 1e-12);
        assert_eq!(threshold("ot=th:"), None);
        assert_eq!(threshold("other=th:8"), None);
    }

    #[test]
    fn a_url_names_its_host_and_a_numbered_host_its_port() {
        assert_eq!(url_host("http://ts-basic-service:15680/api?x=1"), Some("ts-basic-service"));
        assert_eq!(url_host("https://user:pw@shop.example/"), Some("shop.example"));
        assert_eq!(url_host("http://127.0.0.1:3001/"), Some("127.0.0.1:3001"));
        assert_eq!(url_host("/relative"), None);
    }
}
