//! Where the parts of a profile lie that are not columns a trace: failures, sums, and where it comes from.

use super::columns::{Broken, Reader, Writer};
use super::{OnCalls, Profile};
use crate::compare::kept::{ClientCalls, Kept};
use crate::compare::paths::{Failure, FailureKind, NO_EXCEPTION, NO_SPAN};
use crate::drill::presence::Seen;
use crate::span::AttributeScope;
use crate::topology::End;
use crate::topology::sums::{Group, GroupSums};

pub(super) fn encode(profile: &Profile, out: &mut Writer) {
    failures(profile, out);
    kept(&profile.table.kept, out);
    let bands = profile.table.limits.bands();
    out.len(bands.len());
    for (&operation, &(shortest, longest)) in bands {
        out.u64(u64::from(operation));
        out.i64(shortest);
        out.i64(longest);
    }
    graph(profile, out);
    values(profile, out);
    out.len(profile.grounds.len());
    for (&(from, to), calls) in &profile.grounds {
        let counts = [u64::from(from), u64::from(to), calls.count, calls.n_moved, calls.n_inferred];
        out.column(counts.into_iter());
        out.i64(calls.moved_ns);
    }
    out.i64(profile.start_unix_ns);
    out.i64(profile.end_unix_ns);
    out.len(profile.weights.len());
    for (&bits, &count) in &profile.weights {
        out.u64(bits);
        out.u64(count);
    }
    out.u64(profile.below);
    out.u64(profile.n_spans_left_out);
    // Its types are plain data; they always serialise.
    out.text(&serde_json::to_string(&profile.about).unwrap_or_default());
}

pub(super) fn decode(reader: &mut Reader, profile: &mut Profile) -> Result<(), Broken> {
    read_failures(reader, profile)?;
    let (n_operations, n_services) = (profile.operations.len(), profile.services.len());
    profile.table.kept = read_kept(reader, n_operations, profile.traces.len())?;
    let n_exceptions = profile.table.kept.exceptions.len();
    let is_known = |failure: &Failure| failure.exception == NO_EXCEPTION || (failure.exception as usize) < n_exceptions;
    if !profile.table.failures.iter().chain(&profile.table.survived).all(|(_, failure)| is_known(failure)) {
        return Err("an index is out of range");
    }
    let n_bands = reader.len()?;
    let bands = reader.column(n_bands, |reader| Ok((reader.index(n_operations)?, (reader.i64()?, reader.i64()?))))?;
    profile.table.limits.absorb(bands);
    read_graph(reader, profile)?;
    read_values(reader, profile)?;
    for _ in 0..reader.len()? {
        let ends = (reader.index(n_services)?, reader.index(n_services)?);
        let (count, n_moved, n_inferred) = (reader.u64()?, reader.u64()?, reader.u64()?);
        profile.grounds.insert(ends, OnCalls { count, n_moved, n_inferred, moved_ns: reader.i64()? });
    }
    profile.start_unix_ns = reader.i64()?;
    profile.end_unix_ns = reader.i64()?;
    for _ in 0..reader.len()? {
        let bits = reader.u64()?;
        profile.weights.insert(bits, reader.u64()?);
    }
    if profile.weights.keys().any(|&bits| !f64::from_bits(bits).is_finite() || f64::from_bits(bits) <= 0.0) {
        return Err("a trace has no weight");
    }
    profile.below = reader.u64()?;
    profile.n_spans_left_out = reader.u64()?;
    profile.about = serde_json::from_str(reader.text()?).map_err(|_| "where it comes from is not readable")?;
    Ok(())
}

fn failures(profile: &Profile, out: &mut Writer) {
    for failures in [&profile.table.failures, &profile.table.survived] {
        out.len(failures.len());
        out.deltas(failures.iter().map(|&(trace, _)| i64::from(trace)));
        out.column(failures.iter().map(|(_, failure)| u64::from(failure.path)));
        out.column(failures.iter().map(|(_, failure)| failure.kind as u64));
        out.column(failures.iter().map(|(_, failure)| u64::from(failure.operation)));
        // The largest number, that of none, as zero.
        out.column(failures.iter().map(|(_, failure)| u64::from(failure.exception.wrapping_add(1))));
    }
    for list in profile.table.places() {
        out.len(list.len());
        out.deltas(list.iter().map(|&(trace, _)| i64::from(trace)));
        out.column(list.iter().map(|&(_, path)| u64::from(path)));
    }
}

