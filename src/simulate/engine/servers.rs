//! Servers: they wait for a worker, work, call, and answer.

use super::super::random::{mix, uniform};
use super::super::scenario::FaultKind;
use super::{Call, Done, Engine, Happens, Record, Server, Task, What, purpose};

impl Engine<'_> {
    pub(super) fn server(&self, request: u32, key: u64, operation: u32, edge: u32) -> Server {
        let hosts = &self.model.services[self.model.operations[operation as usize].service as usize].hosts;
        let n_hosts = hosts.end - hosts.start;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below the number of hosts")]
        let host = hosts.start + (uniform(mix(key, purpose::HOST)) * f64::from(n_hosts)) as u32;
        Server {
            request,
            key,
            operation,
            host,
            caller: None,
            edge,
            span_id: mix(key, purpose::SPAN).max(1),
            parent_span_id: 0,
            start_ns: 0,
            segment_ns: 0,
            step: 0,
            next_call: 0,
            pending: 0,
            failed: false,
            returns_early: false,
        }
    }

    pub(super) fn arrive(&mut self, task: u32) {
        let Task::Server(server) = &mut self.tasks[task as usize] else { return };
        server.start_ns = self.now;
        let host = server.host as usize;
        let limit = self.model.services[self.model.hosts[host].service as usize].workers;
        let pool = &mut self.workers[host];
        if limit > 0 && pool.busy >= limit {
            pool.waiting.push_back((task, self.generations[task as usize]));
            return;
        }
        pool.busy += 1;
        self.begin(task);
    }

    /// The server has a worker.
    pub(super) fn begin(&mut self, task: u32) {
        let Task::Server(server) = &self.tasks[task as usize] else { return };
        let (key, host) = (server.key, server.host);
        let operation = &self.model.operations[server.operation as usize];
        let (mut work_ns, mut early, mut fails) =
            (operation.work.draw_ns(mix(key, purpose::WORK)) as f64, false, false);
        for (index, fault) in self.active(&operation.faults) {
            if fault.host.is_some_and(|wanted| wanted != host) {
                continue;
            }
            let hit = |purpose| uniform(mix(mix(key, purpose), u64::from(index))) < fault.ratio;
            match fault.kind {
                FaultKind::Slower | FaultKind::SlowHost => work_ns = work_ns * fault.factor + fault.add_ns as f64,
                FaultKind::Timeout if hit(purpose::HANG) => work_ns += fault.add_ns as f64,
                FaultKind::EarlyReturn => early |= hit(purpose::EARLY),
                FaultKind::Error | FaultKind::RetryStorm => fails |= hit(purpose::FAIL),
                _ => {}
            }
        }
        fails |= uniform(mix(key, purpose::FAIL)) < operation.error_ratio;
        let n_segments = operation.steps.len() + 1;
        let waits_in_span = self.model.services[operation.service as usize].waits_in_span;
        let now = self.now;
        if let Task::Server(server) = &mut self.tasks[task as usize] {
            #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
            let segment_ns = (work_ns / n_segments as f64) as i64;
            server.segment_ns = segment_ns;
            server.returns_early = early;
            // It fails in the end, when its calls are made.
            server.failed = fails;
            if !waits_in_span {
                server.start_ns = now;
            }
            self.at(segment_ns, task, Happens::Worked);
        }
    }

    /// A stretch of the server's own work is over.
    pub(super) fn worked(&mut self, task: u32, done: &mut Done<'_>) {
        let Task::Server(server) = &mut self.tasks[task as usize] else { return };
        let steps = &self.model.operations[server.operation as usize].steps;
        if server.step as usize >= steps.len() || server.returns_early {
            return self.answer(task, done);
        }
        server.next_call = 0;
        self.launch(task);
    }

    /// Makes the calls of the step at hand: all, or the next if they no longer run side by side.
    pub(super) fn launch(&mut self, task: u32) {
        loop {
            let Task::Server(server) = &self.tasks[task as usize] else { return };
            let operation = &self.model.operations[server.operation as usize];
            let step = &operation.steps[server.step as usize];
            let one_by_one = self.active(&operation.faults).any(|(_, fault)| fault.kind == FaultKind::LostParallelism);
            let Some(&edge) = step.get(server.next_call as usize) else {
                if server.pending == 0 {
                    self.next_step(task);
                }
                return;
            };
            if one_by_one && server.pending > 0 {
                return;
            }
            let (request, base, host, parent_span_id) = (server.request, server.key, server.host, server.span_id);
            let made =
                uniform(mix(mix(base, purpose::MAKE), u64::from(edge))) < self.model.edges[edge as usize].probability;
            if let Task::Server(server) = &mut self.tasks[task as usize] {
                server.next_call += 1;
                server.pending += u32::from(made);
            }
            if made {
                let call = Call {
                    request,
                    base,
                    key: 0,
                    edge,
                    parent: task,
                    host,
                    attempt: 0,
                    repeat: 0,
                    n_repeats: 1,
                    retries: 0,
                    span_id: 0,
                    parent_span_id,
                    start_ns: 0,
                    has_connection: false,
                    answer_failed: false,
                };
                let call = self.spawn(Task::Call(call), request);
                self.first_attempt(call);
            }
        }
    }

    pub(super) fn next_step(&mut self, task: u32) {
        let Task::Server(server) = &mut self.tasks[task as usize] else { return };
        server.step += 1;
        let segment_ns = server.segment_ns;
        self.at(segment_ns, task, Happens::Worked);
    }

    /// A call of the server is over.
    pub(super) fn called(&mut self, task: u32, failed: bool) {
        let Task::Server(server) = &mut self.tasks[task as usize] else { return };
        server.pending -= 1;
        if failed {
            // What is left undone after a failure is left undone for good.
            server.failed = true;
            server.returns_early = true;
        }
        if server.pending > 0 {
            return;
        }
        if server.returns_early { self.next_step(task) } else { self.launch(task) }
    }

    /// The server has its answer.
    pub(super) fn answer(&mut self, task: u32, done: &mut Done<'_>) {
        let Task::Server(server) = self.tasks[task as usize].clone() else { return };
        let service = &self.model.services[self.model.hosts[server.host as usize].service as usize];
        if service.reports {
            let record = Record {
                span_id: server.span_id,
                parent_span_id: server.parent_span_id,
                host: server.host,
                what: What::Operation(server.operation),
                start_ns: server.start_ns,
                end_ns: self.now,
                failed: server.failed,
            };
            self.record(server.request, record);
        }
        if server.edge == u32::MAX {
            let request = &mut self.requests[server.request as usize];
            request.start_ns = server.start_ns;
            request.duration_ns = self.now - server.start_ns;
            request.failed = server.failed;
        }
        let pool = &mut self.workers[server.host as usize];
        pool.busy -= 1;
        if let Some((next, _)) = pool.waiting.pop_front() {
            pool.busy += 1;
            self.begin(next);
        }
        if let Some((call, generation)) = server.caller
            && self.generations[call as usize] == generation
        {
            let caller_host = match &mut self.tasks[call as usize] {
                Task::Call(call) => {
                    call.answer_failed = server.failed;
                    call.host
                }
                _ => server.host,
            };
            let back_ns = self.way_ns(server.edge, mix(server.key, purpose::BACK), [caller_host, server.host]);
            self.at(back_ns, call, Happens::Answer);
        }
        self.end(task, server.request, done);
    }
}
