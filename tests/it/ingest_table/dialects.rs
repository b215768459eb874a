//! Known tables and common names: each row says what the spans must be.

use super::{File, attributes, lines, notes, refusal, spans_of};
use suspect::span::SpanStatus;

#[test]
fn rcaeval_traces_have_microseconds_and_http_status_codes() {
    let read = spans_of(
        "traces.csv",
        "time,traceID,spanID,serviceName,methodName,operationName,startTimeMillis,startTime,duration,statusCode,parentSpanID\n\
         1,ab,1,front,Get,GET /,1700000000123,1700000000123456,2500,200,\n\
         1,ab,2,cart,Get,/Cart,1700000000124,1700000000124000,1500,503.0,1\n",
    );
    assert_eq!(
        lines(&read.frame),
        [
            "ab/1<- front GET / UNSPECIFIED UNSET 1700000000123456000+2500000",
            "ab/2<1 cart /Cart UNSPECIFIED ERROR 1700000000124000000+1500000"
        ]
    );
    assert_eq!(attributes(&read.frame, 1), ["http.status_code=503", "rpc.method=\"Get\""]);
    assert_eq!(notes(&read.sources[0]), "");
}

#[test]
fn nezha_pods_become_services() {
    let read = spans_of(
        "nezha.csv",
        "TraceID,SpanID,ParentID,PodName,OperationName,StartTimeUnixNano,EndTimeUnixNano,Duration\n\
         ab,1,root,cartservice-579f59597d-wc2lz,Get,1661140339209875609,1661140339209975609,100\n\
         ab,2,1,mysql-0,Query,1661140339209875610,1661140339209875910,0\n",
    );
    assert_eq!(
        lines(&read.frame),
        [
            "ab/1<- cartservice Get UNSPECIFIED UNSET 1661140339209875609+100000",
            "ab/2<1 mysql Query UNSPECIFIED UNSET 1661140339209875610+300"
        ]
    );
    assert_eq!(attributes(&read.frame, 0), ["resource.k8s.pod.name=\"cartservice-579f59597d-wc2lz\""]);
}

#[test]
fn both_sides_of_an_alibaba_call_become_one_span() {
    let read = spans_of(
        "MSCallGraph_0.csv",
        "timestamp,traceid,rpcid,um,rpctype,dm,interface,rt\n\
         100,T1,0,(?),http,front,/home,40\n\
         105,T1,0.1,front,rpc,cart,get,20\n\
         106,T1,0.1,front,rpc,cart,get,-18\n\
         107,T1,0.1.1,cart,mc,redis,GET,3\n\
         108,T1,0.1.2,cart,mq,NAN,topic,0\n\
         109,T2,0.1,USER,http,front,/home,5\n",
    );
    let spans: Vec<String> =
        lines(&read.frame).iter().map(|line| line.split_once('/').map_or("", |(_, rest)| rest).to_owned()).collect();
    assert_eq!(
        spans,
        [
            "rpc 0<- front /home SERVER UNSET 100000000+40000000",
            ".1<rpc 0 cart get SERVER UNSET 106000000+18000000",
            ".1.1<.1 cart GET CLIENT UNSET 107000000+3000000",
            ".1.2<.1  topic CONSUMER UNSET 108000000+0",
            ".1<- front /home SERVER UNSET 109000000+5000000",
        ]
    );
    assert_eq!(attributes(&read.frame, 2), ["peer.service=\"redis\""]);
}

#[test]
fn alibaba_call_graphs_of_2022_have_rpc_id_and_fractions() {
    let read = spans_of(
        "CallGraph_0.csv",
        "timestamp,traceid,service,rpc_id,rpctype,um,uminstanceid,interface,dm,dminstanceid,rt\n\
         100,T1,S_1,0.1,rpc,MS_1,i1,if,MS_2,i2,1.25\n",
    );
    assert!(lines(&read.frame)[0].ends_with("MS_2 if SERVER UNSET 100000000+1250000"), "{:?}", lines(&read.frame));
    assert_eq!(attributes(&read.frame, 0), ["dminstanceid=\"i2\"", "service=\"S_1\"", "uminstanceid=\"i1\""]);
}

#[test]
fn honeycomb_events_and_links_are_left_out_and_counted() {
    let read = spans_of(
        "query.csv",
        "Timestamp,trace.trace_id,trace.span_id,trace.parent_id,service.name,name,duration_ms,meta.annotation_type,error,sample_rate\n\
         2024-01-02T03:04:05.5Z,ab,1,,front,GET /,1.5,,true,10\n\
         2024-01-02T03:04:05.6Z,ab,2,1,front,exception,,span_event,,10\n",
    );
    assert_eq!(lines(&read.frame), ["ab/1<- front GET / UNSPECIFIED ERROR 1704164645500000000+1500000"]);
    assert_eq!(attributes(&read.frame, 0), ["sample_rate=10"]);
    assert_eq!(notes(&read.sources[0]), "1 rows are span events or links, not spans, and are left out");
}

