//! Where the baseline is a profile, and how a profile is made of what is prepared.

use super::{Attributes, Narrowed, Prepared, prepare};
use crate::compare::costs::Costs;
use crate::diagnostics::{SetAside, SetAsideReason, SourceReport};
use crate::drill::kept::Beside;
use crate::error::Error;
use crate::ingest::Ingested;
use crate::normalize::{self, Partitions};
use crate::profile::{self, About, Profile};
use crate::window;
use std::fmt::Write as _;
use std::sync::OnceLock;

/// What a process takes before it has read anything, and what no limit is held below.
const BASE_BYTES: u64 = 85 << 20;
const LEAST_BYTES: u64 = 128 << 20;
/// Id, start, weight, place and shape of a trace.
const BYTES_A_TRACE: u64 = 110;
/// A request of a trace, and what is listed of it.
const BYTES_A_TOP: u64 = 40;
/// What is listed of a row of the cost table, besides itself.
const BYTES_A_ROW: u64 = 10;
/// A span that is in memory itself, with all that is said of it.
const BYTES_A_SPAN: u64 = 170;
/// What is summed and resampled of a call path: measured with 137,000, 620,000 and 941,000 of them.
const BYTES_A_PATH: u64 = 2_300;
/// A row of calls that a profile keeps, with its links and codes.
const BYTES_A_KEPT_ROW: u64 = 100;
/// A cell of a profile that is made, measured with a million of them.
const BYTES_A_CELL: u64 = 200;
/// What is sorted of rows at a time, and of one of them.
const BYTES_SORTED: u64 = 1 << 28;
const BYTES_A_SORTED: u64 = 32;

/// Whether an analysis of so many spans takes more than `limit` bytes if they are in memory, whatever else it takes.
#[must_use]
pub fn is_too_much(n_spans: u64, limit: u64) -> bool {
    n_spans.saturating_mul(BYTES_A_SPAN).saturating_add(BASE_BYTES) > limit.max(LEAST_BYTES)
}

/// A baseline that is a data set of its own.
#[derive(Debug)]
pub enum BaselineData {
    /// Its spans.
    Spans(Box<Ingested>),
    /// What a profile kept of them.
    Profile(Box<Profile>),
}

impl Prepared {
    /// Links the spans of `regression` and of `baseline`, if these are there, or sets what a profile kept of the baseline beside the former.
    #[must_use]
    pub fn against(baseline: Option<BaselineData>, regression: Ingested) -> Self {
        let profile = match baseline {
            None => return prepare(None, regression),
            Some(BaselineData::Spans(baseline)) => return prepare(Some(*baseline), regression),
            Some(BaselineData::Profile(profile)) => *profile,
        };
        prepare(None, regression).beside(profile)
    }

    /// Links spans that lie in partitions: those of a baseline come first if `with_second`. Or sets a profile beside them.
    ///
    /// # Errors
    /// [`Error::NoRoom`] and any error of the folder that they lie in.
    pub fn partitioned(
        partitions: Partitions,
        n_buckets: usize,
        with_second: bool,
        sources: Vec<SourceReport>,
        profile: Option<Profile>,
    ) -> Result<Self, Error> {
        let (forest, frame, repairs, first_of_second) = normalize::forest_of(partitions, n_buckets, with_second)?;
        let first_of_second = with_second.then_some(first_of_second);
        let (costs, narrowed) = (OnceLock::new(), Narrowed::default());
        let prepared = Prepared { frame, forest, repairs, sources, costs, narrowed, first_of_second, profile: None };
        Ok(match profile {
            Some(profile) => prepared.beside(profile),
            None => prepared,
        })
    }

    /// Counts the spans of traces that were left out before they were linked, for they cannot start in a window, with those that the first
    /// source set aside.
    pub fn count_left_out(&mut self) {
        let read: u64 = self.sources.iter().map(|source| source.n_spans.saturating_sub(source.set_aside.total())).sum();
        let linked: u64 = (0..self.forest.n_traces()).map(|trace| self.forest.n_spans_of(trace)).sum();
        let n_left_out = read.saturating_sub(linked).saturating_sub(self.repairs.n_duplicates);
        if let Some(source) = self.sources.first_mut() {
            source.set_aside.add(SetAsideReason::OutsideWindows, n_left_out);
        }
    }

