//! A small shop that never was: eight services whose requests obey known laws.
//!
//! - A request comes every 0.1 s on average (exponential gaps), to an entry that [`Traffic`] draws.
//! - A call's own time is log-normal with the median and deviation in [`WORK`], the same whatever else the request does; it is spent half before
//!   the calls it makes and half after. Between caller and callee lie 0.2 ms a way, log-normal, deviation 0.5.
//! - All calls of a request are longer by one log-normal factor of deviation 0.2 (a large basket is large everywhere).
//! - All requests are longer by the machine's load, a log-normal factor that is correlated from one request to the next: see [`Machine`].
//! - One call in 200 waits 30 ms more, exponential (a collector's pause); one payment in 200 fails and fails the request.
//! - A list of products asks the price of one to five of them in turn; four of five carts come from the cache, the others from the
//!   database; a checkout loads the cart, reserves stock and asks for the price at once, then pays.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "nanoseconds of minutes and small counts")]

use suspect::ingest::Ingested;
use suspect::span::{Span, SpanBatch, SpanFrame, SpanId, SpanKind, SpanStatus};
use suspect::stats::random;

/// 2023-11-14T22:13:20Z.
const EPOCH_NS: f64 = 1_700_000_000e9;
const MS: f64 = 1e6;

/// Service, operation, median of its own time in milliseconds, deviation of its logarithm.
const WORK: [(&str, &str, f64, f64); 11] = [
    ("gateway", "GET /products", 2.0, 0.4),
    ("gateway", "GET /cart", 1.5, 0.4),
    ("gateway", "POST /checkout", 3.0, 0.4),
    ("catalog", "list", 8.0, 0.5),
    ("pricing", "price", 3.0, 0.5),
    ("cart", "load", 4.0, 0.5),
    ("cache", "get", 0.8, 0.6),
    ("cart-db", "SELECT cart", 9.0, 0.8),
    ("checkout", "place", 10.0, 0.5),
    ("stock", "reserve", 12.0, 0.6),
    ("payment", "charge", 40.0, 0.6),
];

/// Which entries requests are to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Traffic {
    /// All to `POST /checkout`, as a load test of one endpoint.
    Checkout,
    /// Half to `GET /products`, 0.3 to `GET /cart`, the rest to `POST /checkout`.
    Mixed,
}

/// How evenly a machine works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    /// Of the load from one request to the next: an autoregressive series of first order.
    correlation: f64,
    /// Of the load's logarithm.
    deviation: f64,
    /// By which share one run's machine is faster or slower than another's: deviation of the logarithm.
    between_runs: f64,
}

/// The mean of 2,000 requests wanders by 0.5 % from run to run.
pub(crate) const QUIET: Machine = Machine { correlation: 0.9, deviation: 0.05, between_runs: 0.0 };
/// It wanders by 1.8 %.
pub(crate) const RESTLESS: Machine = Machine { correlation: 0.98, deviation: 0.08, between_runs: 0.0 };
/// One machine is 3 % faster or slower than the next: two runs differ by 4 %, which nothing in either tells.
pub(crate) const UNEQUAL: Machine = Machine { between_runs: 0.03, ..QUIET };

/// An operation whose slowdown is to be found, as `SERVICE: OPERATION`, with its place in the shop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slowdown {
    operation: usize,
    /// 1.1 is 10 % slower.
    factor: f64,
}

impl Slowdown {
    /// An operation becomes `factor` times as slow.
    pub(crate) fn of(name: &str, factor: f64) -> Option<Self> {
        let operation = WORK.iter().position(|(service, operation, ..)| format!("{service}: {operation}") == name)?;
        Some(Self { operation, factor })
    }
}

/// A run of the shop: `n_requests` requests, all different for every `seed`.
pub(crate) fn run(
    seed: u64,
    n_requests: u64,
    (traffic, machine): (Traffic, Machine),
    slowdown: Option<Slowdown>,
) -> Ingested {
    let Machine { correlation, deviation, between_runs } = machine;
    let mut shop = Shop {
        dice: Dice { seed, step: 0 },
        batch: SpanBatch::default(),
        slowdown,
        trace: 0,
        next_id: 1,
        factor: 1.0,
        has_failed: false,
    };
    let (mut at_ns, mut load, speed) = (EPOCH_NS, shop.dice.normal(), between_runs * shop.dice.normal());
    for request in 0..n_requests {
        at_ns -= 100.0 * MS * shop.dice.uniform().ln();
        load = correlation * load + (1.0 - correlation * correlation).sqrt() * shop.dice.normal();
        shop.factor = (speed + deviation * load + 0.2 * shop.dice.normal()).exp();
        shop.request(&format!("{:x}", u128::from(seed) << 64 | u128::from(request + 1)), traffic, at_ns);
    }
    Ingested { frame: SpanFrame::from_batches([shop.batch]), sources: Vec::new() }
}

