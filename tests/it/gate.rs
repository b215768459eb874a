//! A candidate is judged by a policy: what fails it, what warns, what is accepted, and what cannot be told.

use crate::builder::Given;
use crate::evidence::{analyze, page};
use crate::program::run_in;
use jiff::civil::{Date, date};
use std::path::Path;
use suspect::analysis::{Analysis, Owner};
use suspect::gate::policy::{EXAMPLE, Level, Measure, Of, Policy};
use suspect::gate::{Gate, State, Verdict, judge};
use suspect::report;

const TODAY: Date = date(2026, 11, 25);

/// 200 requests a window; the catalog takes `own` ms, give or take one.
fn pages(own: i64) -> Vec<Vec<Given>> {
    (0..200).map(|number| page("GET /", own + number % 3)).collect()
}

fn policy(text: &str) -> Policy {
    Policy::parse(text, Path::new("gate.toml")).expect("a policy")
}

fn judged(analysis: &Analysis, text: &str) -> Gate {
    judge(analysis, &policy(text), TODAY, false).expect("a verdict")
}

/// The candidate's catalog takes 90 ms instead of 60.
fn slower() -> Analysis {
    analyze(&pages(60), &pages(90))
}

#[test]
fn the_built_in_policy_is_the_example_and_every_key_of_it_is_read() {
    assert_eq!(Policy::default(), policy(EXAMPLE));
    assert_eq!(Policy::default().rules.len(), 9);
    // The commented examples are right, too.
    let uncommented = EXAMPLE.replace("# [[", "[[").replace("# edge", "edge").replace("# name", "name");
    let uncommented =
        uncommented.replace("# measure = ", "measure = ").replace("# reason", "reason").replace("# until", "until");
    let policy = policy(&uncommented);
    assert_eq!((policy.forbidden.len(), policy.allowed.len()), (1, 1));
    assert_eq!(policy.allowed[0].until, date(2027, 1, 31));
    assert_eq!(policy.allowed[0].measure, Some(Measure::Mean));
}

#[test]
fn a_slower_operation_fails_and_is_named_with_its_figures() {
    let gate = judge(&slower(), &Policy::default(), TODAY, false).expect("a verdict");
    assert_eq!(gate.verdict, Verdict::Failed);
    let first = &gate.findings[0];
    assert_eq!((first.name.as_str(), first.measure, first.state), ("catalog: list", Measure::Mean, State::Failed));
    // 61 ms a request (59.995 with the remainder of the cycle) became 30 ms longer: 49.2 %.
    assert!((first.change - 30.0).abs() < 1e-9, "{first:?}");
    assert!((first.baseline - 60.995).abs() < 1e-9, "{first:?}");
    assert!((first.change_percent.expect("percent") - 3_000.0 / 60.995).abs() < 1e-9);
    assert!(first.interval[0] > 0.0 && first.p <= first.p_corrected && first.p_corrected <= 0.008);
    assert!(!first.trace_ids.is_empty());
    assert!(gate.summary.starts_with("catalog: list adds to a request on average: +30.0 ms"), "{}", gate.summary);
    // The whole shows it, too, behind the part.
    assert!(gate.findings.iter().any(|finding| finding.of == Of::All));
}

#[test]
fn nothing_fails_where_nothing_changed_and_both_limits_must_be_exceeded() {
    let same = judge(&analyze(&pages(60), &pages(60)), &Policy::default(), TODAY, false).expect("a verdict");
    assert_eq!((same.verdict, same.findings.len()), (Verdict::Passed, 0), "{}", same.summary);
    let rule = |limits: &str| format!("[[rule]]\nmeasure = \"mean\"\n{limits}");
    let slower = slower();
    for (limits, verdict) in [
        ("more_than = 29\nmore_than_percent = 49", Verdict::Failed),
        ("more_than = 31\nmore_than_percent = 1", Verdict::Passed),
        ("more_than = 1\nmore_than_percent = 50", Verdict::Passed),
    ] {
        assert_eq!(judged(&slower, &rule(limits)).verdict, verdict, "{limits}");
    }
    // Faster is no regression.
    let faster = judge(&analyze(&pages(90), &pages(60)), &Policy::default(), TODAY, false).expect("a verdict");
    assert_eq!((faster.verdict, faster.findings.len()), (Verdict::Passed, 0), "{}", faster.summary);
}

