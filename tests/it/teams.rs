//! The change split by team: its figures against sums by hand, whom it names, and hostile names of teams in every rendering.

use crate::builder::{EPOCH_NS, Given, MS, client, frame, server};
use crate::program::{Run, run_in};
use serde_json::Value;
use std::fs;
use std::path::Path;
use suspect::analysis::{self, Analysis, OwnerOptions, Part, TeamShare};
use suspect::canonical;
use suspect::ingest::Ingested;
use suspect::owners::Owners;
use suspect::window;

/// Requests of each window.
const N_REQUESTS: i64 = 60;

/// Services that the front calls one after the other, for so many milliseconds each by the number of the request.
pub(crate) type Took = fn(number: i64, is_regression: bool) -> [i64; 2];

/// Requests of an hour's distance: the front takes 5 ms before, between and after its calls of `cart` and `stock`.
pub(crate) fn requests(took: Took) -> Vec<Given> {
    let mut spans = Vec::new();
    for is_regression in [false, true] {
        for number in 0..N_REQUESTS {
            let [cart, stock] = took(number, is_regression);
            let second = 10 + cart;
            let end = second + stock + 5;
            let trace = 1 + number + if is_regression { 1_000 } else { 0 };
            let later = number * 1_000 + if is_regression { 3_600_000 } else { 0 };
            let request = [
                server(1, 0, "front GET", 0..end),
                client(2, 1, "front cart", 5..5 + cart),
                server(3, 2, "cart GET", 5..5 + cart),
                client(4, 1, "front stock", second..second + stock),
                server(5, 4, "stock GET", second..second + stock),
            ];
            spans.extend(request.map(|span| span.trace(trace).later(later)));
        }
    }
    spans
}

fn owners(name: &str, text: &str) -> Owners {
    let mut owners = Owners::default();
    owners.add(Path::new(name), text).expect("owners");
    owners
}

const ONE_TEAM: &str = "[[service]]\nmatch = [\"cart\", \"stock\"]\nteam = \"shop\"\n";
const TWO_TEAMS: &str =
    "[[service]]\nmatch = \"cart\"\nteam = \"carts\"\n[[service]]\nmatch = \"stock\"\nteam = \"stocks\"\n";

pub(crate) fn analysed(spans: &[Given], toml: &str) -> Analysis {
    let prepared = analysis::prepare(None, Ingested { frame: frame(spans), sources: Vec::new() });
    let minutes = |minutes: i64| EPOCH_NS + minutes * 60_000 * MS;
    let windows = window::Options {
        baseline: Some(format!("{}..{}", minutes(-1), minutes(30))),
        regression: Some(format!("{}..{}", minutes(59), minutes(90))),
    };
    let (windows, selection) = prepared.select(&windows).expect("windows");
    let owners = OwnerOptions { files: owners("o.toml", toml), ..OwnerOptions::default() };
    let options = analysis::Options { owners, ..analysis::Options::default() };
    analysis::analyze_with(&prepared, &windows, &selection, &options).expect("an analysis")
}

#[track_caller]
fn team<'a>(analysis: &'a Analysis, name: &str) -> &'a TeamShare {
    analysis.teams.iter().find(|share| share.team.as_deref() == Some(name)).expect("a team")
}

fn half_width(share: &TeamShare) -> f64 {
    (share.contribution.interval_ms[1] - share.contribution.interval_ms[0]) / 2.0
}

#[track_caller]
fn assert_close(actual: f64, expected: f64) {
    assert!((actual - expected).abs() < 1e-6 * expected.abs().max(1.0), "{actual} instead of {expected}");
}

