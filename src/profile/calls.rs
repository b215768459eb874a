//! Where calls with their attributes lie in the file.
//!
//! What the table says of a trace and path is not said again: of the calls on a path, the number and time of the last is what the others
//! leave of the table's.

use super::Profile;
use super::columns::{Broken, Reader, Writer};
use super::layout::{read_paths, write_paths};
use crate::compare::paths::{CostTable, FailureKind, NO_PATH, Path, PathCost};
use crate::drill::kept::{Column, Kept, Row};
use crate::drill::{NO_CODE, Value};
use crate::normalize::NO_PARENT;
use crate::span::{AttributeKey, AttributeScope};

pub(super) fn encode(profile: &Profile, out: &mut Writer) {
    let Some(calls) = &profile.calls else {
        out.u64(0);
        return;
    };
    out.u64(1);
    texts(calls.asked.iter(), out);
    write_paths(&calls.paths.list, out);
    out.column(calls.offsets.windows(2).map(|bounds| (bounds[1] - bounds[0]) as u64));
    out.column(calls.rows.iter().map(|row| u64::from(row.path)));
    // No caller as zero, the others by how far they are before.
    for trace in 0..profile.traces.len() {
        for (position, row) in (0_u32..).zip(calls.rows_of(trace)) {
            out.u64(if row.parent == NO_PARENT { 0 } else { u64::from(position - row.parent) });
        }
    }
    out.column(calls.rows.iter().map(|row| u64::from(row.is_visited)));
    let told: Vec<&Row> = (0..profile.traces.len())
        .zip(rests(calls, &profile.table))
        .flat_map(|(trace, rests)| calls.rows_of(trace).iter().zip(rests).filter(|(_, rest)| rest.is_none()))
        .map(|(row, _)| row)
        .collect();
    out.column(told.iter().map(|row| u64::from(row.n_calls)));
    for which in 0..3 {
        out.signed(told.iter().filter(|row| row.is_visited).map(|row| row.time_ns[which]));
    }
    out.len(calls.failures.len());
    out.deltas(calls.failures.iter().map(|&(row, ..)| i64::from(row)));
    out.column(calls.failures.iter().map(|&(_, kind, _)| kind as u64));
    out.column(calls.failures.iter().map(|&(.., n_calls)| u64::from(n_calls)));
    out.len(calls.columns.len());
    for column in &calls.columns {
        out.u64(u64::from(column.key.scope == AttributeScope::Span));
        out.text(&column.key.key);
        values(&column.values, out);
        out.len(column.runs.len());
        out.column(column.runs.iter().map(|&(code, _)| u64::from(code.wrapping_add(1))));
        out.column(column.runs.iter().map(|&(_, n_rows)| u64::from(n_rows)));
    }
    texts(calls.many.iter(), out);
}

