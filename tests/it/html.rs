//! The HTML report: well-formed, self-contained, true to the document, and safe with any names.

mod figures;
mod parse;

use crate::builder::{EPOCH_NS, MS, analysed, client, server};
use crate::program::{INCIDENTS, run_in};
use base64::Engine as _;
use parse::{Piece, parse};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use suspect::analysis::{Analysis, ChangeAccount, Credit, Owner};
use suspect::report::html::{Options, check_trace_url, page};

const TRACE_URL: &str = "https://traces.example/ui?id={trace_id}&x=1";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The document and the page of a bundled incident, by one run of the program.
fn incident(name: &str) -> (Analysis, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("report.html");
    let data = format!("datasets/incidents/{name}");
    let html = file.to_string_lossy();
    let arguments = ["analyze", &data, "--quiet", "--format", "json", "--html", &html, "--trace-url", TRACE_URL];
    let run = run_in(root(), &arguments).complete();
    let analysis = serde_json::from_str(&run).expect("an analysis");
    (analysis, std::fs::read_to_string(file).expect("a page"))
}

fn starts(pieces: &[Piece]) -> impl Iterator<Item = (&str, &BTreeMap<String, String>)> {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Start(name, attributes) => Some((name.as_str(), attributes)),
        _ => None,
    })
}

/// All text that a reader sees, scripts and styles left out.
fn visible(pieces: &[Piece]) -> String {
    let (mut text, mut is_raw) = (String::new(), false);
    for piece in pieces {
        match piece {
            Piece::Start(name, _) => is_raw = ["script", "style"].contains(&name.as_str()),
            Piece::Text(own) if !is_raw => text.push_str(own),
            Piece::End(_) => is_raw = false,
            Piece::Text(_) => {}
        }
    }
    text
}

/// Nothing in the page makes a browser fetch, run or send anything of its own accord.
#[track_caller]
fn assert_self_contained(pieces: &[Piece], links: &[&str]) {
    const FETCHING: [&str; 12] =
        ["img", "iframe", "object", "embed", "audio", "video", "source", "track", "base", "form", "image", "use"];
    for (name, attributes) in starts(pieces) {
        assert!(!FETCHING.contains(&name), "<{name}>");
        for (key, value) in attributes {
            assert!(!key.starts_with("on") && key != "style" && key != "src", "{key} of <{name}>");
            if key == "href" {
                let is_own = value.starts_with('#') || (name == "link" && value == "data:,");
                assert!(is_own || links.iter().any(|link| value.starts_with(link)), "a link to {value}");
            }
            let is_reference = ["action", "formaction", "srcset", "data", "poster", "background", "ping"];
            assert!(!is_reference.contains(&key.as_str()) && !key.starts_with("xlink"), "{key} of <{name}>");
        }
    }
    let style = raw(pieces, "style");
    assert!(style.iter().all(|css| !css.contains("url(") && !css.contains("@import")));
}

/// Contents of all elements of a name, and for scripts only of those that run.
fn raw(pieces: &[Piece], name: &str) -> Vec<String> {
    let pairs = pieces.windows(2).filter_map(|pair| match pair {
        [Piece::Start(own, attributes), Piece::Text(text)] if own == name && !attributes.contains_key("type") => {
            Some(text.clone())
        }
        _ => None,
    });
    pairs.collect()
}

