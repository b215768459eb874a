//! Who calls whom, how often, how fast, and what is new or gone.

use crate::builder::{Given, client, forest, internal, server, span};
use suspect::report::graph::{Level, dot, mermaid};
use suspect::span::SpanKind;
use suspect::topology::shape::{callees, callers, cycles, depths, entries};
use suspect::topology::{
    ByWindow, CallStats, GraphDocument, MAX_OPERATION_EDGES, Status, Topology, topology, topology_of_all,
};

fn all(spans: &[Given]) -> Topology {
    let (_, forest, _) = forest(spans);
    topology_of_all(&forest)
}

/// Traces with even numbers are the baseline, odd ones the regression; ids are in order of start.
fn even_and_odd(spans: &[Given]) -> GraphDocument {
    let (_, forest, _) = forest(spans);
    let (baseline, regression): (Vec<u32>, Vec<u32>) = (0..).take(forest.n_traces()).partition(|trace| trace % 2 == 0);
    topology(&forest, &baseline, &regression).document()
}

fn figures(change: &ByWindow<CallStats>) -> CallStats {
    *change.latest().expect("a window")
}

/// `caller -> callee calls/errors mean` of each service edge.
fn service_edges(topology: &Topology) -> Vec<String> {
    let line = |edge: &suspect::topology::EdgeRow| {
        let CallStats { n_calls, n_errors, mean_ms, .. } = figures(&edge.change);
        format!("{} -> {} {n_calls}/{n_errors} {mean_ms}", edge.caller, edge.callee)
    };
    topology.document().service_edges.iter().map(line).collect()
}

fn operation_edges(topology: &Topology) -> Vec<String> {
    let line = |edge: &suspect::topology::OperationEdgeRow| {
        let CallStats { n_calls, .. } = figures(&edge.change);
        let [above, below] = [&edge.caller, &edge.callee].map(|name| format!("{}:{}", name.service, name.operation));
        format!("{above} -> {below} {n_calls}")
    };
    topology.document().operation_edges.iter().map(line).collect()
}

fn names(topology: &Topology, nodes: &[petgraph::graph::NodeIndex]) -> Vec<String> {
    nodes.iter().map(|&node| topology.services[node].service.clone()).collect()
}

/// shop -> bank through both halves of a call, bank -> mysql through a client alone, shop -> mail through a queue,
/// bank -> audit without a client.
fn shop() -> Vec<Given> {
    vec![
        server(1, 0, "shop order", 0..100),
        client(2, 1, "shop POST", 10..60).failed(),
        server(3, 2, "bank charge", 15..55),
        client(4, 3, "bank SELECT", 20..30).attribute("db.system.name", "mysql"),
        server(5, 3, "audit check", 31..51).failed(),
        span(SpanKind::Producer, 6, 1, "shop publish", 70..72),
        span(SpanKind::Consumer, 7, 6, "mail process", 200..250),
    ]
}

#[test]
fn a_call_counts_once_as_its_caller_saw_it() {
    let expected = ["bank -> audit 1/1 20", "bank -> mysql 1/0 10", "shop -> bank 1/1 50", "shop -> mail 1/0 2"];
    assert_eq!(service_edges(&all(&shop())), expected);
}

#[test]
fn operations_are_linked_across_and_within_services_and_to_inferred_services() {
    let expected = [
        "bank:SELECT -> mysql: 1",
        "bank:charge -> audit:check 1",
        "bank:charge -> bank:SELECT 1",
        "shop:POST -> bank:charge 1",
        "shop:order -> shop:POST 1",
        "shop:order -> shop:publish 1",
        "shop:publish -> mail:process 1",
    ];
    assert_eq!(operation_edges(&all(&shop())), expected);
}

#[test]
fn a_client_span_within_another_of_the_same_call_is_no_second_call() {
    let topology = all(&[
        server(1, 0, "shop order", 0..100),
        client(2, 1, "shop charge card", 10..60).attribute("peer.service", "bank"),
        client(3, 2, "shop POST", 12..58).attribute("peer.service", "bank"),
        server(4, 3, "bank charge", 15..55),
    ]);
    assert_eq!(service_edges(&topology), ["shop -> bank 1/0 50"]);
}

#[test]
fn the_halves_of_a_shared_id_are_one_call() {
    let topology =
        all(&[server(1, 0, "shop order", 0..20), client(2, 1, "shop get", 2..18), server(2, 1, "bank get", 4..16)]);
    assert_eq!(service_edges(&topology), ["shop -> bank 1/0 16"]);
}