#[test]
fn a_rule_sees_only_what_its_name_matches_and_warnings_do_not_fail() {
    let slower = slower();
    let rule = |name: &str, of: &str, level: &str| {
        format!("[[rule]]\nmeasure = \"mean\"\nname = \"{name}\"\nof = \"{of}\"\nlevel = \"{level}\"")
    };
    assert_eq!(judged(&slower, &rule("gateway*", "operation", "fail")).verdict, Verdict::Passed);
    assert_eq!(judged(&slower, &rule("catalog: *", "operation", "fail")).verdict, Verdict::Failed);
    assert_eq!(judged(&slower, &rule("catalog", "service", "fail")).findings[0].name, "catalog");
    assert_eq!(judged(&slower, &rule("gateway: GET /", "entry", "fail")).findings[0].of, Of::Entry);
    let warned = judged(&slower, &rule("*", "operation", "warn"));
    assert_eq!((warned.verdict, warned.findings[0].state), (Verdict::Passed, State::Warned));
}

#[test]
fn without_limits_the_correction_goes_by_rule_then_half_by_the_number_of_tests_and_half_by_the_root_of_the_time_at_stake()
 {
    let analysis = slower();
    // All time of a request is some operation's or edge's.
    let units = analysis.operations.iter().filter(|account| account.operation.is_some() || account.edge.is_some());
    let request = analysis.degradation.mean_ms.baseline;
    let root = |ms: f64| (ms / request).clamp(0.0, 1.0).sqrt();
    let all: f64 = units.map(|account| root(account.own_ms.baseline)).sum();
    // Usual calls, where small changes are seen, have sixteen shares; calls per request, like the mean, have one.
    for (other, share) in [("measure = \"calls\"", 0.5), ("measure = \"typical\"\nname = \"gateway*\"", 1.0 / 17.0)] {
        let gate = judged(&analysis, &format!("[[rule]]\n{other}\n[[rule]]\nmeasure = \"mean\""));
        let (first, n_tests) = (&gate.findings[0], gate.rules[1].n_tested);
        assert_eq!(first.measure, Measure::Mean);
        assert!(n_tests >= 2 && gate.rules[0].n_tested >= 1, "{:?}", gate.rules);
        let weight = share * f64::midpoint(1.0 / n_tests as f64, root(first.baseline) / all);
        assert!((first.p_corrected / (first.p / weight) - 1.0).abs() < 1e-9, "{other}: {first:?}");
    }
}

#[test]
fn an_exception_accepts_its_finding_until_its_day_and_then_is_told_to_have_ended() {
    let slower = slower();
    let text = |until: &str| {
        format!(
            "[[rule]]\nmeasure = \"mean\"\n[[allow]]\nname = \"catalog: *\"\nreason = \"known\"\nuntil = {until}\n[[allow]]\nname = \"nobody\"\nreason = \"old\"\nuntil = 2027-01-01"
        )
    };
    for until in ["2026-11-25", "\"2026-11-25\""] {
        let allowed = judged(&slower, &text(until));
        assert_eq!((allowed.verdict, allowed.findings[0].state), (Verdict::Passed, State::Allowed));
        assert_eq!(allowed.findings[0].allowed_because.as_deref(), Some("known (until 2026-11-25)"));
        assert_eq!(allowed.exceptions, ["the exception for nobody until 2027-01-01 matches no finding (old)"]);
    }
    let expired = judged(&slower, &text("2026-11-24"));
    assert_eq!(expired.verdict, Verdict::Failed);
    assert_eq!(
        expired.exceptions[0],
        "the exception for catalog: * ended on 2026-11-24: its findings count again (known)"
    );
}