/// Random numbers, the same for the same seed.
struct Dice {
    seed: u64,
    step: u64,
}

impl Dice {
    /// In (0, 1).
    fn uniform(&mut self) -> f64 {
        self.step += 1;
        ((random(0x5095, self.seed, self.step) >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }

    /// With mean 0 and deviation 1 (Box and Muller).
    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

struct Shop {
    dice: Dice,
    batch: SpanBatch,
    slowdown: Option<Slowdown>,
    trace: u32,
    next_id: u64,
    /// By which all of the request's own times are longer.
    factor: f64,
    has_failed: bool,
}

impl Shop {
    fn request(&mut self, id: &str, traffic: Traffic, at_ns: f64) {
        self.trace = self.batch.traces.intern(id).expect("a trace id");
        self.has_failed = false;
        let entry = match (traffic, self.dice.uniform()) {
            (Traffic::Mixed, ..0.5) => 0,
            (Traffic::Mixed, ..0.8) => 1,
            _ => 2,
        };
        self.serve(entry, None, at_ns);
    }

    /// The server's span of a call that starts at `start`, with all that it calls; gives its end.
    fn serve(&mut self, operation: usize, parent: Option<SpanId>, start: f64) -> f64 {
        let id = self.id();
        let own = self.own(operation);
        let before_calls = start + own / 2.0;
        let after_calls = match operation {
            0 => self.call(operation, id, 3, before_calls),
            1 => self.call(operation, id, 5, before_calls),
            2 => self.call(operation, id, 8, before_calls),
            3 => {
                let n_prices = 1 + (self.dice.uniform() * 5.0) as u64;
                (0..n_prices).fold(before_calls, |now, _| self.call(operation, id, 4, now))
            }
            5 if self.dice.uniform() < 0.8 => self.call(operation, id, 6, before_calls),
            5 => {
                let missed = self.call(operation, id, 6, before_calls);
                self.call(operation, id, 7, missed)
            }
            8 => {
                let loaded = self.call(operation, id, 5, before_calls);
                let reserved = self.call(operation, id, 9, loaded);
                let priced = self.call(operation, id, 4, loaded);
                self.call(operation, id, 10, reserved.max(priced))
            }
            _ => before_calls,
        };
        let has_failed = operation == 10 && self.dice.uniform() < 0.005;
        self.has_failed |= has_failed;
        let end = after_calls + own / 2.0;
        let (service, name, ..) = WORK[operation];
        let is_error = has_failed || self.has_failed && [2, 8].contains(&operation);
        self.push(id, parent, service, name, SpanKind::Server, is_error, start..end);
        end
    }

    /// The client's span of a call made by `caller`, with the call; gives its end.
    fn call(&mut self, caller: usize, parent: SpanId, callee: usize, start: f64) -> f64 {
        let id = self.id();
        let arrival = start + self.way();
        let end = self.serve(callee, Some(id), arrival) + self.way();
        let name = format!("{} {}", WORK[callee].0, WORK[callee].1);
        self.push(id, Some(parent), WORK[caller].0, &name, SpanKind::Client, false, start..end);
        end
    }

    fn own(&mut self, operation: usize) -> f64 {
        let (_, _, median_ms, deviation) = WORK[operation];
        let slower =
            self.slowdown.filter(|slowdown| slowdown.operation == operation).map_or(1.0, |slowdown| slowdown.factor);
        let pause_ms = if self.dice.uniform() < 0.005 { -30.0 * self.dice.uniform().ln() } else { 0.0 };
        MS * (slower * self.factor * median_ms * (deviation * self.dice.normal()).exp() + pause_ms)
    }

    fn way(&mut self) -> f64 {
        0.2 * MS * (0.5 * self.dice.normal()).exp()
    }

    fn id(&mut self) -> SpanId {
        let id = SpanId::new(self.next_id).expect("an id above zero");
        self.next_id += 1;
        id
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of a span")]
    fn push(
        &mut self,
        span_id: SpanId,
        parent_span_id: Option<SpanId>,
        service: &str,
        operation: &str,
        kind: SpanKind,
        is_error: bool,
        time: std::ops::Range<f64>,
    ) {
        let span = Span {
            trace: self.trace,
            span_id,
            parent_span_id,
            service: self.batch.names.intern(service),
            operation: self.batch.names.intern(operation),
            kind,
            status: if is_error { SpanStatus::Error } else { SpanStatus::Unset },
            start_unix_ns: time.start as i64,
            duration_ns: time.end as i64 - time.start as i64,
        };
        self.batch.push(span);
    }
}
