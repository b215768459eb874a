//! What the page's figures say beside each other: graph, time chart, tables and requests span by span.

use super::{incident, n_of_class, named, numbers, rows, starts, visible};
use crate::builder::{Given, client, server};
use crate::evidence::{analyze, page as request};
use crate::html::parse::{Piece, parse};
use crate::program::INCIDENTS;
use serde_json::Value;
use suspect::analysis::{Analysis, excludes_zero};
use suspect::rank::Channel;
use suspect::report;
use suspect::report::html::{Options, page};

fn shown(analysis: &Analysis) -> Vec<Piece> {
    parse(&page(analysis, &Options::default()))
}

/// The boxes of the dependency graph.
fn nodes(html: &str) -> Vec<Value> {
    let (_, rest) = html.split_once("id=\"graph-data\">").expect("data of the graph");
    let (json, _) = rest.split_once("</script>").expect("an end");
    let graph: Value = serde_json::from_str(json).expect("a graph");
    graph["nodes"].as_array().expect("boxes").clone()
}

#[test]
fn a_box_of_the_graph_has_the_failures_and_the_time_of_its_service_once() {
    let (analysis, html) = incident("error");
    let first = &analysis.services[0];
    let nodes = nodes(&html);
    let own = nodes.iter().find(|node| node["name"] == first.service.as_str()).expect("a box");
    // Both have the strongest colour: failures come first.
    let note = own["note"].as_str().expect("a note");
    let [fails, takes] = numbers(note)[..] else { panic!("{note}") };
    assert!(note.contains(" points fail, "), "{note}");
    assert!((fails - 100.0 * first.contribution.front_error_ratio()).abs() < 0.006, "{note}");
    assert!((takes - first.contribution.ms).abs() < 0.006, "{note}");
    assert_eq!(own["tone"], 3);
    let facts: Vec<&str> =
        own["figures"].as_array().expect("facts").iter().filter_map(|fact| fact[0].as_str()).collect();
    assert!(facts.ends_with(&["Adds, ms a request", "Adds, points of errors"]), "{facts:?}");
    let table = rows(&parse(&html), "Services, baseline and regression");
    assert!(table[0].contains(&"Adds, points of errors".to_owned()), "{:?}", table[0]);
}

#[test]
fn a_box_has_a_colour_only_for_what_is_told_from_none() {
    let mut n_coloured = 0;
    for name in INCIDENTS {
        let (analysis, html) = incident(name);
        for node in nodes(&html).iter().filter(|node| node["tone"] != 0) {
            n_coloured += 1;
            let is_own = |own: &&suspect::analysis::OperationAccount| {
                node["name"] == own.service.as_str() && own.operation.is_none() && own.edge.is_none()
            };
            let own = analysis.operations.iter().find(is_own).expect("an account").contribution;
            let is_certain = excludes_zero(own.interval_ms) || excludes_zero(own.error_ratio_interval);
            assert!(is_certain, "{name}: {} {own:?}", node["name"]);
        }
    }
    assert!(n_coloured > 8, "{n_coloured}");
}

/// Paths of the curves of a time chart.
fn curves(pieces: &[Piece]) -> Vec<String> {
    let is_curve = |attributes: &&std::collections::BTreeMap<String, String>| {
        attributes.get("class").is_some_and(|own| own.starts_with("curve "))
    };
    let own = starts(pieces).filter(|(name, _)| *name == "path").map(|(_, attributes)| attributes).filter(is_curve);
    own.map(|attributes| attributes["d"].clone()).collect()
}

