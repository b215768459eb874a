//! All stages in a row: spans and windows in, one [`Analysis`] out.
//!
//! [`prepare`] links the spans of one or two data sets, [`window`] chooses the windows, and [`analyze`] compares
//! them, ranks what changed and gathers the evidence. Reports render the document and compute nothing of their own.

mod attributes;
mod between;
mod build;
mod change_list;
mod changes;
mod comings;
mod conditions;
mod distributions;
mod document;
mod errors;
mod evidence;
mod explain;
mod explanation;
mod hops;
mod impact;
pub(crate) mod missing;
mod moved;
mod narrow;
mod network;
mod operations;
mod overturn;
mod owners;
mod profiled;
mod resolve;
mod rows;
mod series;
mod shapes;
mod signals;
mod single;
mod standing;
mod structure;
mod suspects;
mod traces;
mod unfailing;
mod versions;
mod wording;

pub use attributes::{Attribute, AttributeSearch, Carrier, ValueChange};
pub use change_list::{ChangeEvent, ChangeList};
pub use changes::{ChangeAccount, Credit};
pub use distributions::Distribution;
pub use document::{
    Analysis, Beside, ChancesBetweenRuns, Contribution, Decomposition, DecompositionRow, Degradation, Diagnostics,
    Edge, EndToEndChances, Entry, EntryFailures, EntryImpact, ErrorKind, ErrorPart, Errors, ExceptionSeen, Exemplar,
    Finding, Hop, Impact, Operation, Pair, PropagationPath, RankedService, RowCause, SCHEMA_VERSION, SpanExemplar,
    StructureChange, Suspect, Window, Windows, excludes_zero,
};
pub use explanation::{
    About, CauseAccount, ChannelAccount, EdgeAccount, EdgePart, Explanation, Factor, PathAccount,
    SCHEMA_VERSION as EXPLANATION_SCHEMA_VERSION, Step, Term, Totals,
};

pub use narrow::{Narrowed, Question};
pub use operations::{Chances, OperationAccount, UsualCall};
pub use owners::{OWNER_ATTRIBUTES, Owner, OwnerOptions, Part, TeamShare};
pub use profiled::{BaselineData, is_too_much};
pub(crate) use resolve::nearest;
pub use series::{SeriesOf, TimeSeries};
pub use traces::{SpanView, TracePair, TraceView};

use crate::compare::paths::{self, CostTable};
use crate::compare::{self, Selection};
use crate::diagnostics::{SetAsideReason, SourceReport};
use crate::error::Error;
use crate::ingest::Ingested;
use crate::normalize::{self, Forest, Repairs};
use crate::profile;
use crate::rank;
use crate::span::{AttributeSelection, SpanFrame};
use crate::topology;
use crate::window;
use narrow::Side;
use signals::DataSet;
use std::sync::OnceLock;
use unfailing::Unfailing;

/// Linked spans of one data set, or of two that must not be mixed.
#[derive(Debug)]
pub struct Prepared {
    /// Spans as read; the analysis does without what [`crate::span::SpanColumns::forget_linked`] empties.
    pub frame: SpanFrame,
    /// The same, linked.
    pub forest: Forest,
    /// What linking repaired.
    pub repairs: Repairs,
    /// How reading went.
    pub sources: Vec<SourceReport>,
    /// What every trace spends on every path, once it was asked for.
    costs: OnceLock<CostTable>,
    /// What a question leaves of the data: all unless [`Prepared::narrow`] says otherwise.
    narrowed: Narrowed,
    /// For two data sets, the first trace of the second in the frame; traces of both may have the same id.
    pub first_of_second: Option<u32>,
    /// What a profile tells of the baseline beyond its traces in the forest, if the baseline is one.
    pub(crate) profile: Option<profile::Baseline>,
}

