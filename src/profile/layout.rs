//! Where the parts of a profile lie: dictionaries, traces, requests and the table, as columns.
//!
//! The table is laid out path by path, so that neighbours are alike, and a call's duration as its difference to the time that is blamed on
//! it and all below, which is mostly none.

use super::columns::{Broken, Reader, Writer};
use super::{Profile, Request, Trace, calls, sums};
use crate::compare::costs::Costs;
use crate::compare::paths::{NO_PATH, Path, PathCost, Paths, Scope};
use crate::normalize::{Operation, Service};
use crate::span::{SpanKind, TraceIds};

/// The profile as bytes, not yet compressed.
pub(super) fn encode(profile: &Profile) -> Vec<u8> {
    let mut out = Writer::default();
    dictionaries(profile, &mut out);
    traces(profile, &mut out);
    let rows = &profile.table;
    table(&rows.paths, &rows.costs, &mut out);
    table(&rows.paths, &rows.hidden, &mut out);
    calls::encode(profile, &mut out);
    sums::encode(profile, &mut out);
    out.0
}

/// The profile that was written as `bytes`.
pub(super) fn decode(bytes: &[u8]) -> Result<Profile, Broken> {
    let mut reader = Reader(bytes);
    let mut profile = Profile::default();
    read_dictionaries(&mut reader, &mut profile)?;
    read_traces(&mut reader, &mut profile)?;
    let (rows, n_traces) = (&mut profile.table, profile.traces.len());
    rows.costs = read_table(&mut reader, &rows.paths, n_traces)?;
    rows.hidden = read_table(&mut reader, &rows.paths, n_traces)?;
    calls::decode(&mut reader, &mut profile)?;
    sums::decode(&mut reader, &mut profile)?;
    if reader.0.is_empty() { Ok(profile) } else { Err("something follows its end") }
}

fn dictionaries(profile: &Profile, out: &mut Writer) {
    out.len(profile.names.len());
    for name in &profile.names {
        out.text(name);
    }
    out.len(profile.services.len());
    for service in &profile.services {
        out.text(&service.name);
    }
    out.column(profile.services.iter().map(|service| u64::from(service.is_inferred)));
    let operations = &profile.operations;
    out.len(operations.len());
    out.deltas(operations.iter().map(|operation| i64::from(operation.service)));
    out.column(operations.iter().map(|operation| u64::from(operation.name)));
    out.column(operations.iter().map(|operation| operation.kind as u64));
    out.column(operations.iter().map(|operation| operation.peer.map_or(0, |peer| u64::from(peer) + 1)));
    write_paths(&profile.table.paths.list, out);
}

pub(super) fn write_paths(paths: &[Path], out: &mut Writer) {
    out.len(paths.len());
    out.deltas(paths.iter().map(|path| if path.parent == NO_PATH { -1 } else { i64::from(path.parent) }));
    out.column(paths.iter().map(|path| u64::from(path.operation)));
    out.column(paths.iter().map(|path| u64::from(path.is_retry) | u64::from(path.scope == Scope::Background) << 1));
}

fn read_dictionaries(reader: &mut Reader, profile: &mut Profile) -> Result<(), Broken> {
    let n_names = reader.len()?;
    profile.names = reader.column(n_names, |reader| reader.text().map(str::to_owned))?;
    let n_services = reader.len()?;
    let names = reader.column(n_services, |reader| reader.text().map(str::to_owned))?;
    let inferred = reader.column(n_services, |reader| reader.index(2))?;
    let service = |(name, is_inferred)| Service::new(name, is_inferred == 1);
    profile.services = names.into_iter().zip(inferred).map(service).collect();
    let n_operations = reader.len()?;
    let services = reader.deltas(n_operations)?;
    let names = reader.column(n_operations, |reader| reader.index(n_names))?;
    let kinds = reader.column(n_operations, |reader| reader.index(6))?;
    let peers = reader.column(n_operations, |reader| reader.index(n_services + 1))?;
    for (index, service) in services.into_iter().enumerate() {
        let service = u32::try_from(service).ok().filter(|&service| (service as usize) < n_services);
        profile.operations.push(Operation {
            service: service.ok_or("an operation has no service")?,
            name: names[index],
            kind: SpanKind::from_code(u64::from(kinds[index])),
            peer: peers[index].checked_sub(1),
        });
    }
    let is_sorted = profile.names.is_sorted_by(|left, right| left < right)
        && profile.services.is_sorted_by(|left, right| left.name < right.name)
        && profile.operations.is_sorted_by(|left, right| left < right);
    if !is_sorted {
        return Err("its names are not in order");
    }
    profile.table.paths = read_paths(reader, n_operations)?;
    Ok(())
}

