//! `suspect gate`: whether a candidate is worse than its baseline by more than a policy allows.

use super::comparison::{Compared, ComparisonArgs};
use super::context::read_text;
use super::manual::Manual;
use super::output::{self, Outputs};
use super::places::Places;
use super::{Context, Exit, Format, InputArgs, OutputArgs, OwnerArgs};
use crate::analysis::Attributes;
use crate::error::Error;
use crate::gate::policy::{EXAMPLE, Forbidden, Inconclusive, Level, MAX_POINTS, Measure, Policy, Rule};
use crate::gate::{Verdict, judge};
use crate::{analysis, report, scratch, store};
use clap::ValueEnum;
use jiff::civil::Date;
use std::io::Write;
use std::path::{Path, PathBuf};

pub(super) const MANUAL: Manual = Manual {
    first: "  suspect gate candidate/ --baseline-data main/    the policy that is built in
  suspect gate candidate/ --baseline-data main/ --policy gate.toml    your own",
    chapters: &[
        (
            "Examples",
            "  suspect gate --example-policy > gate.toml
                             every key explained
  suspect gate traces/ --compare service.version
                             two versions side by side
  suspect gate candidate/ --baseline-data main.suspect
                             a baseline that `suspect profile` saved
  suspect gate candidate/ --baseline-data main/ --junit gate.xml \\
      --markdown comment.md",
        ),
        (
            "Exit status",
            "  0    passed: no rule of the level `fail` is broken
  1    failed: a regression by the policy
  2    no verdict: the arguments, the policy or the input cannot be used, or a
       result cannot be written
  3    inconclusive: no rule is broken, but the data could not have shown what
       matters
  130  interrupted: no output file is half-written",
        ),
        (
            "Environment",
            "  GITHUB_ACTIONS, GITHUB_STEP_SUMMARY
             on GitHub the verdict and the findings are also shown at the run, as
             annotations, and in the step's summary
  COLUMNS    columns of text on standard output, unless --width says otherwise
  NO_COLOR   if set, no colour, unless --color says otherwise
  AWS_*, GOOGLE_*, AZURE_*
             how to reach s3://, gs:// and az:// addresses",
        ),
        (
            "Files",
            "A policy is TOML; `--example-policy` prints the built-in one with every key
explained.",
        ),
        (
            "See also",
            "`suspect analyze --help` for the bounds of windows, `suspect profile` for small
baselines, `suspect schema gate` for the JSON.",
        ),
    ],
};

/// Fails a build on a regression: compares a candidate's spans with a baseline's and judges the change by a policy.
///
/// A rule is broken where something got worse by more than its limit, beyond chance: the 95 % interval excludes zero, and so
/// does the chance corrected for all that was tested. Two runs of one build still fail now and then, more often on a machine whose load
/// wanders: `cargo bench --bench gate` measures how often.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the built-in policy with every key explained, and do nothing else
    #[arg(long, exclusive = true)]
    pub example_policy: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become the help text")]
    pub input: InputArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become the help text")]
    pub comparison: ComparisonArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become the help text")]
    pub owners: OwnerArgs,
    /// What is not allowed, as TOML [default: see `--example-policy`]
    #[arg(long, value_name = "FILE", help_heading = "Policy")]
    pub policy: Option<PathBuf>,
    /// Limit of all rules about the mean and typical requests, in milliseconds a request
    #[arg(long, value_name = "MS", help_heading = "Policy")]
    pub max_increase_ms: Option<f64>,
    /// Limit of all rules about the mean and typical requests, in percent
    #[arg(long, value_name = "PERCENT", help_heading = "Policy", hide_short_help = true)]
    pub max_increase_percent: Option<f64>,
    /// Limit of all rules about failing requests, in points: 0.5 is one request in 200
    #[arg(long, value_name = "POINTS", help_heading = "Policy", hide_short_help = true)]
    pub max_error_increase: Option<f64>,
    /// An edge that must not be, `*` and `?` as in file names; repeatable
    #[arg(long, value_name = "CALLER->CALLEE", help_heading = "Policy", hide_short_help = true)]
    pub forbid_edge: Vec<String>,
    /// What to do where the data cannot tell [default: what the policy says, else status 3]
    #[arg(long, value_name = "VERDICT", help_heading = "Policy")]
    pub inconclusive: Option<WhenInconclusive>,
    /// The day by which exceptions of the policy expire [default: today, UTC]
    #[arg(long, value_name = "YYYY-MM-DD", help_heading = "Policy", hide_short_help = true)]
    pub today: Option<Date>,
    /// Also write JUnit XML, for the test report of a build
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub junit: Option<PathBuf>,
    /// Also write SARIF 2.1.0, for code scanning; results point at the policy file
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub sarif: Option<PathBuf>,
    /// Also write Markdown, for a comment on a pull request
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub markdown: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become the help text")]
    pub output: OutputArgs,
}

/// What a gate that cannot tell amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WhenInconclusive {
    /// Status 0.
    Pass,
    /// Status 1.
    Fail,
}