#[test]
fn a_forbidden_edge_fails_however_cheap_and_a_new_one_is_seen_unless_it_is_rare() {
    use crate::builder::{client, server};
    let with_call = |number: i64| {
        let mut spans = page("GET /", 60);
        spans.push(client(7, 1, "gateway ask", 1..2));
        spans.push(server(8, 7, "audit log", 1..2));
        if number % 1_000 == 0 { spans } else { page("GET /", 60) }
    };
    let always: Vec<Vec<Given>> = (0..200).map(|_| with_call(0)).collect();
    let analysis = analyze(&pages(60), &always);
    let forbidden = judged(&analysis, "[[forbid]]\nedge = \"gateway -> au*\"");
    assert_eq!((forbidden.verdict, forbidden.findings[0].name.as_str()), (Verdict::Failed, "gateway -> audit"));
    assert_eq!(judged(&analysis, "[[forbid]]\nedge = \"audit -> *\"").verdict, Verdict::Passed);
    let new = "[[rule]]\nof = \"edge\"\nmeasure = \"new_dependency\"";
    assert_eq!(judged(&analysis, new).findings[0].name, "gateway -> audit");
    // One call in 200 requests may well have been missed by the baseline.
    let rarely: Vec<Vec<Given>> = (0..200).map(with_call).collect();
    assert_eq!(judged(&analyze(&pages(60), &rarely), new).verdict, Verdict::Passed);
}

#[test]
fn too_little_data_are_inconclusive_and_the_policy_may_take_that_either_way() {
    let few: Vec<Vec<Given>> = pages(60).into_iter().take(20).collect();
    let analysis = analyze(&few, &few);
    for (text, verdict) in [
        ("", Verdict::Inconclusive),
        ("inconclusive = \"pass\"", Verdict::Passed),
        ("inconclusive = \"fail\"", Verdict::Failed),
    ] {
        let gate = judged(&analysis, text);
        assert_eq!(gate.verdict, verdict);
        assert!(gate.doubts[0].contains("holds 20 requests, fewer than 30"), "{:?}", gate.doubts);
    }
    let partial = judge(&analyze(&pages(60), &pages(60)), &Policy::default(), TODAY, true).expect("a verdict");
    assert_eq!((partial.verdict, partial.doubts.len()), (Verdict::Inconclusive, 1));
    // Requests that take 10 or 500 ms at random: 20 % more could not be seen.
    let noisy = |seed: u64| -> Vec<Vec<Given>> {
        let slow = |number: u64| suspect::stats::random(seed, number, 0).is_multiple_of(8);
        (0..60).map(|number| page("GET /", if slow(number) { 900 } else { 10 })).collect()
    };
    let gate = judge(&analyze(&noisy(1), &noisy(2)), &Policy::default(), TODAY, false).expect("a verdict");
    assert_eq!(gate.verdict, Verdict::Inconclusive, "{}", gate.summary);
    assert!(gate.doubts[0].starts_with("a slowdown of all requests by 20 % cannot be ruled out"), "{:?}", gate.doubts);
}