#[test]
fn what_one_service_of_a_team_takes_and_the_other_leaves_makes_the_team_no_less_certain() {
    // Each request spends 40 ms on both, divided by chance; later 10 ms more on the cart.
    let took: Took = |number, is_regression| {
        let part = number * 7 % 11;
        [15 + part + if is_regression { 10 } else { 0 }, 25 - part]
    };
    let spans = requests(took);
    let together = analysed(&spans, ONE_TEAM);
    let shop = team(&together, "shop");
    // The sum is 40 in each request before and 50 in each after: nothing is left to chance.
    assert_close(shop.contribution.ms, 10.0);
    assert!(half_width(shop) < 1e-6, "{shop:?}");
    let apart = analysed(&spans, TWO_TEAMS);
    for name in ["carts", "stocks"] {
        assert!(half_width(team(&apart, name)) > 0.5, "{:?}", team(&apart, name));
    }
}

#[test]
fn what_both_services_of_a_team_take_at_once_adds_up_in_its_interval() {
    let took: Took = |number, is_regression| {
        let part = number * 7 % 11;
        let more = if is_regression { 10 } else { 0 };
        [15 + part + more, 15 + part + more]
    };
    let spans = requests(took);
    let together = analysed(&spans, ONE_TEAM);
    let apart = analysed(&spans, TWO_TEAMS);
    let shop = team(&together, "shop");
    assert_close(shop.contribution.ms, 20.0);
    // The errors of two parts that move as one add up, those of independent ones would be sqrt(2) times one of them.
    let [carts, stocks] = ["carts", "stocks"].map(|name| half_width(team(&apart, name)));
    assert_close(half_width(shop), carts + stocks);
    // A team of one service has what its service has.
    for (name, service) in [("carts", "cart"), ("stocks", "stock")] {
        let own = apart.services.iter().find(|own| own.service == service).expect("a service");
        let share = &team(&apart, name).contribution;
        assert_close(share.ms, own.contribution.ms);
        assert_close(share.interval_ms[0], own.contribution.interval_ms[0]);
        assert_close(share.interval_ms[1], own.contribution.interval_ms[1]);
    }
}

#[test]
fn a_teams_interval_is_that_of_the_difference_of_two_means() {
    // Times of both scatter, and not alike; a mean of the team is one of the sums of both.
    let took: Took = |number, is_regression| {
        let mix = |salt: i64| (number + salt).wrapping_mul(0x9e37_79b9).rem_euclid(65_521) % 21;
        let salt = if is_regression { 5_000 } else { 0 };
        let more = if is_regression { 10 } else { 0 };
        [15 + mix(salt) + more, 15 + mix(salt + 17_000)]
    };
    // import statistics as s
    // mix = lambda n, salt: ((n + salt) * 0x9e3779b9) % 65521 % 21
    // a = [30 + mix(n, 0) + mix(n, 17000) for n in range(60)]
    // b = [40 + mix(n, 5000) + mix(n, 22000) for n in range(60)]
    // print(s.mean(b) - s.mean(a), (s.variance(a) / 60 + s.variance(b) / 60) ** 0.5)
    let (change_ms, error_ms) = (10.95, 2.079_936_213);
    let analysis = analysed(&requests(took), ONE_TEAM);
    let shop = team(&analysis, "shop");
    assert_close(shop.contribution.ms, change_ms);
    // 1.96 errors, by Student's distribution a little more; what stretches of time differ by beyond chance widens it.
    let errors = half_width(shop) / error_ms;
    assert!((1.75..3.0).contains(&errors), "{errors} standard errors: {shop:?}");
}

/// Shares of what failed and of what took longer, in all.
#[track_caller]
fn assert_sums(analysis: &Analysis) {
    let sum = |value: fn(&TeamShare) -> f64| analysis.teams.iter().map(value).sum::<f64>();
    assert_close(sum(|share| share.contribution.ms), analysis.degradation.change_ms);
    let errors = analysis.degradation.error_ratio;
    assert_close(sum(|share| share.contribution.error_ratio), errors.regression - errors.baseline);
}