pub(super) fn decode(reader: &mut Reader, profile: &mut Profile) -> Result<(), Broken> {
    if reader.index(2)? == 0 {
        return Ok(());
    }
    let n_traces = profile.traces.len();
    let mut calls = Kept { asked: read_texts(reader)?, offsets: vec![0], ..Kept::default() };
    calls.paths = read_paths(reader, profile.operations.len())?;
    let mut n_rows = 0_usize;
    for own in reader.column(n_traces, Reader::len)? {
        n_rows = n_rows.saturating_add(own);
        calls.offsets.push(n_rows);
    }
    if n_rows > reader.0.len() {
        return Err("it ends early");
    }
    let n_paths = calls.paths.len();
    let paths = reader.column(n_rows, |reader| reader.index(n_paths))?;
    let before = reader.column(n_rows, Reader::u32)?;
    let visited = reader.column(n_rows, |reader| reader.index(2))?;
    for bounds in calls.offsets.windows(2) {
        for index in bounds[0]..bounds[1] {
            let position = u32::try_from(index - bounds[0]).map_err(|_| "a number is too large")?;
            let parent = match before[index] {
                0 => NO_PARENT,
                before => position.checked_sub(before).ok_or("a call comes before its caller")?,
            };
            let caller = calls.paths.list[paths[index] as usize].parent;
            // Detached work has a caller, but no path from it.
            if caller != NO_PATH && (parent == NO_PARENT || paths[bounds[0] + parent as usize] != caller) {
                return Err("a call is not on its caller's path");
            }
            let is_visited = visited[index] == 1;
            calls.rows.push(Row { path: paths[index], parent, n_calls: 0, is_visited, time_ns: [0; 3] });
        }
    }
    read_numbers(reader, &profile.table, &mut calls)?;
    let n_failures = reader.len()?;
    let rows = reader.deltas(n_failures)?;
    let kinds = reader.column(n_failures, |reader| reader.index(FailureKind::ALL.len()))?;
    let n_calls = reader.column(n_failures, Reader::u32)?;
    for ((row, kind), n_calls) in rows.into_iter().zip(kinds).zip(n_calls) {
        let row = u32::try_from(row).ok().filter(|&row| (row as usize) < n_rows);
        calls.failures.push((row.ok_or("an index is out of range")?, FailureKind::ALL[kind as usize], n_calls));
    }
    for _ in 0..reader.len()? {
        let scope = if reader.index(2)? == 0 { AttributeScope::Resource } else { AttributeScope::Span };
        let key = AttributeKey { scope, key: reader.text()?.to_owned() };
        let values = read_values(reader)?;
        let n_runs = reader.len()?;
        let n_values = values.len();
        let codes =
            reader.column(n_runs, |reader| Ok(reader.index(n_values + 1)?.checked_sub(1).unwrap_or(NO_CODE)))?;
        let lengths = reader.column(n_runs, Reader::u32)?;
        if lengths.iter().map(|&n_rows| u64::from(n_rows)).sum::<u64>() != n_rows as u64 {
            return Err("an attribute has not a value for each call");
        }
        calls.columns.push(Column { key, values, runs: codes.into_iter().zip(lengths).collect() });
    }
    calls.many = read_texts(reader)?.into_iter().collect();
    let is_sorted = calls.failures.is_sorted_by(|left, right| (left.0, left.1) < (right.0, right.1))
        && calls.columns.is_sorted_by(|left, right| left.key < right.key)
        && calls.columns.iter().all(|column| column.values.is_sorted_by(|left, right| left < right));
    if !is_sorted {
        return Err("its attributes are not in order");
    }
    profile.calls = Some(calls);
    Ok(())
}

/// Numbers and times of the rows, which have none yet.
fn read_numbers(reader: &mut Reader, table: &CostTable, calls: &mut Kept) -> Result<(), Broken> {
    let rests: Vec<Option<PathCost>> = rests(calls, table).flatten().collect();
    let told = |calls: &Kept, which: fn(&Row) -> bool| -> Vec<usize> {
        (0..rests.len()).filter(|&index| rests[index].is_none() && which(&calls.rows[index])).collect()
    };
    let all = told(calls, |_| true);
    let n_calls = reader.column(all.len(), Reader::u32)?;
    for (index, n_calls) in all.into_iter().zip(n_calls) {
        calls.rows[index].n_calls = n_calls;
    }
    let visited = told(calls, |row| row.is_visited);
    for which in 0..3 {
        let times = reader.column(visited.len(), Reader::i64)?;
        for (&index, time_ns) in visited.iter().zip(times) {
            calls.rows[index].time_ns[which] = time_ns;
        }
    }
    // What those before it on its path leave of the table's, for the last.
    let mut left: Vec<Option<PathCost>> = vec![None; calls.paths.len()];
    for trace in 0..calls.offsets.len() - 1 {
        let rows = calls.offsets[trace]..calls.offsets[trace + 1];
        for index in rows.clone() {
            if let Some(cost) = rests[index] {
                left[calls.rows[index].path as usize] = Some(cost);
            }
        }
        for position in 0..rows.len() {
            let index = rows.start + position;
            let row = calls.rows[index];
            let Some(cost) = left[row.path as usize].as_mut().filter(|_| calls.is_called(trace, position)) else {
                continue;
            };
            if rests[index].is_some() {
                calls.rows[index].n_calls = cost.n_calls;
                if row.is_visited {
                    calls.rows[index].time_ns = [cost.self_ns, cost.before_ns, cost.wait_ns];
                }
                continue;
            }
            cost.n_calls = cost.n_calls.checked_sub(row.n_calls).ok_or("a path has more calls than it has")?;
            for (left, own) in [&mut cost.self_ns, &mut cost.before_ns, &mut cost.wait_ns].into_iter().zip(row.time_ns)
            {
                *left = left.wrapping_sub(own);
            }
        }
    }
    if calls.rows.iter().any(|row| row.n_calls == 0) {
        return Err("a call is no call");
    }
    Ok(())
}

