//! `suspect profile`: what the comparison needs of a baseline, as a small file without spans.

use super::manual::{self, Manual};
use super::places::Places;
use super::{Collected, ColumnArgs, Context, Exit, MemoryArgs, comparison, context, messages, output};
use crate::analysis::{Attributes, Question};
use crate::error::Error;
use crate::{ingest, profile, report, store};
use std::path::PathBuf;

pub(super) const MANUAL: Manual = Manual {
    first: "  suspect profile good-run/ -o baseline.suspect
  suspect analyze new-run/ --baseline-data baseline.suspect",
    chapters: &[
        (
            "Examples",
            "  suspect profile traces/ --window ..14:00 --entry 'gateway:*' -o checkout.suspect
  suspect profile --merge monday.suspect tuesday.suspect -o week.suspect
  suspect profile --show baseline.suspect",
        ),
        (
            "What it holds",
            "A profile holds no span: for each trace its id, start and requests, what it
spends on each call path, and which calls have which attributes, alike ones
counted together; and sums of all else.
Files of the same names and content give the same bytes, whatever their folder
and order. What is learnt of the data as a whole
(operation names folded into templates, clocks, time limits) is learnt when the
profile is made.",
        ),
        manual::EXIT_STATUS,
        manual::ENVIRONMENT,
        ("See also", "`suspect analyze` and `suspect gate` take profiles as `--baseline-data`."),
    ],
};

/// Saves what the comparison needs of a baseline in a small file.
///
/// `--baseline-data` takes such a file in the place of the spans. Names of profiles are free: they are known by their content.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files or folders of spans, glob patterns, or `-` for standard input; profiles with `--merge` and `--show`
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// The profile to write
    #[arg(short, long, value_name = "FILE", required_unless_present = "show", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// The paths are profiles of different recordings: make one of them all
    #[arg(long, conflicts_with_all = ["window", "entry", "conditions", "show"])]
    pub merge: bool,
    /// Say what each profile holds
    #[arg(long, conflicts_with_all = ["window", "entry", "conditions", "output"])]
    pub show: bool,
    /// Only traces that start in this stretch; bounds as in `suspect analyze --help`
    #[arg(long, value_name = "START..END", allow_hyphen_values = true, help_heading = "Narrow the profile")]
    pub window: Option<String>,
    /// Only requests that begin at this entry operation; `*` and `?` as in file names; repeatable, any may match
    #[arg(long, value_name = "SERVICE[:OPERATION]", help_heading = "Narrow the profile")]
    pub entry: Vec<String>,
    /// Only traces in which some span has this value; repeatable, all must hold
    #[arg(long = "where", value_name = "ATTR=VALUE", help_heading = "Narrow the profile")]
    pub conditions: Vec<String>,
    /// Keep the calls told apart by these attributes only, so that they are looked into against this profile [default: all with few values]
    ///
    /// Named attributes are kept whatever they say; of the others, those that number every call or say how it ended are not.
    #[arg(
        long,
        value_name = "KEY,...",
        value_delimiter = ',',
        conflicts_with_all = ["no_attributes", "merge", "show"],
        help_heading = "Evidence",
        hide_short_help = true
    )]
    pub attributes: Vec<String>,
    /// Do not keep attributes of calls, which saves some of the profile's size
    #[arg(long, conflicts_with_all = ["merge", "show"], help_heading = "Evidence", hide_short_help = true)]
    pub no_attributes: bool,
    /// Keep a uniform sample of traces where all have more than N cells: of each its call paths, or its calls told apart if these are more
    #[arg(long, value_name = "N", default_value_t = profile::MAX_CELLS, value_parser = parse_cells, help_heading = "Output", hide_short_help = true)]
    pub max_cells: usize,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become the help text")]
    pub columns: ColumnArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become the help text")]
    pub memory: MemoryArgs,
}

fn parse_cells(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n_cells| n_cells > 0).ok_or_else(|| "expected a whole number, 1 or more".to_owned())
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Error> {
    if args.show {
        let columns = context.columns_of_output();
        let mut text = String::new();
        for path in &args.paths {
            text += &report::profile::text(&store::shown(path), &context::read_profile(path)?, columns);
        }
        context.show(&text)?;
        return Ok(Exit::Complete);
    }
    Places::default().spans(&args.paths).file("--output", args.output.as_deref()).check()?;
    let (mut profile, exit) = if args.merge {
        let profiles: Result<Vec<_>, Error> = args.paths.iter().map(|path| context::read_profile(path)).collect();
        (profile::merge(profiles?, args.max_cells)?, Exit::Complete)
    } else {
        let mut is_away = false;
        let mut result = take(args, &mut is_away, context);
        if matches!(result, Err(Error::Memory { .. })) && !is_away && !comparison::is_once(&args.paths) {
            is_away = true;
            result = take(args, &mut is_away, context);
        }
        result?
    };
    profile.about.forget_folders();
    if profile.below < u64::MAX {
        let (n_kept, n_all) = (profile.traces.len(), profile.n_traces());
        let error = profile.sampling_error();
        let error = error.map_or_else(
            || "an unknown error".to_owned(),
            |error| format!("a standard error of {:.2} %", 100.0 * error),
        );
        context.warn(&messages::warning(&format!(
            "the profile keeps a uniform sample of {n_kept} of {n_all} traces (`--max-cells {}`), which adds {error} to the mean latency",
            args.max_cells,
        )));
    }
    if let Some(path) = &args.output {
        output::write_file(path, &profile::write(&profile)?)?;
    }
    Ok(exit)
}

/// The profile of the spans, which lie in a folder if `is_away` says so, or if it does afterwards.
fn take(args: &Args, is_away: &mut bool, context: &Context) -> Result<(profile::Profile, Exit), Error> {
    let question = Question { entries: args.entry.clone(), conditions: args.conditions.clone(), ..Question::default() };
    let attributes = Attributes::new(&args.attributes, args.no_attributes);
    let read = Attributes::All.selection().and(args.attributes.clone()).and(question.attributes());
    let options = ingest::Options { attributes: read, columns: args.columns.columns.clone() };
    let collector = args.memory.collector().again(*is_away);
    let limit = collector.limit();
    let (sources, exit) = context.timed("read", || context.collect(&collector, 1, &args.paths, &options))?;
    let collected = collector.finish()?;
    *is_away = matches!(collected, Collected::Partitions(..));
    let mut prepared = context.stage("link", "linking", || comparison::prepare(collected, None, sources))?;
    prepared.frame.spans.forget_linked();
    prepared.check_memory(limit)?;
    prepared.narrow(&question)?;
    context.stage("costs", "walking traces", || prepared.costs());
    prepared.check_profile_memory(limit, args.max_cells)?;
    let profile = context
        .stage("profile", "summing up", || prepared.profile(args.window.as_deref(), &attributes, args.max_cells))?;
    match prepared.forest.failure() {
        Some(error) => Err(error),
        None => Ok((profile, exit)),
    }
}