#[test]
fn parts_of_teams_sum_to_the_whole_of_latency_and_of_errors() {
    let mut spans = requests(|number, is_regression| [20 + number % 3, 20 + if is_regression { 30 } else { 0 }]);
    // Later a third of the requests fails, in the stock.
    for (place, span) in spans.iter_mut().enumerate() {
        let (request, part) = (place / 5, place % 5);
        if request >= 60 && request.is_multiple_of(3) && part != 1 && part != 2 {
            *span = span.clone().failed();
        }
    }
    let analysis = analysed(&spans, TWO_TEAMS);
    assert_sums(&analysis);
    assert_close(team(&analysis, "stocks").contribution.error_ratio, 1.0 / 3.0);
    assert_close(team(&analysis, "stocks").contribution.ms, 30.0);
    assert_close(team(&analysis, "carts").contribution.error_ratio, 0.0);
    assert_close(team(&analysis, "carts").contribution.ms, 0.0);
    // More requests of a kind that takes longer are nobody's part, and part of the sum.
    let mut mixed = requests(|_, _| [20, 20]);
    let other =
        |number: i64| server(1, 0, "front POST", 0..200).trace(5_000 + number).later(3_600_000 + number * 1_000);
    mixed.extend((0..20).map(other));
    let analysis = analysed(&mixed, TWO_TEAMS);
    assert_sums(&analysis);
    let mix = analysis.teams.iter().find(|share| share.part == Part::TrafficMix).expect("the mix");
    // 60 requests of 55 ms before; 60 of 55 and 20 of 200 after: 91.25 in the mean.
    assert_close(mix.contribution.ms, 36.25);
}

#[test]
fn databases_and_queues_without_spans_have_owners_by_pattern() {
    let mut spans = Vec::new();
    for (window, query) in [(0, 10), (1, 40)] {
        for number in 0..N_REQUESTS {
            let request = [
                server(1, 0, "front GET", 0..30 + query),
                client(2, 1, "front SELECT", 5..5 + query).attribute("db.system.name", "postgresql"),
                client(3, 1, "front send", 10 + query..20 + query).attribute("messaging.system", "kafka"),
            ];
            let later = window * 3_600_000 + number * 1_000;
            spans.extend(request.map(|span| span.trace(1 + window * 1_000 + number).later(later)));
        }
    }
    let toml = "[[service]]\nmatch = \"postgres*\"\nteam = \"dba\"\ncontact = \"#dba\"\n\
                [[service]]\nmatch = \"kaf?a*\"\nteam = \"bus\"\n";
    let analysis = analysed(&spans, toml);
    let owner = |service: &str| {
        let service = analysis.services.iter().find(|own| own.service.starts_with(service)).expect("a service");
        assert!(service.is_inferred, "{service:?}");
        service.owner.clone().map(|owner| owner.team)
    };
    assert_eq!(owner("postgresql").as_deref(), Some("dba"));
    assert_close(team(&analysis, "dba").contribution.ms, 30.0);
    assert_eq!(analysis.suspects[0].owner.as_ref().and_then(|owner| owner.contact.as_deref()), Some("#dba"));
    let warnings = analysis.diagnostics.warnings.join("\n");
    assert!(!warnings.contains("matches no service"), "{warnings}");
}

#[test]
fn a_catalogue_names_systems_and_groups_by_reference() {
    let catalogue = "kind: System\nmetadata: {name: checkout}\nspec: {owner: 'group:default/payments'}\n---\n\
                     kind: API\nmetadata: {name: cart}\nspec: {owner: 'Group:payments'}\n---\n\
                     kind: Component\nmetadata: {name: stock}\nspec: {owner: 'user:default/jane'}\n---\n\
                     kind: Group\nmetadata: {name: payments}\nspec: {profile: {email: pay@example.org}}\n---\n\
                     kind: User\nmetadata: {name: jane}\nspec: {profile: {displayName: Jane}}\n";
    let owners = owners("catalog-info.yaml", catalogue);
    for (service, team, contact) in [
        ("checkout", "payments", "pay@example.org"),
        ("cart", "payments", "pay@example.org"),
        ("stock", "jane", "Jane"),
    ] {
        let (rule, person) = owners.of(service).expect("an owner");
        assert_eq!((rule.team.as_deref(), person.contact.as_deref()), (Some(team), Some(contact)), "{service}");
    }
    assert!(owners.of("payments").is_none() && owners.of("checkout-2").is_none());
}

