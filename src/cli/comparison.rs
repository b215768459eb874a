use super::{Collected, Context, Exit, InputArgs, MemoryArgs};
use crate::analysis::{BaselineData, Prepared, Question};
use crate::compare::Selection;
use crate::diagnostics::SourceReport;
use crate::error::Error;
use crate::ingest::{self, Ingested};
use crate::profile::Profile;
use crate::span::AttributeSelection;
use crate::window::{self, GivenWindows};
use std::path::PathBuf;

/// Which requests are compared.
#[derive(Debug, clap::Args)]
pub struct ComparisonArgs {
    /// When all was well [default: the stable stretch before the regression]
    #[arg(long, value_name = "START..END", allow_hyphen_values = true, help_heading = "Windows")]
    pub baseline: Option<String>,
    /// What is to be explained [default: the data after the baseline; the worst change found]
    #[arg(long, value_name = "START..END", allow_hyphen_values = true, help_heading = "Windows")]
    pub regression: Option<String>,
    /// Data from when all was well, to compare the positional paths with
    ///
    /// Spans, or files of `suspect profile`. Takes all paths up to the next option or `--`, so give the positional paths first or after `--`.
    #[arg(long, value_name = "PATH", num_args = 1.., help_heading = "Windows")]
    pub baseline_data: Vec<PathBuf>,
    /// The baseline is the traces in which some span has this value; repeatable, all must hold
    ///
    /// An attribute of a span or of its resource, or `service.name`, `name`, `kind` or `status`. A trace that is on both
    /// sides or on neither is set aside. Without `--regression-where` the regression is all other traces.
    #[arg(long, value_name = "ATTR=VALUE", help_heading = "Windows", hide_short_help = true)]
    pub baseline_where: Vec<String>,
    /// The regression is the traces in which some span has this value; see `--baseline-where`
    #[arg(long, value_name = "ATTR=VALUE", help_heading = "Windows", hide_short_help = true)]
    pub regression_where: Vec<String>,
    /// Compare the two values of an attribute: the one seen first is the baseline
    #[arg(long, value_name = "ATTR", help_heading = "Windows")]
    pub compare: Option<String>,
    /// Only requests that begin at this entry operation; `*` and `?` as in file names; repeatable, any may match
    #[arg(long, value_name = "SERVICE[:OPERATION]", help_heading = "Narrow the question")]
    pub entry: Vec<String>,
    /// Only traces in which some span has this value; repeatable, all must hold
    #[arg(long = "where", value_name = "ATTR=VALUE", help_heading = "Narrow the question")]
    pub conditions: Vec<String>,
    /// Read all of a file of `suspect convert` or `simulate`, not only what the two windows need
    ///
    /// With both windows given, parts of such a file, given alone, that hold nothing of either are counted, not read. Series over time then
    /// show what is near the windows, and what is learnt from all data, such as how far clocks of hosts are apart, is learnt from that.
    #[arg(long, help_heading = "Windows", hide_short_help = true)]
    pub read_all: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become the help text")]
    pub memory: MemoryArgs,
}

/// The data with the two windows chosen.
pub(super) struct Compared {
    pub(super) prepared: Prepared,
    pub(super) windows: window::Windows,
    pub(super) selection: Selection,
    /// Whether all of the data could be read.
    pub(super) exit: Exit,
}

/// The baseline's own data: reports of its spans, or a profile.
pub(super) enum BaselineReports {
    /// Of spans, which were collected.
    Spans(Vec<SourceReport>),
    /// What a profile kept.
    Profile(Box<Profile>),
}

/// How data are read, and what became of that.
#[derive(Default)]
struct Way {
    /// They were read before, and their spans go to the folder.
    is_again: bool,
    /// Spans that the windows do not need were left out.
    has_left_out: bool,
    /// Spans lie in the folder.
    is_away: bool,
}

/// Links what was collected, wherever it is.
pub(super) fn prepare(
    collected: Collected,
    baseline: Option<BaselineReports>,
    mut sources: Vec<SourceReport>,
) -> Result<Prepared, Error> {
    match collected {
        Collected::Memory(frames) => {
            let [before, after] = *frames;
            let baseline = baseline.map(|baseline| match baseline {
                BaselineReports::Spans(sources) => BaselineData::Spans(Box::new(Ingested { frame: before, sources })),
                BaselineReports::Profile(profile) => BaselineData::Profile(profile),
            });
            Ok(Prepared::against(baseline, Ingested { frame: after, sources }))
        }
        Collected::Partitions(partitions, n_buckets) => {
            let (with_second, profile) = match baseline {
                None => (false, None),
                Some(BaselineReports::Profile(profile)) => (false, Some(*profile)),
                Some(BaselineReports::Spans(reports)) => {
                    sources.splice(0..0, reports);
                    (true, None)
                }
            };
            Prepared::partitioned(*partitions, n_buckets, with_second, sources, profile)
        }
    }
}