pub(super) fn read_paths(reader: &mut Reader, n_operations: usize) -> Result<Paths, Broken> {
    let mut paths = Paths::default();
    let n_paths = reader.len()?;
    let parents = reader.deltas(n_paths)?;
    let operations = reader.column(n_paths, |reader| reader.index(n_operations))?;
    let flags = reader.column(n_paths, |reader| reader.index(4))?;
    for (index, parent) in parents.into_iter().enumerate() {
        let parent = match usize::try_from(parent) {
            Ok(parent) if parent < index => u32::try_from(parent).map_err(|_| "a path has no parent")?,
            Err(_) if parent == -1 => NO_PATH,
            _ => return Err("a path comes before its parent"),
        };
        let scope = if flags[index] & 2 == 0 { Scope::Request } else { Scope::Background };
        let is_retry = flags[index] & 1 == 1;
        let path = Path { parent, operation: operations[index], is_retry, scope };
        if paths.intern(path) as usize != index {
            return Err("a path is there twice");
        }
    }
    Ok(paths)
}

fn traces(profile: &Profile, out: &mut Writer) {
    let traces = &profile.traces;
    out.len(traces.len());
    out.deltas(traces.iter().map(|trace| trace.start_ns));
    out.column(traces.iter().map(|trace| trace.weight.to_bits().swap_bytes()));
    out.column(traces.iter().map(|trace| trace.n_spans));
    let ids = 0..u32::try_from(traces.len()).unwrap_or(u32::MAX);
    ids.for_each(|trace| out.text(&profile.ids.text(trace)));
    for index in 0..traces.len() {
        out.len(profile.requests_of(index).len());
    }
    let requests = &profile.requests;
    out.column(requests.iter().map(|request| u64::from(request.operation)));
    out.column(requests.iter().map(|request| u64::from(request.has_failed) | u64::from(request.is_root) << 1));
    for (index, trace) in traces.iter().enumerate() {
        for request in profile.requests_of(index) {
            out.i64(request.start_ns.wrapping_sub(trace.start_ns));
        }
    }
    out.signed(requests.iter().map(|request| request.duration_ns));
}

fn read_traces(reader: &mut Reader, profile: &mut Profile) -> Result<(), Broken> {
    let n_traces = reader.len()?;
    let starts = reader.deltas(n_traces)?;
    let weights = reader.column(n_traces, |reader| Ok(f64::from_bits(reader.u64()?.swap_bytes())))?;
    let n_spans = reader.column(n_traces, Reader::u64)?;
    let mut ids = TraceIds::default();
    for index in 0..n_traces {
        let id = reader.text()?;
        if ids.intern(id).map(|id| id as usize) != Some(index) {
            return Err("a trace is there twice");
        }
    }
    let keys: Vec<_> = (0_u32..).take(n_traces).map(|trace| ids.key(trace)).collect();
    if !starts.iter().zip(&keys).is_sorted() {
        return Err("its traces are not in order");
    }
    profile.ids = ids;
    let n_requests = reader.column(n_traces, Reader::len)?;
    profile.offsets = vec![0];
    let mut n_all = 0_usize;
    for n_requests in n_requests {
        if n_requests == 0 {
            return Err("a trace has no request");
        }
        n_all = n_all.saturating_add(n_requests);
        profile.offsets.push(n_all);
    }
    if n_all > reader.0.len() {
        return Err("it ends early");
    }
    let n_operations = profile.operations.len();
    let operations = reader.column(n_all, |reader| reader.index(n_operations))?;
    let flags = reader.column(n_all, |reader| reader.index(4))?;
    let afters = reader.column(n_all, Reader::i64)?;
    let durations = reader.column(n_all, Reader::i64)?;
    for (trace, &start_ns) in starts.iter().enumerate() {
        if !(weights[trace].is_finite() && weights[trace] > 0.0) || start_ns == i64::MIN {
            return Err("a trace has no weight");
        }
        profile.traces.push(Trace { start_ns, weight: weights[trace], n_spans: n_spans[trace] });
        for request in profile.offsets[trace]..profile.offsets[trace + 1] {
            let start_ns = start_ns.wrapping_add(afters[request]);
            // Ends are computed from starts.
            if durations[request] < 0 || start_ns.checked_add(durations[request]).is_none() {
                return Err("a request ends before it starts");
            }
            profile.requests.push(Request {
                operation: operations[request],
                start_ns,
                duration_ns: durations[request],
                has_failed: flags[request] & 1 == 1,
                is_root: flags[request] & 2 == 2,
            });
        }
    }
    Ok(())
}

/// The rows of a table, unpacked.
struct Unpacked {
    /// Rows of trace `t` are `costs[offsets[t]..offsets[t + 1]]`.
    offsets: Vec<usize>,
    costs: Vec<PathCost>,
}

impl Unpacked {
    fn new(packed: &Costs) -> Self {
        let (mut offsets, mut costs) = (vec![0], Vec::with_capacity(packed.n_rows()));
        for trace in 0..packed.n_traces() {
            costs.extend(packed.of(trace));
            offsets.push(costs.len());
        }
        Self { offsets, costs }
    }

    /// Rows by path, then trace: path, trace and place.
    fn by_path(&self) -> Vec<(u32, u32, usize)> {
        let mut rows = Vec::with_capacity(self.costs.len());
        for (trace, bounds) in (0_u32..).zip(self.offsets.windows(2)) {
            rows.extend((bounds[0]..bounds[1]).map(|place| (self.costs[place].path, trace, place)));
        }
        rows.sort_unstable();
        rows
    }