#[test]
fn every_bundled_incident_makes_a_well_formed_page_that_asks_for_nothing_and_is_small() {
    for name in INCIDENTS {
        let (analysis, html) = incident(name);
        assert!(html.len() < 2_000_000, "{name}: {} bytes", html.len());
        let pieces = parse(&html);
        assert_self_contained(&pieces, &["https://traces.example/ui?id="]);
        let text = visible(&pieces);
        for words in ["Over time", "Where the change went", "Dependency graph", "How far to trust it"] {
            assert!(text.contains(words), "{name} lacks {words}");
        }
        let is_empty = |pair: &&[Piece]| matches!(pair, [Piece::Start(start, _), Piece::End(_)] if start == "th");
        assert!(!pieces.windows(2).any(|pair| is_empty(&pair)), "{name} has an empty head");
        let has = |id: &str| starts(&pieces).any(|(_, attributes)| attributes.get("id").is_some_and(|own| own == id));
        assert_eq!(has("suspect-1"), !analysis.suspects.is_empty(), "{name}");
        // What is a mean is not said of each, and who failed was hurt.
        assert!(!analysis.summary.contains("every request"), "{}", analysis.summary);
        for impact in analysis.suspects.iter().map(|suspect| &suspect.impact) {
            assert!(impact.n_requests_failed <= impact.n_requests_hurt, "{name}: {impact:?}");
        }
        assert_eq!(has("traces"), !analysis.traces.is_empty(), "{name}");
        assert!(has("distributions"), "{name}");
    }
}

#[test]
fn ids_are_unique_and_links_and_labels_within_the_page_lead_somewhere() {
    let (_, html) = incident("error");
    let pieces = parse(&html);
    let mut ids: Vec<&String> = starts(&pieces).filter_map(|(_, attributes)| attributes.get("id")).collect();
    let n_ids = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), n_ids);
    for (name, attributes) in starts(&pieces) {
        let within = attributes.get("href").and_then(|href| href.strip_prefix('#'));
        let others = ["for", "aria-controls", "aria-labelledby", "aria-describedby", "data-readings"];
        let others = others.iter().filter_map(|key| attributes.get(*key).map(String::as_str));
        for id in within.into_iter().chain(others) {
            assert!(ids.iter().any(|own| *own == id), "<{name}> points to #{id}");
        }
    }
}

#[test]
fn sections_and_regions_have_names_of_their_own() {
    for name in INCIDENTS {
        let (_, html) = incident(name);
        let pieces = parse(&html);
        let titles = html.split("-title\">").skip(1).filter_map(|rest| rest.split("</h2>").next());
        let regions =
            starts(&pieces).filter(|(_, attributes)| attributes.get("role").is_some_and(|role| role == "region"));
        let labels = regions.map(|(_, attributes)| attributes["aria-label"].as_str());
        let mut names: Vec<&str> = titles.chain(labels).collect();
        let n_names = names.len();
        assert!(n_names > 20, "{names:?}");
        names.sort_unstable();
        let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        assert!(twice.is_empty(), "{name}: {twice:?}");
    }
}

#[test]
fn words_about_pointer_and_keys_are_for_the_screen_alone() {
    let (_, html) = incident("error");
    let (_, paper) = html.split_once("@media print").expect("rules for paper");
    let (hidden, _) = paper.split_once("{ display: none !important; }").expect("what is not printed");
    for class in [".on-screen", "button.fold", ".node.group text.note"] {
        assert!(hidden.contains(class), "{class}");
    }
    for words in ["Point at a bar", "A trace's id opens it"] {
        let (before, _) = html.split_once(words).expect(words);
        assert!(before.ends_with("on-screen\">"), "{words}");
    }
}

#[test]
fn headings_descend_one_level_at_a_time() {
    let (_, html) = incident("error");
    let levels =
        starts(&parse(&html)).filter_map(|(name, _)| name.strip_prefix('h')?.parse().ok()).collect::<Vec<u32>>();
    assert_eq!(levels.iter().filter(|level| **level == 1).count(), 1);
    assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
}

#[test]
fn the_policy_names_the_hashes_of_the_style_and_of_every_script() {
    let (_, html) = incident("fault-free");
    let pieces = parse(&html);
    let is_policy = |attributes: &&BTreeMap<String, String>| {
        attributes.get("http-equiv").is_some_and(|own| own == "Content-Security-Policy")
    };
    let policy =
        starts(&pieces).map(|(_, attributes)| attributes).find(is_policy).expect("a policy")["content"].clone();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    let scripts = raw(&pieces, "script");
    assert_eq!((scripts.len(), raw(&pieces, "style").len()), (3, 1));
    for text in scripts.iter().chain(&raw(&pieces, "style")) {
        let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text.as_bytes()));
        assert!(policy.contains(&format!("'sha256-{hash}'")), "{policy}");
    }
}