/// Links the spans of `regression` and, if it is a data set of its own, of `baseline`.
#[must_use]
pub fn prepare(baseline: Option<Ingested>, regression: Ingested) -> Prepared {
    let (mut frame, mut sources, mut first_of_second) = (regression.frame, regression.sources, None);
    if let Some(mut baseline) = baseline {
        first_of_second = u32::try_from(baseline.frame.traces.len()).ok();
        baseline.frame.append_apart(frame);
        frame = baseline.frame;
        baseline.sources.append(&mut sources);
        sources = baseline.sources;
    }
    let (forest, repairs) = normalize::forest_apart(&mut frame, first_of_second);
    let (costs, narrowed) = (OnceLock::new(), Narrowed::default());
    Prepared { frame, forest, repairs, sources, costs, narrowed, first_of_second, profile: None }
}

impl Prepared {
    /// What every trace spends on every path; computed on first use.
    pub fn costs(&self) -> &CostTable {
        let kept = self.profile.as_ref().map(|profile| &profile.table);
        self.costs.get_or_init(|| paths::cost_table_with(&self.forest, kept))
    }

    /// Keeps the traces that a question is about; the others will be set aside.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an entry, attribute or value that there is not, with those there are; [`Error::Usage`] for
    /// a condition that cannot be read, and for two ways at once to choose a baseline.
    pub fn narrow(&mut self, question: &Question) -> Result<(), Error> {
        self.narrowed = narrow::narrow(self, question)?;
        self.narrow_profile()?;
        if !self.narrowed.sides.is_empty() && self.first_of_second.is_some() {
            return Err(Error::Usage {
                message: "the baseline is a data set of its own and chosen by an attribute at once".to_owned(),
                hint: "leave out `--baseline-data`, or `--baseline-where`, `--regression-where` and `--compare`"
                    .to_owned(),
            });
        }
        Ok(())
    }

    /// Whether it is not its time alone that puts a trace into a window.
    fn has_sides(&self) -> bool {
        self.first_of_second.is_some() || !self.narrowed.sides.is_empty()
    }

    /// Whether trace `trace` of the forest can be in the regression (`second`), or in the baseline.
    fn may_be(&self, trace: u32, second: bool) -> bool {
        let trace = trace as usize;
        if self.narrowed.aside.get(trace).copied().flatten().is_some() {
            return false;
        }
        if let Some(side) = self.narrowed.sides.get(trace) {
            return *side == Some(if second { Side::Regression } else { Side::Baseline });
        }
        self.first_of_second.is_none_or(|first| (self.forest.trace[trace] >= first) == second)
    }

    /// Traces of the data that the regression is looked for in, or of the baseline's own data.
    fn traces(&self, second: bool) -> Vec<u32> {
        let traces = 0..u32::try_from(self.forest.n_traces()).unwrap_or(u32::MAX);
        traces.filter(|&trace| self.may_be(trace, second)).collect()
    }

    /// The stretch that `options` give as the baseline, or all, and the traces in it.
    fn stretch(&self, options: &window::Options) -> Result<(window::Window, Vec<u32>), Error> {
        let traces = self.traces(true);
        let set = DataSet::new(self, &traces, false);
        let windows = window::split_data_sets(options, set.data(), set.data())?;
        let start_ns = |trace: u32| self.forest.root_start_ns[trace as usize];
        let inside = traces.into_iter().filter(|&trace| windows.baseline.contains(start_ns(trace))).collect();
        Ok((windows.baseline, inside))
    }

    /// Chooses the windows, and with them the traces.
    ///
    /// # Errors
    /// [`Error::Window`] if the windows cannot be used, [`Error::NoSpans`] if there is nothing to choose from.
    pub fn select(&self, options: &window::Options) -> Result<(window::Windows, Selection), Error> {
        if self.forest.n_traces() == 0 {
            let names: Vec<String> = self.sources.iter().map(|source| format!("`{}`", source.path)).collect();
            return Err(Error::NoSpans(if names.is_empty() { "the input".to_owned() } else { names.join(", ") }));
        }
        self.check_profile_window(options)?;
        // Given windows are not looked for.
        let is_searched = !self.has_sides() && options.baseline.is_none();
        let set = DataSet::new(self, &self.traces(true), is_searched);
        let windows = if self.has_sides() {
            let baseline = DataSet::new(self, &self.traces(false), false);
            let mut windows = window::split_data_sets(options, baseline.data(), set.data())?;
            if !self.narrowed.sides.is_empty() {
                windows.choice = window::WindowChoice::Attributes;
            }
            windows
        } else {
            window::split(options, set.data())?
        };
        let traces = |window: &window::Window, second: bool| {
            let starts = (0_u32..).zip(&self.forest.root_start_ns);
            let inside = starts.filter(|&(trace, &start)| window.contains(start) && self.may_be(trace, second));
            inside.map(|(trace, _)| trace).collect()
        };
        let selection =
            Selection { baseline: traces(&windows.baseline, false), regression: traces(&windows.regression, true) };
        Ok((windows, selection))
    }
}

