//! `suspect simulate`: spans of a system that is not there, with what is wrong with it.

use super::manual::{self, Manual};
use super::messages;
use super::output::Outputs;
use super::places::Places;
use super::{Context, Exit};
use crate::error::Error;
use crate::eval::Label;
use crate::export::{Compression, Format, Output, Writer};
use crate::report::{self, text::lines_within};
use crate::scratch::{self, ScratchFile};
use crate::simulate::{self, FaultKind, Model, Outcome, Scenario, generate, scenario};
use clap::ValueEnum;
use std::path::{Path, PathBuf};

pub(super) const MANUAL: Manual = Manual {
    first: "  suspect simulate try/ --fault slower    an incident, to try `analyze` on
  suspect simulate --example > shop.toml    a scenario to change",
    chapters: &[
        (
            "Examples",
            "  suspect simulate try/ --scenario shop.toml --format otlp-json
  suspect simulate big.parquet --spans 100000000
                             a file of any size, to try a machine on
  suspect simulate cases/ --cases 28 --seed 1
                             labelled cases, for `suspect eval cases/`",
        ),
        (
            "A gate's test",
            "  suspect simulate main/ --seed 7 --fault slower --without-faults
  suspect simulate candidate/ --seed 7 --fault slower --run 2
  suspect gate candidate/spans.parquet --baseline-data main/spans.parquet

The fault begins half-way: `--regression` with the window that the second
command prints gives the gate the faulty half alone. A third run without faults
(`--run 3 --without-faults`) is to pass.",
        ),
        (
            "Files",
            "In a folder the spans are `spans.*` and `case.json` says what is wrong, between
which windows it shows and what each cause truly adds; beside a file FILE the
same is in `FILE.case.json`.",
        ),
        manual::EXIT_STATUS,
        manual::TERMINAL,
        ("See also", "`suspect analyze` for the spans, `suspect eval` for many cases."),
    ],
};

/// Simulates a system of services with faults, and writes its spans and what each fault truly adds.
///
/// Services with hosts, workers, pools of connections and queues are simulated request by request. The same seed gives
/// the same bytes. The true contribution of a fault is found by running the same requests without it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder to write to, or a file named by its format, such as `big.parquet` or `big.otlp.jsonl.zst`
    #[arg(value_name = "OUTPUT", required_unless_present = "example")]
    pub output: Option<PathBuf>,
    /// Prints a scenario file with every key
    #[arg(long, exclusive = true)]
    pub example: bool,
    /// System, requests and faults from a TOML file, instead of by seed
    #[arg(long, value_name = "FILE", conflicts_with_all = ["services", "depth", "fan_out", "faults", "cases"], help_heading = "System")]
    pub scenario: Option<PathBuf>,
    /// Seed of system and requests [default: 1, or the scenario's]
    #[arg(long, value_name = "N", help_heading = "System")]
    pub seed: Option<u64>,
    /// Services that report spans [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=5000), help_heading = "System")]
    pub services: Option<u32>,
    /// Services on the longest way of a request [default: 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=50), help_heading = "System", hide_short_help = true)]
    pub depth: Option<u32>,
    /// Most services that an operation calls [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100), help_heading = "System", hide_short_help = true)]
    pub fan_out: Option<u32>,
    /// What goes wrong in the second half; several at once by commas, none by default
    #[arg(long = "fault", value_name = "KIND,...", value_enum, value_delimiter = ',', help_heading = "System")]
    pub faults: Vec<Kind>,
    /// The same system and requests with nothing wrong: a baseline to test a gate with
    ///
    /// `case.json` then labels a case without a fault. What a fault needs of the system, such as a cache, is there all the same.
    #[arg(long, help_heading = "System")]
    pub without_faults: bool,
    /// Another run of the same system: other requests by the same laws
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        hide_default_value = true,
        help_heading = "System",
        hide_short_help = true
    )]
    pub run: u64,
    /// About so many spans
    #[arg(long, value_name = "N", conflicts_with_all = ["requests", "duration"], value_parser = clap::value_parser!(u64).range(1..=100_000_000_000), help_heading = "Amount")]
    pub spans: Option<u64>,
    /// About so many requests
    #[arg(long, value_name = "N", conflicts_with = "duration", value_parser = clap::value_parser!(u64).range(1..=100_000_000_000), help_heading = "Amount")]
    pub requests: Option<u64>,
    /// Simulated seconds [default: 1200, or the scenario's]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000), help_heading = "Amount")]
    pub duration: Option<u64>,
    /// Format of the spans [default: by the file's name, else parquet]
    #[arg(long, value_name = "FORMAT", value_enum, help_heading = "Output")]
    pub format: Option<FormatName>,
    /// Pack text formats
    #[arg(long, value_name = "HOW", value_enum, help_heading = "Output", hide_short_help = true)]
    pub compress: Option<Pack>,
    /// Writes N labelled cases of varied systems and kinds of fault below OUTPUT
    #[arg(long, value_name = "N", conflicts_with = "faults", value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "Amount")]
    pub cases: Option<u32>,
    /// Replace what exists
    #[arg(short, long, help_heading = "Output")]
    pub force: bool,
}

