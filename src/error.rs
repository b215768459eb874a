//! What makes an analysis impossible. Dirty spans are not errors: they are counted in [`crate::diagnostics`].

use std::path::PathBuf;

/// A failure of the library, with what the user needs to mend it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A path could not be opened, read or written.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried: `read`, `write`, `list`.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A file is not what its first bytes promise, or no known format at all.
    #[error("cannot read `{}`: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        reason: String,
    },
    /// A table lacks a column that spans need.
    #[error("`{}` has no column for the {role}; its columns are {}", path.display(), listed(columns))]
    Column {
        /// The file.
        path: PathBuf,
        /// What the column would hold, such as `trace id`.
        role: &'static str,
        /// Field name to give to `--columns`, such as `trace_id`.
        field: &'static str,
        /// Columns that are there.
        columns: Vec<String>,
    },
    /// An object or folder on a server cannot be had.
    #[error("cannot read `{address}`: {reason}")]
    Remote {
        /// Its address, without secrets.
        address: String,
        /// What happened.
        reason: String,
        /// What would be right.
        hint: String,
    },
    /// A folder has no room for what does not fit into memory.
    #[error("not enough room in `{}` for spans that do not fit into memory: {}{} are free", path.display(), of_needed(*needed), size(*free))]
    NoRoom {
        /// The folder.
        path: PathBuf,
        /// Bytes that are needed in all, if that can be told.
        needed: Option<u64>,
        /// Bytes that may be used.
        free: u64,
    },
    /// The analysis takes more memory than it may.
    #[error("the analysis needs about {} of memory and may take {}", size(*needed), size(*limit))]
    Memory {
        /// Bytes that are needed.
        needed: u64,
        /// Bytes that may be taken.
        limit: u64,
        /// What can be done.
        hint: String,
    },
    /// The input holds no span to work on.
    #[error("no spans found in {0}")]
    NoSpans(String),
    /// A window of time cannot be used.
    #[error("{message}")]
    Window {
        /// What is wrong with it.
        message: String,
        /// What would be right.
        hint: String,
    },
    /// The user named something that the input does not hold.
    #[error("{message}")]
    NotFound {
        /// What was looked for and where.
        message: String,
        /// What there is instead.
        hint: String,
    },
    /// An option's value cannot be understood.
    #[error("{message}")]
    Usage {
        /// The wrong value.
        message: String,
        /// The values that would be right.
        hint: String,
    },
    /// A profile cannot be read.
    #[error("cannot use the profile `{}`: {reason}", path.display())]
    Profile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What can be done.
        hint: String,
    },
    /// A document cannot be shown again.
    #[error("cannot use `{}`: {reason}", path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// What it is, or what is wrong with it.
        reason: String,
        /// What would be right.
        hint: String,
    },
    /// polars failed on a table.
    #[error("polars: {0}")]
    Polars(#[from] polars::error::PolarsError),
    /// parquet failed on a file that we write.
    #[error("parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
}

impl Error {
    /// A table at `path` that could not be written.
    #[must_use]
    pub fn of_writing(path: &std::path::Path, error: parquet::errors::ParquetError) -> Self {
        use parquet::errors::ParquetError;
        match error {
            ParquetError::External(source) => match source.downcast::<std::io::Error>() {
                Ok(source) => Self::Io { action: "write", path: path.to_owned(), source: *source },
                Err(source) => Self::Parquet(ParquetError::External(source)),
            },
            error => Self::Parquet(error),
        }
    }

    /// Spans that were to be written where something is that is no file, such as `a pipe`.
    #[must_use]
    pub fn of_special(path: &std::path::Path, what: &str) -> Self {
        Self::Usage {
            message: format!("`{}` is {what}, and spans are written to a file of their own", path.display()),
            hint: "name a file that is not there yet, such as `spans.parquet`".to_owned(),
        }
    }

    /// What the user can do, if there is more to say than the message says.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Io { action: "write", source, .. } if is_no_room(source) => {
                Some("make room, or write elsewhere; files that were there before are as they were".to_owned())
            }
            Self::NoRoom { .. } => Some(
                "give another folder as `--temp-dir`, make room there, or raise `--memory-limit`; nothing was left behind"
                    .to_owned(),
            ),
            Self::Column { field, .. } => Some(format!("name it with `--columns {field}=<COLUMN>`")),
            Self::NoSpans(_) => Some("`suspect inspect PATH` shows what was found in each file".to_owned()),
            Self::Window { hint, .. }
            | Self::NotFound { hint, .. }
            | Self::Usage { hint, .. }
            | Self::Document { hint, .. }
            | Self::Remote { hint, .. }
            | Self::Memory { hint, .. }
            | Self::Profile { hint, .. } => (!hint.is_empty()).then(|| hint.clone()),
            _ => None,
        }
    }
}

/// What the TOML parser says, in words that its reader knows; `line` is where it says it.
#[must_use]
pub fn toml_reason(message: &str, line: Option<&str>) -> String {
    let header = line.map(str::trim).and_then(|line| line.strip_prefix('[')?.split_once(']'));
    if message.starts_with("invalid type: map, expected a sequence")
        && let Some((name, _)) = header.filter(|(name, _)| !name.starts_with('['))
    {
        return format!("found `[{name}]`, expected `[[{name}]]`: there may be several");
    }
    if message.starts_with("invalid type: map, expected a sequence") {
        return "found one table, expected a list of tables".to_owned();
    }
    let Some((found, expected)) = message.rsplit_once("expected ") else { return message.to_owned() };
    let right = match expected {
        "u64" | "usize" => "a whole number, 0 or more",
        "u32" => "a whole number from 0 to 4294967295",
        "i64" => "a whole number",
        "f64" => "a number",
        expected => expected,
    };
    format!("{found}expected {right}")
}

/// Columns by name, as many and as much of each as a person reads.
fn listed(columns: &[String]) -> String {
    const MOST: usize = 20;
    const LONGEST: usize = 80;
    let name = |name: &String| match name.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name.clone(),
    };
    let mut names: Vec<String> = columns.iter().take(MOST).map(name).collect();
    if columns.len() > MOST {
        names.push(format!("and {} more", columns.len() - MOST));
    }
    names.join(", ")
}

/// How much is needed, before how much there is.
fn of_needed(needed: Option<u64>) -> String {
    needed.map_or_else(String::new, |needed| format!("about {} are needed, ", size(needed)))
}

/// A number of bytes as people write it, such as `1.5 GiB`.
#[must_use]
pub fn size(n_bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (n_bytes as f64, 0);
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n_bytes} bytes") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// Whether there was no room for what was to be written.
fn is_no_room(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
