//! Row groups of a canonical file that hold nothing of the windows asked for: they are counted, not read.

use crate::diagnostics::{SetAsideReason, SourceReport};
use crate::ingest::Kept;
use crate::span::{TimeIndex, schema};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;

/// Rows of a file that is believed: sums over files stay far from the end of what 64 bits hold.
const MAX_ROWS: u64 = 1 << 48;

/// Which row groups are read.
#[derive(Debug)]
pub(super) struct Pruned {
    /// Their numbers, ascending.
    pub(super) groups: Vec<usize>,
    n_groups: usize,
    n_spans: u64,
}

impl Pruned {
    /// All of the file, or what may be in the windows that `kept` asks for.
    pub(super) fn of(metadata: &ParquetMetaData, is_canonical: bool, kept: Kept) -> Self {
        let n_groups = metadata.num_row_groups();
        let all = Self { groups: (0..n_groups).collect(), n_groups, n_spans: 0 };
        let index = if is_canonical { time_index(metadata) } else { None };
        let Some((windows, index)) = index.and_then(|index| Some((kept.windows(index.range)?, index))) else {
            return all;
        };
        let is_read = |group: &usize| index.groups[*group].may_start_in(&windows);
        let (groups, others): (Vec<usize>, Vec<usize>) = all.groups.into_iter().partition(is_read);
        let n_spans = others.iter().map(|&group| index.groups[group].n_spans).sum();
        Self { groups, n_groups, n_spans }
    }

    /// Counts what is not read.
    pub(super) fn count(&self, report: &mut SourceReport) {
        let n_left = self.n_groups - self.groups.len();
        if n_left == 0 {
            return;
        }
        report.n_spans += self.n_spans;
        report.set_aside.add(SetAsideReason::OutsideWindows, self.n_spans);
        report.notes.push(format!(
            "{n_left} of {} row groups hold nothing of the two windows and were not read; `--read-all` reads them",
            self.n_groups
        ));
    }
}

/// The index of a file that is still as it was written.
///
/// A program that changes a file may copy its metadata: it then names itself as the maker, or the row groups are others.
fn time_index(metadata: &ParquetMetaData) -> Option<TimeIndex> {
    let file = metadata.file_metadata();
    file.created_by().filter(|maker| maker.starts_with(schema::CREATED_BY))?;
    let entry = file.key_value_metadata()?.iter().find(|entry| entry.key == schema::TIME_INDEX_KEY)?;
    let index: TimeIndex = serde_json::from_str(entry.value.as_deref()?).ok()?;
    let groups = metadata.row_groups();
    let is_same = groups.len() == index.groups.len()
        && groups.iter().zip(&index.groups).all(|(group, times)| {
            u64::try_from(group.num_rows()) == Ok(times.n_spans)
                && starts(group)
                    .is_some_and(|(first, last)| times.first_start_unix_ns <= first && last <= times.last_start_unix_ns)
        });
    // A footer may claim any number of rows.
    let n_rows = index.groups.iter().try_fold(0_u64, |sum, times| sum.checked_add(times.n_spans));
    (is_same && n_rows.is_some_and(|n_rows| n_rows <= MAX_ROWS)).then_some(index)
}

/// First and last start of the rows of a group.
fn starts(group: &RowGroupMetaData) -> Option<(i64, i64)> {
    let column = group.columns().iter().find(|column| column.column_path().string() == schema::START_TIME_UNIX_NANO)?;
    match column.statistics()? {
        Statistics::Int64(values) => Some((*values.min_opt()?, *values.max_opt()?)),
        _ => None,
    }
}
