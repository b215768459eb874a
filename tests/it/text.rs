//! Text on a terminal: safe, and as wide as it says.

use proptest::prelude::*;
use suspect::report::text::{bar, call, count, escape, fit, left, percent, right, sparkline, width, wrap};

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
fn a_long_name_is_cut_at_a_width_and_not_at_a_number_of_bytes() {
    assert_eq!(fit("checkout", 8), "checkout");
    assert_eq!(fit("checkout", 5), "chec…");
    assert_eq!(fit("支払い", 6), "支払い");
    assert_eq!(fit("支払い", 5), "支払…");
    assert_eq!(fit("支払い", 4), "支…");
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
    assert_eq!(wrap("unbreakable", 4), ["unbreakable"]);
    assert_eq!(wrap("", 4), [""]);
}

#[test]
fn of_a_call_that_does_not_fit_the_start_of_the_caller_and_the_end_of_the_callee_stay() {
    assert_eq!(call("a: GET", "b: GET", 20), "a: GET > b: GET");
    // 20 less the arrow leave 17: 8 for the caller, 9 for the callee.
    assert_eq!(call("frontend: Recv", "cart: shop.Cart/GetCart", 20), "fronten… > …/GetCart");
    // A short end leaves its room to the other.
    assert_eq!(call("frontend: Recv", "db: Q", 20), "frontend: R… > db: Q");
    assert_eq!(call("a: R", "cart: shop.Cart/GetCart", 20), "a: R > …Cart/GetCart");
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
    fn a_call_is_never_wider_than_its_column(caller in ".{0,30}", callee in ".{0,30}", columns in 3_usize..40) {
        let call = call(&caller, &callee, columns);
        prop_assert!(width(&call) <= columns, "{call:?}");
        prop_assert!(!call.chars().any(char::is_control));
    }
}
