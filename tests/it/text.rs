//! Text on a terminal: safe, and as wide as it says.

use proptest::prelude::*;
use suspect::report::text::{
    bar, call, count, escape, fit, left, lines_within, percent, residual, right, shown_width, sparkline, stretch,
    width, wrap,
};

#[test]
fn what_a_terminal_would_obey_is_spelled_out() {
    assert_eq!(escape("GET /cart"), "GET /cart");
    assert_eq!(escape("\u{1b}[31mred\u{1b}[0m"), "\\u{1b}[31mred\\u{1b}[0m");
    assert_eq!(escape("a\nb\tc\rd\0"), "a\\nb\\tc\\rd\\u{0}");
    assert_eq!(escape("\u{9b}31m"), "\\u{9b}31m");
    assert_eq!(escape("user\u{202e}txt.exe"), "user\\u{202e}txt.exe");
    assert_eq!(escape("\u{2066}x\u{2069}\u{200b}\u{feff}"), "\\u{2066}x\\u{2069}\\u{200b}\\u{feff}");
    assert_eq!(escape("größe 支払い 👍"), "größe 支払い 👍");
}

#[test]
fn a_long_name_is_shortened_in_its_middle_to_a_width_and_not_to_a_number_of_bytes() {
    assert_eq!(fit("checkout", 8), "checkout");
    assert_eq!(fit("checkout", 5), "ch…ut");
    assert_eq!(fit("checkout", 6), "che…ut");
    assert_eq!(fit("支払い", 6), "支払い");
    assert_eq!(fit("支払い", 5), "支…い");
    assert_eq!(fit("支払い", 4), "支…");
    // What is drawn over a character goes with it.
    assert_eq!(fit("abcde\u{301}f", 4), "ab…f");
    assert_eq!(fit("abcde\u{301}f", 5), "ab…e\u{301}f");
    assert_eq!(fit("ab", 1), "…");
    assert_eq!(fit("ab", 0), "");
    assert_eq!(left("ab", 4), "ab  ");
    assert_eq!(right("支", 4), "  支");
}

#[test]
fn numbers_are_written_for_people() {
    assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    let ratios = [0.0, 0.000_01, 0.000_3, 0.012, 0.0996, 0.37, 0.994, 0.9999, 1.0, 2.5, -0.05, f64::NAN];
    let texts = ["0 %", "<0.01 %", "0.03 %", "1.2 %", "10 %", "37 %", "99 %", ">99 %", "100 %", "250 %", "-5.0 %", "-"];
    assert_eq!(ratios.map(percent), texts);
}

#[test]
fn bars_and_sparklines_show_small_values_and_gaps() {
    assert_eq!(bar(0.5, 4), "██");
    assert_eq!(bar(1.0, 3), "███");
    assert_eq!(bar(0.000_1, 8), "▏");
    assert_eq!(bar(0.0, 8), "");
    assert_eq!(bar(f64::NAN, 8), "");
    assert_eq!(bar(7.0, 2), "██");
    assert_eq!(sparkline(&[0, 1, 4, 8]), "·▁▄█");
    assert_eq!(sparkline(&[0, 0]), "··");
    assert_eq!(sparkline(&[u64::MAX, 1]), "█▁");
}

#[test]
fn long_text_is_broken_at_blanks() {
    assert_eq!(wrap("one two three", 7), ["one two", "three"]);
    assert_eq!(wrap("", 4), [""]);
    // A number keeps its unit.
    assert_eq!(wrap("it takes 12 ms, or 3 % more", 11), ["it takes", "12 ms, or", "3 % more"]);
}

#[test]
fn words_that_are_wider_than_a_line_go_on_in_the_next_and_lose_their_middle_only_beyond_all_measure() {
    assert_eq!(wrap("an unbreakable word", 4), ["an", "unbr", "eaka", "ble", "word"]);
    assert_eq!(wrap("支払い", 5), ["支払", "い"]);
    // Where a name has a joint, it is broken there.
    assert_eq!(wrap("/products/reviews", 12), ["/products/", "reviews"]);
    assert_eq!(wrap("12345678 ms", 5), ["12345", "678", "ms"]);
    let whole = "ab".repeat(100);
    assert_eq!(wrap(&whole, 40).concat(), whole);
    let longer = wrap(&format!("{}z", "ab".repeat(5_000)), 40).concat();
    assert_eq!(width(&longer), 200);
    assert!(longer.starts_with("abab") && longer.contains('…') && longer.ends_with("abz"), "{longer}");
}

