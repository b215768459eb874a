//! Whom to call: files of owners, attributes that carry a team, and the change split by team.

use crate::builder::{EPOCH_NS, Given, MS, client, frame, server};
use std::path::Path;
use suspect::analysis::{self, Analysis, OwnerOptions, Part};
use suspect::ingest::Ingested;
use suspect::owners::{EXAMPLE, Kind, Owners};
use suspect::window;

fn read(name: &str, text: &str) -> Result<Owners, String> {
    let mut owners = Owners::default();
    owners.add(Path::new(name), text).map_err(|error| error.to_string())?;
    Ok(owners)
}

fn team(owners: &Owners, service: &str) -> Option<String> {
    owners.of(service).and_then(|(rule, _)| rule.team.clone())
}

#[test]
fn in_toml_the_first_rule_that_matches_counts_and_a_team_lends_its_contact() {
    let owners = read("owners.toml", EXAMPLE).expect("the example");
    assert_eq!(team(&owners, "payment-db").as_deref(), Some("storage"));
    assert_eq!(team(&owners, "payment-api").as_deref(), Some("payments"));
    assert_eq!(team(&owners, "my-payment"), None);
    let (rule, person) = owners.of("checkout").expect("an owner");
    assert_eq!(rule.place, "owners.toml line 13");
    assert_eq!(person.contact.as_deref(), Some("#payments-oncall"));
    let (_, person) = owners.of("payment-db").expect("an owner");
    assert_eq!(person.contact.as_deref(), Some("pagerduty STORAGE-1"));
}

#[test]
fn faults_of_toml_are_told_with_file_line_and_the_right_keys() {
    let fault = read("o.toml", "[[service]]\nmatch = \"a\"\ntaem = \"b\"\n").expect_err("an unknown key");
    assert!(fault.contains("`o.toml`") && fault.contains("line 3"), "{fault}");
    assert!(fault.contains("taem") && fault.contains("`team`"), "{fault}");
    let fault = read("o.toml", "[[service]]\nmatch = \"a\"\nteam = \"\"\n").expect_err("no team");
    assert!(fault.contains("line 2: `team` is empty"), "{fault}");
    let fault = read("o.toml", "[[service]]\nmatch = 7\nteam = \"b\"\n").expect_err("a number");
    assert!(fault.contains("line 2"), "{fault}");
    let fault = read("o.toml", "[[service]]\nmatch = \"a[\"\nteam = \"b\"\n").expect_err("no glob");
    assert!(fault.contains("line 2") && fault.contains("`a[`"), "{fault}");
}

const CATALOGUE: &str = "\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: payment-api
  annotations:
    opentelemetry.io/service-name: payments.v2
  links:
    - {url: 'https://docs.example', title: Docs}
    - {url: 'https://run.example', title: Runbook}
spec: {type: service, owner: 'group:default/payments'}
---
kind: Resource
metadata: {name: orders-db}
spec: {owner: storage}
---
kind: Group
metadata:
  name: payments
  annotations: {pagerduty.com/service-id: P123}
spec: {type: team, profile: {displayName: Payments, email: pay@example.org}}
---
kind: Group
metadata: {name: storage}
spec: {profile: {email: storage@example.org}}
---
kind: Location
metadata: {name: all}
spec: {targets: ['./*.yaml']}
";

#[test]
fn a_catalogue_of_several_documents_tells_owner_contact_and_runbook() {
    let owners = read("catalog-info.yaml", CATALOGUE).expect("a catalogue");
    for name in ["payment-api", "payments.v2"] {
        let (rule, person) = owners.of(name).expect("an owner");
        assert_eq!(rule.team.as_deref(), Some("payments"));
        assert_eq!(person.contact.as_deref(), Some("pagerduty P123"));
        assert_eq!(person.runbook.as_deref(), Some("https://run.example"));
    }
    let (_, person) = owners.of("orders-db").expect("an owner");
    assert_eq!(person.contact.as_deref(), Some("storage@example.org"));
    assert_eq!(team(&owners, "all"), None);
}