/// Kind of fault, for the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(pub FaultKind);

impl ValueEnum for Kind {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [Kind; FaultKind::ALL.len()] = {
            let mut all = [Kind(FaultKind::Slower); FaultKind::ALL.len()];
            let mut at = 0;
            while at < all.len() {
                all[at] = Kind(FaultKind::ALL[at]);
                at += 1;
            }
            all
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.as_str()))
    }
}

/// Format of spans, for the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "a doc comment here would become the help text")]
pub enum FormatName {
    Parquet,
    OtlpJson,
    OtlpProto,
    Jaeger,
    Zipkin,
    Csv,
    Clickhouse,
}

impl FormatName {
    fn format(self) -> Format {
        match self {
            Self::Parquet => Format::Parquet,
            Self::OtlpJson => Format::OtlpJson,
            Self::OtlpProto => Format::OtlpProto,
            Self::Jaeger => Format::Jaeger,
            Self::Zipkin => Format::Zipkin,
            Self::Csv => Format::Csv,
            Self::Clickhouse => Format::ClickHouse,
        }
    }
}

/// Compression, for the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "a doc comment here would become the help text")]
pub enum Pack {
    Gz,
    Zst,
}

/// Where the results go.
struct Place {
    spans: PathBuf,
    case: PathBuf,
    format: Format,
    compression: Compression,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Error> {
    let Some(output) = args.output.as_deref().filter(|_| !args.example) else {
        super::context::write_plain(scenario::EXAMPLE, None)?;
        return Ok(Exit::Complete);
    };
    if let Some(n_cases) = args.cases {
        return cases(args, context, output, n_cases);
    }
    let mut scenario = match &args.scenario {
        Some(path) => read(path)?,
        None => generate::scenario(&generate::Options {
            seed: args.seed.unwrap_or(1),
            services: args.services.unwrap_or(10),
            depth: args.depth.unwrap_or(4),
            fan_out: args.fan_out.unwrap_or(3),
            faults: args.faults.iter().map(|kind| kind.0).collect(),
        }),
    };
    scenario.seed = args.seed.unwrap_or(scenario.seed);
    let place = Place::new(args, output)?;
    let (outcome, label, outputs) = one(&mut scenario, args, context, &place, "simulated")?;
    context.show(&lines_within(&summary(&place, &outcome, &label), context.columns_of_output()))?;
    place.finish(outputs)?;
    Ok(Exit::Complete)
}

/// A folder a case: kinds of fault in turn, a control first and several faults at once last.
fn cases(args: &Args, context: &Context, output: &Path, n_cases: u32) -> Result<Exit, Error> {
    let seed = args.seed.unwrap_or(1);
    let n_kinds = FaultKind::ALL.len() + 2;
    let mut n_spans = 0;
    for number in 0..n_cases {
        let key = simulate::random::mix(seed, u64::from(number));
        #[expect(clippy::cast_possible_truncation, reason = "a remainder of a small number")]
        let dice = |part: u64, n: u64| (simulate::random::mix(key, part) % n) as u32;
        let faults = match number as usize % n_kinds {
            0 => Vec::new(),
            turn if turn <= FaultKind::ALL.len() => vec![FaultKind::ALL[turn - 1]],
            _ => vec![FaultKind::Slower, FaultKind::NetworkDelay],
        };
        let mut scenario = generate::scenario(&generate::Options {
            seed: key,
            services: args.services.unwrap_or(6 + dice(1, 20)),
            depth: args.depth.unwrap_or(3 + dice(2, 3)),
            fan_out: args.fan_out.unwrap_or(2 + dice(3, 2)),
            faults,
        });
        let kind = model(&scenario, None)?.fault_type();
        let folder = output.join("simulated").join(format!("{number:05}-{kind}"));
        let place = Place::new(args, &folder)?;
        let (outcome, _, outputs) = one(&mut scenario, args, context, &place, &format!("{number:05}-{kind}"))?;
        place.finish(outputs)?;
        n_spans += outcome.n_spans;
    }
    let text = format!(
        "{} with {} below {}\n",
        report::text::counted(u64::from(n_cases), "case"),
        report::text::counted(n_spans, "span"),
        report::text::escape(&output.display().to_string())
    );
    context.show(&lines_within(&text, context.columns_of_output()))?;
    Ok(Exit::Complete)
}

fn one(
    scenario: &mut Scenario,
    args: &Args,
    context: &Context,
    place: &Place,
    case_id: &str,
) -> Result<(Outcome, Label, Outputs), Error> {
    resize(scenario, args)?;
    if args.without_faults {
        scenario.faults.clear();
    }
    if args.run != 1 {
        scenario.seed = simulate::random::mix(scenario.seed, args.run);
    }
    let model = model(scenario, args.scenario.as_deref())?;
    if let Some(what) = scratch::special(&place.spans) {
        return Err(Error::of_special(&place.spans, what));
    }
    let existing = [place.spans.clone(), place.case.clone()].into_iter().filter(|path| path.exists());
    if let Some(path) = existing.chain(place.others()).next().filter(|_| !args.force) {
        return Err(Error::Usage {
            message: format!("`{}` exists", path.display()),
            hint: "`--force` overwrites it".to_owned(),
        });
    }
    let folder = place.spans.parent().unwrap_or(Path::new(""));
    let names = [&place.spans, &place.case].into_iter().filter_map(|path| path.file_name());
    Places::default().inputs(&args.scenario).folder("OUTPUT", folder, names).check()?;
    let io = |source| super::output::failed(&place.spans, source);
    let mut outputs = Outputs::default();
    outputs.add_folder(folder)?;
    let mut file = ScratchFile::new(&place.spans).map_err(io)?;
    let output = Output::new(file.as_file_mut().try_clone().map_err(io)?, place.compression).map_err(io)?;
    let mut writer = Writer::new(place.format, output, &place.spans)?;
    let progress = context.simulation();
    let outcome = simulate::run(&model, &mut writer, &|done, total| progress.update(done, total));
    progress.finish();
    let outcome = outcome?;
    writer.finish()?;
    let label = Label {
        dataset: "simulated".to_owned(),
        case_id: case_id.to_owned(),
        system: format!("{} services, seed {}", scenario.services.len(), scenario.seed),
        fault_type: model.fault_type(),
        root_cause_services: model.culprits(),
        root_cause_operations: model.culprit_operations(),
        inject_time_unix_nano: (model.n_faults() > 0).then_some(outcome.regression[0]),
        baseline: has_baseline(&outcome).then_some(outcome.baseline),
        regression: has_baseline(&outcome).then_some(outcome.regression),
        quality: "A".to_owned(),
        notes: String::new(),
        truth: Some(outcome.truth.clone()),
    };
    outputs.add_file(file);
    outputs.add(&place.case, report::json(&label).as_bytes())?;
    context.warn(&doubts(&outcome));
    Ok((outcome, label, outputs))
}

/// Whether anything is before the first fault.
fn has_baseline(outcome: &Outcome) -> bool {
    outcome.baseline[0] < outcome.baseline[1]
}

/// What of the case is not as whoever asked for it may think.
fn doubts(outcome: &Outcome) -> String {
    let mut doubts = Vec::new();
    if outcome.n_spans == 0 {
        doubts.push("no span was written: nothing can be analysed".to_owned());
    }
    if !has_baseline(outcome) {
        doubts.push(
            "a fault is there from the start, so the case has no baseline: compare it with a run `--without-faults`"
                .to_owned(),
        );
    }
    for cause in &outcome.truth.causes {
        if cause.added.ms == 0.0 && cause.added.error_ratio == 0.0 && cause.kind != FaultKind::TrafficMix.as_str() {
            doubts.push(format!(
                "the fault `{}` of {} did nothing to requests",
                cause.kind,
                cause.service.as_deref().unwrap_or("all")
            ));
        }
    }
    doubts.iter().map(|doubt| messages::warning(doubt)).collect()
}

/// As many requests as are asked for, by the length of the time: the load stays what it is.
fn resize(scenario: &mut Scenario, args: &Args) -> Result<(), Error> {
    /// Requests that tell how many spans a request has.
    const PILOT: u64 = 2000;
    if let Some(seconds) = args.duration {
        scenario.duration_s = seconds as f64;
    }
    let n_requests = match (args.requests, args.spans) {
        (Some(n_requests), _) => n_requests as f64,
        (None, Some(n_spans)) => {
            let mut pilot = scenario.clone();
            pilot.duration_s = PILOT as f64 / scenario.requests_per_s;
            let per_request = simulate::spans_per_request(&model(&pilot, args.scenario.as_deref())?, PILOT);
            n_spans as f64 / per_request.max(1e-6)
        }
        (None, None) => return Ok(()),
    };
    let arrivals = &scenario.arrivals;
    let bursts = 1.0 + arrivals.burst_ratio * (arrivals.burst_factor - 1.0);
    scenario.duration_s = (n_requests / scenario.requests_per_s / bursts).max(1e-3);
    Ok(())
}

fn read(path: &Path) -> Result<Scenario, Error> {
    let text = text(path)?;
    Scenario::parse(&text).map_err(|problem| wrong(path, &problem, &text))
}

fn text(path: &Path) -> Result<String, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io { action: "read", path: path.to_owned(), source })?;
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = memchr::memchr_iter(b'\n', good).count() + 1;
        let reason = format!("line {line}: found bytes that are no UTF-8 text, expected a scenario in TOML");
        Error::Format { path: path.to_owned(), reason }
    })
}