/// Traces in order, each below `n_traces`.
fn read_places(reader: &mut Reader, n_items: usize, n_traces: usize) -> Result<Vec<u32>, Broken> {
    let places = reader.deltas(n_items)?;
    let place = |place: i64| u32::try_from(place).ok().filter(|&place| (place as usize) < n_traces);
    let is_sorted = places.is_sorted();
    let places: Option<Vec<u32>> = places.into_iter().map(place).collect();
    places.filter(|_| is_sorted).ok_or("an index is out of range")
}

fn read_failures(reader: &mut Reader, profile: &mut Profile) -> Result<(), Broken> {
    let (n_traces, n_paths) = (profile.traces.len(), profile.table.paths.len());
    let n_operations = profile.operations.len();
    for list in [&mut profile.table.failures, &mut profile.table.survived] {
        let n_failures = reader.len()?;
        let places = read_places(reader, n_failures, n_traces)?;
        let paths = reader.column(n_failures, |reader| reader.index(n_paths))?;
        let kinds = reader.column(n_failures, |reader| reader.index(FailureKind::ALL.len()))?;
        let operations = reader.column(n_failures, |reader| reader.index(n_operations))?;
        let exceptions = reader.column(n_failures, Reader::u32)?;
        *list = (0..n_failures)
            .map(|index| {
                let failure = Failure {
                    path: paths[index],
                    kind: FailureKind::ALL[kinds[index] as usize],
                    span: NO_SPAN,
                    operation: operations[index],
                    exception: exceptions[index].wrapping_sub(1),
                };
                (places[index], failure)
            })
            .collect();
    }
    for list in profile.table.places_mut() {
        let n_items = reader.len()?;
        let places = read_places(reader, n_items, n_traces)?;
        let paths = reader.column(n_items, |reader| reader.index(n_paths))?;
        *list = places.into_iter().zip(paths).collect();
    }
    Ok(())
}

fn kept(kept: &Kept, out: &mut Writer) {
    let clients = &kept.clients;
    out.len(clients.len());
    out.deltas(clients.iter().map(|&(trace, _)| i64::from(trace)));
    out.column(clients.iter().map(|(_, calls)| u64::from(calls.operation)));
    out.column(clients.iter().map(|(_, calls)| u64::from(calls.n_calls)));
    out.column(clients.iter().map(|(_, calls)| u64::from(calls.n_given_up)));
    out.signed(clients.iter().map(|(_, calls)| calls.given_up_ns));
    out.len(kept.starts.len());
    for (&(parent, child), &(after_ns, n_calls)) in &kept.starts {
        out.u64(u64::from(parent));
        out.u64(u64::from(child));
        out.i128(after_ns);
        out.i64(n_calls);
    }
    out.len(kept.exceptions.len());
    for (kind, message) in &kept.exceptions {
        out.text(kind);
        out.text(message);
    }
}

fn read_kept(reader: &mut Reader, n_operations: usize, n_traces: usize) -> Result<Kept, Broken> {
    let mut kept = Kept::default();
    let n_clients = reader.len()?;
    let places = read_places(reader, n_clients, n_traces)?;
    let operations = reader.column(n_clients, |reader| reader.index(n_operations))?;
    let n_calls = reader.column(n_clients, Reader::u32)?;
    let n_given_up = reader.column(n_clients, Reader::u32)?;
    let given_up_ns = reader.column(n_clients, Reader::i64)?;
    kept.clients = (0..n_clients)
        .map(|index| {
            let calls = ClientCalls {
                operation: operations[index],
                n_calls: n_calls[index],
                n_given_up: n_given_up[index],
                given_up_ns: given_up_ns[index],
            };
            (places[index], calls)
        })
        .collect();
    for _ in 0..reader.len()? {
        let pair = (reader.index(n_operations)?, reader.index(n_operations)?);
        kept.starts.insert(pair, (reader.i128()?, reader.i64()?));
    }
    for _ in 0..reader.len()? {
        kept.exceptions.push((reader.text()?.to_owned(), reader.text()?.to_owned()));
    }
    Ok(kept)
}

fn end(end: End, out: &mut Writer) {
    match end {
        End::Operation(index) => out.u64(u64::from(index) << 1),
        End::Inferred(index) => out.u64(u64::from(index) << 1 | 1),
    }
}

fn read_end(reader: &mut Reader, profile: &Profile) -> Result<End, Broken> {
    let code = reader.u64()?;
    let index = u32::try_from(code >> 1).map_err(|_| "a number is too large")?;
    match code & 1 {
        0 if (index as usize) < profile.operations.len() => Ok(End::Operation(index)),
        1 if (index as usize) < profile.services.len() => Ok(End::Inferred(index)),
        _ => Err("an index is out of range"),
    }
}

