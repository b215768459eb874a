//! Charts as plain SVG that keeps its text at the size of the page's: positions along an axis are percent of the chart's
//! width, and only the curves inside are stretched.

use maud::{Markup, html};
use std::fmt::Write as _;

/// Width of the stretched inner coordinates.
pub(super) const INNER: f64 = 1_000.0;

/// A percent position with two digits.
pub(super) fn at(share: f64) -> String {
    let share = if share.is_finite() { share.clamp(-0.5, 1.5) } else { 0.0 };
    format!("{:.2}%", 100.0 * share)
}

/// A coordinate with one digit.
pub(super) fn xy(value: f64) -> String {
    let value = if value.is_finite() { value } else { 0.0 };
    format!("{:.1}", value + 0.0)
}

/// A path through points, broken where one is missing; a point between gaps is a level line of a `width`.
pub(super) fn line(points: impl Iterator<Item = Option<(f64, f64)>>, width: f64) -> String {
    let points: Vec<Option<(f64, f64)>> = points.collect();
    let mut path = String::new();
    for stretch in points.split(Option::is_none) {
        let known: Vec<(f64, f64)> = stretch.iter().copied().flatten().collect();
        // Writing to a string does not fail.
        if let [(x, y)] = known[..] {
            let _ = write!(path, "M{} {}h{}", xy(x - width / 2.0), xy(y), xy(width));
            continue;
        }
        for (pen, (x, y)) in std::iter::once('M').chain(std::iter::repeat('L')).zip(known) {
            let _ = write!(path, "{pen}{} {}", xy(x), xy(y));
        }
    }
    path
}

/// The area of steps under `heights`, from 0 to [`INNER`].
pub(super) fn steps(heights: &[f64], height: f64) -> String {
    let width = INNER / heights.len().max(1) as f64;
    let mut path = format!("M0 {}", xy(height));
    for (index, value) in heights.iter().enumerate() {
        let y = xy(height * (1.0 - value.clamp(0.0, 1.0)));
        let _ = write!(path, "V{y}H{}", xy(width * (index + 1) as f64));
    }
    let _ = write!(path, "V{}Z", xy(height));
    path
}

/// An inner drawing stretched over the chart from `y`, `height` high.
pub(super) fn stretched(y: f64, height: f64, content: &Markup) -> Markup {
    html! {
        svg x="0" y=(xy(y)) width="100%" height=(xy(height)) viewBox={ "0 0 " (INNER) " " (xy(height)) }
            preserveAspectRatio="none" { (content) }
    }
}

/// Round values from 0 (or below) to at least `largest`, 2 to 4 steps.
pub(super) fn ticks(largest: f64) -> Vec<f64> {
    if !(largest.is_finite() && largest > 0.0) {
        return vec![0.0, 1.0];
    }
    let rough = largest / 3.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * power);
    let mut ticks = vec![0.0];
    while ticks.last().is_some_and(|last| *last < largest * 0.999) && ticks.len() < 8 {
        ticks.push(step * ticks.len() as f64);
    }
    ticks
}
