//! Lists of changes as people write them: JSON on whatever lines, and tables; what is none is told by file and line.

use crate::builder::EPOCH_NS;
use std::path::Path;
use suspect::analysis::ChangeList;

#[test]
fn lists_are_read_as_json_lines_and_csv_and_their_faults_are_told_by_file_and_line() {
    let mut list = ChangeList::default();
    let json = "{\"time\":\"2023-11-14T22:13:20Z\",\"service\":\"cart\",\"kind\":\"deploy\",\"title\":\"v2\",\"url\":\"https://x\",\"more\":[1]}\n\n\
        {\"timestamp\":1700000000000,\"name\":\"flag on\"}\n{\"time\":\"+10m\"}\n{\"service\":\"a\"}\n{broken\n";
    list.add(Path::new("a.jsonl"), json);
    let csv = "When,Component,Type,Summary,Link\n2023-11-14 22:13:20,cart,config,\"pool, smaller\",\n14:05,x,y,z,\n1700000000,cart,,,\n";
    list.add(Path::new("b.csv"), csv);
    let told: Vec<(i64, Option<&str>, &str, &str)> = list
        .events
        .iter()
        .map(|event| (event.time_unix_ns, event.service.as_deref(), event.kind.as_str(), event.title.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (EPOCH_NS, Some("cart"), "deploy", "v2"),
            (EPOCH_NS, None, "change", "flag on"),
            (EPOCH_NS, Some("cart"), "config", "pool, smaller"),
            (EPOCH_NS, Some("cart"), "change", ""),
        ]
    );
    assert_eq!(list.events[0].url.as_deref(), Some("https://x"));
    assert_eq!(list.n_skipped, 4);
    assert!(list.faults[0].starts_with("`a.jsonl`: line 4 is no change: its time `+10m` is none"), "{:?}", list.faults);
    assert!(list.faults[1].starts_with("`a.jsonl`: line 5 is no change: it has no `time`"), "{:?}", list.faults);
    assert!(list.faults[2].ends_with("line 6 is no change: key must be a string at column 2"), "{:?}", list.faults);
    assert!(list.faults[3].starts_with("`b.csv`: line 3 is no change: its time `14:05` is none"), "{:?}", list.faults);
}

#[test]
fn a_change_of_a_list_of_services_is_a_fault_and_not_one_of_none() {
    let mut list = ChangeList::default();
    list.add(Path::new("a.jsonl"), "{\"time\":1700000000,\"service\":[\"cart\",\"tax\"]}\n");
    assert!(list.events.is_empty(), "{:?}", list.events);
    let told = "`a.jsonl`: line 1 is no change: its `service` is a list, expected one text (of several services, write a line each)";
    assert_eq!(list.faults, [told]);
}

#[test]
fn lists_are_read_as_json_lists_and_as_tables_parted_by_semicolons_or_tabs_too() {
    let mut list = ChangeList::default();
    list.add(Path::new("a.json"), "[{\"time\":1700000000,\"service\":\"cart\"},\n {\"service\":\"tax\"}]\n");
    list.add(Path::new("b.csv"), "\u{feff}time;service;title\n1700000000;cart;v2, with a comma\n");
    list.add(Path::new("c.csv"), "time\tservice\n1700000000\tcart\n");
    let services: Vec<Option<&str>> = list.events.iter().map(|event| event.service.as_deref()).collect();
    assert_eq!(services, [Some("cart"); 3]);
    assert_eq!(list.events[1].title, "v2, with a comma");
    assert_eq!(list.faults, ["`a.json`: element 2 is no change: it has no `time`"]);
}

#[test]
fn lists_of_json_are_read_on_any_lines_within_an_object_and_with_keys_in_any_case() {
    let mut list = ChangeList::default();
    list.add(Path::new("a.json"), "{\n \"time\": 1700000000,\n \"service\": \" cart \"\n}\n{\"time\": null, \"At\": 1700000000, \"Service\": \"cart\"}\n");
    list.add(
        Path::new("b.json"),
        "{\"changes\": [\n {\"time\": 1700000000, \"service\": \"cart\"}, {\"service\": \"tax\"}], \"next\": null}",
    );
    list.add(Path::new("c.csv"), "time,at,service\n,1700000000,cart\n");
    list.add(Path::new("d.json"), "{\n \"time\": 1700000000,\n \"service\": \"cart\",\n}\n");
    list.add(Path::new("e.json"), "{\n \"time\": \"20250615\",\n \"service\": \"cart\"\n}");
    let told: Vec<(&str, Option<&str>)> =
        list.events.iter().map(|event| (event.source.as_str(), event.service.as_deref())).collect();
    assert_eq!(told, ["a.json", "a.json", "b.json", "c.csv"].map(|file| (file, Some("cart"))));
    let faults = [
        "`b.json`: element 2 is no change: it has no `time`",
        "`d.json`: line 4 is no change: trailing comma at line 4 column 1",
        "`e.json`: line 1 is no change: its time `20250615` is none, expected RFC 3339 or seconds, ms, us or ns since 1970",
    ];
    assert_eq!(list.faults, faults);
}