#[test]
fn a_window_with_less_traffic_is_drawn_by_what_is_usual_in_it_and_a_stretch_alone_is_seen() {
    let (mut analysis, _) = incident("error");
    let start = analysis.windows.regression.start_unix_ns;
    let series = &mut analysis.time[0];
    let n_stretches = i64::try_from(series.n_requests.len()).expect("few");
    let is_in = |index: i64| series.start_unix_ns + index * series.width_ns >= start;
    let regression: Vec<usize> =
        (0..n_stretches).filter(|&index| is_in(index)).map(|index| usize::try_from(index).expect("small")).collect();
    for &index in &regression {
        series.n_requests[index] = 4.0;
    }
    let pieces = shown(&analysis);
    assert_eq!(n_of_class(&pieces, "traffic few"), 0);
    // Every second one has no request at all.
    for &index in regression.iter().skip(1).step_by(2) {
        let series = &mut analysis.time[0];
        series.n_requests[index] = 0.0;
        for values in [&mut series.p50_ms, &mut series.p95_ms, &mut series.p99_ms, &mut series.error_ratio] {
            values[index] = None;
        }
    }
    let curves = curves(&shown(&analysis));
    assert!(curves.len() >= 4, "{curves:?}");
    for curve in curves {
        let parts: Vec<&str> = curve.split('M').skip(1).collect();
        assert!(parts.len() > 3 && parts.iter().all(|part| part.contains(['L', 'h'])), "{curve}");
    }
}

#[test]
fn what_there_was_none_of_has_a_dash_and_no_zero() {
    let health = || vec![server(1, 0, "gateway health", 0..5)];
    let window = |own: i64| (0..60).map(|number| request("page", own + number % 3)).collect::<Vec<_>>();
    let gone = [window(10), vec![health(); 30]].concat();
    let new = [window(60), (0..30).map(|number| request("new", 60 + number % 3)).collect()].concat();
    let analysis = analyze(&gone, &new);
    let table = rows(&shown(&analysis), "Entry operations, baseline and regression");
    let row = |name: &str| table.iter().find(|row| row[0].ends_with(name)).expect("a row").clone();
    assert!(row("health")[3..].iter().all(|cell| cell.ends_with(" to –")), "{:?}", row("health"));
    assert!(row("new")[3..].iter().all(|cell| cell.starts_with('–')), "{:?}", row("new"));
    assert!(row("page")[3..].iter().all(|cell| !cell.contains('–')), "{:?}", row("page"));
    let failing = |entry: &'static str| (0..30).map(move |_| vec![server(1, 0, entry, 0..5).failed()]);
    let window = |n: i64, entry: &'static str| (0..n).map(move |_| vec![server(1, 0, entry, 0..5)]);
    let before: Vec<_> = window(60, "gateway page").collect();
    let after: Vec<_> = window(60, "gateway page").chain(failing("gateway new")).collect();
    let told = visible(&shown(&analyze(&before, &after)));
    assert!(told.contains("in requests to gateway: new (–"), "{told}");
    let text = report::analysis::text(&analysis, 100);
    assert!(text.contains("5.00 -> -") && text.contains("- -> 6") && !text.contains("0.000 ->"), "{text}");
}

/// A page asks a, then b; where a fails it mostly ends there.
fn asking(fails: bool, asks_b: bool) -> Vec<Given> {
    let end = if asks_b { 44 } else { 4 };
    let mut spans =
        vec![server(1, 0, "shop page", 0..end), client(2, 1, "shop GET a", 1..3).attribute("peer.service", "a")];
    if fails {
        spans = spans.into_iter().map(Given::failed).collect();
    }
    if asks_b {
        spans.push(client(3, 1, "shop GET b", 3..43).attribute("peer.service", "b"));
    }
    spans
}

#[test]
fn calls_that_a_failure_cuts_short_are_none_of_the_suspects_time_where_they_are_made() {
    let baseline = vec![asking(false, true); 60];
    let regression: Vec<_> =
        (0..60).map(|number| asking(number % 2 == 0, number % 2 == 1 || number % 12 == 0)).collect();
    let analysis = analyze(&baseline, &regression);
    let suspect = &analysis.suspects[0];
    assert_eq!((suspect.service.as_str(), suspect.channel), ("a", Channel::Errors));
    assert!(suspect.contribution.ms < -5.0, "{:?}", suspect.contribution);
    for exemplar in &suspect.exemplars {
        assert!((exemplar.suspect_ms - 2.0).abs() < 1e-9, "{exemplar:?}");
    }
    for view in analysis.traces.iter().filter(|pair| pair.suspect == 1).map(|pair| &pair.regression) {
        let own: Vec<&str> =
            view.spans.iter().filter(|span| !span.suspect_ms.is_empty()).map(|span| span.operation.as_str()).collect();
        assert_eq!(own, ["GET a"]);
    }
    // Requests that end early are no faster for it, and no share of what got better is its part.
    let text = report::analysis::text(&analysis, 100);
    let html = visible(&shown(&analysis));
    for told in [&text, &html] {
        assert!(!told.contains("on average of all −") && !told.contains("on average of all -"), "{told}");
        assert!(!told.contains(" s in all"), "{told}");
    }
    assert!(html.contains("requests that fail: +50.00 points"), "{html}");
    assert_eq!(suspect.contribution.told_percent(&analysis.degradation), None);
}