impl Args {
    fn policy(&self) -> Result<Policy, Error> {
        let mut policy = match &self.policy {
            Some(path) => Policy::parse(&read_text(path)?, Path::new(&store::shown(path)))?,
            None => Policy::default(),
        };
        for (flag, value, most, expected) in [
            ("--max-increase-ms", self.max_increase_ms, f64::MAX, "milliseconds, 0 or more"),
            ("--max-increase-percent", self.max_increase_percent, f64::MAX, "a number, 0 or more"),
            ("--max-error-increase", self.max_error_increase, MAX_POINTS, "points of all requests, from 0 to 100"),
        ] {
            if let Some(value) = value.filter(|value| !(0.0..=most).contains(value)) {
                return Err(Error::Usage {
                    message: format!("`{flag} {value}` is no limit"),
                    hint: format!("expected {expected}"),
                });
            }
        }
        // A limit that no rule takes up would be none.
        let wanted = [
            (Measure::Mean, self.max_increase_ms.or(self.max_increase_percent)),
            (Measure::Errors, self.max_error_increase),
        ];
        for (measure, _) in wanted.into_iter().filter(|(_, limit)| limit.is_some()) {
            if !policy.rules.iter().any(|rule| rule.measure == measure && rule.level == Level::Fail) {
                policy.rules.push(Rule::any_operation(measure));
            }
        }
        for rule in &mut policy.rules {
            let (limit, percent) = match rule.measure {
                Measure::Mean | Measure::Typical => (self.max_increase_ms, self.max_increase_percent),
                Measure::Errors => (self.max_error_increase, None),
                Measure::Tail | Measure::Calls | Measure::FewerCalls | Measure::NewDependency => (None, None),
            };
            rule.more_than = limit.unwrap_or(rule.more_than);
            rule.more_than_percent = percent.unwrap_or(rule.more_than_percent);
        }
        for edge in &self.forbid_edge {
            let forbidden = Forbidden { edge: edge.clone(), level: Level::Fail };
            forbidden.check().map_err(|_| Error::Usage {
                message: format!("`--forbid-edge {edge}` names no edge"),
                hint: "expected `CALLER->CALLEE`".to_owned(),
            })?;
            policy.forbidden.push(forbidden);
        }
        match self.inconclusive {
            Some(WhenInconclusive::Pass) => policy.inconclusive = Inconclusive::Pass,
            Some(WhenInconclusive::Fail) => policy.inconclusive = Inconclusive::Fail,
            None => {}
        }
        Ok(policy)
    }
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Error> {
    if args.example_policy {
        super::context::write_plain(EXAMPLE, None)?;
        return Ok(Exit::Complete);
    }
    // Before minutes of reading.
    Places::default()
        .spans(&args.input.paths)
        .spans(&args.comparison.baseline_data)
        .inputs(&args.owners.owners)
        .inputs(&args.policy)
        .file("--junit", args.junit.as_deref())
        .file("--sarif", args.sarif.as_deref())
        .file("--markdown", args.markdown.as_deref())
        .result(&args.output)
        .check()?;
    args.comparison.check_sides()?;
    let policy = args.policy()?;
    let unusable = |message| Error::Usage { message, hint: "`--example-policy` explains every key".to_owned() };
    policy.check().map_err(unusable)?;
    let today = args.today.unwrap_or_else(|| jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date());
    let owners = args.owners.read(context)?;
    let attributes = Attributes::None;
    let Compared { prepared, windows, selection, exit } =
        args.comparison.read(&args.input, attributes.selection().and(owners.keys()), false, context)?;
    let options = analysis::Options { attributes, owners, ..analysis::Options::default() };
    let compare = || analysis::analyze_with(&prepared, &windows, &selection, &options);
    let analysis = context.stage("compare", "comparing", compare)?;
    let gate = judge(&analysis, &policy, today, exit == Exit::Partial).map_err(unusable)?;

    let file = args.policy.as_deref().unwrap_or(Path::new("suspect-gate.toml"));
    // Code scanning takes only files of the repository, by their place in it.
    let folder = std::env::current_dir().unwrap_or_default();
    let file = file.strip_prefix(&folder).unwrap_or(file);
    let markdown = report::gate::markdown(&gate);
    let documents = [
        (&args.junit, report::gate::junit(&gate)),
        (&args.sarif, report::gate::sarif(&gate, &file.to_string_lossy())),
        (&args.markdown, markdown.clone()),
    ];
    let mut outputs = Outputs::default();
    for (path, text) in documents {
        if let Some(path) = path {
            outputs.add(path, text.as_bytes())?;
        }
    }
    on_github(&gate, &markdown, args.output.format)?;
    let text = match args.output.format {
        Format::Terminal => report::gate::text(&gate, context.columns(&args.output)),
        Format::Json => report::json(&gate),
    };
    context.write_with(outputs, &text, &args.output)?;
    Ok(match gate.verdict {
        Verdict::Passed => Exit::Complete,
        Verdict::Failed => Exit::Failed,
        Verdict::Inconclusive => Exit::Inconclusive,
    })
}

/// Annotations among the output and a section in the step's summary, where a GitHub build asks for them.
fn on_github(gate: &crate::gate::Gate, markdown: &str, format: Format) -> Result<(), Error> {
    // JSON on standard output stays JSON.
    if std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true") && format == Format::Terminal {
        super::context::write_plain(&report::gate::annotations(gate), None)?;
    }
    if let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()).map(PathBuf::from) {
        scratch::uninterrupted(|| append(&path, markdown)).map_err(|source| output::failed(&path, source))?;
    }
    Ok(())
}

/// Appends whole or not at all: other steps may have written to the file, so it is not replaced.
fn append(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    let n_bytes = file.metadata()?.len();
    file.write_all(text.as_bytes()).inspect_err(|_| {
        // The error to tell is the first one.
        _ = file.set_len(n_bytes);
    })
}
