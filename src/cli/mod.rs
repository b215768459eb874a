//! The command line: reads arguments and files, calls the stages, writes results.
//!
//! Only this layer touches the terminal, the environment and output files. Results go to standard output (or to
//! `--output`), talk goes to standard error, and the exit status says which of three endings it was: see [`Exit`].
//!
//! A command is a module with its arguments and a `run(&Args, &Context) -> Result<Exit, Error>`.

pub mod analyze;
mod comparison;
mod context;
pub mod convert;
pub mod eval;
pub mod gate;
mod generate;
pub mod graph;
mod input;
pub mod inspect;
mod interrupt;
mod manual;
mod memory;
mod messages;
mod output;
mod owners;
mod places;
pub mod profile;
mod progress;
pub mod report;
mod reports;
mod saved;
mod schema;
pub mod simulate;
mod terminal;
pub mod trace;

pub use comparison::ComparisonArgs;
pub use context::Context;
pub use input::{ColumnArgs, InputArgs};
pub use memory::{Collected, Collector, Limit, MemoryArgs, available, parse_limit};
pub use output::{Format, OutputArgs};
pub use owners::OwnerArgs;
pub use reports::ReportsArgs;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::num::NonZeroUsize;
use std::process::ExitCode;

/// How a run that did not fail ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All went well: status 0.
    Complete,
    /// There is a result, but some file or record could not be read: status 1.
    Partial,
    /// A gate failed: status 1.
    Failed,
    /// A gate cannot tell: status 3.
    Inconclusive,
}

/// Exit status of a run without a result: usage or input error. The same as clap's.
const FAILED: u8 = 2;

/// Finds the root cause of latency and error regressions in exported tracing spans.
///
/// Reads spans as OpenTelemetry, Jaeger, Zipkin, Tempo and others export them, compares a time when all was well with
/// a time when it was not, and ranks the operations that brought the change, with the evidence for each.
#[derive(Debug, Parser)]
#[command(
    name = "suspect",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

/// Arguments of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Everywhere")]
struct GlobalArgs {
    /// Use at most N threads; the result is the same with any number [default: all cores]
    #[arg(long, global = true, value_name = "N", hide_short_help = true)]
    threads: Option<NonZeroUsize>,
    /// When to use colour; `auto` obeys `NO_COLOR`
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_short_help = true)]
    color: Color,
    /// Say nothing but errors: no progress, no warnings
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Lay text out for a terminal of so many columns, 40 or more [default: COLUMNS, else the terminal's own, else 100]
    #[arg(long, global = true, value_name = "COLUMNS", value_parser = terminal::parse_width, hide_short_help = true)]
    width: Option<usize>,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    Auto,
    /// Even in files and pipes.
    Always,
    /// Not at all.
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    Analyze(Box<analyze::Args>),
    Gate(Box<gate::Args>),
    Inspect(inspect::Args),
    Convert(convert::Args),
    Profile(profile::Args),
    Trace(trace::Args),
    Graph(graph::Args),
    Report(report::Args),
    Eval(eval::Args),
    Schema(schema::Args),
    Simulate(simulate::Args),
    Completions(generate::CompletionsArgs),
    Man(generate::ManArgs),
}

/// The command line with its help, laid out for the terminal.
fn command() -> clap::Command {
    manual::with_help(Cli::command()).term_width(terminal::of_help())
}

fn parse() -> Result<Cli, clap::Error> {
    let mut command = command();
    let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|fault| fault.format(&mut command))
}

/// Runs the command that the process's arguments name.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(message) => {
            // A reader that closed the pipe has read enough of it.
            let _ = message.print();
            return ExitCode::from(if message.use_stderr() { FAILED } else { 0 });
        }
    };
    let context = Context::new(cli.global.color, cli.global.quiet, cli.global.width);
    if let Some(threads) = cli.global.threads {
        context::limit_threads(threads);
    }
    interrupt::handle();
    crate::ingest::hush_caught_panics();
    let result = match &cli.command {
        Command::Analyze(args) => analyze::run(args, &context),
        Command::Gate(args) => gate::run(args, &context),
        Command::Inspect(args) => inspect::run(args, &context),
        Command::Convert(args) => convert::run(args, &context),
        Command::Profile(args) => profile::run(args, &context),
        Command::Trace(args) => trace::run(args, &context),
        Command::Graph(args) => graph::run(args, &context),
        Command::Report(args) => report::run(args, &context),
        Command::Schema(args) => schema::run(args),
        Command::Eval(args) => eval::run(args, &context),
        Command::Simulate(args) => simulate::run(args, &context),
        Command::Completions(args) => generate::completions(args),
        Command::Man(args) => generate::man(args),
    };
    match result {
        Ok(Exit::Complete) => ExitCode::SUCCESS,
        Ok(Exit::Partial | Exit::Failed) => ExitCode::from(1),
        Ok(Exit::Inconclusive) => ExitCode::from(3),
        Err(error) => {
            context.talk(&messages::error(&error));
            ExitCode::from(FAILED)
        }
    }
}
