//! Arrivals: a Poisson process at the peak's rate, thinned to the rate of the moment.

use super::super::random::{mix, uniform};
use super::super::scenario::FaultKind;
use super::{Engine, Request, Task, purpose};

impl Engine<'_> {
    pub(super) fn gap_ns(&self) -> i64 {
        let key = mix(mix(self.model.seed, purpose::GAP), self.next_candidate);
        #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
        let gap_ns = (-(1.0 - uniform(key)).ln() / self.peak_per_ns).min(1e18) as i64;
        gap_ns.max(1)
    }

    pub(super) fn rate_ratio(&self) -> f64 {
        let arrivals = &self.model.arrivals;
        let seconds = self.now as f64 / 1e9;
        let wave = 1.0 + arrivals.diurnal_ratio * (std::f64::consts::TAU * seconds / arrivals.day_s).sin();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of short stretches")]
        let stretch = (seconds / arrivals.burst_s) as u64;
        let bursts = uniform(mix(mix(self.model.seed, purpose::BURST), stretch)) < arrivals.burst_ratio;
        wave * if bursts { arrivals.burst_factor } else { 1.0 }
    }

    pub(super) fn candidate(&mut self) {
        let id = self.next_candidate;
        self.next_candidate += 1;
        let key = mix(self.model.seed, id.wrapping_add(1 << 32));
        let accepted =
            uniform(mix(key, purpose::ACCEPT)) * self.peak_per_ns < self.model.requests_per_ns * self.rate_ratio();
        self.next_arrival_ns = self.now.saturating_add(self.gap_ns());
        if !accepted {
            return;
        }
        let trace = mix(key, purpose::TRACE);
        let request = Request {
            trace_id: u128::from(trace.max(1)) << 64 | u128::from(mix(trace, 1)),
            start_ns: self.now,
            sampled: uniform(mix(key, purpose::SAMPLE)) < self.model.sampled_ratio,
            ..Request::default()
        };
        let slot = if let Some(slot) = self.free_requests.pop() {
            let mut spans = std::mem::take(&mut self.requests[slot as usize].spans);
            spans.clear();
            self.requests[slot as usize] = Request { spans, ..request };
            slot
        } else {
            self.requests.push(request);
            u32::try_from(self.requests.len() - 1).unwrap_or(u32::MAX)
        };
        let operation = self.entry(uniform(mix(key, purpose::ENTRY)));
        let server = self.server(slot, mix(key, purpose::ROOT), operation, u32::MAX);
        let task = self.spawn(Task::Server(server), slot);
        self.arrive(task);
    }

    /// Entry operation at `at` of the sum of weights.
    ///
    /// Only the requests that a changed mix takes over change their entry: the others' share is scaled down in place.
    pub(super) fn entry(&self, at: f64) -> u32 {
        let model = self.model;
        let weight = |entry: usize| model.operations[entry].entry_weight;
        let total: f64 = model.entries.iter().map(|&entry| weight(entry)).sum();
        let mut first = *model.entries.first().unwrap_or(&0);
        let mut sum = 0.0;
        for &entry in &model.entries {
            first = entry;
            sum += weight(entry);
            if at * total < sum {
                break;
            }
        }
        let mut chosen = u32::try_from(first).unwrap_or(u32::MAX);
        for (index, fault) in (0..).zip(&model.faults) {
            if let (FaultKind::TrafficMix, Some(target)) = (fault.kind, fault.operation)
                && chosen != target
                && self.is_on(index, fault)
            {
                // With p its share before, f p / (1 - p + f p) after: others go over with 1 - 1 / (1 - p + f p).
                let p = weight(target as usize) / total;
                let over = 1.0 - 1.0 / (1.0 - p + fault.factor.max(1.0) * p);
                if uniform(mix(at.to_bits(), purpose::FAULT + u64::from(index))) < over {
                    chosen = target;
                }
            }
        }
        chosen
    }
}