    /// Sets what a profile kept of a baseline beside the spans.
    fn beside(self, mut profile: Profile) -> Self {
        let Prepared { frame, mut forest, mut repairs, mut sources, .. } = self;
        let n_traces = [profile.n_all_traces(), forest.n_traces() as u64];
        profile::count_unweighted([(&mut profile.about.repairs, n_traces[0]), (&mut repairs, n_traces[1])]);
        let first_of_second = u32::try_from(profile.traces.len()).ok();
        let (frame, baseline) = profile::join(profile, frame, &mut forest);
        profile::add_repairs(&mut repairs, &baseline.about.repairs);
        sources.splice(0..0, baseline.about.sources.iter().cloned());
        let (costs, narrowed) = (OnceLock::new(), Narrowed::default());
        Prepared { frame, forest, repairs, sources, costs, narrowed, first_of_second, profile: Some(baseline) }
    }

    /// Whether the analysis takes more than `limit` bytes, which is known once the costs are. Spans that lie in a folder take less.
    ///
    /// # Errors
    /// [`Error::Memory`] if it does.
    pub fn check_memory(&self, limit: u64) -> Result<(), Error> {
        self.check_memory_beside(limit, 0, "")
    }

    /// The same of a profile that is made of it.
    ///
    /// # Errors
    /// [`Error::Memory`] if it takes more.
    pub fn check_profile_memory(&self, limit: u64, max_cells: usize) -> Result<(), Error> {
        let n_spans: u64 = (0..self.forest.n_traces()).map(|trace| self.forest.n_spans_of(trace)).sum();
        let n_cells = n_spans.min(max_cells as u64);
        self.check_memory_beside(limit, n_cells * BYTES_A_CELL, ", lower `--max-cells`")
    }

    fn check_memory_beside(&self, limit: u64, n_bytes: u64, or: &str) -> Result<(), Error> {
        let (n_rows, n_packed, n_paths) = self.costs.get().map_or((0, 0, 0), |costs| {
            let all = [&costs.costs, &costs.hidden];
            let sum = |of: fn(&Costs) -> usize| all.iter().map(|costs| of(costs) as u64).sum::<u64>();
            (sum(Costs::n_rows), sum(Costs::n_bytes), costs.paths.len() as u64)
        });
        let n_spans = self.forest.n_spans() as u64;
        let of_spans = if self.forest.is_away() {
            self.forest.n_traces() as u64 * BYTES_A_TRACE
                + n_spans * BYTES_A_TOP
                + n_packed
                + n_rows * BYTES_A_ROW
                + (n_rows * BYTES_A_SORTED).min(BYTES_SORTED)
        } else {
            n_spans * BYTES_A_SPAN
        };
        let n_kept = self.profile.as_ref().and_then(|profile| profile.calls.as_ref()).map_or(0, Beside::n_rows);
        let of_spans = of_spans + n_kept as u64 * BYTES_A_KEPT_ROW;
        let of_paths = n_paths * BYTES_A_PATH;
        let needed = BASE_BYTES + of_spans + of_paths + n_bytes;
        if needed <= limit.max(LEAST_BYTES) {
            return Ok(());
        }
        let mut hint = format!(
            "raise `--memory-limit`{or}, or read less: the files of the two windows, or a sample of the traces"
        );
        if of_paths > of_spans {
            _ = write!(
                hint,
                "; most is for {n_paths} call paths, of which names that differ from request to request make many"
            );
        }
        Err(Error::Memory { needed, limit, hint })
    }

