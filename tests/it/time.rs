//! Moments, windows and durations, from friendly and hostile text.

use proptest::prelude::*;
use suspect::error::Error;
use suspect::time::{TimeRange, format_bound, format_ns, format_rfc3339, parse_bound, parse_window};

const S: i64 = 1_000_000_000;
const MIN: i64 = 60 * S;
const HOUR: i64 = 60 * MIN;
const DAY: i64 = 24 * HOUR;
/// 2024-05-01T00:00:00Z
const MAY: i64 = 1_714_521_600 * S;

/// 14:00 to 15:00 on the first of May.
const AFTERNOON: TimeRange = TimeRange { start_unix_ns: MAY + 14 * HOUR, end_unix_ns: MAY + 15 * HOUR };
/// 23:30 on the first to 00:30 on the second of May.
const MIDNIGHT: TimeRange =
    TimeRange { start_unix_ns: MAY + 23 * HOUR + 30 * MIN, end_unix_ns: MAY + 24 * HOUR + 30 * MIN };

fn bound(text: &str) -> i64 {
    bound_in(text, AFTERNOON)
}

fn bound_in(text: &str, data: TimeRange) -> i64 {
    parse_bound(text, data).unwrap_or_else(|error| panic!("`{text}`: {error}"))
}

#[test]
fn rfc_3339_is_read_with_and_without_zone_time_and_seconds() {
    let noon = MAY + 12 * HOUR;
    for text in [
        "2024-05-01T12:00:00Z",
        "2024-05-01T12:00:00.000000000Z",
        "2024-05-01t12:00:00z",
        "2024-05-01 12:00:00Z",
        "2024-05-01T14:00:00+02:00",
        "2024-05-01T06:30:00-05:30",
        "2024-05-01T12:00:00",
        "2024-05-01T12:00",
        "2024-05-01 12:00",
        " 2024-05-01T12:00:00Z ",
    ] {
        assert_eq!(bound(text), noon, "`{text}`");
    }
    assert_eq!(bound("2024-05-01"), MAY);
    assert_eq!(bound("2024-05-01T12:00:00.123456789Z"), noon + 123_456_789);
}

#[test]
fn an_epoch_is_seconds_milliseconds_microseconds_or_nanoseconds_by_its_size() {
    assert_eq!(bound("1714521600"), MAY);
    assert_eq!(bound("1714521600000"), MAY);
    assert_eq!(bound("1714521600000000"), MAY);
    assert_eq!(bound("1714521600000000001"), MAY + 1, "nanoseconds are exact beyond 2^53");
    assert_eq!(bound("1714521600.25"), MAY + S / 4);
    assert_eq!(bound("1714521600.000000001"), MAY + 1);
    assert_eq!(bound("0"), 0);
}

#[test]
fn a_clock_time_is_on_the_day_of_the_data() {
    assert_eq!(bound("14:05"), MAY + 14 * HOUR + 5 * MIN);
    assert_eq!(bound("14:05:30"), MAY + 14 * HOUR + 5 * MIN + 30 * S);
    assert_eq!(bound("14:05:30.250"), MAY + 14 * HOUR + 5 * MIN + 30 * S + S / 4);
    assert_eq!(bound("14:05Z"), MAY + 14 * HOUR + 5 * MIN);
    assert_eq!(bound("9:05"), MAY + 9 * HOUR + 5 * MIN, "outside the data it is on the first day");
}

#[test]
fn a_clock_time_after_midnight_is_on_the_second_day_if_the_data_reach_it() {
    assert_eq!(bound_in("23:45", MIDNIGHT), MAY + 23 * HOUR + 45 * MIN);
    assert_eq!(bound_in("00:15", MIDNIGHT), MAY + DAY + 15 * MIN);
    assert_eq!(bound_in("00:30", MIDNIGHT), MAY + DAY + 30 * MIN, "the end itself is a useful bound");
    assert_eq!(bound_in("00:45", MIDNIGHT), MAY + 45 * MIN, "on neither day among the data");
}

#[test]
fn a_clock_time_works_before_1970() {
    let data = TimeRange { start_unix_ns: -HOUR, end_unix_ns: HOUR };
    assert_eq!(bound_in("23:30", data), -30 * MIN);
    assert_eq!(bound_in("00:30", data), 30 * MIN);
}

