//! Units that neither the user nor the table names, asked of the first rows; every answer is a note in the report.

use super::cell::Cell;
use super::dialect::Field;
use super::roles::Mapping;
use super::unit::{self, Unit};

/// Rows looked at: enough that one odd row decides nothing.
pub(super) const SAMPLE_ROWS: usize = 100;

/// Decides the units still open from `n_rows` rows of `cell(row, column)`.
pub(super) fn settle<'a>(mapping: &mut Mapping, n_rows: usize, cell: impl Fn(usize, usize) -> Cell<'a>) {
    let sample = |column: usize| (0..n_rows.min(SAMPLE_ROWS)).map(move |row| (row, column));
    for field in [Field::Start, Field::End] {
        let Some(role) = mapping.role(field) else { continue };
        let values = || sample(role.column).map(|(row, column)| cell(row, column));
        if values().any(|value| matches!(value, Cell::Double(_))) {
            mapping.notes.push(format!(
                "column `{}` holds floating-point times, which are exact to about 0.25 µs only",
                mapping.names[role.column]
            ));
        }
        if role.unit.is_none()
            && let Some(size) = usual_size(values())
        {
            let unit = Unit::of_epoch(size);
            mapping.set(field, Some(super::roles::Role { unit: Some(unit), ..role }));
            mapping.notes.push(assumed(mapping, field, role.column, unit, "by the size of its values"));
        }
    }
    settle_duration(mapping, n_rows.min(SAMPLE_ROWS), &cell);
}

/// Median size of the numbers other than 0, which one corrupt time does not move; 0 if there are no others.
fn usual_size<'a>(values: impl Iterator<Item = Cell<'a>>) -> Option<f64> {
    let mut sizes: Vec<f64> = values.filter_map(unit::number).map(f64::abs).collect();
    sizes.sort_unstable_by(f64::total_cmp);
    let n_zeros = sizes.partition_point(|&size| size == 0.0);
    sizes.get(n_zeros + (sizes.len() - n_zeros) / 2).or(sizes.last()).copied()
}

fn settle_duration<'a>(mapping: &mut Mapping, n_rows: usize, cell: &impl Fn(usize, usize) -> Cell<'a>) {
    let (Some(start), Some(role)) = (mapping.role(Field::Start), mapping.role(Field::Duration)) else { return };
    if role.unit.is_some() {
        return;
    }
    let by_end = mapping.role(Field::End).and_then(|end| {
        let mut votes = [0_usize; Unit::ALL.len()];
        for row in 0..n_rows {
            let Some(value) = unit::number(cell(row, role.column)).filter(|&value| value > 0.0) else { continue };
            let (Some(start_ns), Some(end_ns)) =
                (unit::epoch_ns(cell(row, start.column), start.unit), unit::epoch_ns(cell(row, end.column), end.unit))
            else {
                continue;
            };
            let nanos = (end_ns - start_ns) as f64 / value;
            // Units lie a factor of 1,000 apart: the nearest in logarithm is within a factor of 32.
            let vote = Unit::ALL.iter().position(|unit| (nanos / unit.nanos() as f64).ln().abs() < 1000_f64.ln() / 2.0);
            if let Some(vote) = vote {
                votes[vote] += 1;
            }
        }
        let most = votes.iter().copied().max().filter(|&votes| votes > 0)?;
        votes.iter().position(|&votes| votes == most).map(|unit| Unit::ALL[unit])
    });
    let (unit, reason) = match by_end {
        Some(unit) => (unit, "which agrees with start and end"),
        None => (start.unit.unwrap_or(Unit::Millis), "the unit of the start time being the best guess"),
    };
    let reason = if by_end.is_none() && start.unit.is_none() { "as nothing says otherwise" } else { reason };
    mapping.set(Field::Duration, Some(super::roles::Role { unit: Some(unit), ..role }));
    mapping.notes.push(assumed(mapping, Field::Duration, role.column, unit, reason));
}

fn assumed(mapping: &Mapping, field: Field, column: usize, unit: Unit, reason: &str) -> String {
    let (column, unit) = (&mapping.names[column], unit.as_str());
    format!(
        "column `{column}` is read in {unit}, {reason}; if that is wrong, use `--columns {}={column}:UNIT`",
        field.name()
    )
}
