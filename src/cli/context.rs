use super::comparison::BaselineReports;
use super::{
    Collector, Color, Exit, Format, OutputArgs, messages,
    output::{self, Outputs},
    progress::{self, Progress, Unit},
    terminal,
};
use crate::diagnostics::SourceReport;
use crate::error::Error;
use crate::ingest::{self, Ingested};
use crate::profile::{self, Profile};
use crate::report::{self, WIDTH};
use crate::store;
use crate::window::WindowWarning;
use anstream::{AutoStream, ColorChoice};
use std::borrow::Cow;
use std::io::{ErrorKind, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Names the environment variable that asks how long each stage takes.
const TIMINGS: &str = "SUSPECT_TIMINGS";

/// What every command has at hand: the terminal's manners.
#[derive(Debug)]
pub struct Context {
    color: ColorChoice,
    quiet: bool,
    /// As given.
    width: Option<usize>,
}

impl Context {
    /// A context for colour, silence and width as asked.
    pub(super) fn new(color: Color, quiet: bool, width: Option<usize>) -> Self {
        let color = match color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        Self { color, quiet, width }
    }

    /// Reads the input, with a progress bar if it takes long, and shows what could not be read as warnings.
    ///
    /// [`Exit::Partial`] says that there were such things. Without any span the caller has nothing to work on:
    /// see [`Context::read_some`].
    pub fn read(&self, paths: &[PathBuf], options: &ingest::Options) -> Result<(Ingested, Exit), Error> {
        refuse_profiles(paths)?;
        let progress = Progress::new("reading", Unit::Bytes, !self.quiet);
        let result = self.timed("read", || ingest::read(paths, options, &|done, total| progress.update(done, total)));
        progress.finish();
        let ingested = result?;
        self.warn(&messages::sources(&ingested.sources));
        let exit = if ingested.sources.iter().all(is_complete) { Exit::Complete } else { Exit::Partial };
        Ok((ingested, exit))
    }

    /// Does a stage of the work that nothing can be counted of, and says so if it takes long: see [`Context::timed`].
    pub(super) fn stage<T>(&self, stage: &str, verb: &'static str, work: impl FnOnce() -> T) -> T {
        progress::waiting(verb, !self.quiet, || self.timed(stage, work))
    }

    /// Does a stage of the work; says how many seconds it took, `timing STAGE SECONDS`, if the environment asks for it.
    pub(super) fn timed<T>(&self, stage: &str, work: impl FnOnce() -> T) -> T {
        if std::env::var_os(TIMINGS).is_none_or(|value| value.is_empty()) {
            return work();
        }
        let began = Instant::now();
        let result = work();
        self.talk(&format!("timing {stage} {:.3}\n", began.elapsed().as_secs_f64()));
        result
    }

    /// A count of cases that appears when work takes long and somebody is watching.
    pub(super) fn cases(&self) -> Progress {
        Progress::new("analysing", Unit::Cases, !self.quiet)
    }

    /// How much of a simulation is done, which appears when it takes long and somebody is watching.
    pub(super) fn simulation(&self) -> Progress {
        Progress::new("simulating", Unit::Share, !self.quiet)
    }

    /// [`Context::read`], with [`Error::NoSpans`] if there is no span.
    pub fn read_some(&self, paths: &[PathBuf], options: &ingest::Options) -> Result<(Ingested, Exit), Error> {
        let (ingested, exit) = self.read(paths, options)?;
        if ingested.frame.spans.is_empty() {
            return Err(no_spans(paths));
        }
        Ok((ingested, exit))
    }

    /// [`Context::read_some`], where the spans are collected as data set `set`.
    pub(super) fn collect(
        &self,
        collector: &Collector,
        set: u32,
        paths: &[PathBuf],
        options: &ingest::Options,
    ) -> Result<(Vec<SourceReport>, Exit), Error> {
        refuse_profiles(paths)?;
        let sources = collector.read(set, paths, options, !self.quiet)?;
        if !collector.is_again() {
            self.warn(&messages::sources(&sources));
        }
        if collector.n_spans(set) == 0 {
            return Err(no_spans(paths));
        }
        let exit = if sources.iter().all(is_complete) { Exit::Complete } else { Exit::Partial };
        Ok((sources, exit))
    }

    /// Reads the baseline's own data: spans, which are collected, or profiles, which become one.
    ///
    /// `None` without paths.
    pub(super) fn collect_baseline(
        &self,
        collector: &Collector,
        paths: &[PathBuf],
        options: &ingest::Options,
    ) -> Result<(Option<BaselineReports>, Exit), Error> {
        let is_profile = paths.iter().map(|path| is_profile(path)).collect::<Result<Vec<bool>, Error>>()?;
        if !is_profile.contains(&true) {
            if paths.is_empty() {
                return Ok((None, Exit::Complete));
            }
            let (sources, exit) = self.collect(collector, 0, paths, options)?;
            return Ok((Some(BaselineReports::Spans(sources)), exit));
        }
        if let Some(at) = is_profile.iter().position(|is_profile| !is_profile) {
            return Err(Error::Usage {
                message: format!("the baseline is a profile and `{}`, which is none", store::shown(&paths[at])),
                hint: "make a profile of these spans, too: `suspect profile PATH -o FILE`".to_owned(),
            });
        }
        let profiles: Result<Vec<_>, Error> = paths.iter().map(|path| read_profile(path)).collect();
        let mut profiles = profiles?;
        // One alone is taken as it is, whatever its size.
        let profile = if profiles.len() == 1 { profiles.pop() } else { Some(profile::merge(profiles, usize::MAX)?) };
        Ok((profile.map(|profile| BaselineReports::Profile(Box::new(profile))), Exit::Complete))
    }

    /// Writes text for people to standard output.
    pub(super) fn show(&self, text: &str) -> Result<(), Error> {
        print(text, self.color_of(&std::io::stdout()))
    }

    /// Columns for the text of a result: in a file, whoever reads it has another terminal.
    pub(super) fn columns(&self, args: &OutputArgs) -> usize {
        match named_file(args.output.as_deref()) {
            Some(_) => self.width.unwrap_or(WIDTH),
            None => self.columns_of_output(),
        }
    }

    /// Columns for text on standard output.
    pub(super) fn columns_of_output(&self) -> usize {
        terminal::of_output(self.width)
    }

    /// Shows doubts about the windows on standard error.
    pub fn warn_windows(&self, warnings: &[WindowWarning]) {
        let lines: String = warnings.iter().map(|warning| messages::warning(&warning.describe())).collect();
        self.warn(&lines);
    }

    /// Writes a result to `--output`, whole or not at all, or to standard output.
    pub fn write(&self, text: &str, args: &OutputArgs) -> Result<(), Error> {
        self.write_with(Outputs::default(), text, args)
    }

    /// The same, and shows the other files of the run when the result is written: all of them or none.
    ///
    /// Terminal text loses its styles where they are not wanted; JSON goes out byte for byte.
    pub(super) fn write_with(&self, mut outputs: Outputs, text: &str, args: &OutputArgs) -> Result<(), Error> {
        let is_plain = args.format == Format::Json;
        match named_file(args.output.as_deref()) {
            Some(path) if is_plain || self.color == ColorChoice::Always => outputs.add(path, text.as_bytes())?,
            Some(path) => outputs.add(path, anstream::adapter::strip_str(text).to_string().as_bytes())?,
            None if is_plain => print(text, ColorChoice::AlwaysAnsi)?,
            None => print(text, self.color_of(&std::io::stdout()))?,
        }
        outputs.finish()
    }

    /// Shows warnings unless told to be quiet.
    pub(super) fn warn(&self, text: &str) {
        if !self.quiet {
            self.talk(text);
        }
    }

    /// Writes to standard error; there is nobody to tell if that fails.
    pub(super) fn talk(&self, text: &str) {
        let mut stderr = AutoStream::new(std::io::stderr().lock(), self.color_of(&std::io::stderr()));
        let text = match terminal::of_talk(self.width) {
            Some(columns) => Cow::Owned(report::text::lines_within(text, columns)),
            None => Cow::Borrowed(text),
        };
        let _ = stderr.write_all(text.as_bytes());
    }

    fn color_of(&self, stream: &impl anstream::stream::RawStream) -> ColorChoice {
        match self.color {
            ColorChoice::Auto => AutoStream::choice(stream),
            chosen => chosen,
        }
    }
}

/// Writes a result for programs, byte for byte, to the file, whole or not at all, or to standard output.
pub(super) fn write_plain(text: &str, file: Option<&Path>) -> Result<(), Error> {
    match named_file(file) {
        Some(path) => output::write_file(path, text.as_bytes()),
        None => print(text, ColorChoice::AlwaysAnsi),
    }
}

/// The file to write to; `-` is standard output.
fn named_file(file: Option<&Path>) -> Option<&Path> {
    file.filter(|path| path.as_os_str() != "-")
}

/// Writes to standard output, with styles or without.
pub(super) fn print(text: &str, color: ColorChoice) -> Result<(), Error> {
    let mut stdout = AutoStream::new(std::io::stdout().lock(), color);
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // The reader has seen enough, as in `suspect ... | head`.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(source) => Err(Error::Io { action: "write", path: "standard output".into(), source }),
        Ok(()) => Ok(()),
    }
}