    /// What is blamed on each row and on all below it in its trace: the duration of its calls where the request waited for them all along.
    fn expected_ns(&self, paths: &[Path]) -> Vec<i64> {
        let mut expected = vec![0_i64; self.costs.len()];
        let mut of_path = vec![0_i64; paths.len()];
        for bounds in self.offsets.windows(2) {
            let rows = bounds[0]..bounds[1];
            for place in rows.clone().rev() {
                let cost = &self.costs[place];
                let own = cost.self_ns.wrapping_add(cost.before_ns).wrapping_add(cost.wait_ns);
                expected[place] = of_path[cost.path as usize].wrapping_add(own);
                let parent = paths[cost.path as usize].parent;
                if parent != NO_PATH {
                    let sum = &mut of_path[parent as usize];
                    *sum = sum.wrapping_add(expected[place]);
                }
            }
            for place in rows {
                let path = self.costs[place].path;
                of_path[path as usize] = 0;
                let parent = paths[path as usize].parent;
                if parent != NO_PATH {
                    of_path[parent as usize] = 0;
                }
            }
        }
        expected
    }
}

fn table(paths: &Paths, costs: &Costs, out: &mut Writer) {
    let unpacked = Unpacked::new(costs);
    let rows = unpacked.by_path();
    let mut n_rows = vec![0_usize; paths.len()];
    for &(path, ..) in &rows {
        n_rows[path as usize] += 1;
    }
    out.column(n_rows.iter().map(|&n_rows| n_rows as u64));
    for own in rows.chunk_by(|left, right| left.0 == right.0) {
        let mut next = 0;
        for &(_, trace, _) in own {
            out.u64(u64::from(trace - next));
            next = trace + 1;
        }
    }
    let costs = || rows.iter().map(|&(_, _, place)| &unpacked.costs[place]);
    out.column(costs().map(|cost| u64::from(cost.n_calls)));
    out.signed(costs().map(|cost| i64::from(cost.n_calls) - i64::from(cost.n_visits)));
    out.signed(costs().map(|cost| cost.self_ns));
    out.signed(costs().map(|cost| cost.before_ns));
    out.signed(costs().map(|cost| cost.wait_ns));
    let expected = unpacked.expected_ns(&paths.list);
    out.signed(rows.iter().map(|&(_, _, place)| unpacked.costs[place].call_ns.wrapping_sub(expected[place])));
}

fn read_table(reader: &mut Reader, paths: &Paths, n_traces: usize) -> Result<Costs, Broken> {
    let n_rows = reader.column(paths.len(), Reader::len)?;
    let n_all = n_rows.iter().fold(0_usize, |sum, &n_rows| sum.saturating_add(n_rows));
    if n_all > reader.0.len() {
        return Err("it ends early");
    }
    // Path and trace of each row in the order of the file.
    let mut rows: Vec<(u32, u32)> = Vec::with_capacity(n_all);
    for (path, n_rows) in (0_u32..).zip(n_rows) {
        let mut next = 0_u32;
        for _ in 0..n_rows {
            let trace = next.checked_add(reader.u32()?).filter(|&trace| (trace as usize) < n_traces);
            let trace = trace.ok_or("an index is out of range")?;
            rows.push((path, trace));
            next = trace + 1;
        }
    }
    let n_calls = reader.column(n_all, Reader::u32)?;
    let not_visited = reader.column(n_all, Reader::i64)?;
    let self_ns = reader.column(n_all, Reader::i64)?;
    let before_ns = reader.column(n_all, Reader::i64)?;
    let wait_ns = reader.column(n_all, Reader::i64)?;
    let beyond_ns = reader.column(n_all, Reader::i64)?;
    // Rows of a trace are in order of paths, as they come.
    let mut ends = vec![0_usize; n_traces + 1];
    for &(_, trace) in &rows {
        ends[trace as usize + 1] += 1;
    }
    for trace in 0..n_traces {
        ends[trace + 1] += ends[trace];
    }
    let mut next = ends.clone();
    let mut unpacked = Unpacked { offsets: ends, costs: vec![PathCost::default(); n_all] };
    let mut places = Vec::with_capacity(n_all);
    for (row, &(path, trace)) in rows.iter().enumerate() {
        let n_visits =
            i64::from(n_calls[row]).checked_sub(not_visited[row]).and_then(|visits| u32::try_from(visits).ok());
        let place = next[trace as usize];
        next[trace as usize] += 1;
        places.push(place);
        unpacked.costs[place] = PathCost {
            path,
            n_calls: n_calls[row],
            n_visits: n_visits.ok_or("a number is too large")?,
            self_ns: self_ns[row],
            before_ns: before_ns[row],
            wait_ns: wait_ns[row],
            call_ns: 0,
        };
    }
    let expected = unpacked.expected_ns(&paths.list);
    for (row, place) in places.into_iter().enumerate() {
        unpacked.costs[place].call_ns = expected[place].wrapping_add(beyond_ns[row]);
    }
    let mut costs = Costs::default();
    for bounds in unpacked.offsets.windows(2) {
        costs.push(unpacked.costs[bounds[0]..bounds[1]].iter().copied());
    }
    Ok(costs)
}