#[test]
fn a_call_that_leads_to_a_failure_is_not_made_for_it() {
    // Some pages go through a router to a; in the regression somewhat more of them do, and then fail.
    let routed = |fails: bool| {
        let spans = vec![
            server(1, 0, "shop page", 0..44),
            client(2, 1, "shop route", 1..43),
            server(3, 2, "router route", 2..42),
            client(4, 3, "router GET a", 3..5).attribute("peer.service", "a"),
        ];
        if fails { spans.into_iter().map(Given::failed).collect() } else { spans }
    };
    let plain = || vec![server(1, 0, "shop page", 0..4)];
    let window = |n_routed: usize, fails: bool| {
        (0..60).map(|number| if number < n_routed { routed(fails) } else { plain() }).collect::<Vec<_>>()
    };
    let analysis = analyze(&window(20, false), &window(36, true));
    let place = analysis.suspects.iter().position(|own| own.service == "a").expect("a suspect");
    for exemplar in &analysis.suspects[place].exemplars {
        assert!((exemplar.suspect_ms - 2.0).abs() < 1e-9, "{exemplar:?}");
    }
}

#[test]
fn an_entry_that_is_a_suspect_has_two_regions_with_names_of_their_own() {
    let window =
        |own: i64| (0..60).map(|number| vec![server(1, 0, "shop page", 0..own + number % 3)]).collect::<Vec<_>>();
    let pieces = shown(&analyze(&window(5), &window(30)));
    let labels = starts(&pieces).filter_map(|(_, attributes)| attributes.get("aria-label"));
    let mut own: Vec<&String> = labels.filter(|label| label.contains(" by duration, ")).collect();
    assert_eq!(own.len(), 2, "{own:?}");
    own.dedup();
    assert_eq!(own.len(), 2, "{own:?}");
}

#[test]
fn a_share_of_failing_requests_is_told_alike_in_headline_table_and_text() {
    let mut analysis = named("plain");
    let told = |analysis: &mut Analysis, ratio: f64| {
        analysis.degradation.error_ratio.regression = ratio;
        analysis.degradation.failing()[1].clone()
    };
    let all = [0.0, 0.000_01, 0.004_2, 0.209_1, 0.999_9, 1.0].map(|ratio| told(&mut analysis, ratio));
    assert_eq!(all, ["0 %", "<0.01 %", "0.42 %", "20.9 %", ">99.9 %", "100 %"]);
    told(&mut analysis, 0.209_1);
    let table = rows(&shown(&analysis), "Latency in ms, and the share");
    assert!(table[2].contains(&"20.9 %".to_owned()), "{table:?}");
    assert!(report::analysis::text(&analysis, 100).contains("-> 20.9 % of requests fail"));
}

#[test]
fn gaps_between_services_stand_on_paper_where_nothing_else_is_in_their_section() {
    let section = |analysis: &Analysis| {
        let html = page(analysis, &Options::default());
        html.split("<h2 id=\"structure-title\">")
            .nth(1)
            .map(|rest| rest.split("</section>").next().unwrap_or("").to_owned())
    };
    let (mut analysis, _) = incident("network-delay");
    assert!(!analysis.network.is_empty());
    analysis.structure.clear();
    assert!(section(&analysis).expect("a section").contains("<details class=\"plain printed\">"));
}