fn graph(profile: &Profile, out: &mut Writer) {
    out.len(profile.graph.groups.len());
    for (&group, sums) in &profile.graph.groups {
        match group {
            Group::Service(service) => {
                out.u64(0);
                out.u64(u64::from(service));
            }
            Group::ServiceEdge(from, to) => {
                out.u64(1);
                out.u64(u64::from(from));
                out.u64(u64::from(to));
            }
            Group::Operation(own) => {
                out.u64(2);
                end(own, out);
            }
            Group::OperationEdge(from, to) => {
                out.u64(3);
                end(from, out);
                end(to, out);
            }
        }
        group_sums(sums, out);
    }
}

fn group_sums(sums: &GroupSums, out: &mut Writer) {
    out.u64(sums.n_spans);
    out.u64(u64::from(sums.is_rounded));
    out.len(sums.sums_ns.len());
    for (&(weight, failed), &sum_ns) in &sums.sums_ns {
        out.u64(weight.swap_bytes());
        out.u64(u64::from(failed));
        out.i128(sum_ns);
    }
    out.len(sums.calls.len());
    out.deltas(sums.calls.keys().map(|&(duration_ns, ..)| duration_ns));
    out.column(sums.calls.values().copied());
    for &(_, weight, failed) in sums.calls.keys() {
        let kind = sums.sums_ns.keys().position(|&kind| kind == (weight, failed));
        out.len(kind.unwrap_or_default());
    }
}

fn read_graph(reader: &mut Reader, profile: &mut Profile) -> Result<(), Broken> {
    let n_services = profile.services.len();
    for _ in 0..reader.len()? {
        let group = match reader.u64()? {
            0 => Group::Service(reader.index(n_services)?),
            1 => Group::ServiceEdge(reader.index(n_services)?, reader.index(n_services)?),
            2 => Group::Operation(read_end(reader, profile)?),
            3 => Group::OperationEdge(read_end(reader, profile)?, read_end(reader, profile)?),
            _ => return Err("a part of the graph is of no known kind"),
        };
        let sums = read_group_sums(reader)?;
        profile.graph.groups.insert(group, sums);
    }
    Ok(())
}

fn read_group_sums(reader: &mut Reader) -> Result<GroupSums, Broken> {
    let mut sums = GroupSums { n_spans: reader.u64()?, is_rounded: reader.index(2)? == 1, ..GroupSums::default() };
    let mut kinds = Vec::new();
    for _ in 0..reader.len()? {
        let kind = (reader.u64()?.swap_bytes(), reader.index(2)? == 1);
        if !f64::from_bits(kind.0).is_finite() || f64::from_bits(kind.0) <= 0.0 {
            return Err("a call has no weight");
        }
        sums.sums_ns.insert(kind, reader.i128()?);
        kinds.push(kind);
    }
    let n_calls = reader.len()?;
    let durations = reader.deltas(n_calls)?;
    let counts = reader.column(n_calls, Reader::u64)?;
    for (duration_ns, count) in durations.into_iter().zip(counts) {
        let &(weight, failed) = kinds.get(reader.index(kinds.len())? as usize).ok_or("an index is out of range")?;
        sums.calls.insert((duration_ns, weight, failed), count);
    }
    Ok(sums)
}

fn values(profile: &Profile, out: &mut Writer) {
    let values = &profile.values;
    out.len(values.n_spans.len());
    for (&service, &n_spans) in &values.n_spans {
        out.u64(u64::from(service));
        out.u64(n_spans);
    }
    out.len(values.seen.len());
    for ((scope, key), seen) in &values.seen {
        out.u64(u64::from(*scope == AttributeScope::Span));
        out.text(key);
        out.len(seen.len());
        for ((service, value), seen) in seen {
            out.u64(u64::from(*service));
            out.text(value);
            out.u64(seen.n_spans);
            out.i64(seen.last_ns);
        }
    }
    out.len(values.many.len());
    for key in &values.many {
        out.text(key);
    }
}

fn read_values(reader: &mut Reader, profile: &mut Profile) -> Result<(), Broken> {
    let n_services = profile.services.len();
    let values = &mut profile.values;
    for _ in 0..reader.len()? {
        let service = reader.index(n_services)?;
        values.n_spans.insert(service, reader.u64()?);
    }
    for _ in 0..reader.len()? {
        let scope = if reader.index(2)? == 0 { AttributeScope::Resource } else { AttributeScope::Span };
        let key = reader.text()?.to_owned();
        let own = values.seen.entry((scope, key)).or_default();
        for _ in 0..reader.len()? {
            let value = (reader.index(n_services)?, reader.text()?.to_owned());
            own.insert(value, Seen { n_spans: reader.u64()?, last_ns: reader.i64()? });
        }
    }
    for _ in 0..reader.len()? {
        values.many.insert(reader.text()?.to_owned());
    }
    Ok(())
}