#[test]
fn rcabench_attributes_lose_their_prefix() {
    let read = spans_of(
        "rows.jsonl",
        r#"{"time":"2025-01-02T03:04:05.000000006Z","trace_id":"ab","span_id":"1","parent_span_id":null,"service_name":"front","span_name":"GET","duration":12,"attr.span_kind":"Server","attr.status_code":"Error","attr.http.route":"/a"}"#,
    );
    assert_eq!(lines(&read.frame), ["ab/1<- front GET SERVER ERROR 1735787045000000006+12"]);
    assert_eq!(attributes(&read.frame, 0), ["http.route=\"/a\""]);
}

#[test]
fn signoz_takes_the_service_from_its_resources() {
    let read = spans_of(
        "rows.jsonl",
        r#"{"ts_bucket_start":1,"timestamp":"2025-01-02 03:04:05.000000006","trace_id":"ab","span_id":"1","parent_span_id":"","name":"GET","kind":3,"kind_string":"Client","duration_nano":12,"status_code":2,"attributes_string":{"a":"b"},"attributes_number":{"n":1.5},"resources_string":{"service.name":"front"}}"#,
    );
    assert_eq!(lines(&read.frame), ["ab/1<- front GET CLIENT ERROR 1735787045000000006+12"]);
    assert_eq!(attributes(&read.frame, 0), ["resource.service.name=\"front\"", "a=\"b\"", "n=1.5"]);
}

#[test]
fn google_spans_have_a_status_object_and_a_resource() {
    let read = spans_of(
        "rows.json",
        r#"[{"trace_id":"ab","span_id":"1","parent_span_id":"","name":"GET","kind":2,"start_time":"2025-01-02 03:04:05.000006 UTC","duration_nano":"12","attributes":{"http.route":"/a"},"status":{"code":2,"message":"no"},"resource":{"attributes":{"service.name":"front"}}}]"#,
    );
    assert_eq!(lines(&read.frame), ["ab/1<- front GET SERVER ERROR 1735787045000006000+12"]);
    assert_eq!(
        attributes(&read.frame, 0),
        ["resource.service.name=\"front\"", "http.route=\"/a\"", "otel.status_description=\"no\""]
    );
}

#[test]
fn common_names_are_found_in_any_case_and_with_any_separators() {
    for header in [
        "Trace-ID,Span.Id,PARENT ID,cmdb_id,Operation_Name,span_kind,Start_Time_us,Latency_ms,isError",
        "traceId,id,parentId,service.name,name,kind,timestampMicros,durationMillis,error",
    ] {
        let read = spans_of("any.csv", format!("{header}\nab,2,1,s,o,client,1700000000000001,1.5,True\n"));
        assert_eq!(lines(&read.frame), ["ab/2<1 s o CLIENT ERROR 1700000000000001000+1500000"], "{header}");
        assert_eq!(notes(&read.sources[0]), "");
    }
}

#[test]
fn units_that_nothing_names_are_assumed_and_said() {
    let read = spans_of("any.csv", "trace_id,span_id,service,name,start,duration\nab,1,s,o,1700000000000,25\n");
    assert_eq!(lines(&read.frame), ["ab/1<- s o UNSPECIFIED UNSET 1700000000000000000+25000000"]);
    assert_eq!(
        notes(&read.sources[0]),
        "column `start` is read in ms, by the size of its values; if that is wrong, use `--columns start=start:UNIT`\n\
         column `duration` is read in ms, the unit of the start time being the best guess; if that is wrong, use \
         `--columns duration=duration:UNIT`"
    );
}

#[test]
fn start_and_end_tell_the_unit_of_the_duration() {
    let csv = "trace_id,span_id,service,name,start_ms,end_ms,duration\n\
               ab,1,s,o,1700000000000,1700000000025,25100\nab,2,s,o,1700000000000,1700000000001,900\n";
    let read = spans_of("any.csv", csv);
    assert_eq!(
        lines(&read.frame),
        [
            "ab/1<- s o UNSPECIFIED UNSET 1700000000000000000+25100000",
            "ab/2<- s o UNSPECIFIED UNSET 1700000000000000000+900000"
        ]
    );
    assert!(notes(&read.sources[0]).starts_with("column `duration` is read in us, which agrees with start and end"));
}