#[test]
fn one_and_two_threads_write_the_same_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let pages = ["1", "2"].map(|threads| {
        let file = folder.path().join(threads);
        let html = file.to_string_lossy();
        let arguments = ["analyze", "datasets/incidents/error", "--quiet", "--threads", threads, "--html", &html];
        run_in(root(), &arguments).complete();
        std::fs::read(&file).expect("a page")
    });
    assert!(pages[0] == pages[1]);
}

#[test]
fn the_page_comes_beside_the_text_and_changes_nothing_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("report.html");
    let alone = run_in(root(), &["analyze", "datasets/incidents/fault-free", "--quiet"]).complete();
    let html = file.to_string_lossy();
    let beside = run_in(root(), &["analyze", "datasets/incidents/fault-free", "--quiet", "--html", &html]).complete();
    assert_eq!(alone, beside);
    assert!(file.exists());
}

/// The numbers in a text such as `+1,234 to −5.60`.
fn numbers(text: &str) -> Vec<f64> {
    let text = text.replace('−', "-").replace([',', '+', '%'], "");
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// Whether `shown` is `value` in at least three digits or three decimals.
fn is_shown(shown: f64, value: f64) -> bool {
    (shown - value).abs() <= (0.005 * value.abs()).max(0.000_501)
}

/// Rows of the table with this caption: cells as text.
fn rows(pieces: &[Piece], caption: &str) -> Vec<Vec<String>> {
    let place = pieces.iter().position(|piece| matches!(piece, Piece::Text(text) if text.starts_with(caption)));
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut is_in_cell = false;
    for piece in &pieces[place.unwrap_or_else(|| panic!("no table {caption}"))..] {
        match piece {
            Piece::Start(name, _) if name == "tr" => rows.push(Vec::new()),
            Piece::Start(name, _) if name == "td" || name == "th" => {
                is_in_cell = true;
                rows.last_mut().expect("a row").push(String::new());
            }
            Piece::End(name) if name == "td" || name == "th" => is_in_cell = false,
            Piece::End(name) if name == "table" => break,
            Piece::Text(text) if is_in_cell => {
                rows.last_mut().and_then(|row| row.last_mut()).expect("a cell").push_str(text);
            }
            _ => {}
        }
    }
    rows
}

#[test]
fn the_waterfall_shows_the_numbers_of_the_decomposition_and_its_bars_sum_to_the_change() {
    for name in ["slow-release", "n-plus-one", "error"] {
        let (analysis, html) = incident(name);
        let pieces = parse(&html);
        let views = [
            ("Mean latency", &analysis.decomposition),
            ("Typical requests", &analysis.typical),
            ("Slowest 5 %", &analysis.tail),
        ];
        for (title, decomposition) in views {
            let all = rows(&pieces, &format!("All contributions to the change: {title}"));
            assert_eq!(all.len(), 1 + decomposition.rows.len() + 1, "{name}: {title}");
            for (row, shown) in decomposition.rows.iter().zip(&all[1..]) {
                assert!(is_shown(numbers(&shown[2])[0], row.contribution_ms), "{name} {title}: {shown:?} is {row:?}");
                let interval = numbers(&shown[3]);
                assert!(
                    is_shown(interval[0], row.interval_ms[0]) && is_shown(interval[1], row.interval_ms[1]),
                    "{shown:?}"
                );
                assert!(shown[0].contains(row.operation.as_deref().unwrap_or("")), "{shown:?}");
            }
            let bars = rows(&pieces, &format!("{title}: from the baseline to the regression"));
            let (first, last) = (&bars[1], &bars[bars.len() - 1]);
            assert!(is_shown(numbers(&first[2])[0], decomposition.baseline_mean_ms), "{first:?}");
            assert!(is_shown(numbers(&last[2])[0], decomposition.regression_mean_ms), "{last:?}");
            let sum: f64 = bars[2..bars.len() - 1].iter().map(|bar| numbers(&bar[2])[0]).sum();
            let rounding = 0.005 * decomposition.rows.iter().map(|row| row.contribution_ms.abs()).sum::<f64>() + 0.01;
            assert!((sum - decomposition.change_ms).abs() <= rounding, "{name} {title}: {sum}");
        }
    }
}

#[test]
fn the_error_waterfall_goes_from_one_share_of_failing_requests_to_the_other() {
    let (analysis, html) = incident("error");
    let bars = rows(&parse(&html), "Failing requests: from the baseline to the regression");
    let degradation = &analysis.degradation;
    let sum: f64 = bars[2..bars.len() - 1].iter().map(|bar| numbers(&bar[2])[0]).sum();
    let change = 100.0 * (degradation.error_ratio.regression - degradation.error_ratio.baseline);
    assert!((sum - change).abs() < 0.005 * bars.len() as f64, "{sum} of {change}");
    assert!(bars[2][0].contains("authorize card"), "{:?}", bars[2]);
    // Each step's arithmetic adds up as it is shown.
    for bar in bars.iter().filter(|bar| bar[1].contains(" points.")) {
        let sum = bar[1].replace(['%', ' '], "");
        let (terms, rest) = sum.split_once('=').expect("a sum");
        let total: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        let (start, step) = terms.split_once(['+', '−']).expect("two terms");
        let [start, step, total] =
            [start, step, &total].map(|number| numbers(number).first().copied().expect("a number"));
        let step = if terms.contains('−') { -step } else { step };
        assert!((start + step - total).abs() < 0.0101, "{bar:?}");
    }
    assert!((numbers(&bars[2][2])[0] - 100.0 * analysis.suspects[0].contribution.error_ratio).abs() < 0.006);
}

/// Texts of the elements of a class.
fn texts(pieces: &[Piece], class: &str) -> Vec<String> {
    let is_of = |attributes: &BTreeMap<String, String>| {
        attributes.get("class").is_some_and(|own| own.split(' ').any(|own| own == class))
    };
    let pairs = pieces.windows(2).filter_map(|pair| match pair {
        [Piece::Start(_, attributes), Piece::Text(text)] if is_of(attributes) => Some(text.clone()),
        _ => None,
    });
    pairs.collect()
}

fn n_of_class(pieces: &[Piece], class: &str) -> usize {
    starts(pieces).filter(|(_, attributes)| attributes.get("class").is_some_and(|own| own == class)).count()
}

#[test]
fn a_stretch_of_two_requests_is_hollow_and_sets_no_scale() {
    let (mut analysis, html) = incident("error");
    let series = &analysis.time[0];
    assert_eq!((series.n_requests.last(), series.error_ratio.last()), (Some(&2.0), Some(&Some(1.0))));
    let pieces = parse(&html);
    assert_eq!(n_of_class(&pieces, "traffic few"), 1);
    assert!(!texts(&pieces, "tick").contains(&"100 %".to_owned()), "{:?}", texts(&pieces, "tick"));
    assert!(visible(&pieces).contains("A hollow bar is a stretch with too few requests"));
    // Where all stretches hold so few, none of them is an exception.
    analysis.time[0].n_requests.fill(2.0);
    let pieces = parse(&page(&analysis, &Options::default()));
    assert_eq!(n_of_class(&pieces, "traffic few"), 0);
}

#[test]
fn a_pause_before_a_retry_is_waiting_and_no_span_has_more_of_its_own_than_it_took() {
    let (analysis, html) = incident("error");
    let pieces = parse(&html);
    let cells: Vec<String> = rows(&pieces, "Spans by call path").into_iter().skip(1).flatten().collect();
    assert!(cells.iter().any(|cell| cell.contains(" waiting before")), "{cells:?}");
    let mut n_own = 0;
    for row in starts_of_own(&pieces) {
        let (own, all) = row.split_once(" of ").expect("two numbers");
        n_own += 1;
        assert!(numbers(own)[0] <= numbers(all)[0], "{row}");
    }
    assert!(n_own > 10);
    // Each failed span has its badge, on its own side.
    let spans = |pair: &suspect::analysis::TracePair| -> Vec<suspect::analysis::SpanView> {
        pair.baseline.iter().chain([&pair.regression]).flat_map(|view| view.spans.clone()).collect()
    };
    let n_failed = analysis.traces.iter().flat_map(spans).filter(|span| span.is_error).count();
    let badges: Vec<(&str, &str)> = badges(&pieces);
    assert_eq!(badges.len(), n_failed);
    assert!(badges.iter().all(|(cell, text)| (*cell, *text) == ("td", "failed")), "{badges:?}");
}

/// `own of all` of each span that has time of its own.
fn starts_of_own(pieces: &[Piece]) -> Vec<String> {
    let shares = pieces.windows(5).filter_map(|five| match five {
        [Piece::Text(own), Piece::End(_), Piece::Text(blank), Piece::Start(..), Piece::Text(all)]
            if own.ends_with(" of") =>
        {
            Some([own.as_str(), blank, all].concat())
        }
        _ => None,
    });
    shares.filter(|text| text.chars().next().is_some_and(|first| first.is_ascii_digit())).collect()
}

/// Tags of spans that say that one failed, each with the cell that it is in.
fn badges(pieces: &[Piece]) -> Vec<(&str, &str)> {
    let mut cell = "";
    let mut badges = Vec::new();
    for pair in pieces.windows(2) {
        match pair {
            [Piece::Start(name, _), _] if name == "td" || name == "th" => cell = name,
            [Piece::Start(_, attributes), Piece::Text(text)]
                if attributes.get("class").is_some_and(|own| own.starts_with("tag")) && text.starts_with("failed") =>
            {
                badges.push((cell, text.as_str()));
            }
            _ => {}
        }
    }
    badges
}

#[test]
fn changes_that_are_near_each_other_share_a_mark_with_all_their_numbers() {
    let mut analysis = named("plain");
    let first = analysis.changes[0].clone();
    let later = |seconds: i64| ChangeAccount {
        time_unix_ns: first.time_unix_ns - 1_800_000 * MS + seconds * 1_000 * MS,
        ..first.clone()
    };
    analysis.changes = vec![later(0), later(2), later(4), later(1_800)];
    assert_eq!(texts(&parse(&page(&analysis, &Options::default())), "change-number"), ["1–3", "4"]);
    // Lines that would merge into one area are one line.
    analysis.changes = (0..50).map(later).collect();
    let pieces = parse(&page(&analysis, &Options::default()));
    assert_eq!(texts(&pieces, "change-number"), ["1–50"]);
    let is_line = |name: &str, attributes: &BTreeMap<String, String>| {
        name == "line" && attributes.get("class").is_some_and(|own| own.starts_with("change"))
    };
    let n_lines = starts(&pieces).filter(|(name, attributes)| is_line(name, attributes)).count();
    assert!((1..=3).contains(&n_lines), "{n_lines}");
}

#[test]
fn what_would_overturn_a_suspect_is_told_where_nothing_speaks_against_it() {
    let mut analysis = named("plain");
    analysis.suspects.truncate(1);
    analysis.suspects[0].overturned_by.clear();
    let text = visible(&parse(&page(&analysis, &Options::default())));
    let told = text.split("Nothing in the data speaks against it. ").nth(1).expect("a sentence");
    assert!(told.starts_with("It would fall if more data brought the interval of its contribution, now +"), "{told}");
}

/// Names that would leave a careless page.
fn hostile_names() -> Vec<String> {
    [
        "</script><script>alert(1)</script>",
        "<!--<script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "&lt;b&gt; &amp; &#0;",
        "bell \u{7} escape \u{1b}[31mred nul \u{0} tab \t line \n return \r",
        "right to left \u{202e}gnp.exe\u{202c} zero\u{200b}width \u{2066}isolate",
        "שלום עולם مرحبا",
        "{{constructor.constructor('alert(1)')()}} ${alert(1)} `x`",
        "javascript:alert(1)",
        "]]></style><style>*{display:none}",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([format!("start{}end", "x".repeat(10_000)), "\u{7}".repeat(3_000), "👍🏽支払い".repeat(40)])
    .collect()
}

/// An analysis in which everything that can be named is named `name`.
fn named(name: &str) -> Analysis {
    let trace = |index: i64, is_slow: bool| {
        let slow = if is_slow { 20 + index % 3 } else { 0 };
        let mut entry = server(1, 0, "", 0..8 + slow);
        if is_slow && index > 30 {
            entry = entry.failed().attribute("exception.message", name).attribute("exception.type", name);
        }
        let call = client(2, 1, "", 1..7 + slow).attribute("peer.service", &format!("peer {name}"));
        [entry, call]
            .map(|span| {
                span.named(&format!("service {name}"), name)
                    .attribute("tenant", if index % 2 == 0 { name } else { "other" })
                    .resource("service.version", if is_slow { name } else { "1" })
            })
            .to_vec()
    };
    let window = |is_slow: bool| (0..40).map(|index| trace(index, is_slow)).collect::<Vec<_>>();
    let mut analysis = analysed(&window(false), &window(true));
    let owner = Owner {
        team: name.to_owned(),
        contact: Some(name.to_owned()),
        runbook: Some(format!("javascript:alert(1)//{name}")),
        source: name.to_owned(),
    };
    for suspect in &mut analysis.suspects {
        suspect.owner = Some(owner.clone());
        suspect.overturned_by.push(format!("speaks against {name}"));
    }
    analysis.changes = [Some(format!("javascript:{name}")), Some(format!("https://x.example/{name}")), None]
        .map(|url| ChangeAccount {
            time: "2023-11-14T23:13:20Z".to_owned(),
            time_unix_ns: EPOCH_NS + 3_600_000 * MS,
            service: Some(name.to_owned()),
            kind: name.to_owned(),
            title: name.to_owned(),
            url,
            source: name.to_owned(),
            credit: Credit::Credited,
            reason: format!("because of {name}"),
        })
        .into();
    for exemplar in analysis.suspects.iter_mut().flat_map(|suspect| &mut suspect.exemplars) {
        name.clone_into(&mut exemplar.trace_id);
    }
    analysis.windows.only = vec![name.to_owned()];
    analysis
}

#[test]
fn hostile_names_are_text_wherever_they_stand() {
    let plain = page(&named("plain"), &Options { trace_url: Some(TRACE_URL.to_owned()) });
    let known = |html: &str| -> Vec<(String, Vec<String>)> {
        let mut known: Vec<(String, Vec<String>)> = starts(&parse(html))
            .filter(|(name, _)| *name != "a")
            .map(|(name, attributes)| (name.to_owned(), attributes.keys().cloned().collect()))
            .collect();
        known.sort();
        known.dedup();
        known
    };
    let expected = known(&plain);
    for name in hostile_names() {
        let analysis = named(&name);
        assert!(!analysis.suspects.is_empty(), "{name:?}");
        let html = page(&analysis, &Options { trace_url: Some(TRACE_URL.to_owned()) });
        assert!(html.len() < 2_000_000, "{} bytes", html.len());
        let pieces = parse(&html);
        assert_self_contained(&pieces, &["https://traces.example/ui?id=", "https://x.example/"]);
        for own in known(&html) {
            // The list of full names is made of elements that other lists are made of, too.
            assert!(
                expected.contains(&own) || ["ol", "li", "section", "bdi"].contains(&own.0.as_str()),
                "{own:?} of {name:?}"
            );
        }
        let shown = visible(&pieces);
        let is_driving = |c: char| c != '\n' && (c.is_control() || "\u{202e}\u{2066}\u{200b}".contains(c));
        assert!(!shown.contains(is_driving), "{name:?}");
        for (_, attributes) in starts(&pieces) {
            assert!(attributes.values().all(|value| !value.contains(is_driving)), "{name:?}");
        }
    }
}

#[test]
fn a_name_of_ten_thousand_characters_is_cut_in_sight_and_whole_once() {
    let name = format!("start{}end", "x".repeat(9_992));
    assert_eq!(name.len(), 10_000);
    let html = page(&named(&name), &Options::default());
    let list = html.find("id=\"names\"").expect("a list of full names");
    assert!(!html[..list].contains(&name), "whole in the list only");
    assert_eq!(html.matches(&format!("<bdi>{name}</bdi>")).count(), 1);
    assert!(html.len() < 400_000, "{} bytes", html.len());
    let pieces = parse(&html);
    let shown = visible(&pieces);
    assert!(shown.contains("startxxx") && shown.contains("…xxx"));
    let is_link = |attributes: &BTreeMap<String, String>| attributes.get("href").is_some_and(|href| href == "#name-1");
    assert!(starts(&pieces).any(|(_, attributes)| is_link(attributes)));
}

#[test]
fn a_trace_url_holds_the_id_percent_encoded_and_nothing_else_becomes_a_link() {
    let html = page(&named("a/b?c=d&e#f \"<>"), &Options { trace_url: Some(TRACE_URL.to_owned()) });
    let pieces = parse(&html);
    let hrefs: Vec<&String> = starts(&pieces).filter_map(|(_, attributes)| attributes.get("href")).collect();
    let link = "https://traces.example/ui?id=a%2Fb%3Fc%3Dd%26e%23f%20%22%3C%3E&x=1";
    assert!(hrefs.iter().any(|href| *href == link), "{hrefs:?}");
    assert!(!hrefs.iter().any(|href| href.starts_with("javascript")), "{hrefs:?}");
    for (template, is_fine) in [
        ("https://jaeger.example/trace/{trace_id}", true),
        ("http://localhost:16686/trace/{trace_id}?x={trace_id}", true),
        ("HTTPS://jaeger.example/{trace_id}", true),
        ("https://jaeger.example/trace/", false),
        ("https://{trace_id}/", false),
        ("https:///{trace_id}", false),
        ("javascript:alert('{trace_id}')", false),
        ("data:text/html,{trace_id}", false),
        ("ftp://x/{trace_id}", false),
        ("/trace/{trace_id}", false),
        ("https://x.example/\"{trace_id}", false),
        ("https://x.example/ {trace_id}", false),
        ("", false),
    ] {
        assert_eq!(check_trace_url(template).is_ok(), is_fine, "{template}");
        let html = page(&named("plain"), &Options { trace_url: Some(template.to_owned()) });
        assert_eq!(
            html.contains("target=\"_blank\" rel=\"noopener noreferrer\"><bdi class=\"id\">"),
            is_fine,
            "{template}"
        );
    }
}

#[test]
fn a_trace_url_that_is_none_and_a_page_on_standard_output_are_refused_before_anything_is_read() {
    let refused = |arguments: &[&str]| {
        let run = run_in(root(), &[&["analyze", "nothing-here"], arguments].concat());
        assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""));
        run.stderr
    };
    let stderr = refused(&["--html", "x.html", "--trace-url", "https://jaeger.example/"]);
    assert!(stderr.contains("does not hold `{trace_id}`"), "{stderr}");
    let stderr = refused(&["--html", "x.html", "--trace-url", "javascript:{trace_id}"]);
    assert!(stderr.contains("must begin with `https://`"), "{stderr}");
    assert!(refused(&["--html", "-"]).contains("standard output"));
    assert!(refused(&["--trace-url", "https://jaeger.example/{trace_id}"]).contains("--html"));
}

#[test]
fn a_suspect_has_the_number_of_its_service_everywhere() {
    let (analysis, html) = incident("slow-release");
    assert!(analysis.suspects.len() > analysis.services.iter().filter(|service| service.is_significant).count());
    for suspect in &analysis.suspects {
        let service = analysis.services.iter().find(|service| service.service == suspect.service);
        assert_eq!(Some(suspect.service_rank), service.map(|service| service.rank));
        let row = html.split(&format!("id=\"suspect-{}\"", suspect.rank)).nth(1).expect("a row");
        let label = format!("aria-label=\"Evidence of suspect {}, {}", suspect.service_rank, suspect.service);
        let named = suspect.edge.is_some() || row.split("</button>").next().expect("a button").contains(&label);
        assert!(named, "{label}");
    }
}
