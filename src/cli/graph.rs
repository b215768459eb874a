//! `suspect graph`: which service calls which.

use super::manual::{self, Manual};
use super::places::Places;
use super::{Context, Exit, Format, InputArgs, OutputArgs, context};
use crate::error::Error;
use crate::normalize::{self, Forest};
use crate::report::graph::Level;
use crate::span::AttributeSelection;
use crate::window::{self, Window};
use crate::{inspect, report, topology};
use clap::ValueEnum;
use std::path::PathBuf;

pub(super) const MANUAL: Manual = Manual {
    first: "  suspect graph traces/ --format terminal
  suspect graph traces/ | dot -Tsvg -o graph.svg",
    chapters: &[
        (
            "Examples",
            "  suspect graph traces/ --format mermaid
                             for Markdown
  suspect graph traces/ --regression 14:05..14:20
                             marks what is new and what is gone
  suspect graph traces/ --format json | jq '.service_edges[]'",
        ),
        manual::EXIT_STATUS,
        manual::ENVIRONMENT,
        ("See also", "`suspect analyze --help` for the bounds of windows, dot(1) for the drawing."),
    ],
};

/// Shows which service calls which, how often, how fast and with how many failures.
///
/// A call counts once, as its caller saw it. Databases, queues and third parties that left no spans are found in
/// their callers' spans and drawn as cylinders. With a window given, figures before and after stand side by side.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become the help text")]
    pub input: InputArgs,
    /// When all was well [default: the data before the regression]
    #[arg(long, value_name = "START..END", allow_hyphen_values = true, help_heading = "Windows")]
    pub baseline: Option<String>,
    /// What is compared with it [default: the data after the baseline]
    #[arg(long, value_name = "START..END", allow_hyphen_values = true, help_heading = "Windows")]
    pub regression: Option<String>,
    /// What a node stands for; the JSON has both
    #[arg(long, value_name = "LEVEL", default_value = "service", help_heading = "Output")]
    pub level: GraphLevel,
    /// Drawing, table or data
    #[arg(long, value_name = "FORMAT", default_value = "dot", help_heading = "Output")]
    pub format: GraphFormat,
    /// Write to FILE, whole or not at all, instead of to standard output
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
}

/// What a node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GraphLevel {
    /// A service.
    Service,
    /// An operation, drawn within its service.
    Operation,
}

/// Form of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// The DOT language of Graphviz.
    Dot,
    /// A table for people, as wide as the terminal or `--width`.
    Terminal,
    /// A flowchart for Markdown.
    Mermaid,
    /// One JSON document with a `schema_version`.
    Json,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Error> {
    Places::default().spans(&args.input.paths).output("--output", args.output.as_deref()).check()?;
    let options = args.input.options(AttributeSelection::Keys(normalize::required_attributes()));
    let (mut ingested, exit) = context.read_some(&args.input.paths, &options)?;
    let topology = if args.baseline.is_none() && args.regression.is_none() {
        let (forest, _) = normalize::forest(&mut ingested.frame);
        topology::topology_of_all(&forest)
    } else {
        let given = window::Options { baseline: args.baseline.clone(), regression: args.regression.clone() };
        let windows = window::split(&given, inspect::Roots::of(&ingested.frame).data())?;
        context.warn_windows(&windows.warnings);
        let (forest, _) = normalize::forest(&mut ingested.frame);
        let [baseline, regression] = [windows.baseline, windows.regression].map(|window| traces_in(&forest, window));
        topology::topology(&forest, &baseline, &regression)
    };
    let document = topology.document().standalone();
    let level = match args.level {
        GraphLevel::Service => Level::Service,
        GraphLevel::Operation => Level::Operation,
    };
    let text = match args.format {
        GraphFormat::Dot => report::graph::dot(&document, level),
        GraphFormat::Terminal => {
            let args = OutputArgs { format: Format::Terminal, output: args.output.clone() };
            let text = report::graph_text::text(&document, level, context.columns(&args));
            context.write(&text, &args)?;
            return Ok(exit);
        }
        GraphFormat::Mermaid => report::graph::mermaid(&document, level),
        GraphFormat::Json => report::json(&document),
    };
    context::write_plain(&text, args.output.as_deref())?;
    Ok(exit)
}

/// Traces whose root starts in `window`.
fn traces_in(forest: &Forest, window: Window) -> Vec<u32> {
    let starts = (0_u32..).zip(&forest.root_start_ns);
    starts.filter(|&(_, &start_ns)| window.contains(start_ns)).map(|(trace, _)| trace).collect()
}