/// For each row of each trace the cost of its path in the trace, if the row is the last of those that make it up.
fn rests(calls: &Kept, table: &CostTable) -> impl Iterator<Item = Vec<Option<PathCost>>> {
    let mut paths: Vec<Option<u32>> = Vec::with_capacity(calls.paths.len());
    for path in &calls.paths.list {
        let parent = if path.parent == NO_PATH { Some(NO_PATH) } else { paths[path.parent as usize] };
        paths.push(parent.and_then(|parent| table.paths.find(&Path { parent, ..*path })));
    }
    let mut last = vec![None; table.paths.len()];
    (0..calls.offsets.len() - 1).map(move |trace| {
        let rows = calls.rows_of(trace);
        let mut rests = vec![None; rows.len()];
        let known = |position: usize| paths[rows[position].path as usize].map(|path| path as usize);
        for position in (0..rows.len()).filter(|&position| calls.is_called(trace, position)) {
            if let Some(path) = known(position) {
                last[path] = Some(position);
            }
        }
        for cost in table.costs_of(trace) {
            if let Some(position) = last[cost.path as usize] {
                rests[position] = Some(cost);
            }
        }
        (0..rows.len()).filter_map(known).for_each(|path| last[path] = None);
        rests
    })
}

fn texts<'a>(texts: impl ExactSizeIterator<Item = &'a String>, out: &mut Writer) {
    out.len(texts.len());
    texts.for_each(|text| out.text(text));
}

fn read_texts(reader: &mut Reader) -> Result<Vec<String>, Broken> {
    let n_texts = reader.len()?;
    reader.column(n_texts, |reader| reader.text().map(str::to_owned))
}

fn values(values: &[Value], out: &mut Writer) {
    out.len(values.len());
    let mut last = 0;
    for value in values {
        match value {
            Value::Text(text) => {
                out.u64(0);
                out.text(text);
            }
            // Ascending, so that differences are small.
            Value::Int(value) => {
                out.u64(1);
                out.i64(value.wrapping_sub(last));
                last = *value;
            }
            Value::Double(bits) => {
                out.u64(2);
                out.u64(bits.swap_bytes());
            }
            Value::Bool(value) => {
                out.u64(3);
                out.u64(u64::from(*value));
            }
        }
    }
}

fn read_values(reader: &mut Reader) -> Result<Vec<Value>, Broken> {
    let n_values = reader.len()?;
    let mut last = 0_i64;
    reader.column(n_values, |reader| {
        Ok(match reader.index(4)? {
            0 => Value::Text(reader.text()?.to_owned()),
            1 => {
                last = last.wrapping_add(reader.i64()?);
                Value::Int(last)
            }
            2 => Value::Double(reader.u64()?.swap_bytes()),
            _ => Value::Bool(reader.index(2)? == 1),
        })
    })
}
