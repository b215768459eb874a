//! `suspect eval`: how often the analysis is right on labelled incidents.

use super::manual::{self, Manual};
use super::places::Places;
use super::{Context, Exit, Format, OutputArgs, messages};
use crate::analysis::Attributes;
use crate::error::Error;
use crate::eval::{self, CaseResult, Label};
use crate::{analysis, ingest, report, store};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

pub(super) const MANUAL: Manual = Manual {
    first: "  suspect eval datasets    the incidents that come with suspect",
    chapters: &[
        (
            "Examples",
            "  suspect eval cases/ --format json -o accuracy.json
                             every case, with its ranking",
        ),
        (
            "Files",
            "A case is a folder with a `case.json` and spans in any format, in a file
`spans.*` or a folder `spans`:

  cases/<set>/<case>/case.json
    {\"fault_type\": \"cpu\", \"root_cause_services\": [\"cart\"],
     \"root_cause_operations\": [\"GET /cart\"],
     \"baseline\": [START, END], \"regression\": [START, END], \"quality\": \"A\"}

Windows are Unix nanoseconds, found from the data where they are missing.
Without a root cause the case is a control, in which nothing was broken: calling
it a regression is a false alarm.",
        ),
        manual::EXIT_STATUS,
        manual::TERMINAL,
        ("See also", "`suspect simulate --cases N` makes labelled cases."),
    ],
};

/// Measures how often the analysis is right on labelled incidents.
///
/// Analyses every case below a folder and prints accuracy by set and kind of fault beside that of rules that need no
/// thought, false alarms, how well the stated confidence fits, and each miss with what was ranked instead.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of cases, read to the bottom
    #[arg(value_name = "CASES_DIR")]
    pub folder: PathBuf,
    /// Analyse N cases at a time; each then takes longer [default: 1]
    #[arg(long, value_name = "N", default_value = "1", hide_default_value = true)]
    pub jobs: NonZeroUsize,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become the help text")]
    pub output: OutputArgs,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Error> {
    if store::is_remote(&args.folder) {
        return Err(Error::Usage {
            message: format!("`{}` is an address: cases are read from a folder", store::shown(&args.folder)),
            hint: "copy the cases here first, such as with `aws s3 cp --recursive`".to_owned(),
        });
    }
    let (folders, without_spans): (Vec<PathBuf>, Vec<PathBuf>) =
        folders(&args.folder)?.into_iter().partition(|folder| spans(folder).is_ok());
    let labels: Vec<PathBuf> = folders.iter().map(|folder| folder.join("case.json")).collect();
    Places::default().spans(std::slice::from_ref(&args.folder)).inputs(&labels).result(&args.output).check()?;
    for folder in &without_spans {
        context.warn(&messages::warning(&format!(
            "`{}` holds a `case.json` but no `spans.*`: left out",
            folder.display()
        )));
    }
    let progress = context.cases();
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let results = Mutex::new(Vec::new());
    let work = || {
        while let Some(folder) = folders.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = case(folder);
            if let Ok(mut results) = results.lock() {
                results.push(result);
            }
            progress.update(done.fetch_add(1, Ordering::Relaxed) as u64 + 1, folders.len() as u64);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.get().min(folders.len()) {
            scope.spawn(work);
        }
    });
    progress.finish();
    let report = eval::report(results.into_inner().unwrap_or_default());
    let text = match args.output.format {
        Format::Terminal => report::eval::text(&report, context.columns(&args.output)),
        Format::Json => report::json(&report),
    };
    context.write(&text, &args.output)?;
    let failed = report.cases.iter().any(|case| case.error.is_some());
    Ok(if failed { Exit::Partial } else { Exit::Complete })
}

/// Folders with a `case.json`, in order of their paths.
fn folders(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut folders = Vec::new();
    for entry in walkdir::WalkDir::new(root).follow_links(true).sort_by_file_name() {
        let entry = entry.map_err(|error| Error::Io {
            action: "list",
            path: error.path().unwrap_or(root).to_owned(),
            source: error.into(),
        })?;
        if entry.file_name() == "case.json" && entry.file_type().is_file() {
            folders.extend(entry.path().parent().map(Path::to_owned));
        }
    }
    if folders.is_empty() {
        return Err(Error::NotFound {
            message: format!("no `case.json` below `{}`", root.display()),
            hint: "a case is a folder with `case.json` and `spans.*`: see `suspect eval --help`".to_owned(),
        });
    }
    Ok(folders)
}

/// Analyses one case; whatever goes wrong, even a panic, is a result too.
fn case(folder: &Path) -> CaseResult {
    let started = Instant::now();
    let name = |path: Option<&Path>| {
        path.and_then(Path::file_name).map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    };
    let (set, folder_name) = (name(folder.parent()), name(Some(folder)));
    let (label, unreadable) = match label(folder) {
        Ok(label) => (label, None),
        Err(error) => (Label::default(), Some(error)),
    };
    let mut result = CaseResult::new(&set, &folder_name, &label);
    let outcome = match unreadable {
        Some(error) => Err(error),
        None => catch_unwind(AssertUnwindSafe(|| analyze(folder, &label, &mut result)))
            .unwrap_or_else(|panic| Err(format!("panicked: {}", message(&*panic)))),
    };
    result.error = outcome.err();
    result.seconds = started.elapsed().as_secs_f64();
    result
}

/// What a panic said.
fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied()).unwrap_or("no message")
}

fn label(folder: &Path) -> Result<Label, String> {
    let path = folder.join("case.json");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("cannot read `{}`: {error}", path.display()))
}

fn analyze(folder: &Path, label: &Label, result: &mut CaseResult) -> Result<(), String> {
    let failed = |error: Error| error.to_string();
    // No label names an attribute.
    let attributes = Attributes::None;
    let options = ingest::Options { attributes: attributes.selection(), columns: Vec::new() };
    let ingested = ingest::read(&spans(folder)?, &options, &|_, _| ()).map_err(failed)?;
    let prepared = analysis::prepare(None, ingested);
    let (windows, selection) = prepared.select(&label.windows()).map_err(failed)?;
    let analysis = analysis::analyze_with(
        &prepared,
        &windows,
        &selection,
        &analysis::Options { attributes, ..analysis::Options::default() },
    )
    .map_err(failed)?;
    result.score(label, &prepared, &selection, &analysis);
    Ok(())
}

/// The case's spans: what is named `spans` or `spans.*`.
fn spans(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("cannot list `{}`: {error}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| {
        let name = path.file_name().map_or_else(Default::default, |name| name.to_string_lossy());
        name == "spans" || name.starts_with("spans.")
    });
    paths.sort_unstable();
    if paths.is_empty() { Err(format!("`{}` holds no `spans.*`", folder.display())) } else { Ok(paths) }
}
