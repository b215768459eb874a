//! Protobuf as `prost` and `opentelemetry-proto` encode it, against what is read back.

use super::{attributes, ingest_bytes, spans};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, TracesData};
use proptest::prelude::*;
use prost::Message as _;

/// A message with three spans.
pub(super) fn sample_message() -> Vec<u8> {
    let span = |id: u8| Span {
        trace_id: vec![1; 16],
        span_id: vec![0, 0, 0, 0, 0, 0, 0, id],
        name: format!("op{id}"),
        kind: 2,
        start_time_unix_nano: 1_000,
        end_time_unix_nano: 1_000 + u64::from(id),
        attributes: vec![attribute("k", Value::ArrayValue(ArrayValue { values: vec![holder(Value::IntValue(-1))] }))],
        status: Some(Status { code: 2, message: "late".into() }),
        ..Span::default()
    };
    let spans = vec![span(1), span(2), span(3)];
    TracesData { resource_spans: vec![resource_spans("cart", spans)] }.encode_to_vec()
}

/// A message with one span that has this encoded attribute.
pub(super) fn message_with_attribute(attribute: &[u8]) -> Vec<u8> {
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![1; 8],
        start_time_unix_nano: 1,
        end_time_unix_nano: 2,
        ..Span::default()
    };
    let span = [span.encode_to_vec(), length_delimited(9, attribute)].concat();
    length_delimited(1, &length_delimited(2, &length_delimited(2, &span)))
}

/// Field `number` with these bytes.
pub(super) fn length_delimited(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    prost::encoding::encode_varint(bytes.len() as u64, &mut field);
    field.extend_from_slice(bytes);
    field
}

fn holder(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(holder(value)), ..KeyValue::default() }
}

fn resource_spans(service: &str, spans: Vec<Span>) -> ResourceSpans {
    let resource = Resource {
        attributes: vec![attribute("service.name", Value::StringValue(service.into()))],
        ..Resource::default()
    };
    let scope = InstrumentationScope { name: "lib".into(), ..InstrumentationScope::default() };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }];
    ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }
}

fn any_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        "[a-z\"\\\\é\n]{0,6}".prop_map(Value::StringValue),
        any::<bool>().prop_map(Value::BoolValue),
        any::<i64>().prop_map(Value::IntValue),
        // Eighths, which every parser of decimals reads back exactly.
        any::<i32>().prop_map(|eighths| Value::DoubleValue(f64::from(eighths) / 8.0)),
    ];
    scalar.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3)
                .prop_map(|values| Value::ArrayValue(ArrayValue { values: values.into_iter().map(holder).collect() })),
            prop::collection::vec(("[a-c]{1,2}", inner), 0..3).prop_map(|pairs| {
                let values = pairs.into_iter().map(|(key, value)| attribute(&key, value)).collect();
                Value::KvlistValue(KeyValueList { values })
            }),
        ]
    })
}

fn span() -> impl Strategy<Value = Span> {
    let ids = (any::<[u8; 16]>(), any::<[u8; 8]>(), prop::option::of(any::<[u8; 8]>()));
    let times = (1_u64..1 << 62, 0_u64..1 << 40);
    (ids, "[a-z /é]{0,9}", 0..6_i32, 0..3_i32, times, any_value(), "[a-z]{0,3}").prop_map(
        |((trace, span, parent), name, kind, code, (start, duration), value, message)| Span {
            trace_id: trace.map(|byte| byte | 1).to_vec(),
            span_id: span.map(|byte| byte | 1).to_vec(),
            parent_span_id: parent.map(|parent| parent.to_vec()).unwrap_or_default(),
            name,
            kind,
            start_time_unix_nano: start,
            end_time_unix_nano: start + duration,
            attributes: vec![attribute("k", value)],
            status: Some(Status { code, message }),
            ..Span::default()
        },
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// A value as plain JSON, by way of `serde_json`.
fn plain(value: &Value) -> serde_json::Value {
    let inner = |value: &Option<AnyValue>| {
        value.as_ref().and_then(|value| value.value.as_ref()).map_or(serde_json::Value::Null, plain)
    };
    match value {
        Value::StringValue(text) => text.as_str().into(),
        Value::BoolValue(flag) => (*flag).into(),
        Value::IntValue(number) => (*number).into(),
        Value::DoubleValue(number) => (*number).into(),
        Value::ArrayValue(list) => list.values.iter().map(|value| inner(&Some(value.clone()))).collect(),
        Value::KvlistValue(list) => list.values.iter().map(|pair| (pair.key.clone(), inner(&pair.value))).collect(),
        _ => serde_json::Value::Null,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn protobuf_is_read_as_prost_wrote_it(groups in prop::collection::vec(("[a-z]{1,4}", prop::collection::vec(span(), 1..4)), 1..4)) {
        let data = TracesData {
            resource_spans: groups.iter().map(|(service, spans)| resource_spans(service, spans.clone())).collect(),
        };
        let read = ingest_bytes(data.encode_to_vec());
        let expected: Vec<_> = groups
            .iter()
            .flat_map(|(service, spans)| spans.iter().map(move |span| format!(
                "{} {:x} {:x} {service} {:?} {} {} {} {}",
                hex(&span.trace_id),
                number(&span.span_id),
                number(&span.parent_span_id),
                span.name,
                span.kind,
                span.status.as_ref().map_or(0, |status| status.code),
                span.start_time_unix_nano,
                span.end_time_unix_nano - span.start_time_unix_nano,
            )))
            .collect();
        prop_assert_eq!(spans(&read.frame), expected);
        prop_assert_eq!(&read.sources[0].format, "OTLP protobuf");
        prop_assert!(read.sources[0].n_skipped_records == 0 && !attributes(&read.frame).is_empty());

        let values: Vec<_> = groups.iter().flat_map(|(_, spans)| spans).map(|span| &span.attributes[0].value).collect();
        let column = read.frame.attributes.get(suspect::span::AttributeScope::Span, "k").expect("every span has it");
        for ((_, value), expected) in column.iter().zip(values) {
            let expected = expected.as_ref().and_then(|value| value.value.as_ref()).map(plain);
            let text = read.frame.attributes.text(value);
            match (value, expected) {
                (suspect::span::AttributeValue::Json(_), Some(expected)) => {
                    prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&text).ok(), Some(expected));
                }
                (_, Some(serde_json::Value::String(expected))) => prop_assert_eq!(text, expected),
                (_, Some(expected)) => prop_assert_eq!(text.parse::<f64>().ok().or(Some(f64::from(u8::from(text == "true")))), expected.as_f64().or(expected.as_bool().map(|flag| f64::from(u8::from(flag))))),
                (_, None) => prop_assert!(false, "an attribute without a value"),
            }
        }
    }
}
