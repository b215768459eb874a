use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

/// A run that ends sooner needs no bar.
const PATIENCE: Duration = Duration::from_secs(2);

/// Does some work; says on standard error that it is under way, if that takes long and somebody is watching.
pub(super) fn waiting<T>(verb: &'static str, wanted: bool, work: impl FnOnce() -> T) -> T {
    if !wanted || !std::io::stderr().is_terminal() {
        return work();
    }
    let (is_done, done) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if done.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                let style = ProgressStyle::with_template("{spinner} {msg}, {elapsed}");
                let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
                    .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
                    .with_elapsed(PATIENCE);
                bar.set_message(verb);
                bar.enable_steady_tick(Duration::from_millis(200));
                // Until the work ends, however it does.
                _ = done.recv();
                bar.finish_and_clear();
            }
        });
        let result = work();
        drop(is_done);
        result
    })
}

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
    Bytes,
    Cases,
    /// Of the whole, which is only guessed.
    Share,
}

/// A progress bar on standard error that appears when work takes long and somebody is watching.
pub(super) struct Progress {
    verb: &'static str,
    unit: Unit,
    started: Instant,
    watched: bool,
    bar: OnceLock<ProgressBar>,
}

impl Progress {
    /// Progress of what the verb says, such as `reading`; never shown unless `wanted`.
    pub(super) fn new(verb: &'static str, unit: Unit, wanted: bool) -> Self {
        let watched = wanted && std::io::stderr().is_terminal();
        Self { verb, unit, started: Instant::now(), watched, bar: OnceLock::new() }
    }

    /// So many are done in all; `total` of 0 means unknown. May be called from any thread, often.
    pub(super) fn update(&self, done: u64, total: u64) {
        if !self.watched || self.started.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_init(|| self.show(total > 0));
        if total > 0 {
            bar.set_length(total);
        }
        bar.set_position(done);
    }

    fn show(&self, known: bool) -> ProgressBar {
        let template = match (self.unit, known) {
            (Unit::Bytes, true) => "{msg} {wide_bar} {bytes}/{total_bytes}, {eta} left",
            (Unit::Bytes, false) => "{spinner} {msg} {bytes}, {bytes_per_sec}",
            (Unit::Share, _) => "{msg} {wide_bar} {percent} %, {eta} left",
            (Unit::Cases, _) => "{msg} {wide_bar} {pos}/{len} cases, {eta} left",
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style);
        bar.set_message(self.verb);
        bar
    }

    /// Removes the bar.
    pub(super) fn finish(&self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}
