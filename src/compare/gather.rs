//! Something of many rows of the cost table, sorted into slots such as paths, on all cores.

use rayon::prelude::*;
use std::ops::Range;

/// Bytes that values take at once, about; more slots wait for their turn.
const GROUP_BYTES: usize = 1 << 28;

/// Values by slot.
#[derive(Debug)]
pub struct Gathered<T> {
    /// Of consecutive stretches of traces.
    parts: Vec<Part<T>>,
}

#[derive(Debug)]
struct Part<T> {
    /// Values of slot `s` are `values[starts[s]..starts[s + 1]]`.
    starts: Vec<usize>,
    values: Vec<T>,
}

impl<T: Copy> Gathered<T> {
    /// Values of a slot, in order of traces.
    pub fn of(&self, slot: usize) -> impl Iterator<Item = T> + Clone + '_ {
        self.slices(slot).flatten().copied()
    }

    fn slices(&self, slot: usize) -> impl Iterator<Item = &[T]> + Clone {
        self.parts.iter().map(move |part| &part.values[part.starts[slot]..part.starts[slot + 1]])
    }

    /// Number of values of a slot.
    #[must_use]
    pub fn len(&self, slot: usize) -> usize {
        self.slices(slot).map(<[T]>::len).sum()
    }
}

/// Sorts what `each` gives of the traces into slots: it is called with the place of each trace in the list, the trace and where slots and
/// values go. Before, `count` gives the same slots of the trace, in any order.
pub fn gather<T: Copy + Default + Send>(
    traces: &[u32],
    n_slots: usize,
    count: impl Fn(u32, &mut dyn FnMut(usize)) + Sync,
    each: impl Fn(usize, u32, &mut dyn FnMut(usize, T)) + Sync,
) -> Gathered<T> {
    let chunk = traces.len().div_ceil(rayon::current_num_threads() * 4).max(n_slots / 8 + 64);
    let part = |(index, own): (usize, &[u32])| {
        let mut starts = vec![0; n_slots + 1];
        for &trace in own {
            count(trace, &mut |slot| starts[slot + 1] += 1);
        }
        for slot in 0..n_slots {
            starts[slot + 1] += starts[slot];
        }
        let mut next = starts.clone();
        let mut values = vec![T::default(); starts[n_slots]];
        for (place, &trace) in (index * chunk..).zip(own) {
            each(place, trace, &mut |slot, value| {
                values[next[slot]] = value;
                next[slot] += 1;
            });
        }
        Part { starts, values }
    };
    Gathered { parts: traces.par_chunks(chunk).enumerate().map(part).collect() }
}

/// Ranges of slots whose values, of which there are so many each, take about a quarter of a gibibyte at once, or are those of one slot.
#[must_use]
pub fn groups<T>(n_values: &[usize]) -> Vec<Range<usize>> {
    let most = GROUP_BYTES / size_of::<T>().max(1);
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut n_open = 0;
    for (slot, &n_values) in n_values.iter().enumerate() {
        match groups.last_mut() {
            Some(group) if n_open + n_values <= most => group.end = slot + 1,
            _ => {
                n_open = 0;
                groups.push(slot..slot + 1);
            }
        }
        n_open += n_values;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::{GROUP_BYTES, gather, groups};

    #[test]
    fn slots_hold_what_traces_give_in_their_order() {
        let traces: Vec<u32> = (0..10_000).map(|trace| 3 * trace).collect();
        let count = |trace: u32, count: &mut dyn FnMut(usize)| {
            count(trace as usize % 7);
            if trace.is_multiple_of(2) {
                count(6);
            }
        };
        let gathered = gather(&traces, 7, count, |place, trace, give| {
            assert_eq!(traces[place], trace);
            give(trace as usize % 7, trace);
            if trace.is_multiple_of(2) {
                give(6, trace);
            }
        });
        for slot in 0..7 {
            let mut expected = Vec::new();
            for &trace in &traces {
                expected.extend((trace as usize % 7 == slot).then_some(trace));
                expected.extend((slot == 6 && trace % 2 == 0).then_some(trace));
            }
            assert_eq!(gathered.of(slot).collect::<Vec<_>>(), expected);
            assert_eq!(gathered.len(slot), expected.len());
        }
        assert!(gather(&[], 2, |_, count| count(0), |_, _, give| give(0, 1)).of(1).next().is_none());
    }

    #[test]
    fn a_group_is_one_slot_or_small_enough() {
        let most = GROUP_BYTES / 8;
        assert_eq!(groups::<u64>(&[most, 1, most + 1, 0, 2, most - 2, 1]), [0..1, 1..2, 2..3, 3..6, 6..7]);
        assert!(groups::<u64>(&[]).is_empty());
    }
}