/// Whether some of it cannot be read again: standard input and pipes.
pub(super) fn is_once(paths: &[PathBuf]) -> bool {
    let is_stream = |path: &PathBuf| path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
    paths.iter().any(|path| path.as_os_str() == "-" || is_stream(path))
}

impl ComparisonArgs {
    fn question(&self) -> Question {
        Question {
            entries: self.entry.clone(),
            conditions: self.conditions.clone(),
            baseline: self.baseline_where.clone(),
            regression: self.regression_where.clone(),
            compare: self.compare.clone(),
        }
    }

    /// Refuses data of which nobody says what the baseline is: halves of one run differ in nothing that a build did.
    pub(super) fn check_sides(&self) -> Result<(), Error> {
        let has_sides = !self.baseline_data.is_empty()
            || self.baseline.is_some()
            || self.regression.is_some()
            || self.compare.is_some()
            || !self.baseline_where.is_empty()
            || !self.regression_where.is_empty();
        if has_sides {
            return Ok(());
        }
        Err(Error::Usage {
            message: "there is no baseline to compare the candidate with".to_owned(),
            hint: "give the spans or the profile of a good run, `--baseline-data main/`; of one data set two windows, `--baseline START..END \
                   --regression START..END`, or two versions, `--compare service.version`"
                .to_owned(),
        })
    }

    /// The windows, if both are given and time alone tells them apart.
    fn given_windows(&self, input: &InputArgs, with_between: bool) -> Option<GivenWindows> {
        let has_sides = self.compare.is_some() || !self.baseline_where.is_empty() || !self.regression_where.is_empty();
        if self.read_all || has_sides || !self.baseline_data.is_empty() || is_once(&input.paths) {
            return None;
        }
        // Offsets and clock times refer to the requests that a question is about.
        let may_be_relative = self.question().is_empty();
        Some(GivenWindows { texts: [self.baseline.clone()?, self.regression.clone()?], may_be_relative, with_between })
    }

    /// Reads the data, narrows them and chooses the windows; `attributes` are kept beside those that the question needs.
    ///
    /// Of files that allow it only what the windows need is read, with what lies between them if that is of use.
    pub(super) fn read(
        &self,
        input: &InputArgs,
        attributes: AttributeSelection,
        with_between: bool,
        context: &Context,
    ) -> Result<Compared, Error> {
        let options = input.options(attributes.and(self.question().attributes()));
        let given = self.given_windows(input, with_between);
        let mut way = Way::default();
        let mut result = self.read_for(given.clone(), &mut way, input, &options, context);
        // With its call paths it is too much for the memory, and without its spans it may not be.
        let is_too_much = matches!(result, Err(Error::Memory { .. })) && !way.is_away;
        if is_too_much && !is_once(&input.paths) && !is_once(&self.baseline_data) {
            way.is_again = true;
            result = self.read_for(given, &mut way, input, &options, context);
        }
        // What is wrong with windows or question is told by all of the data.
        if way.has_left_out && result.is_err() {
            return self.read_for(None, &mut way, input, &options, context);
        }
        result
    }

    fn read_for(
        &self,
        given: Option<GivenWindows>,
        way: &mut Way,
        input: &InputArgs,
        options: &ingest::Options,
        context: &Context,
    ) -> Result<Compared, Error> {
        let collector = self.memory.collector().only(given).again(way.is_again);
        let limit = collector.limit();
        let read = || -> Result<_, Error> {
            let collected = context.collect(&collector, 1, &input.paths, options);
            let only = collector.windows();
            way.has_left_out = only.is_some();
            let (regression, exit) = collected?;
            let (baseline, baseline_exit) = context.collect_baseline(&collector, &self.baseline_data, options)?;
            let exit = if baseline_exit == Exit::Partial { baseline_exit } else { exit };
            Ok((regression, baseline, exit, only, collector.finish()?))
        };
        let (regression, baseline, exit, only, collected) = context.timed("read", read)?;
        way.is_away = matches!(collected, Collected::Partitions(..));
        let mut prepared = context.stage("link", "linking", || prepare(collected, baseline, regression))?;
        prepared.frame.spans.forget_linked();
        let mut windows = window::Options { baseline: self.baseline.clone(), regression: self.regression.clone() };
        if let Some(only) = only {
            prepared.count_left_out();
            // The user's words may refer to the start and the end of all the data.
            let [baseline, regression] = only.map(|window| Some(window.to_string()));
            windows = window::Options { baseline, regression };
        }
        prepared.check_memory(limit)?;
        prepared.narrow(&self.question())?;
        let (windows, selection) = context.stage("windows", "choosing windows", || prepared.select(&windows))?;
        context.stage("costs", "walking traces", || prepared.costs());
        prepared.check_memory(limit)?;
        context.warn_windows(&windows.warnings);
        Ok(Compared { prepared, windows, selection, exit })
    }
}