#[test]
fn a_forbidden_edge_is_listed_whether_it_is_there_or_not_and_one_that_cannot_be_is_told() {
    let slower = slower();
    let forbid = |edge: &str| format!("[[forbid]]\nedge = \"{edge}\"\n");
    let kept = judged(&slower, &("rule = []\n".to_owned() + &forbid("catalog -> gateway")));
    assert_eq!((kept.verdict, kept.warnings.len(), kept.forbidden[0].n_broken), (Verdict::Passed, 0, 0));
    let shown = |gate: &Gate| anstream::adapter::strip_str(&report::gate::text(gate, report::WIDTH)).to_string();
    assert!(shown(&kept).contains("fail  edge catalog -> gateway: forbidden: not called"), "{}", shown(&kept));
    assert!(report::gate::markdown(&kept).contains("| | edge catalog -\\> gateway: forbidden |  | 0 |"));
    let junit = report::gate::junit(&kept);
    let suites = quick_junit::Report::deserialize_from_str(&junit).expect("JUnit XML").test_suites;
    let cases: Vec<&str> = suites[0].test_cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(cases, ["edge catalog -> gateway: forbidden", "the data suffice to tell"]);
    assert_of_schema(&junit);

    let broken = judged(&slower, &("rule = []\n".to_owned() + &forbid("gateway -> catalog")));
    assert_eq!((broken.verdict, broken.forbidden[0].n_broken), (Verdict::Failed, 1));
    assert!(shown(&broken).contains("edge gateway -> catalog: forbidden: 1 broken"), "{}", shown(&broken));
    // What it was before has no part in it, nor how that changed.
    let markdown = report::gate::markdown(&broken);
    assert!(markdown.contains("| forbidden | 1.00 calls a request |  | 1.00 |"), "{markdown}");
    let junit = report::gate::junit(&broken);
    assert!(junit.contains("gateway -&gt; catalog: forbidden\"") && junit.contains("type=\"forbidden\""), "{junit}");

    let typo = judged(&slower, &("rule = []\n".to_owned() + &forbid("gatewy -> *")));
    assert_eq!(typo.verdict, Verdict::Inconclusive);
    assert_eq!(typo.doubts, ["no rule of level `fail` is about anything in the data"]);
    let warning = "rule `edge gatewy -> *: forbidden` is about nothing in the data: no service is `gatewy`; near it are `gateway`";
    assert!(typo.warnings[0].starts_with(warning), "{:?}", typo.warnings);
    assert!(shown(&typo).contains("forbidden: no such service"), "{}", shown(&typo));
    let beside = judged(&slower, &("rule = []\n".to_owned() + &forbid("gatewy -> *") + &forbid("catalog -> gateway")));
    assert_eq!((beside.verdict, beside.doubts.len()), (Verdict::Passed, 0), "{:?}", beside.doubts);
}

#[test]
fn an_exception_that_ended_beside_one_that_holds_makes_nothing_count_again() {
    let allow = |until: &str| format!("[[allow]]\nname = \"catalog: *\"\nreason = \"known\"\nuntil = {until}\n");
    let text = "[[rule]]\nmeasure = \"mean\"\n".to_owned() + &allow("2026-11-24") + &allow("2027-01-01");
    let gate = judged(&slower(), &text);
    assert_eq!((gate.verdict, gate.findings[0].state), (Verdict::Passed, State::Allowed));
    assert_eq!(
        gate.exceptions,
        ["the exception for catalog: * ended on 2026-11-24: another accepts its findings (known)"]
    );
}