fn wrong(path: &Path, problem: &simulate::Problem, text: &str) -> Error {
    Error::Format { path: path.to_owned(), reason: problem.describe(text) }
}

fn model(scenario: &Scenario, path: Option<&Path>) -> Result<Model, Error> {
    Model::new(scenario).map_err(|problem| match path {
        Some(path) => text(path).map_or_else(|error| error, |text| wrong(path, &problem, &text)),
        None => Error::Usage { message: problem.message, hint: "another `--seed` makes another system".to_owned() },
    })
}

impl Place {
    /// Spans of another format beside these in a folder: they would be taken for the same case.
    fn others(&self) -> Vec<PathBuf> {
        if self.case.file_name().is_none_or(|name| name != "case.json") {
            return Vec::new();
        }
        let folder = self.spans.parent().unwrap_or(Path::new(""));
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_other = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            *path != self.spans
                && scratch::special(path).is_none()
                && Format::ALL.iter().any(|format| {
                    let plain = format!("spans.{}", format.extension());
                    name.strip_prefix(&plain).is_some_and(|rest| matches!(rest, "" | ".gz" | ".zst"))
                })
        };
        let mut others: Vec<PathBuf> = entries.filter(is_other).collect();
        others.sort_unstable();
        others
    }

    /// Shows the files, in the place of those there were.
    fn finish(&self, outputs: Outputs) -> Result<(), Error> {
        let others = self.others();
        outputs.finish()?;
        for other in others {
            std::fs::remove_file(&other).map_err(|source| super::output::failed(&other, source))?;
        }
        Ok(())
    }

    /// A file if the name ends as one of a format does, else a folder.
    fn new(args: &Args, output: &Path) -> Result<Self, Error> {
        let name = output.file_name().map_or_else(Default::default, |name| name.to_string_lossy().to_lowercase());
        let (name, packed) = match (name.strip_suffix(".gz"), name.strip_suffix(".zst")) {
            (Some(name), _) => (name, Compression::Gzip),
            (_, Some(name)) => (name, Compression::Zstd),
            _ => (name.as_str(), Compression::None),
        };
        let is_folder = output.is_dir() || output.as_os_str().as_encoded_bytes().ends_with(b"/");
        let by_name = Format::ALL
            .into_iter()
            .find(|format| name.ends_with(&format!(".{}", format.extension())))
            .or_else(|| match name.rsplit_once('.') {
                Some((_, "jsonl")) => Some(Format::OtlpJson),
                Some((_, "pb")) => Some(Format::OtlpProto),
                _ => None,
            })
            .filter(|_| !is_folder);
        let extension = Path::new(name).extension().unwrap_or_default().as_encoded_bytes();
        // `run-1.2` is a name like any other.
        let is_of_file = packed != Compression::None || extension.first().is_some_and(u8::is_ascii_alphabetic);
        // A format that is given says what no ending has to.
        let is_file = by_name.is_some() || (args.format.is_some() && is_of_file && !is_folder);
        if !is_file && is_of_file && !is_folder {
            return Err(unknown_ending(output));
        }
        let format = args.format.map(FormatName::format).or(by_name).unwrap_or(Format::Parquet);
        let compression = match args.compress {
            Some(Pack::Gz) => Compression::Gzip,
            Some(Pack::Zst) => Compression::Zstd,
            None => packed,
        };
        if format == Format::Parquet && compression != Compression::None {
            return Err(Error::Usage {
                message: "a Parquet file is packed by itself".to_owned(),
                hint: "leave out `--compress`, and `.gz` or `.zst`".to_owned(),
            });
        }
        if is_file {
            let mut case = output.as_os_str().to_owned();
            case.push(".case.json");
            return Ok(Self { spans: output.to_owned(), case: case.into(), format, compression });
        }
        let ending = match compression {
            Compression::None => "",
            Compression::Gzip => ".gz",
            Compression::Zstd => ".zst",
        };
        let spans = output.join(format!("spans.{}{ending}", format.extension()));
        Ok(Self { spans, case: output.join("case.json"), format, compression })
    }
}

