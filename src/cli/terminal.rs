//! How wide the terminal is.

use crate::report::{MIN_WIDTH, WIDTH};
use terminal_size::{Width, terminal_size_of};

/// Wider lines are hard to follow from their end to the next one's begin.
const MAX_WIDTH: usize = 200;
/// No one asks for more by intent.
const MAX_GIVEN: usize = 10_000;

/// Columns of text on standard output: those given, else those of `COLUMNS`, else the terminal's, else [`WIDTH`].
///
/// `COLUMNS` goes before what the terminal says because shells keep it to themselves: where it is exported, somebody wants
/// it. POSIX says so too.
pub(super) fn of_output(given: Option<usize>) -> usize {
    given.unwrap_or_else(|| bounded(wanted().or_else(|| own(&std::io::stdout()))))
}

/// Columns of talk on standard error; `None` where lines stay whole, since logs are searched for what they say.
pub(super) fn of_talk(given: Option<usize>) -> Option<usize> {
    given.or_else(|| own(&std::io::stderr()).map(|own| bounded(wanted().or(Some(own)))))
}

/// Columns of help: 80 where nobody says otherwise, as in manuals.
pub(super) fn of_help() -> usize {
    const MAX_HELP: usize = 100;
    const HELP: usize = 80;
    wanted().or_else(|| own(&std::io::stdout())).map_or(HELP, |columns| columns.clamp(MIN_WIDTH, MAX_HELP))
}

fn bounded(columns: Option<usize>) -> usize {
    columns.map_or(WIDTH, |columns| columns.clamp(MIN_WIDTH, MAX_WIDTH))
}

/// What the environment says, if it is a number of columns.
fn wanted() -> Option<usize> {
    std::env::var("COLUMNS").ok()?.parse().ok().filter(|&columns| columns > 0)
}

/// The columns of a stream that is a terminal and knows them.
fn own<#[cfg(unix)] Stream: std::os::fd::AsFd, #[cfg(windows)] Stream: std::os::windows::io::AsHandle>(
    stream: &Stream,
) -> Option<usize> {
    terminal_size_of(stream).map(|(Width(columns), _)| usize::from(columns)).filter(|&columns| columns > 0)
}

/// Reads the value of `--width`.
pub(super) fn parse_width(text: &str) -> Result<usize, String> {
    let columns: usize = text.parse().map_err(|_| "expected a number of columns".to_owned())?;
    if (MIN_WIDTH..=MAX_GIVEN).contains(&columns) {
        Ok(columns)
    } else {
        Err(format!("expected {MIN_WIDTH} to {MAX_GIVEN} columns"))
    }
}