#[test]
fn in_a_list_comments_say_nothing_and_the_last_match_wins_for_the_split() {
    let list =
        "# everything\n*        @org/platform   # catch all\n\n   # carts\ncart*    @org/carts\ncart     @org/shop\n";
    let owners = owners("CODEOWNERS", list);
    let team = |service: &str| owners.of(service).and_then(|(rule, _)| rule.team.clone());
    assert_eq!(team("cart").as_deref(), Some("shop"));
    assert_eq!(team("cart-eu").as_deref(), Some("carts"));
    assert_eq!(team("stock").as_deref(), Some("platform"));
}

/// The spans in a file, and windows of both hours.
fn folder(spans: &[Given]) -> (tempfile::TempDir, [String; 4]) {
    let folder = tempfile::tempdir().expect("a folder");
    canonical::write(&frame(spans), &folder.path().join("spans.parquet"), false).expect("a file");
    let windows = ["--baseline", "..+30m", "--regression", "+30m.."].map(ToOwned::to_owned);
    (folder, windows)
}

fn run(folder: &Path, arguments: &[&str], windows: &[String; 4]) -> Run {
    let windows: Vec<&str> = windows.iter().map(String::as_str).collect();
    run_in(folder, &[arguments, &windows].concat())
}

#[test]
fn teams_are_split_alike_with_any_number_of_threads() {
    let (folder, windows) =
        folder(&requests(|number, late| [20 + number % 5, 20 + if late { number % 7 + 9 } else { 0 }]));
    fs::write(folder.path().join("owners.toml"), TWO_TEAMS).expect("a file");
    let arguments = ["analyze", "spans.parquet", "--owners", "owners.toml", "--format", "json"];
    let texts = ["1", "2", "5"]
        .map(|threads| run(folder.path(), &[&arguments[..], &["--threads", threads]].concat(), &windows).complete());
    let document: Value = serde_json::from_str(&texts[0]).expect("JSON");
    assert!(document["teams"].as_array().is_some_and(|teams| teams.len() >= 3), "{}", document["teams"]);
    assert!(texts[0] == texts[1] && texts[1] == texts[2]);
}

#[test]
fn an_attribute_named_on_the_command_line_carries_the_team_and_the_first_of_several_counts() {
    let spans: Vec<Given> = requests(|_, late| [20, 20 + if late { 10 } else { 0 }])
        .into_iter()
        .map(|span| span.resource("squad", "blue").resource("team", "red"))
        .collect();
    let (folder, windows) = folder(&spans);
    let teams = |more: &[&str]| {
        let arguments = [&["analyze", "spans.parquet", "--format", "json"][..], more].concat();
        let document = run(folder.path(), &arguments, &windows).json();
        let named = document["teams"].as_array().into_iter().flatten().filter_map(|share| share["team"].as_str());
        named.map(ToOwned::to_owned).collect::<Vec<String>>()
    };
    assert_eq!(teams(&["--owner-attribute", "squad"]), ["blue"]);
    assert_eq!(teams(&["--owner-attribute", "team", "--owner-attribute", "squad"]), ["red"]);
    assert_eq!(teams(&["--owner-attribute", "nobody", "--owner-attribute", "squad"]), ["blue"]);
    assert!(teams(&["--owner-attribute", "nobody"]).is_empty());
}