#[test]
fn a_drawing_takes_the_room_there_is_and_keeps_its_peaks() {
    assert_eq!(stretch(&[1, 5, 2, 3], 4), [1, 5, 2, 3]);
    assert_eq!(stretch(&[1, 5, 2, 3], 2), [5, 3]);
    assert_eq!(stretch(&[1, 5], 5), [1, 1, 1, 5, 5]);
    assert_eq!(stretch(&[1, 2, 9], 2), [1, 9]);
    assert!(stretch::<u64>(&[], 5).is_empty() && stretch(&[1_u64], 0).is_empty());
}

#[test]
fn lines_are_broken_with_their_styles_and_what_goes_on_is_set_in() {
    let text = "\u{1b}[31mred:\u{1b}[0m one two three\n    four five six\n";
    assert_eq!(shown_width("\u{1b}[31mred:\u{1b}[0m one"), 8);
    assert_eq!(lines_within(text, 100), text);
    let long = format!("\u{1b}[31mred:\u{1b}[0m {}\n", "word ".repeat(12).trim());
    let broken = lines_within(&long, 40);
    let first = "\u{1b}[31mred:\u{1b}[0m word word word word word word word";
    assert_eq!(broken, format!("{first}\n  word word word word word\n"));
}

#[test]
fn a_blank_that_does_not_break_is_not_lost_where_a_line_is_broken() {
    // What proptest found once.
    assert_eq!(wrap("\u{a0}\u{200b}", 2).concat(), "\u{a0}\\u{200b}");
}

#[test]
fn of_a_call_that_does_not_fit_both_ends_of_caller_and_callee_stay() {
    assert_eq!(call("a: GET", "b: GET", 20), "a: GET > b: GET");
    // 20 less the arrow leave 17: 8 for the caller, 9 for the callee.
    assert_eq!(call("frontend: Recv", "cart: shop.Cart/GetCart", 20), "fron…ecv > cart…Cart");
    // A short end leaves its room to the other.
    assert_eq!(call("frontend: Recv", "db: Q", 20), "fronte… Recv > db: Q");
    assert_eq!(call("a: R", "cart: shop.Cart/GetCart", 20), "a: R > cart: …etCart");
}

proptest! {
    #[test]
    fn fitted_text_is_never_wider_than_its_column_and_never_holds_a_control(text in ".{0,40}", columns in 0_usize..30) {
        let fitted = fit(&text, columns);
        prop_assert!(width(&fitted) <= columns);
        prop_assert!(!fitted.chars().any(char::is_control));
        prop_assert_eq!(width(&left(&text, columns)), columns);
    }

    #[test]
    fn wrapped_text_is_never_wider_than_its_lines_and_loses_no_character(text in ".{0,20}", columns in 2_usize..30) {
        let lines = wrap(&text, columns);
        prop_assert!(lines.iter().all(|line| width(line) <= columns), "{lines:?}");
        let letters = |text: &str| text.chars().filter(|&c| c != ' ').collect::<String>();
        prop_assert_eq!(letters(&lines.concat()), letters(&escape(&text)));
    }

    #[test]
    fn a_call_is_never_wider_than_its_column(caller in ".{0,30}", callee in ".{0,30}", columns in 3_usize..40) {
        let call = call(&caller, &callee, columns);
        prop_assert!(width(&call) <= columns, "{call:?}");
        prop_assert!(!call.chars().any(char::is_control));
    }
}

#[test]
fn a_sum_that_leaves_nothing_says_so() {
    assert_eq!(residual(0.0), "nothing");
    // What rounding leaves is nothing, what more leaves is not.
    assert_eq!(residual(-2.14e-14), "nothing");
    assert_eq!(residual(-2.14e-8), "2.1e-8 ms");
}