/// Compares the windows and ranks what changed.
///
/// # Errors
/// Only if spans that lie in a folder cannot be read back.
pub fn analyze(prepared: &Prepared, windows: &window::Windows, selection: &Selection) -> Result<Analysis, Error> {
    analyze_with(prepared, windows, selection, &Options::default())
}

/// What beyond the windows the user decides.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Attributes whose values the suspects' calls are told apart by.
    pub attributes: Attributes,
    /// Where owners are learnt from.
    pub owners: OwnerOptions,
    /// Changes that somebody wrote down.
    pub changes: Vec<ChangeEvent>,
}

/// Attributes whose values calls are told apart by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Attributes {
    /// All that were read and that can tell calls apart: see [`crate::span::tells_calls_apart`].
    #[default]
    All,
    /// Those with these keys.
    Keys(Vec<String>),
    /// None.
    None,
}

impl Attributes {
    /// Those with these keys, all if there are none, or none at all.
    #[must_use]
    pub fn new(keys: &[String], are_none: bool) -> Self {
        match (are_none, keys) {
            (true, _) => Self::None,
            (false, []) => Self::All,
            (false, keys) => Self::Keys(keys.to_vec()),
        }
    }

    /// What `ingest` has to keep for the analysis.
    #[must_use]
    pub fn selection(&self) -> AttributeSelection {
        let mut keys = normalize::required_attributes();
        match self {
            Self::All => return AttributeSelection::Telling(keys),
            Self::Keys(own) => keys.extend_from_slice(own),
            Self::None => {}
        }
        keys.sort_unstable();
        AttributeSelection::Keys(keys)
    }

    fn keys(&self) -> Option<&[String]> {
        match self {
            Self::All => Some(&[]),
            Self::Keys(keys) => Some(keys),
            Self::None => None,
        }
    }
}

/// [`analyze`] with options.
///
/// # Errors
/// As [`analyze`].
pub fn analyze_with(
    prepared: &Prepared,
    windows: &window::Windows,
    selection: &Selection,
    options: &Options,
) -> Result<Analysis, Error> {
    with_evidence(prepared, windows, selection, options, |analysis, _, _| Ok(analysis))
}

/// The same, and then the full account of one suspect: a service, `SERVICE: OPERATION`, `CALLER -> CALLEE`, or a place in the ranking.
///
/// # Errors
/// As [`analyze`], and [`Error::NotFound`] if nothing in the windows has this name.
pub fn explain(
    prepared: &Prepared,
    windows: &window::Windows,
    selection: &Selection,
    options: &Options,
    suspect: &str,
) -> Result<Explanation, Error> {
    with_evidence(prepared, windows, selection, options, |analysis, ranking, evidence| {
        let target = resolve::resolve(evidence, ranking, suspect)?;
        Ok(explain::explain(&analysis, ranking, evidence, &target))
    })
}