#[test]
fn the_user_may_name_columns_and_units() {
    let file = File::new("mine.csv", "a,b,c,d,e,f,g\nab,1,s,o,1700000000,3,x\n");
    let read = file.read_with(&["trace_id=a", "span_id=b", "service=c", "operation=d", "start=e:s", "duration=f:us"]);
    assert_eq!(lines(&read.frame), ["ab/1<- s o UNSPECIFIED UNSET 1700000000000000000+3000"]);
    assert_eq!(attributes(&read.frame, 0), ["g=\"x\""]);
}

#[test]
fn a_missing_column_is_an_error_that_lists_those_there() {
    let error = refusal("mine.csv", "trace_id,span_id,what,name,start,duration\nab,1,s,o,1,1\n");
    assert!(
        error.contains("has no column for the service; its columns are trace_id, span_id, what, name, start, duration"),
        "{error}"
    );
}

#[test]
fn a_wrong_choice_of_column_says_what_would_be_right() {
    let file = File::new("mine.csv", "trace_id,span_id,what,name,start,duration\nab,1,s,o,1,1\n");
    let error = |choice| file.read_with(&[choice]).sources[0].error.clone().unwrap_or_default();
    assert!(error("service=who").contains("has no column `who`, which `--columns` names for the service"));
    assert!(error("servise=what").contains("`--columns` knows no field `servise`"));
    assert!(error("service=what:ms").contains("has no unit that fits"));
}

#[test]
fn epochs_keep_every_nanosecond_whatever_their_unit() {
    for (start, expected) in [
        ("1700000000123456789", 1_700_000_000_123_456_789_i64),
        ("1700000000123456", 1_700_000_000_123_456_000),
        ("1700000000.123456789", 1_700_000_000_123_456_789),
        ("2023-11-14T22:13:20.123456789Z", 1_700_000_000_123_456_789),
        ("2023-11-14T23:13:20.123456789+01:00", 1_700_000_000_123_456_789),
        ("2023-11-14 22:13:20.123456789", 1_700_000_000_123_456_789),
        ("2023/11/14 22:13:20", 1_700_000_000_000_000_000),
        ("2023-11-14 23:13:20.5 +0100", 1_700_000_000_500_000_000),
    ] {
        let read =
            spans_of("any.csv", format!("trace_id,span_id,service,name,start,duration_ns\nab,1,s,o,{start},1\n"));
        assert_eq!(read.frame.spans.start_unix_ns, [expected], "{start}");
    }
}

#[test]
fn a_column_named_after_errors_says_whether_there_is_one_or_which() {
    let no = ["", "0", "0.0", "false", "No", "none", "null", "OK", "unset", "-"];
    let yes = ["1", "1.0", "-1", "TRUE", "yes", "error", "STATUS_CODE_ERROR", "connection refused", "503"];
    for column in ["error", "is_error", "hasError", "Has Error"] {
        let rows =
            no.iter().chain(&yes).zip(1..).map(|(value, id)| format!("a,{id},cart,op,2023-11-14 22:13:20,5,{value}\n"));
        let header = format!("trace_id,span_id,service,name,start,duration_ms,{column}\n");
        let frame = spans_of("spans.csv", header + &rows.collect::<String>()).frame;
        let failed: Vec<bool> = frame.spans.status.iter().map(|status| *status == SpanStatus::Error as u8).collect();
        let expected: Vec<bool> = no.iter().map(|_| false).chain(yes.iter().map(|_| true)).collect();
        assert_eq!(failed, expected, "{column}");
    }
    // In a column of statuses one is OTLP's code for success.
    let frame = spans_of(
        "spans.csv",
        "trace_id,span_id,service,name,start,duration_ms,status\na,1,cart,op,2023-11-14 22:13:20,5,1\n",
    );
    assert_eq!(frame.frame.spans.status, [SpanStatus::Ok as u8]);
    let rows = [("1", true), ("0", false), ("true", true), ("\"late\"", true), ("null", false)].map(|(value, _)| {
        format!("{{\"trace_id\":\"a\",\"span_id\":\"1\",\"service\":\"s\",\"name\":\"o\",\"start\":1700000000000,\"duration_ms\":5,\"error\":{value}}}\n")
    });
    let frame = spans_of("spans.json", rows.concat()).frame;
    let failed: Vec<bool> = frame.spans.status.iter().map(|status| *status == SpanStatus::Error as u8).collect();
    assert_eq!(failed, [true, false, true, true, false]);
}
