//! The bundled incident in which nothing is wrong, dealt to two sides.
//!
//! Its operations take too little time for a tenth of it to break the built-in policy (0.1 ms), so only false alarms can be counted in it.

use std::path::PathBuf;
use suspect::analysis::{self, Analysis, Attributes, Options, Prepared};
use suspect::compare::Selection;
use suspect::span::AttributeSelection;
use suspect::stats::random;
use suspect::window::{self, Windows};
use suspect::{ingest, normalize};

/// How long consecutive requests stay together.
const STRETCH_NS: i64 = 5_000_000_000;

/// Both windows of the incident and what lies around them.
pub(crate) struct Recorded {
    prepared: Prepared,
    windows: Windows,
}

impl Recorded {
    pub(crate) fn read() -> Self {
        let paths = [PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("datasets/incidents/fault-free/spans")];
        let attributes = AttributeSelection::Keys(normalize::required_attributes());
        let options = ingest::Options { attributes, columns: Vec::new() };
        let spans = ingest::read(&paths, &options, &|_, _| ()).expect("the bundled incident can be read");
        let prepared = analysis::prepare(None, spans);
        let windows = prepared.select(&window::Options::default()).expect("windows").0;
        Self { prepared, windows }
    }

    /// Two sides, each stretch of time falling to one of them at random.
    pub(crate) fn pair(&self, pair: u64) -> Analysis {
        let mut sides = Selection { baseline: Vec::new(), regression: Vec::new() };
        for (trace, start) in (0..).zip(&self.prepared.forest.root_start_ns) {
            let stretch = start.div_euclid(STRETCH_NS).cast_unsigned();
            let is_first = random(0xdea1, pair, stretch).is_multiple_of(2);
            if is_first { &mut sides.baseline } else { &mut sides.regression }.push(trace);
        }
        let options = Options { attributes: Attributes::None, ..Options::default() };
        analysis::analyze_with(&self.prepared, &self.windows, &sides, &options).expect("an analysis")
    }
}