#[test]
fn an_offset_counts_from_the_start_or_from_the_end() {
    let (start, end) = (AFTERNOON.start_unix_ns, AFTERNOON.end_unix_ns);
    assert_eq!(bound("+10m"), start + 10 * MIN);
    assert_eq!(bound("-30m"), end - 30 * MIN);
    assert_eq!(bound("−30m"), end - 30 * MIN, "a typographer's minus");
    assert_eq!(bound("+1h30m"), start + 90 * MIN);
    assert_eq!(bound("+90s"), start + 90 * S);
    assert_eq!(bound("-1500ms"), end - 3 * S / 2);
    assert_eq!(bound("+1.5h"), start + 90 * MIN);
    assert_eq!(bound("+2d"), start + 2 * DAY);
    assert_eq!(bound("+5min"), start + 5 * MIN);
    assert_eq!(bound("+7us"), start + 7_000);
    assert_eq!(bound("+7µs3ns"), start + 7_003);
    assert_eq!(bound("+0s"), start);
}

#[test]
fn text_that_is_no_moment_is_refused_with_examples() {
    for text in [
        "",
        ".",
        "+",
        "-",
        "+m",
        "+10",
        "-30",
        "+10x",
        "+1h30",
        "+-5m",
        "++5m",
        "10m",
        "1.2.3",
        "1.",
        ".5",
        "24:00",
        "14:60",
        "14:05:60",
        "14:5",
        "14:05:",
        "14:05:30.",
        ":05",
        "14:",
        "140:05",
        "noon",
        "2024-13-01",
        "2024-02-30",
        "1e9",
        "0x10",
        "٣",
        "+٣m",
        "14:٣٥",
        "\0",
        "\u{1b}[31m",
        "🕒",
        "+1h\u{0}",
        "1714521600Z",
        "+5m ago",
    ] {
        match parse_bound(text, AFTERNOON) {
            Err(Error::Usage { hint, .. }) => assert!(hint.contains("14:05"), "{hint}"),
            other => panic!("`{text}` gave {other:?}"),
        }
    }
}

#[test]
fn moments_beyond_64_bit_nanoseconds_are_refused() {
    for text in [
        "9998-12-31T23:59:59Z",
        "0001-01-01",
        "99999999999",
        "99999999999999999999",
        "+99999999999999999999d",
        "-300000d",
        "+200000d",
    ] {
        let error = parse_bound(text, AFTERNOON).expect_err(text);
        assert!(error.to_string().contains("does not fit"), "`{text}`: {error}");
    }
    let number = "9".repeat(21);
    assert!(parse_bound(&number, AFTERNOON).is_err());
    assert!(parse_bound(&format!("+{}", "99999999999999999999d".repeat(2_000)), AFTERNOON).is_err());
}

#[test]
fn extreme_data_do_not_overflow() {
    let data = TimeRange { start_unix_ns: i64::MIN, end_unix_ns: i64::MAX };
    assert!(parse_bound("14:05", data).is_ok());
    assert!(parse_bound("-1ns", data).is_ok());
    assert!(parse_bound("+1ns", TimeRange { start_unix_ns: i64::MAX, end_unix_ns: i64::MAX }).is_err());
    assert!(parse_window("23:00..01:00", data).is_ok());
    assert_eq!(data.duration_ns(), i64::MAX);
    assert_eq!(TimeRange::covering([(i64::MAX - 1, 5)]).map(|range| range.end_unix_ns), Some(i64::MAX));
}

#[test]
fn a_window_is_two_bounds_and_an_empty_bound_is_the_end_of_the_data() {
    let window = |text| parse_window(text, AFTERNOON).unwrap_or_else(|error| panic!("`{text}`: {error}"));
    assert_eq!(window(".."), AFTERNOON);
    assert_eq!(window("..+10m").start_unix_ns, AFTERNOON.start_unix_ns);
    assert_eq!(window("..+10m").end_unix_ns, AFTERNOON.start_unix_ns + 10 * MIN);
    assert_eq!(window("-10m..").start_unix_ns, AFTERNOON.end_unix_ns - 10 * MIN);
    assert_eq!(window("-10m..").end_unix_ns, AFTERNOON.end_unix_ns);
    assert_eq!(window("14:05 .. 14:20").duration_ns(), 15 * MIN);
    assert_eq!(window("1714572300.5..+1h").start_unix_ns, 1_714_572_300 * S + S / 2);
}

