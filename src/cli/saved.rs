//! An analysis that was saved as JSON, read again; whatever else the file may be, the error says what it is and what would be right.

use crate::analysis::{Analysis, SCHEMA_VERSION};
use crate::error::Error;
use crate::ingest;
use crate::report::schema::Document;
use crate::store;
use serde_json::Value;
use serde_json::error::Category;
use std::io::Read;
use std::path::Path;

const EXPECTED: &str = "expected what `suspect analyze PATH --json FILE` writes";
const AGAIN: &str = "make it again with `suspect analyze PATH --json FILE`, or copy it again";

/// Reads the analysis in the file, at the address, or in standard input for `-`.
///
/// # Errors
/// [`Error::Io`], [`Error::Remote`], and [`Error::Document`] for what is no analysis of this version.
pub(super) fn read(path: &Path) -> Result<Analysis, Error> {
    let failed = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let bytes = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map_err(failed)?;
        bytes
    } else {
        store::read(path)?
    };
    let shown = || store::shown(path).into();
    let wrong = |reason: String, hint: String| Error::Document { path: shown(), reason, hint };
    let (document, text) = parse(&bytes).map_err(|(reason, hint)| wrong(reason, hint))?;
    // The version first: what another version means by its keys is unknown.
    match (Document::of(&document), document.get("schema_version")) {
        (Some(Document::Analysis) | None, Some(version)) if *version == SCHEMA_VERSION => {}
        (Some(Document::Analysis) | None, Some(version)) => {
            let is_newer = version.as_u64().is_some_and(|version| version > u64::from(SCHEMA_VERSION));
            let by = if is_newer { ", so a newer suspect wrote it" } else { "" };
            return Err(wrong(
                format!("it has `schema_version` {version}{by}; this suspect reads version {SCHEMA_VERSION}"),
                "show it with the suspect that wrote it, or make it again from the spans with this one".to_owned(),
            ));
        }
        (Some(Document::Analysis), None) => {
            return Err(wrong("it has no `schema_version`".to_owned(), EXPECTED.to_owned()));
        }
        (Some(other), _) => {
            return Err(wrong(format!("it is what {} gives, no analysis", other.command()), EXPECTED.to_owned()));
        }
        (None, None) => {
            let (reason, hint) = foreign(&bytes);
            return Err(wrong(reason, hint));
        }
    }
    serde_json::from_str(text).map_err(|error| {
        wrong(
            format!("it is no whole analysis: {error}"),
            format!("{AGAIN}; `suspect schema` tells what must be there"),
        )
    })
}

/// The JSON value and its text, else what is wrong with it and what would be right.
fn parse(bytes: &[u8]) -> Result<(Value, &str), (String, String)> {
    if bytes.trim_ascii().is_empty() {
        return Err(("it is empty".to_owned(), EXPECTED.to_owned()));
    }
    let begins_well = bytes.trim_ascii_start().starts_with(b"{");
    let text = std::str::from_utf8(bytes).map_err(|error| {
        if begins_well {
            (format!("it is no UTF-8 text from byte {} on", error.valid_up_to()), AGAIN.to_owned())
        } else {
            foreign(bytes)
        }
    })?;
    serde_json::from_str(text).map(|value| (value, text)).map_err(|error| match error.classify() {
        Category::Eof if begins_well => {
            let place = format!("line {}, column {}", error.line(), error.column());
            (format!("it breaks off at {place}, in the middle of the document"), AGAIN.to_owned())
        }
        _ if begins_well => (format!("it is no JSON: {error}"), AGAIN.to_owned()),
        _ => foreign(bytes),
    })
}

/// What a file is that no command of ours wrote.
fn foreign(bytes: &[u8]) -> (String, String) {
    match ingest::recognise_spans(bytes) {
        Some(format) => (
            format!("it holds spans ({format}), no analysis"),
            "`suspect analyze` takes spans, and makes every document that `suspect report` makes".to_owned(),
        ),
        None => ("it is no analysis".to_owned(), EXPECTED.to_owned()),
    }
}