#[test]
fn groups_of_one_name_in_two_namespaces_are_two_teams_and_services_go_by_any_case() {
    let catalogue = "\
kind: Component
metadata: {name: Front}
spec: {owner: 'group:default/team-a'}
---
kind: Component
metadata: {name: mid, namespace: other}
spec: {owner: team-a}
---
kind: Component
metadata: {name: leaf}
spec: {owner: other/team-b}
---
kind: Group
metadata: {name: team-a, namespace: other}
spec: {profile: {email: other-a@x.org}}
---
kind: Group
metadata: {name: Team-A}
spec: {profile: {email: default-a@x.org}}
";
    let owners = read("catalog.yaml", catalogue).expect("a catalogue");
    let of = |service: &str| {
        let (rule, person) = owners.of(service).expect("an owner");
        (rule.team.clone().unwrap_or_default(), person.contact.unwrap_or_default())
    };
    let pair = |team: &str, contact: &str| (team.to_owned(), contact.to_owned());
    assert_eq!(of("front"), pair("default/team-a", "default-a@x.org"));
    assert_eq!(of("MID"), pair("other/team-a", "other-a@x.org"));
    // Of a name that is there once, the namespace says nothing more.
    assert_eq!(of("leaf"), pair("team-b", ""));
}

#[test]
fn of_entities_of_one_name_the_component_tells_the_owner_in_whatever_order_they_stand() {
    let api = "kind: API\nmetadata: {name: cart}\nspec: {owner: api-guild}\n";
    let component = "kind: Component\nmetadata: {name: cart}\nspec: {owner: carts}\n";
    for text in [[api, component], [component, api]] {
        assert_eq!(team(&read("c.yaml", &text.join("---\n")).expect("a catalogue"), "cart").as_deref(), Some("carts"));
        let mut owners = Owners::default();
        for (name, text) in ["a.yaml", "b.yaml"].into_iter().zip(text) {
            owners.add(Path::new(name), text).expect("a catalogue");
        }
        assert_eq!(team(&owners, "cart").as_deref(), Some("carts"));
    }
    assert_eq!(team(&read("c.yaml", api).expect("a catalogue"), "cart").as_deref(), Some("api-guild"));
}

#[test]
fn hostile_yaml_is_an_error_with_its_line() {
    let wrong = read("c.yaml", "kind: Component\nmetadata:\n  name: [a\n").expect_err("no YAML");
    assert!(wrong.contains("`c.yaml`") && wrong.contains("line "), "{wrong}");
    let twice = read("c.yaml", "kind: Group\nmetadata: {name: a}\nspec:\n  a: 1\n  a: 2\n").expect_err("a key twice");
    assert!(twice.ends_with("line 5: duplicate mapping key: a"), "{twice}");
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, of) in ('b'..='i').zip('a'..) {
        let of = vec![format!("*{of}"); 9].join(", ");
        bomb.extend([format!("{name}: &{name} [{of}]\n")]);
    }
    let bomb = read("bomb.yaml", &format!("{bomb}kind: *i\n")).expect_err("too many aliases");
    assert!(bomb.contains("line "), "{bomb}");
    read("deep.yaml", &"[".repeat(100_000)).expect_err("too deep");
}

const ODD: &str = "\
kind: Component
metadata:
  name: users
  annotations:
  labels: ~
  links:
  tags: null
spec: {owner: 'Group:Default/People', profile: ~}
---
kind: Component
metadata:
  name: cart
  annotations: {opentelemetry.io/service-name: 0815, list: [a]}
  links: [{title: no url}, {url: 'https://run.example', title: Runbook}]
spec: {owner: people}
---
kind: Component
metadata: {name: [a]}
spec: {owner: people}
---
kind: Template
metadata: {name: t}
spec: {profile: x}
---
- a
---
kind: Component
metadata: {name: nobody}
spec: {owner: [a, b]}
---
kind: Group
metadata: {name: People}
spec: {profile: {email: people@example.org}}
";