#[test]
fn a_call_without_kinds_is_timed_by_its_callers_half() {
    let any = |id, parent, name, time| span(SpanKind::Unspecified, id, parent, name, time);
    let topology = all(&[
        any(1, 0, "shop order", 0..20),
        any(2, 1, "shop call", 2..18),
        any(3, 2, "bank charge", 4..16),
        any(4, 3, "bank sum", 5..6),
    ]);
    assert_eq!(service_edges(&topology), ["shop -> bank 1/0 16"]);
}

#[test]
fn a_callee_that_outlives_its_client_took_until_the_timeout() {
    let topology = all(&[
        server(1, 0, "shop order", 0..12),
        client(2, 1, "shop POST", 0..10).failed(),
        server(3, 2, "bank charge", 1..50),
    ]);
    assert_eq!(service_edges(&topology), ["shop -> bank 1/1 10"]);
    let bank = topology.service("bank").expect("a node");
    let figures = topology.services[bank].change.latest().expect("a window").calls;
    assert_eq!((figures.n_errors, figures.p50_ms), (0, 49.0));
}

#[test]
fn quantiles_and_ratios_of_calls_are_known() {
    // 1, 2, ... 101 ms; the last ten fail.
    let call = |index: i64| {
        let spans = [
            server(1, 0, "shop order", 0..200),
            client(2, 1, "shop POST", 0..index),
            server(3, 2, "bank charge", 0..1),
        ];
        let [order, post, charge] = spans.map(|span| span.trace(index).later(1_000 * index));
        [order, if index > 91 { post.failed() } else { post }, charge]
    };
    let topology = all(&(1..=101).flat_map(call).collect::<Vec<_>>());
    let figures = figures(&topology.document().service_edges[0].change);
    assert_eq!((figures.n_calls, figures.n_errors), (101, 10));
    assert!((figures.error_ratio - 10.0 / 101.0).abs() < 1e-12);
    let latencies = [figures.mean_ms, figures.p50_ms, figures.p95_ms, figures.p99_ms];
    assert_eq!(format!("{latencies:?}"), "[51.0, 51.0, 96.0, 100.0]");
}

#[test]
fn a_sampled_call_counts_as_often_as_its_weight_says() {
    let call = |trace: i64, rate: &str, took: i64| {
        let spans = [
            server(1, 0, "shop order", 0..200).attribute("sample_rate", rate),
            client(2, 1, "shop POST", 0..took).attribute("peer.service", "bank"),
        ];
        spans.map(|span| span.trace(trace).later(1_000 * trace))
    };
    let [fast, slow] = [call(1, "9", 10), call(2, "1", 110)];
    let topology = all(&[fast, slow.map(Given::failed)].concat());
    let figures = figures(&topology.document().service_edges[0].change);
    assert_eq!((figures.n_calls, figures.weighted_calls, figures.n_errors), (2, 10.0, 1));
    assert_eq!((figures.error_ratio, figures.mean_ms, figures.p50_ms), (0.1, 20.0, 10.0));
}

