//! `suspect analyze`: what got slower or began to fail, and which operation is to blame.

use super::comparison::{Compared, ComparisonArgs};
use super::context::read_text;
use super::manual::{self, Manual};
use super::output::Outputs;
use super::places::Places;
use super::{Context, Exit, Format, InputArgs, OutputArgs, OwnerArgs, ReportsArgs, messages};
use crate::analysis::{Attributes, ChangeList};
use crate::error::Error;
use crate::{analysis, report, store};
use std::path::{Path, PathBuf};

pub(super) const MANUAL: Manual = Manual {
    first: "  suspect analyze traces/    find the change, too
  suspect analyze traces/ --regression 14:05..14:20    against all before 14:05
  suspect analyze new/ --baseline-data old/    compare two sets of data",
    chapters: &[
        (
            "Examples",
            "  suspect analyze traces/ --html report.html
                             a page to read and to pass on
  suspect analyze traces/ --explain cart
                             why cart, or why not
  suspect analyze traces/ --compare service.version
                             old against new, side by side
  suspect analyze traces/ --entry 'gateway:POST /checkout' --where tenant=acme
                             requests of one kind and one tenant alone
  suspect analyze traces/ --baseline ..+10m --regression -10m..
                             the first minutes of the data and the last
  suspect analyze traces/ --baseline 2024-05-01T13:00Z..2024-05-01T14:00Z \\
      --regression 14:05..14:20
  suspect analyze new/ --baseline-data old/ --format json -o report.json",
        ),
        (
            "Bounds of windows",
            "A window is START..END, with the start in it and the end not. A trace belongs to
the window in which its root starts. Each bound is one of:

  2024-05-01T14:05:00+02:00  RFC 3339; UTC if it names no zone
  14:05, 14:05:30.250        a clock time in UTC on the day of the data
  1714572300                 epoch seconds; also ms, us and ns, by magnitude
  +10m, -30m, +1h30m         after the data's start, before the data's end
                             (d, h, m, s, ms, us, ns)
  nothing                    the data's start or end",
        ),
        manual::EXIT_STATUS,
        manual::ENVIRONMENT,
        (
            "See also",
            "`suspect inspect` for windows worth trying, `suspect trace` for one of the
traces that the report names, `suspect report` for other documents of a saved
analysis, `suspect profile` for a baseline without its spans, `suspect gate` for
builds.",
        ),
    ],
};

/// Finds what got slower or began to fail, and ranks the operations that caused it.
///
/// Compares two stretches of time, two sets of data, or requests with two values of an attribute. With no window given,
/// the onset of the worst change is looked for in the latency, failures and traffic of the entry operations and in the
/// time, failures and calls of each service; the baseline is the stable stretch before it, the regression lasts until
/// its end, and the report shows both over time. With only `--regression`, the baseline is the stable stretch before it.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become the help text")]
    pub input: InputArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become the help text")]
    pub comparison: ComparisonArgs,
    /// Attributes that may tell a suspect's calls apart, such as host, version or tenant [default: all with few values]
    ///
    /// Named attributes are read whatever they say; of the others, those that number every call or say how it ended are not.
    #[arg(
        long,
        value_name = "KEY,...",
        value_delimiter = ',',
        conflicts_with = "no_attributes",
        help_heading = "Evidence",
        hide_short_help = true
    )]
    pub attributes: Vec<String>,
    /// Do not look into attributes, which saves their memory
    #[arg(long, help_heading = "Evidence", hide_short_help = true)]
    pub no_attributes: bool,
    /// Instead of the report, the full account of one suspect, accused or not
    ///
    /// A service, `SERVICE: OPERATION`, an edge `CALLER -> CALLEE`, or a place in the ranking: every call path, the
    /// numbers of both windows, the arithmetic, and why it is accused or not.
    #[arg(long, value_name = "SUSPECT", help_heading = "Evidence", conflicts_with_all = ["html", "markdown", "json", "parquet"])]
    pub explain: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become the help text")]
    pub owners: OwnerArgs,
    /// What somebody changed and when: JSON lines or CSV with time, service, kind, title and url; repeatable
    ///
    /// Deploys, flags, config changes, incidents. A change is credited only if what its service does moved after it, give or take the 5 s by
    /// which clocks may differ; versions that `service.version` shows to come are seen without a list, and one with the deploy that brought them.
    #[arg(long, value_name = "FILE", help_heading = "Changes")]
    pub changes: Vec<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become the help text")]
    pub reports: ReportsArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become the help text")]
    pub output: OutputArgs,
}

impl Args {
    fn attributes(&self) -> Attributes {
        Attributes::new(&self.attributes, self.no_attributes)
    }
}

impl Args {
    fn changes(&self, context: &Context) -> Result<ChangeList, Error> {
        let mut list = ChangeList::default();
        for path in &self.changes {
            list.add(Path::new(&store::shown(path)), &read_text(path)?);
        }
        let more = list.n_skipped.saturating_sub(list.faults.len() as u64);
        let mut lines: String = list.faults.iter().map(|fault| messages::warning(fault)).collect();
        if more > 0 {
            lines += &messages::warning(&format!("{more} more lines are no changes"));
        }
        context.warn(&lines);
        Ok(list)
    }
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Error> {
    args.reports.check()?;
    let read = Places::default().spans(&args.input.paths).spans(&args.comparison.baseline_data);
    let read = read.inputs(&args.owners.owners).inputs(&args.changes);
    args.reports.places(read.result(&args.output)).check()?;
    let attributes = args.attributes();
    let owners = args.owners.read(context)?;
    let changes = args.changes(context)?;
    let selection = attributes.selection().and(args.owners.keys(&owners));
    // When a service moved, which a change is held against, may lie between the windows.
    let has_changes = !changes.events.is_empty();
    let Compared { prepared, windows, selection, exit } =
        args.comparison.read(&args.input, selection, has_changes, context)?;
    let options = analysis::Options { attributes, owners, changes: changes.events.clone() };
    let mut outputs = Outputs::default();
    let text = if let Some(suspect) = &args.explain {
        let explain = || analysis::explain(&prepared, &windows, &selection, &options, suspect);
        let explanation = context.stage("compare", "comparing", explain)?;
        match args.output.format {
            Format::Terminal => report::explain::text(&explanation, context.columns(&args.output)),
            Format::Json => report::json(&explanation),
        }
    } else {
        let analyze = || analysis::analyze_with(&prepared, &windows, &selection, &options);
        let analysis = context.stage("compare", "comparing", analyze)?;
        args.reports.prepare(&analysis, &mut outputs)?;
        match args.output.format {
            Format::Terminal => report::analysis::text(&analysis, context.columns(&args.output)),
            Format::Json => report::json(&analysis),
        }
    };
    context.write_with(outputs, &text, &args.output)?;
    // The process ends, and its memory with it: to give millions of spans back one by one takes longer. A folder of them has to go.
    if !prepared.forest.is_away() {
        std::mem::forget(prepared);
    }
    Ok(if changes.n_skipped > 0 && exit == Exit::Complete { Exit::Partial } else { exit })
}