/// That a name says of what is written what it is not.
fn unknown_ending(output: &Path) -> Error {
    let endings: Vec<String> = Format::ALL.iter().map(|format| format!("`.{}`", format.extension())).collect();
    Error::Usage {
        message: format!("`{}` ends as no format does that is written", output.display()),
        hint: format!(
            "expected the ending {}, `.jsonl` or `.pb`, all but Parquet's also with `.gz` or `.zst`, or `--format`; a name without an ending, \
             or with `/` at its end, is a folder",
            endings.join(", ")
        ),
    }
}

/// What was written and what is wrong with it, for people.
fn summary(place: &Place, outcome: &Outcome, label: &Label) -> String {
    use crate::time::format_ms as ms;
    use report::text::{counted, escape};
    let mut lines = vec![format!(
        "{} of {} in {}",
        counted(outcome.n_spans, "span"),
        counted(outcome.n_requests, "request"),
        escape(&place.spans.display().to_string())
    )];
    if let Some(windows) = label.baseline.zip(label.regression) {
        let ([start, end], [from, to]) = windows;
        lines.push(format!("  baseline    --baseline {start}..{end}"));
        lines.push(format!("  regression  --regression {from}..{to}"));
    }
    let truth = &outcome.truth;
    lines.push(format!(
        "  mean latency of the regression {} ms, without faults {} ms",
        ms(truth.mean_ms),
        ms(truth.mean_ms_without_faults)
    ));
    for cause in &truth.causes {
        let whose = cause.service.as_deref().unwrap_or("requests");
        let operation = cause.operation.as_ref().map_or_else(String::new, |name| format!(": {name}"));
        lines.push(format!(
            "  {} {}: {:+.3} ms a request (standard error {:.3}), {:+.2} % of requests fail",
            cause.kind,
            escape(&format!("{whose}{operation}")),
            cause.added.ms,
            cause.added.standard_error_ms,
            100.0 * cause.added.error_ratio
        ));
    }
    lines.join("\n") + "\n"
}