#[test]
fn a_window_of_clock_times_may_run_over_midnight() {
    let window = parse_window("23:45..00:15", MIDNIGHT).expect("a window");
    assert_eq!(window.duration_ns(), 30 * MIN);
    let two_days = TimeRange { start_unix_ns: MAY, end_unix_ns: MAY + 2 * DAY };
    let window = parse_window("23:00..01:00", two_days).expect("a window");
    assert_eq!(window, TimeRange { start_unix_ns: MAY + 23 * HOUR, end_unix_ns: MAY + 25 * HOUR });
}

#[test]
fn text_that_is_no_window_is_refused_with_examples() {
    for text in ["", "14:05", "14:05-14:20", "14:05...14:20", "a..b..c", "14:05..nope", "nope..14:05"] {
        assert!(matches!(parse_window(text, AFTERNOON), Err(Error::Usage { .. })), "`{text}`");
    }
}

#[test]
fn durations_for_people_have_three_digits_or_two_units() {
    for (ns, text) in [
        (0, "0 ns"),
        (1, "1 ns"),
        (999, "999 ns"),
        (1_000, "1.00 µs"),
        (412_000, "412 µs"),
        (999_499, "999 µs"),
        (999_500, "1.00 ms"),
        (9_994_999, "9.99 ms"),
        (9_995_000, "10.0 ms"),
        (38_200_000, "38.2 ms"),
        (99_950_000, "100 ms"),
        (1_240_000_000, "1.24 s"),
        (61_200_000_000, "61.2 s"),
        (119_400_000_000, "119 s"),
        (119_500_000_000, "2 min"),
        (125 * S, "2 min 5 s"),
        (HOUR - 1, "1 h"),
        (3 * HOUR + 10 * MIN, "3 h 10 min"),
        (2 * DAY + 4 * HOUR, "2 d 4 h"),
        (-38_200_000, "-38.2 ms"),
        (i64::MAX, "106751 d 23 h"),
        (i64::MIN, "-106751 d 23 h"),
    ] {
        assert_eq!(format_ns(ns), text);
    }
}

#[test]
fn moments_are_written_in_utc_with_the_decimals_they_need() {
    assert_eq!(format_rfc3339(MAY), "2024-05-01T00:00:00Z");
    assert_eq!(format_rfc3339(MAY + S / 4), "2024-05-01T00:00:00.25Z");
    assert_eq!(format_rfc3339(MAY + 1), "2024-05-01T00:00:00.000000001Z");
    assert_eq!(format_rfc3339(i64::MIN), "1677-09-21T00:12:43.145224192Z");
    assert_eq!(format_rfc3339(i64::MAX), "2262-04-11T23:47:16.854775807Z");
}

#[test]
fn a_bound_is_written_as_a_clock_time_where_that_is_enough() {
    assert_eq!(format_bound(MAY + 14 * HOUR + 5 * MIN, AFTERNOON), "14:05:00");
    assert_eq!(format_bound(MAY + DAY + 15 * MIN, MIDNIGHT), "00:15:00");
    assert_eq!(format_bound(MAY + 3 * DAY, AFTERNOON), "2024-05-04T00:00:00Z");
}

proptest! {
    #[test]
    fn a_written_bound_is_read_as_the_same_moment(moment: i64, start: i64, end: i64) {
        let data = TimeRange { start_unix_ns: start.min(end), end_unix_ns: start.max(end) };
        prop_assert_eq!(parse_bound(&format_bound(moment, data), data).ok(), Some(moment));
        prop_assert_eq!(parse_bound(&format_rfc3339(moment), data).ok(), Some(moment));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,30}", hostile in "[-+0-9.:TZdhmsunµ ]{0,40}", start: i64, end: i64) {
        let data = TimeRange { start_unix_ns: start, end_unix_ns: end };
        for text in [text, hostile] {
            let _ = parse_bound(&text, data);
            let _ = parse_window(&text, data);
            let _ = parse_window(&format!("{text}..{text}"), data);
        }
    }

    #[test]
    fn no_duration_is_wider_than_its_column(ns: i64) {
        prop_assert!(format_ns(ns).chars().count() <= 14);
    }
}