#[test]
fn a_policy_that_is_wrong_is_refused_with_file_line_and_key() {
    for (text, expected) in [
        ("false_alarm_rate = 0.01\nmax = 3", "`gate.toml`: line 2: unknown field `max`"),
        ("[[rule]]\nmeasure = \"mean\"\nmore_then = 3", "; did you mean `more_than`?"),
        // Of values all are told: the likest word may be the laxest.
        ("[[rule]]\nmeasure = \"error\"", "`typical`, `tail`, `errors`, `calls`, `fewer_calls`, `new_dependency`"),
        ("[[rule]]\nmeasure = \"mean\"\nlevel = \"error\"", "unknown variant `error`, expected `fail` or `warn`"),
        (
            "\n[[rule]]\nmeasure = \"new_dependency\"\nmore_than = 5",
            "line 2: `more_than` is 5, and a rule of `new_dependency` has no limit",
        ),
        ("[[rule]]\nmeasure = \"new_dependency\"\nmore_than_percent = 5", "`more_than_percent` is 5, and a rule of"),
        ("[[rule]]\nmeasure = \"errors\"\nmore_than = 150", "`more_than` is 150, expected at most 100 points"),
        ("\n[rule]\nmeasure = \"mean\"", "line 2: found `[rule]`, expected `[[rule]]`"),
        ("rule = { measure = \"mean\" }", "line 1: found one table, expected a list of tables"),
        ("must_see_percent = \"x\"", "line 1: invalid type: string \"x\", expected a number"),
        ("\nmust_see_percent = -1", "`gate.toml`: line 2: `must_see_percent` is -1, expected more than 0"),
        ("must_see_points = 500", "line 1: `must_see_points` is 500, expected more than 0 and at most 100"),
        ("[[rule]]\nmeasure = \"median\"", "`gate.toml`: line 2: unknown variant `median`"),
        ("[[rule]]\nmeasure = \"mean\"\nmore_than = -1", "`gate.toml`: line 1: `more_than` is -1, expected 0 or more"),
        ("false_alarm_rate = 0", "`gate.toml`: line 1: `false_alarm_rate` is 0, expected more than 0"),
        (
            "[[rule]]\nmeasure = \"mean\"\n\n[[rule]]\nmeasure = \"tail\"\nof = \"entry\"",
            "`gate.toml`: line 4: `measure` is `tail`, which there is not of `entry`: expected one of `mean`, `errors`",
        ),
        ("[[rule]]\nmeasure = \"mean\"\nmore_than_percent = nan", "`more_than_percent` is NaN"),
        ("\n[[forbid]]\nedge = \"gateway > shop\"", "line 2: `edge` is `gateway > shop`, expected `CALLER -> CALLEE`"),
        (
            "[[allow]]\nname = \"a\"\nreason = \" \"\nuntil = 2027-01-01",
            "line 1: `reason` of the exception for `a` is empty",
        ),
        ("[[allow]]\nname = \"a\"\nreason = \"b\"\nuntil = \"soon\"", "`soon` is no day, expected YYYY-MM-DD"),
        ("[[rule", "`gate.toml`: line 1:"),
        ("rule = []", "there is no rule and no forbidden edge, so everything would pass"),
        ("must_see_points = 0", "`must_see_points` is 0, expected more than 0"),
        ("[[forbid]]\nedge = \"->\"", "line 1: `edge` is `->`, expected `CALLER -> CALLEE`"),
        (
            "[[rule]]\nmeasure = \"mean\"\nof = \"all\"\nname = \"cart\"",
            "line 1: `name` is `cart`, but `of = \"all\"` is about all requests",
        ),
    ] {
        let error = Policy::parse(text, Path::new("gate.toml")).expect_err(text).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// A verdict whose names would break out of any medium.
fn hostile() -> Gate {
    let long = "x".repeat(10_000);
    let names = [
        "</script>'\"&",
        "a]]>b",
        "\u{1b}[31m\u{7}",
        "%0A::error::x,y:z",
        "\u{202e}rtl",
        "| a | `b` [c](d) @me #1\n# h",
        long.as_str(),
    ];
    let mut gate = judge(&slower(), &Policy::default(), TODAY, false).expect("a verdict");
    let template = gate.findings[0].clone();
    gate.findings = names
        .iter()
        .map(|name| {
            let mut finding = template.clone();
            (*name).clone_into(&mut finding.name);
            finding.service = Some((*name).to_owned());
            finding.description = format!("{name} is slow");
            finding.trace_ids = vec![(*name).to_owned()];
            finding.owner = Some(Owner {
                team: (*name).to_owned(),
                contact: Some((*name).to_owned()),
                runbook: None,
                source: String::new(),
            });
            finding
        })
        .collect();
    gate.summary = gate.findings[2].description.clone() + names[5];
    gate.doubts = vec![names[3].to_owned()];
    gate
}

#[test]
fn sarif_is_valid_by_its_schema_whatever_the_names() {
    // One of its patterns has a bracket too many, which JavaScript forgives.
    let schema = include_str!("../data/sarif/sarif-schema-2.1.0.json").replace("{2}]?$", "{2}?$");
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("a schema");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for gate in [judge(&slower(), &Policy::default(), TODAY, false).expect("a verdict"), hostile()] {
        let text = report::gate::sarif(&gate, "ci/gate policy.toml");
        let sarif: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_escaped(&sarif);
        let faults: Vec<String> = validator.iter_errors(&sarif).map(|error| error.to_string()).collect();
        assert!(faults.is_empty(), "{faults:?}");
        let results = sarif["runs"][0]["results"].as_array().expect("results");
        assert_eq!(results.len(), gate.findings.len());
        let location = &results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
        assert_eq!(location, "ci/gate%20policy.toml");
        let hash = |result: &serde_json::Value| result["partialFingerprints"]["primaryLocationLineHash"].to_string();
        let hashes: std::collections::BTreeSet<String> = results.iter().map(hash).collect();
        assert_eq!(hashes.len(), results.len());
    }
    // Not everything is valid.
    assert!(!validator.is_valid(&serde_json::json!({ "version": "2.1.0", "runs": [{ "tool": {} }] })));
}

/// No text in the document hides something or turns it around, once it is read.
#[track_caller]
fn assert_escaped(value: &serde_json::Value) {
    match value {
        serde_json::Value::String(text) => assert_eq!(*text, report::text::escape(text)),
        serde_json::Value::Array(values) => values.iter().for_each(assert_escaped),
        serde_json::Value::Object(entries) => entries.values().for_each(assert_escaped),
        _ => {}
    }
}

#[test]
fn junit_is_read_back_whole_whatever_the_names() {
    for gate in [judge(&slower(), &Policy::default(), TODAY, false).expect("a verdict"), hostile()] {
        let xml = report::gate::junit(&gate);
        let report = quick_junit::Report::deserialize_from_str(&xml).expect("JUnit XML");
        let n_failed = gate.findings.iter().filter(|finding| finding.state == State::Failed).count();
        assert_eq!(report.failures, n_failed);
        assert_eq!(report.test_suites.len(), gate.rules.len() + 1);
        assert!(!xml.chars().any(|c| c.is_control() && c != '\n'), "a control character");
        assert_of_schema(&xml);
    }
}

/// The elements with their attributes and children that `junit-10.xsd` of Jenkins' xUnit plugin knows, of those that we write.
#[track_caller]
fn assert_of_schema(xml: &str) {
    const ELEMENTS: [(&str, &str, &[&str]); 6] = [
        ("testsuites", "", &["name", "time", "tests", "failures", "errors", "disabled"]),
        (
            "testsuite",
            "testsuites",
            &[
                "name",
                "tests",
                "failures",
                "errors",
                "skipped",
                "disabled",
                "time",
                "timestamp",
                "hostname",
                "id",
                "package",
            ],
        ),
        ("testcase", "testsuite", &["name", "classname", "assertions", "time", "status"]),
        ("failure", "testcase", &["message", "type"]),
        ("error", "testcase", &["message", "type"]),
        ("skipped", "testcase", &["message", "type"]),
    ];
    let mut open: Vec<&str> = Vec::new();
    for tag in xml.split('<').skip(1).map(|tag| tag.split_once('>').expect("a tag that ends").0) {
        if tag.starts_with('?') {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
            continue;
        }
        let name = tag.split([' ', '/']).next().expect("a name");
        let (_, parent, attributes) = ELEMENTS.iter().find(|(known, ..)| *known == name).expect(name);
        assert_eq!(open.last().copied().unwrap_or_default(), *parent);
        for attribute in tag.split("=\"").map(|before| before.rsplit(' ').next().unwrap_or_default()) {
            let is_value =
                attribute.is_empty() || attribute.ends_with('"') || attribute.ends_with('/') || attribute == name;
            assert!(
                is_value || attributes.contains(&attribute) || !tag.contains(&format!(" {attribute}=\"")),
                "{attribute} of {name}"
            );
        }
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty());
}

#[test]
fn a_rule_that_has_nothing_to_test_is_skipped_and_not_passed() {
    let rule = |name: &str| format!("[[rule]]\nmeasure = \"mean\"\nname = \"{name}\"\n");
    let gate = judged(&slower(), &(rule("gateway*") + &rule("nobody: *")));
    let xml = report::gate::junit(&gate);
    assert_of_schema(&xml);
    let report = quick_junit::Report::deserialize_from_str(&xml).expect("JUnit XML");
    let skipped = report.test_suites.iter().map(|suite| (suite.test_cases.len(), suite.skipped)).collect::<Vec<_>>();
    assert_eq!(skipped, [(1, 0), (1, 1), (1, 0)], "{xml}");
    assert!(xml.contains("<skipped message=\"nothing in the data could break the rule\"/>"), "{xml}");
}

#[test]
fn a_chance_too_small_for_a_number_is_told_and_what_is_forbidden_has_none() {
    let mut gate = judged(&slower(), "[[rule]]\nmeasure = \"mean\"\n[[forbid]]\nedge = \"gateway -> catalog\"\n");
    assert_eq!(gate.findings.len(), 2, "{:?}", gate.findings);
    for finding in &mut gate.findings {
        (finding.p, finding.p_corrected) = (0.0, 0.0);
    }
    let text = anstream::adapter::strip_str(&report::gate::text(&gate, report::WIDTH)).to_string();
    assert_eq!(text.matches("chance   p < 1e-300, < 1e-300 for all tests together").count(), 1, "{text}");
    let markdown = report::gate::markdown(&gate);
    assert_eq!(markdown.matches("| < 1e-300 |").count(), 1, "{markdown}");
}

#[test]
fn annotations_are_one_command_a_line_whatever_the_names() {
    let text = report::gate::annotations(&hostile());
    for line in text.lines() {
        assert!(line.starts_with("::error title=") || line.starts_with("::warning title="), "{line}");
        assert!(line.len() < 4_096);
        let (properties, _) = line[2..].split_once("::").expect("a message");
        assert_eq!(properties.matches('=').count(), 1, "{properties}");
        assert!(!properties.contains(','), "{properties}");
    }
    assert_eq!(text.lines().count(), 1 + 7);
}

#[test]
fn text_and_markdown_stay_within_their_lines_whatever_the_names() {
    let gate = hostile();
    let text = anstream::adapter::strip_str(&report::gate::text(&gate, report::WIDTH)).to_string();
    crate::program::assert_readable(&text);
    let markdown = report::gate::markdown(&gate);
    let table: Vec<&str> = markdown.lines().filter(|line| line.starts_with("| ❌")).collect();
    assert_eq!(table.len(), gate.findings.len());
    for row in table {
        let bars = row.replace("\\|", "").matches('|').count();
        assert_eq!(bars, 9, "{row}");
    }
    assert!(markdown.len() < 65_536);
    crate::markdown::assert_names_make_nothing(
        &markdown,
        &["<!-- suspect gate -->", "<details><summary>", "</details>"],
    );
}

#[test]
fn the_program_gives_its_status_and_the_same_bytes_on_every_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("a folder");
    let (junit, markdown) = (folder.path().join("gate.xml"), folder.path().join("gate.md"));
    let arguments = |threads: &'static str| {
        let paths = [junit.to_str().expect("text"), markdown.to_str().expect("text")];
        [
            "gate",
            "datasets/incidents/slow-release",
            "--regression",
            "2026-11-23T19:22:46.06Z..",
            "--quiet",
            "--today",
            "2026-11-25",
            "--threads",
            threads,
            "--junit",
            paths[0],
            "--markdown",
            paths[1],
        ]
        .map(str::to_owned)
    };
    let run = |threads| {
        let arguments = arguments(threads);
        let run = run_in(root, &arguments.each_ref().map(String::as_str));
        let read = |path: &Path| std::fs::read_to_string(path).expect("written");
        assert_eq!(run.status, Some(1), "{}", run.stderr);
        (run.stdout, read(&junit), read(&markdown))
    };
    let first = run("1");
    assert!(first.0.starts_with("FAILED\ncart: sign cart adds"), "{}", first.0);
    assert_eq!(first, run("2"));
    let halves = ["gate", "datasets/incidents/fault-free", "--quiet", "--baseline", "..+100s"];
    let quiet = run_in(root, &halves);
    assert_eq!(quiet.status, Some(0), "{}", quiet.stdout);
    let wrong = run_in(root, &[&halves[..], &["--policy", "Cargo.toml"]].concat());
    assert_eq!(wrong.status, Some(2));
    assert!(wrong.stderr.contains("`Cargo.toml`: line "), "{}", wrong.stderr);
    let level = run_in(root, &["gate", "--example-policy"]).complete();
    assert_eq!(level, EXAMPLE);
    assert_eq!(Level::default(), Level::Fail);
}