fn with_evidence<T>(
    prepared: &Prepared,
    windows: &window::Windows,
    selection: &Selection,
    options: &Options,
    then: impl FnOnce(Analysis, &rank::Ranking, evidence::Evidence<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let table = prepared.costs();
    let forest = &prepared.forest;
    let kept = prepared.profile.as_ref();
    let compare = || {
        let comparison = compare::compare(forest, table, selection);
        let mut ranking = rank::rank(forest, table, &comparison);
        let unfailing = Unfailing::new(forest, table, selection, &comparison);
        if let Some(unfailing) = &unfailing {
            unfailing.correct(forest, &mut ranking);
        }
        (comparison, ranking, unfailing)
    };
    let graph = || {
        let kept = kept.map(|kept| &kept.graph);
        topology::topology_with(forest, &selection.baseline, &selection.regression, kept).document()
    };
    let rows = || (rows::PathRows::new(table, selection), shapes::Shapes::new(forest, table, &selection.baseline));
    let ((comparison, ranking, unfailing), (graph, (path_rows, shapes))) =
        forest.both(compare, || forest.both(graph, rows));
    let evidence = evidence::Evidence {
        frame: &prepared.frame,
        forest,
        table,
        selection,
        comparison: &comparison,
        rows: &path_rows,
        shapes: &shapes,
        unfailing: unfailing.as_ref(),
        kept,
    };
    let (mut analysis, found) =
        build::document(prepared, windows, &ranking, evidence, graph, options.attributes.keys());
    owners::add(&mut analysis, evidence, &options.owners);
    changes::add(&mut analysis, prepared, evidence, &found, &options.changes);
    if let Some(error) = prepared.forest.failure() {
        return Err(error);
    }
    then(analysis, &ranking, evidence)
}

/// Traces of the regression that the baseline has, too, where each is a data set of its own; ids alone may be alike by how they are made.
fn on_both_sides(prepared: &Prepared, selection: &Selection) -> u64 {
    if prepared.first_of_second.is_none() {
        return 0;
    }
    let forest = &prepared.forest;
    let key = |&trace: &u32| {
        let place = trace as usize;
        let end_ns = forest.spans_of(place).filter(|&span| forest.is_top(span)).map(|span| forest.end_ns[span]).max();
        (prepared.frame.traces.key(forest.trace[place]), forest.root_start_ns[place], end_ns)
    };
    let baseline: hashbrown::HashSet<_, foldhash::fast::FixedState> = selection.baseline.iter().map(key).collect();
    selection.regression.iter().filter(|trace| baseline.contains(&key(trace))).count() as u64
}

/// Counts of spans read, analysed and set aside; the first is the sum of the others.
fn diagnostics(prepared: &Prepared, selection: &Selection) -> Diagnostics {
    let forest = &prepared.forest;
    let mut result = Diagnostics {
        repairs: prepared.repairs.clone(),
        sources: prepared.sources.clone(),
        n_traces: forest.n_traces() as u64,
        n_traces_on_both_sides: on_both_sides(prepared, selection),
        ..Diagnostics::default()
    };
    for source in &prepared.sources {
        result.n_spans_read += source.n_spans;
        result.set_aside.absorb(&source.set_aside);
        result.n_skipped_records += source.n_skipped_records;
    }
    let traces = selection.baseline.iter().chain(&selection.regression);
    result.n_spans_analysed = traces.map(|&trace| forest.n_spans_of(trace as usize)).sum();
    result.set_aside.add(SetAsideReason::Duplicate, prepared.repairs.n_duplicates);
    if let Some(profile) = &prepared.profile {
        result.set_aside.absorb(&profile.about.set_aside);
        result.set_aside.add(SetAsideReason::NotSampled, profile.n_spans_left_out);
        result.n_traces += profile.n_traces[0].saturating_sub(profile.n_traces[1]) + profile.about.n_traces_aside;
    }
    let n_spans: u64 = (0..forest.n_traces()).map(|trace| forest.n_spans_of(trace)).sum();
    let mut n_outside = n_spans - result.n_spans_analysed;
    for (trace, reason) in prepared.narrowed.aside.iter().enumerate() {
        if let Some(reason) = reason {
            let n_spans = forest.n_spans_of(trace);
            result.set_aside.add(*reason, n_spans);
            n_outside -= n_spans;
        }
    }
    result.set_aside.add(SetAsideReason::OutsideWindows, n_outside);
    result
}