#[test]
fn hostile_names_of_teams_are_harmless_in_every_rendering() {
    let long = "t".repeat(10_000);
    let names = [
        "</script><script>alert(1)</script>|`@all`",
        "\u{1b}[31mred\u{7}\u{202e}cod.exe",
        long.as_str(),
        "支払い".trim(),
    ];
    let spans = requests(|_, late| [20 + if late { 10 } else { 0 }, 20 + if late { 30 } else { 0 }]);
    let (folder, windows) = folder(&spans);
    for [first, second] in [[names[0], names[1]], [names[2], names[3]]] {
        let rule = |service: &str, team: &str| {
            let team = serde_json::to_string(team).expect("a string");
            format!("[[service]]\nmatch = \"{service}\"\nteam = {team}\ncontact = {team}\nrunbook = {team}\n")
        };
        fs::write(folder.path().join("owners.toml"), rule("cart", first) + &rule("stock", second)).expect("a file");
        let given = ["--owners", "owners.toml"];
        let documents = ["--html", "report.html", "--markdown", "report.md", "--json", "report.json"];
        let analyze = [&["analyze", "spans.parquet"][..], &given, &documents].concat();
        let gate = ["--junit", "gate.xml", "--sarif", "gate.sarif", "--markdown", "gate.md"];
        let gate = [&["gate", "spans.parquet", "--today", "2026-11-28"][..], &given, &gate].concat();
        for columns in ["40", "80", "160"] {
            let width: usize = columns.parse().expect("a number");
            for arguments in [&analyze, &gate] {
                let ran = run(folder.path(), &[&arguments[..], &["--width", columns]].concat(), &windows);
                assert!(matches!(ran.status, Some(0 | 1 | 3)), "{ran:?}");
                for line in ran.stdout.lines().chain(ran.stderr.lines()) {
                    assert!(suspect::report::text::width(line) <= width, "{line}");
                    assert_eq!(line, suspect::report::text::escape(line));
                }
            }
        }
        for name in ["report.html", "report.md", "gate.xml", "gate.sarif", "gate.md"] {
            let text = fs::read_to_string(folder.path().join(name)).expect("a file");
            // The page's library for graphs has U+0001 in strings of its own.
            let is_control = |c: char| (c.is_control() && !matches!(c, '\n' | '\t' | '\u{1}')) || c == '\u{202e}';
            assert!(!text.contains(is_control), "{name}");
            assert!(!text.contains("</script><script>alert(1)") || name.ends_with("sarif"), "{name}");
            assert!(text.len() < 2_000_000, "{name} has {} bytes", text.len());
        }
        let page = fs::read_to_string(folder.path().join("report.html")).expect("a file");
        let shown = if first.starts_with('<') { "&lt;/script&gt;" } else { second };
        assert!(page.contains(shown), "the page does not name the team");
    }
}

#[test]
fn what_is_no_teams_is_told_once_and_the_background_without_an_interval() {
    let mut spans = requests(|number, _| [20 + number % 3, 20]);
    // More requests of a kind that takes longer, and sweeps that nobody waits for, which take longer.
    let other =
        |number: i64| server(1, 0, "front POST", 0..200).trace(5_000 + number).later(3_600_000 + number * 1_000);
    spans.extend((0..20).map(other));
    let sweep = |number: i64, window: i64| {
        server(1, 9, "stock sweep", 0..10 + 40 * window).trace(7_000 + 100 * window + number)
    };
    let sweeps = (0..2).flat_map(|window| (0..60).map(move |number| (number, window)));
    spans.extend(sweeps.map(|(number, window)| sweep(number, window).later(3_600_000 * window + number * 1_000)));
    let analysis = analysed(&spans, TWO_TEAMS);
    assert_sums(&analysis);
    let behind = analysis.teams.iter().find(|share| share.part == Part::Background).expect("the background");
    assert!(behind.contribution.ms < 0.0, "{behind:?}");
    let text = suspect::report::analysis::text(&analysis, 120);
    let line = text.lines().find(|line| line.contains("background work, taken off")).expect("a line");
    assert!(!line.contains(" to "), "{line}");
    let html = suspect::report::html::page(&analysis, &suspect::report::html::Options::default());
    let table = html.split("table class=\"data teams\"").nth(1).and_then(|rest| rest.split("</table>").next());
    let table = table.expect("a table of teams");
    assert_eq!(table.matches("traffic mix").count(), 1, "{table}");
    assert_eq!(table.matches("other requests were made").count(), 0, "{table}");
}