#[test]
fn what_is_new_and_gone_between_windows_is_marked() {
    let request = |trace: i64, peer: &str| {
        let spans = [
            server(1, 0, "shop order", 0..50),
            client(2, 1, "shop GET", 0..10).attribute("peer.service", "bank"),
            client(3, 1, "shop POST", 10..30).attribute("peer.service", peer),
        ];
        spans.map(|span| span.trace(trace).later(1_000 * trace))
    };
    let document = even_and_odd(&[request(1, "old"), request(2, "new"), request(3, "old")].concat());
    let statuses: Vec<_> =
        document.service_edges.iter().map(|edge| (edge.callee.as_str(), edge.change.status())).collect();
    assert_eq!(statuses, [("bank", Some(Status::Both)), ("new", Some(Status::New)), ("old", Some(Status::Gone))]);
    let ByWindow::Pair { baseline: Some(baseline), regression: Some(regression), .. } =
        document.service_edges[0].change
    else {
        panic!("{document:?}")
    };
    assert_eq!((baseline.n_calls, regression.n_calls), (2, 1));
    let json = suspect::report::json(&document);
    assert!(
        json.contains(
            r#""status": "new",
      "baseline": null,
      "regression": {"#
        ),
        "{json}"
    );
    assert!(!json.contains("schema_version"), "{json}");
    insta::assert_snapshot!(dot(&document, Level::Service), @r##"
    digraph suspect {
      rankdir=LR;
      node [shape=box, fontname="sans-serif"];
      edge [fontname="sans-serif", fontsize=10];
      n0 [label="bank", shape=cylinder];
      n1 [label="new\nnew", shape=cylinder, style=bold, color="#0072b2"];
      n2 [label="old\ngone", shape=cylinder, style=dashed, color="#999999"];
      n3 [label="shop"];
      n3 -> n0 [label="2 → 1 call\np95 10.0 ms"];
      n3 -> n1 [label="new\n1 call\np95 20.0 ms", style=bold, color="#0072b2"];
      n3 -> n2 [label="gone\n2 calls\np95 20.0 ms", style=dashed, color="#999999"];
    }
    "##);
}

#[test]
fn entries_depth_and_dependents_follow_from_the_calls() {
    let topology = all(&shop());
    assert_eq!(names(&topology, &entries(&topology.services)), ["shop"]);
    // audit, bank, mail, mysql, shop
    assert_eq!(depths(&topology.services), [2, 1, 1, 2, 0]);
    let node = |name| topology.service(name).expect("a node");
    assert_eq!(names(&topology, &callers(&topology.services, node("mysql"))), ["bank", "shop"]);
    assert_eq!(names(&topology, &callees(&topology.services, node("shop"))), ["audit", "bank", "mail", "mysql"]);
    assert_eq!(cycles(&topology.services), Vec::<Vec<_>>::new());
    assert_eq!(topology.service("nobody"), None);
}

#[test]
fn services_that_call_each_other_are_a_cycle_of_one_depth() {
    let topology = all(&[
        server(1, 0, "shop order", 0..100),
        server(2, 1, "bank charge", 10..90),
        server(3, 2, "risk score", 20..80),
        server(4, 3, "bank history", 30..70),
        server(5, 4, "vault read", 40..50),
    ]);
    assert_eq!(topology.document().cycles, [["bank", "risk"]]);
    // bank, risk, shop, vault
    assert_eq!(depths(&topology.services), [1, 1, 0, 2]);
    let bank = topology.service("bank").expect("a node");
    assert_eq!(names(&topology, &callers(&topology.services, bank)), ["bank", "risk", "shop"]);
    assert!(dot(&topology.document(), Level::Service).contains("in a circle: bank, risk"));
    assert!(mermaid(&topology.document(), Level::Service).contains("in a circle: bank, risk"));
    // Mermaid obeys settings even in a comment.
    let mut hostile = topology.document();
    hostile.cycles = vec![vec!["%%{init: {\"theme\": \"dark\"}}%%".to_owned()]];
    assert_eq!(mermaid(&hostile, Level::Service).matches("%%").count(), 1);
}

#[test]
fn a_parent_outside_the_data_makes_no_edge() {
    let topology = all(&[server(1, 0, "shop order", 0..20), server(2, 9, "bank charge", 5..10)]);
    assert_eq!(service_edges(&topology), Vec::<String>::new());
    assert_eq!(names(&topology, &entries(&topology.services)), ["bank", "shop"]);
}

#[test]
fn spans_read_twice_or_in_another_order_give_the_same_graph() {
    let spans = shop();
    let mut again: Vec<Given> = spans.iter().rev().cloned().collect();
    again.extend(spans.iter().cloned());
    let [once, twice] = [spans, again].map(|spans| suspect::report::json(&all(&spans).document()));
    assert_eq!(once, twice);
}

#[test]
fn of_too_many_operation_edges_the_busiest_are_kept() {
    let mut spans = vec![server(1, 0, "shop list", 0..10)];
    for index in 0..6_000_u64 {
        let name = format!("service-{:02} op-{}", index / 60, index % 60);
        spans.push(internal(index + 2, 1, &name, 1..2));
    }
    // The last one is busy.
    spans.push(internal(9_000, 1, "service-99 op-59", 1..2));
    let topology = all(&spans);
    let document = topology.document();
    assert_eq!(topology.operations.edge_count(), 6_000);
    assert_eq!(document.operation_edges.len(), MAX_OPERATION_EDGES);
    assert_eq!(document.operations.len(), MAX_OPERATION_EDGES + 1);
    assert_eq!((document.n_operation_edges_left_out, document.n_operations_left_out), (1_000, 1_000));
    assert_eq!(document.operation_edges.last().map(|edge| edge.callee.operation.as_str()), Some("op-59"));
    assert!(dot(&document, Level::Operation).contains("// left out: 1,000 edges"));
    let drawn = mermaid(&document, Level::Operation);
    assert_eq!(drawn.matches(" -->|").count(), 500);
    assert!(drawn.contains("%% left out: 4,500 edges"), "{}", &drawn[..500]);
}

#[test]
fn a_hundred_thousand_operations_in_a_chain_and_in_a_star_are_no_trouble() {
    let name = |index: u64| format!("service-{} step-{}", index / 250, index % 250);
    let chain = |(index, start): (u64, i64)| internal(index + 1, index, &name(index), start..400_000 - start);
    let topology = all(&(0..100_000).zip(0..).map(chain).collect::<Vec<_>>());
    assert_eq!(topology.operations.edge_count(), 99_999);
    assert_eq!(depths(&topology.operations).into_iter().max(), Some(99_999));
    let star = |index: u64| internal(index + 1, u64::from(index > 0), &name(index), 0..10);
    let topology = all(&(0..100_000).map(star).collect::<Vec<_>>());
    assert_eq!(depths(&topology.operations).into_iter().max(), Some(1));
}

#[test]
fn hostile_names_stay_within_their_labels() {
    let document = all(&[
        server(1, 0, "end 1. list", 0..10),
        client(2, 1, "end - GET", 1..3).attribute("peer.service", "end\"]; subgraph <script>alert(1)</script>"),
        client(3, 1, "end _PUT_", 3..5).attribute("peer.service", "`x` #quot; \\ & | %% \\N --> {} a_b-c.d"),
        client(4, 1, "end \u{1b}[31m", 5..7).attribute("peer.service", "\u{202e}\r\n\\"),
    ])
    .document();
    for level in [Level::Service, Level::Operation] {
        for text in [dot(&document, level), mermaid(&document, level)] {
            assert!(!text.contains("<script") && !text.contains("</"), "{text}");
            assert!(!text.chars().any(|c| c != '\n' && c.is_control()) && !text.contains('\u{202e}'), "{text}");
            // Quotes open and close on every line.
            assert!(text.lines().all(|line| line.matches('"').count() % 2 == 0), "{text}");
        }
    }
    insta::assert_snapshot!(format!("{}\n{}", dot(&document, Level::Operation), mermaid(&document, Level::Operation)), @r##"
    digraph suspect {
      rankdir=LR;
      node [shape=box, fontname="sans-serif"];
      edge [fontname="sans-serif", fontsize=10];
      n0 [label="`x` #quot; \\ &amp; | %% \\N --&gt; {} a_b-c.d", shape=cylinder];
      subgraph cluster_1 {
        label="end";
        n1 [label="\\u{1b}[31m (client)"];
        n2 [label="- GET (client)"];
        n3 [label="1. list (server)"];
        n4 [label="_PUT_ (client)"];
      }
      n5 [label="end&quot;]; subgraph &lt;script&gt;alert(1)&lt;/script&gt;", shape=cylinder];
      n6 [label="\\u{202e}\\r\\n\\", shape=cylinder];
      n1 -> n6 [label="1 call\np95 2.00 ms"];
      n2 -> n5 [label="1 call\np95 2.00 ms"];
      n3 -> n1 [label="1 call\np95 2.00 ms"];
      n3 -> n2 [label="1 call\np95 2.00 ms"];
      n3 -> n4 [label="1 call\np95 2.00 ms"];
      n4 -> n0 [label="1 call\np95 2.00 ms"];
    }

    flowchart LR
      n0[("#96;x#96; #35;quot#59; #92; #38; #124; #37;#37; #92;N #45;#45;#62; #123;#125; a_b-c.d")]
      subgraph s1["end"]
        n1["#92;u#123;1b#125;#91;31m #40;client#41;"]
        n2["#45; GET #40;client#41;"]
        n3["1#46; list #40;server#41;"]
        n4["#95;PUT#95; #40;client#41;"]
      end
      n5[("end#34;#93;#59; subgraph #60;script#62;alert#40;1#41;#60;/script#62;")]
      n6[("#92;u#123;202e#125;#92;r#92;n#92;")]
      n1 -->|"1 call<br/>p95 2.00 ms"| n6
      n2 -->|"1 call<br/>p95 2.00 ms"| n5
      n3 -->|"1 call<br/>p95 2.00 ms"| n1
      n3 -->|"1 call<br/>p95 2.00 ms"| n2
      n3 -->|"1 call<br/>p95 2.00 ms"| n4
      n4 -->|"1 call<br/>p95 2.00 ms"| n0
    "##);
}

#[test]
fn no_trace_gives_no_graph() {
    let document = all(&[]).document();
    assert!(document.services.is_empty() && document.operations.is_empty());
    assert_eq!(mermaid(&document, Level::Service), "flowchart LR\n");
}