#[test]
fn what_is_odd_in_a_catalogue_is_left_out_with_a_note_of_where_it_stands() {
    let owners = read("odd.yaml", ODD).expect("a catalogue");
    for name in ["users", "cart", "0815"] {
        assert_eq!(team(&owners, name).as_deref(), Some("people"), "{name}");
        let (_, person) = owners.of(name).expect("an owner");
        assert_eq!(person.contact.as_deref(), Some("people@example.org"));
    }
    assert_eq!(owners.of("cart").and_then(|(_, person)| person.runbook).as_deref(), Some("https://run.example"));
    assert_eq!(owners.rules.len(), 2);
    insta::assert_snapshot!(owners.notes.join("\n"), @r"
    `odd.yaml`: 1 document of another kind was skipped (Template)
    `odd.yaml`: document 2 (line 10): `metadata.annotations.list` is a list and was skipped, expected a text
    `odd.yaml`: document 2 (line 10): `metadata.links[0]` has no `url` and was skipped
    `odd.yaml`: document 3 (line 17) was skipped: `metadata.name` is no text, expected a text
    `odd.yaml`: document 5 (line 25) is a list and was skipped, expected an entity with `kind` and `metadata`
    `odd.yaml`: document 6 (line 27) was skipped: `spec.owner` is no text, expected a text such as `group:default/payments`
    `odd.yaml` was read as a Backstage catalogue: 2 rules
    ");
}

#[test]
fn in_codeowners_the_last_pattern_counts_and_one_without_owners_frees() {
    let list = "# all\n* @org/platform\nservices/payments/ @org/payments pay@example.org # why\n/services/cart/** @cart\n\
                web\\ shop @web\nservices/cart/\n[Data][2] @data\nstore-*\n";
    let owners = read("CODEOWNERS", list).expect("a list");
    assert_eq!(team(&owners, "payments").as_deref(), Some("payments"));
    let (_, person) = owners.of("payments").expect("an owner");
    assert_eq!(person.contact.as_deref(), Some("@org/payments, pay@example.org"));
    assert_eq!(team(&owners, "cart"), None);
    assert_eq!(team(&owners, "web shop").as_deref(), Some("web"));
    assert_eq!(team(&owners, "store-eu").as_deref(), Some("data"));
    assert_eq!(team(&owners, "other").as_deref(), Some("platform"));
    let fault = read("CODEOWNERS", "a @b\nc d\n").expect_err("no owner");
    assert!(fault.contains("line 2") && fault.contains("`d`"), "{fault}");
    read("CODEOWNERS", "!a @b\n").expect_err("a negation");
}

#[test]
fn the_kind_of_a_file_is_told_by_its_name_or_its_content() {
    for (name, text, kind) in [
        ("x.toml", "", Kind::Toml),
        ("x.yml", "", Kind::Backstage),
        (".github/CODEOWNERS", "[[service]]", Kind::Codeowners),
        ("x", "# a\n[[service]]\n", Kind::Toml),
        ("x", "---\nkind: Group", Kind::Backstage),
        ("x", "* @a", Kind::Codeowners),
    ] {
        assert_eq!(Kind::of(Path::new(name), text), kind, "{name} {text}");
    }
}

/// Requests of 100 ms at the front: the cart takes 20 ms, its store 10 ms; later `cart_ms` and `store_ms`.
fn requests(window: i64, cart_ms: i64, store_ms: i64) -> Vec<Given> {
    (0..60)
        .flat_map(|number: i64| {
            let jitter = number % 5;
            let end = 70 + cart_ms + store_ms + jitter;
            [
                server(1, 0, "front GET", 0..end),
                client(2, 1, "front call", 10..end - 10),
                server(3, 2, "cart GET", 10..end - 10).resource("team", if number % 10 == 0 { "old" } else { "shop" }),
                client(4, 3, "cart query", 15..15 + store_ms),
                server(5, 4, "store GET", 15..15 + store_ms).resource("team", "shop"),
            ]
            .map(|span| span.trace(1 + window * 1_000 + number).later(window * 3_600_000 + number * 1_000))
        })
        .collect()
}

fn analysed(options: OwnerOptions) -> Analysis {
    analysed_with(options, |span| span)
}

fn analysed_with(options: OwnerOptions, change: impl Fn(Given) -> Given) -> Analysis {
    let mut spans = requests(0, 20, 10);
    spans.extend(requests(1, 50, 30));
    let spans: Vec<Given> = spans.into_iter().map(change).collect();
    let prepared = analysis::prepare(None, Ingested { frame: frame(&spans), sources: Vec::new() });
    let minutes = |minutes: i64| EPOCH_NS + minutes * 60_000 * MS;
    let windows = window::Options {
        baseline: Some(format!("{}..{}", minutes(-1), minutes(30))),
        regression: Some(format!("{}..{}", minutes(59), minutes(90))),
    };
    let (windows, selection) = prepared.select(&windows).expect("windows");
    let options = analysis::Options { owners: options, ..analysis::Options::default() };
    analysis::analyze_with(&prepared, &windows, &selection, &options).expect("an analysis")
}

#[test]
fn teams_and_the_traffic_mix_sum_to_the_change_and_a_team_has_what_its_services_have() {
    let analysis = analysed(OwnerOptions::default());
    let shop = analysis.teams.iter().find(|share| share.team.as_deref() == Some("shop")).expect("a team");
    // The cart adds 30 ms of its own and its store 20.
    assert!((shop.contribution.ms - 50.0).abs() < 1e-6, "{shop:?}");
    assert_eq!(shop.services, ["cart", "store"]);
    assert!(shop.contribution.interval_ms[0] <= 50.0 && shop.contribution.interval_ms[1] >= 50.0);
    let sum: f64 = analysis.teams.iter().map(|share| share.contribution.ms).sum();
    assert!((sum - analysis.degradation.change_ms).abs() < 1e-9);
    assert!(analysis.teams.iter().any(|share| share.part == Part::TrafficMix));
    assert!(analysis.teams.iter().any(|share| share.part == Part::Services && share.team.is_none()));
    assert!(analysis.suspects.iter().all(|suspect| suspect.owner.is_some() || suspect.service == "front"));
    let warnings = analysis.diagnostics.warnings.join("\n");
    assert!(warnings.contains("`cart` name 2 owners in `team`; `shop`, which 108 of 120 name"), "{warnings}");
}

#[test]
fn files_count_before_attributes_and_rules_without_a_service_are_told_with_near_names() {
    let toml = "[[service]]\nmatch = \"store\"\nteam = \"dba\"\ncontact = \"\\u001b[31m\"\n[[service]]\nmatch = \"crat\"\nteam = \"x\"\n";
    let files = read("o.toml", toml).expect("owners");
    let analysis = analysed(OwnerOptions { files, ..OwnerOptions::default() });
    let warnings = analysis.diagnostics.warnings.join("\n");
    assert!(warnings.contains("`store` is owned by `dba` by o.toml line 2 and by `shop`"), "{warnings}");
    assert!(warnings.contains("`crat` of o.toml line 6 matches no service; near it are `cart`"), "{warnings}");
    let text = suspect::report::analysis::text(&analysis, suspect::report::WIDTH);
    assert!(text.contains("By team") && text.contains("call"), "{text}");
    assert!(!text.contains("\u{1b}[31m,") && text.contains("\\u{1b}[31m"), "{text}");
}

#[test]
fn a_team_is_one_however_files_and_attributes_write_it() {
    let catalogue = "kind: Component\nmetadata: {name: front}\nspec: {owner: 'group:default/Payments'}\n";
    for (named, spelled) in
        [("@org/Payments", "Payments"), ("group:default/payments", "payments"), ("Payments", "Payments")]
    {
        let files = read("catalog.yaml", catalogue).expect("a catalogue");
        let options = OwnerOptions { files, attributes: vec!["squad".to_owned()] };
        let analysis = analysed_with(options, |span| span.resource("squad", named));
        let teams: Vec<&str> = analysis.teams.iter().filter_map(|share| share.team.as_deref()).collect();
        assert_eq!(teams, [spelled], "{named}");
        assert!(!analysis.diagnostics.warnings.iter().any(|text| text.contains("is owned by")), "{named}");
    }
    // A plain name is what it is, and so is a group of another namespace.
    for (named, spelled) in [("eu/ops", "eu/ops"), ("group:eu/ops", "eu/ops"), ("user:default/jane", "jane")] {
        let options = OwnerOptions { attributes: vec!["squad".to_owned()], ..OwnerOptions::default() };
        let analysis = analysed_with(options, |span| span.resource("squad", named));
        assert!(analysis.teams.iter().any(|share| share.team.as_deref() == Some(spelled)), "{named}");
    }
}

#[test]
fn an_attribute_that_is_to_carry_teams_and_that_no_span_has_is_told_with_those_near() {
    let analysis = analysed(OwnerOptions { attributes: vec!["teem".to_owned()], ..OwnerOptions::default() });
    let told = "no span has a resource attribute `teem`, so it names no owner; near it are `team`";
    assert!(analysis.diagnostics.warnings.iter().any(|text| text == told), "{:?}", analysis.diagnostics.warnings);
}