/// Says so if spans are expected where a profile is.
fn refuse_profiles(paths: &[PathBuf]) -> Result<(), Error> {
    // Of an address the reader says so: to ask for its first bytes alone takes a request.
    match paths.iter().find(|path| !store::is_remote(path) && is_profile(path).unwrap_or(false)) {
        None => Ok(()),
        Some(path) => Err(Error::Usage {
            message: format!("`{}` is a profile, which holds no spans", path.display()),
            hint: "give it as `--baseline-data`; `suspect profile --show` says what it holds".to_owned(),
        }),
    }
}

/// Whether a file or object is a profile by its first bytes.
fn is_profile(path: &Path) -> Result<bool, Error> {
    store::head(path, 8).map(|head| profile::is_profile(&head))
}

/// Reads one profile.
pub(super) fn read_profile(path: &Path) -> Result<Profile, Error> {
    profile::read(&store::read(path)?, Path::new(&store::shown(path)))
}

/// Reads a text that the command cannot do without.
pub(super) fn read_text(path: &Path) -> Result<String, Error> {
    let bytes = store::read(path)?;
    String::from_utf8(bytes)
        .map_err(|_| Error::Format { path: store::shown(path).into(), reason: "it is not UTF-8 text".to_owned() })
}

/// The error of an input without spans.
pub(super) fn no_spans(paths: &[PathBuf]) -> Error {
    let names: Vec<String> = paths.iter().map(|path| format!("`{}`", store::shown(path))).collect();
    Error::NoSpans(names.join(", "))
}

fn is_complete(source: &SourceReport) -> bool {
    source.error.is_none() && source.n_skipped_records == 0 && !source.truncated
}

/// Keeps rayon and polars to this many threads.
///
/// polars reads its limit from the environment alone, and to change that from inside a process is unsafe: the process
/// starts itself again with the variable set. Where that is not possible polars keeps its own default.
pub(super) fn limit_threads(threads: NonZeroUsize) {
    const POLARS: &str = "POLARS_MAX_THREADS";
    let wanted = threads.to_string();
    #[cfg(unix)]
    if std::env::var(POLARS).as_deref() != Ok(wanted.as_str())
        && let Ok(program) = std::env::current_exe()
    {
        use std::os::unix::process::CommandExt;
        let mut arguments = std::env::args_os();
        let mut command = std::process::Command::new(program);
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        // Returns only if it failed.
        let _ = command.args(arguments).env(POLARS, &wanted).exec();
    }
    // Fails only if a pool exists already; nothing before this starts one.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads.get()).build_global();
}
