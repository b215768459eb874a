//! Calls: they wait for a connection, then for an answer, and try again.

use super::super::law::Sampler;
use super::super::random::{mix, uniform};
use super::super::scenario::FaultKind;
use super::{Call, Done, Engine, Happens, Record, Task, What, purpose};

use super::RETRANSMIT_NS;

impl Engine<'_> {
    /// Time of one way of an edge between two hosts.
    pub(super) fn way_ns(&self, edge: u32, key: u64, hosts: [u32; 2]) -> i64 {
        let edge = &self.model.edges[edge as usize];
        let mut way_ns = edge.network.draw_ns(key);
        for (index, fault) in self.active(&edge.faults) {
            if fault.host.is_some_and(|host| !hosts.contains(&host)) {
                continue;
            }
            match fault.kind {
                FaultKind::NetworkDelay => way_ns += fault.add_ns,
                FaultKind::NetworkLoss if uniform(mix(mix(key, purpose::LOSS), u64::from(index))) < fault.ratio => {
                    way_ns += if fault.add_ns > 0 { fault.add_ns } else { RETRANSMIT_NS };
                }
                _ => {}
            }
        }
        way_ns
    }

    pub(super) fn first_attempt(&mut self, task: u32) {
        let Task::Call(call) = &self.tasks[task as usize] else { return };
        let edge = &self.model.edges[call.edge as usize];
        let (mut n_repeats, mut retries) = (edge.repeat, edge.retries);
        for (_, fault) in self.active(&edge.faults) {
            match fault.kind {
                FaultKind::NPlusOne => n_repeats = n_repeats.saturating_mul(fault.count),
                FaultKind::RetryStorm => retries += fault.count,
                _ => {}
            }
        }
        if let Task::Call(call) = &mut self.tasks[task as usize] {
            (call.n_repeats, call.retries) = (n_repeats, retries);
        }
        self.attempt(task);
    }

    pub(super) fn attempt(&mut self, task: u32) {
        let now = self.now;
        let Task::Call(call) = &mut self.tasks[task as usize] else { return };
        let path = mix(mix(call.base, 64 + u64::from(call.edge)), u64::from(call.repeat));
        call.key = mix(path, u64::from(call.attempt));
        call.span_id = mix(call.key, purpose::SPAN).max(1);
        call.start_ns = now;
        let edge = &self.model.edges[call.edge as usize];
        let owner = self.model.hosts[call.host as usize].service as usize;
        let pool = edge.pool + (call.host - self.model.services[owner].hosts.start) as usize;
        if edge.timeout_ns > 0 {
            self.at(edge.timeout_ns, task, Happens::Timeout);
        }
        if edge.connections > 0 {
            let pool = &mut self.connections[pool];
            if pool.busy >= edge.connections {
                pool.waiting.push_back((task, self.generations[task as usize]));
                return;
            }
            pool.busy += 1;
        }
        self.send(task);
    }

    /// The call has a connection.
    pub(super) fn send(&mut self, task: u32) {
        let Task::Call(call) = &mut self.tasks[task as usize] else { return };
        call.has_connection = true;
        let (request, key, edge, host, span_id) = (call.request, call.key, call.edge, call.host, call.span_id);
        let mut server = self.server(request, mix(key, 0), self.model.edges[edge as usize].callee, edge);
        server.caller = Some((task, self.generations[task as usize]));
        server.parent_span_id = span_id;
        let out_ns = self.way_ns(edge, mix(key, purpose::OUT), [host, server.host]);
        let server = self.spawn(Task::Server(server), request);
        self.at(out_ns, server, Happens::Arrive);
    }

    /// There is an answer, or no more waiting for it.
    pub(super) fn end_attempt(&mut self, task: u32, failed: bool, done: &mut Done<'_>) {
        self.generations[task as usize] = self.generations[task as usize].wrapping_add(1);
        let Task::Call(call) = self.tasks[task as usize].clone() else { return };
        let edge = &self.model.edges[call.edge as usize];
        let record = Record {
            span_id: call.span_id,
            parent_span_id: call.parent_span_id,
            host: call.host,
            what: What::Edge(call.edge),
            start_ns: call.start_ns,
            end_ns: self.now,
            failed,
        };
        self.record(call.request, record);
        if call.has_connection && edge.connections > 0 {
            self.release(edge.pool, call.host);
        }
        let Task::Call(live) = &mut self.tasks[task as usize] else { return };
        live.has_connection = false;
        live.answer_failed = false;
        if failed && call.attempt < call.retries {
            live.attempt += 1;
            let pause_ns = edge.backoff_ns.saturating_mul(1 << call.attempt.min(16)) as f64;
            #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
            let pause_ns = (pause_ns * (0.5 + uniform(mix(call.key, purpose::JITTER)))) as i64;
            return self.at(pause_ns, task, Happens::Again);
        }
        if !failed && call.repeat + 1 < call.n_repeats {
            live.repeat += 1;
            live.attempt = 0;
            return self.attempt(task);
        }
        if !failed && let Some(consumer) = edge.consumer {
            self.deliver(&call, consumer, &edge.network);
        }
        if !failed && let Some(miss) = edge.on_miss {
            let mut hit_ratio = edge.hit_ratio;
            for (_, fault) in self.active(&edge.faults) {
                if fault.kind == FaultKind::ColdCache {
                    hit_ratio *= fault.ratio;
                }
            }
            if uniform(mix(call.key, purpose::MISS)) >= hit_ratio
                && let Task::Call(live) = &mut self.tasks[task as usize]
            {
                (live.edge, live.attempt, live.repeat) = (miss, 0, 0);
                return self.first_attempt(task);
            }
        }
        self.end(task, call.request, done);
        self.called(call.parent, failed && !edge.optional);
    }

    pub(super) fn release(&mut self, first: usize, host: u32) {
        let owner = self.model.hosts[host as usize].service as usize;
        let pool = first + (host - self.model.services[owner].hosts.start) as usize;
        while let Some((next, generation)) = self.connections[pool].waiting.pop_front() {
            // Those that gave up waiting stand in the queue still.
            if self.generations[next as usize] == generation {
                return self.send(next);
            }
        }
        self.connections[pool].busy -= 1;
    }

    /// The message goes its own way.
    pub(super) fn deliver(&mut self, call: &Call, consumer: u32, network: &Sampler) {
        let key = mix(call.key, purpose::DELIVER);
        let mut server = self.server(call.request, key, consumer, call.edge);
        server.parent_span_id = call.span_id;
        let server = self.spawn(Task::Server(server), call.request);
        self.at(network.draw_ns(key), server, Happens::Arrive);
    }
}
