//! What ends the process from outside: no half-written file stays, and the status says so.

/// Exit status of a run that was interrupted, as shells have it for Ctrl-C.
const INTERRUPTED: i32 = 130;

/// Ends the process with 130 on Ctrl-C, when it is told to terminate and when its terminal goes away; unfinished files are deleted first.
///
/// A signal that the process was started to ignore, as by `nohup`, is ignored. A write beyond the size that the process may give a
/// file becomes an error of that write.
#[cfg(unix)]
pub(super) fn handle() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
    // Fails only for signals that cannot be handled; the default ends the process, too.
    _ = signal_hook::flag::register(SIGXFSZ, std::sync::Arc::default());
    let ignored = ignored();
    let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&signal| !ignored(signal));
    let Ok(mut signals) = signal_hook::iterator::Signals::new(wanted) else { return };
    let wait = move || {
        if signals.forever().next().is_some() {
            crate::scratch::remove_all();
            #[expect(
                clippy::exit,
                reason = "the work is in threads that nobody can stop, and nothing is left to tidy"
            )]
            std::process::exit(INTERRUPTED);
        }
    };
    _ = std::thread::Builder::new().name("interrupt".to_owned()).spawn(wait);
}

/// Which signals the process was started to ignore: Linux tells; elsewhere it is assumed of the loss of a terminal, for the sake of `nohup`.
#[cfg(unix)]
fn ignored() -> impl Fn(i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    move |signal| mask.map_or(signal == signal_hook::consts::SIGHUP, |mask| mask >> (signal - 1) & 1 == 1)
}

/// Elsewhere the system's default stays: the process ends, and an unfinished file may stay under its temporary name.
#[cfg(not(unix))]
pub(super) fn handle() {}