    /// The profile of the traces that a question leaves and that start in the window, or of all; above `max_cells` cells, of a sample of
    /// them. Their calls are kept with the attributes that are to be looked into.
    ///
    /// # Errors
    /// [`Error::Window`] if the window cannot be used, [`Error::NoSpans`] if nothing is in it.
    pub fn profile(&self, window: Option<&str>, attributes: &Attributes, max_cells: usize) -> Result<Profile, Error> {
        let all = window::Options { baseline: window.map(str::to_owned), regression: None };
        let (range, traces) = self.stretch(&all)?;
        if traces.is_empty() {
            let names: Vec<String> = self.sources.iter().map(|source| format!("`{}`", source.path)).collect();
            return Err(Error::NoSpans(names.join(", ")));
        }
        let mut set_aside = SetAside::default();
        let mut chosen = traces.iter().peekable();
        for trace in 0..self.forest.n_traces() {
            if chosen.next_if(|&&chosen| chosen as usize == trace).is_some() {
                continue;
            }
            let reason = self.narrowed.aside.get(trace).copied().flatten().unwrap_or(SetAsideReason::OutsideWindows);
            set_aside.add(reason, self.forest.n_spans_of(trace));
        }
        let about = About {
            sources: self.sources.clone(),
            repairs: self.repairs.clone(),
            set_aside,
            n_traces_aside: (self.forest.n_traces() - traces.len()) as u64,
            only: self.narrowed.only.clone(),
        };
        let scope = profile::Scope { traces: &traces, window: range, attributes: attributes.keys(), max_cells };
        Ok(profile::take(&self.frame, &self.forest, self.costs(), scope, about))
    }

    /// A profile has its window, and what it was narrowed to.
    pub(super) fn narrow_profile(&mut self) -> Result<(), Error> {
        let Some(profile) = &self.profile else { return Ok(()) };
        if profile.about.only != self.narrowed.only || !self.narrowed.sides.is_empty() {
            let words = |only: &[String]| if only.is_empty() { "all requests".to_owned() } else { only.join(", ") };
            return Err(Error::Usage {
                message: format!(
                    "the baseline is a profile of {}, and the question is about {}",
                    words(&profile.about.only),
                    if self.narrowed.sides.is_empty() { words(&self.narrowed.only) } else { "attributes".to_owned() }
                ),
                hint: "a profile cannot be narrowed: make one with the same `--entry` and `--where`".to_owned(),
            });
        }
        // The profile met the question when it was made.
        for (trace, aside) in self.narrowed.aside.iter_mut().enumerate() {
            if self.forest.is_summed(trace) {
                *aside = None;
            }
        }
        Ok(())
    }

    pub(super) fn check_profile_window(&self, options: &window::Options) -> Result<(), Error> {
        if self.profile.is_some() && options.baseline.is_some() {
            return Err(Error::Usage {
                message: "the baseline is a profile, which has its window".to_owned(),
                hint: "leave out `--baseline`, or make the profile with `suspect profile --window START..END`"
                    .to_owned(),
            });
        }
        Ok(())
    }

    /// What a reader should know of a baseline that is a profile; `keys` are the attributes that are looked into.
    pub(super) fn profile_warnings(&self, keys: Option<&[String]>) -> Vec<String> {
        let Some(profile) = &self.profile else { return Vec::new() };
        let mut warnings = vec![
            "the baseline is a profile, which keeps no spans: requests of the baseline are not shown span by span"
                .to_owned(),
        ];
        let list = |keys: &[&str]| keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        match (keys, &profile.calls) {
            (None, _) => {}
            (Some(_), None) => warnings.push(
                "the baseline is a profile that was made with `--no-attributes`: which attribute values carry a change is not \
                 looked into"
                    .to_owned(),
            ),
            (Some([]), Some(calls)) => {
                let asked: Vec<&str> = calls.asked().iter().map(String::as_str).collect();
                if !asked.is_empty() {
                    warnings.push(format!(
                        "the baseline is a profile that was made with `--attributes`: only {} are looked into",
                        list(&asked)
                    ));
                }
            }
            (Some(keys), Some(calls)) => {
                let missing: Vec<&str> = keys.iter().map(String::as_str).filter(|key| !calls.knows(key)).collect();
                if !missing.is_empty() {
                    warnings.push(format!(
                        "the baseline is a profile that was made without {}, which is not looked into: make it with `--attributes`",
                        list(&missing)
                    ));
                }
            }
        }
        let [n_all, n_kept] = profile.n_traces;
        if n_kept < n_all {
            // Of one trace nobody knows how far others differ.
            let error = Some(100.0 * profile.sampling_error).filter(|error| error.is_finite());
            let error = error
                .map_or_else(|| "an unknown error".to_owned(), |error| format!("a standard error of {error:.2} %"));
            warnings.push(format!(
                "the profile keeps a uniform sample of {n_kept} of its {n_all} traces, which stand for all: that adds {error} to the \
                 baseline's mean latency; the dependency graph counts all"
            ));
        }
        warnings
    }
}
