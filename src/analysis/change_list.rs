//! Lists of changes as people keep them: JSON lines or CSV in, changes out.

use crate::time::{TimeRange, parse_bound};
use serde_json::Value;
use std::path::Path;

/// Lines that could not be read of which an example is kept each; the rest is counted.
const MAX_EXAMPLES: usize = 5;

/// Names under which each field is looked for, the first that is there counts.
const TIME: [&str; 6] = ["time", "timestamp", "at", "date", "created_at", "when"];
const SERVICE: [&str; 4] = ["service", "service.name", "component", "app"];
const KIND: [&str; 3] = ["kind", "type", "event"];
const TITLE: [&str; 6] = ["title", "name", "description", "message", "summary", "version"];
const URL: [&str; 3] = ["url", "link", "href"];

/// A change that somebody wrote down.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangeEvent {
    /// When, nanoseconds since the Unix epoch.
    pub time_unix_ns: i64,
    /// Service that was changed, if it says so.
    pub service: Option<String>,
    /// Such as `deploy`; `change` if it does not say.
    pub kind: String,
    /// What it was.
    pub title: String,
    /// More of it.
    pub url: Option<String>,
    /// The file.
    pub source: String,
}

/// Changes of all files.
#[derive(Clone, Debug, Default)]
pub struct ChangeList {
    /// The changes.
    pub events: Vec<ChangeEvent>,
    /// Lines that are no change: what is wrong with the first few, with file and line.
    pub faults: Vec<String>,
    /// Lines that are no change.
    pub n_skipped: u64,
}

impl ChangeList {
    /// Adds the changes of a file: JSON lines if it begins with `{`, a list of JSON if with `[`, else CSV with a header, its cells parted by commas,
    /// semicolons or tabs. Keys and columns that are not known are ignored.
    pub fn add(&mut self, path: &Path, text: &str) {
        let source = path.display().to_string();
        let text = text.trim_start_matches('\u{feff}');
        if text.trim_start().starts_with('{') {
            for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
                let event = serde_json::from_str::<Value>(line)
                    // A line is a document of its own to the parser.
                    .map_err(|error| error.to_string().replace(" at line 1 column ", " at column "))
                    .and_then(|value| event(&source, |names| field(&value, names)));
                self.push(&source, "line", number, event);
            }
            return;
        }
        if text.trim_start().starts_with('[') {
            let list = match serde_json::from_str::<Vec<Value>>(text) {
                Ok(list) => list,
                Err(error) => return self.push(&source, "line", error.line() as u64, Err(error.to_string())),
            };
            for (number, value) in (1..).zip(&list) {
                self.push(&source, "element", number, event(&source, |names| field(value, names)));
            }
            return;
        }
        let mut reader = csv::ReaderBuilder::new();
        let mut reader =
            reader.flexible(true).trim(csv::Trim::All).delimiter(delimiter(text)).from_reader(text.as_bytes());
        let header: Vec<String> = match reader.headers() {
            Ok(header) => header.iter().map(str::to_lowercase).collect(),
            Err(error) => return self.push(&source, "line", 1, Err(error.to_string())),
        };
        for record in reader.records() {
            let (number, event) = match record {
                Ok(record) => {
                    let line = record.position().map_or(0, csv::Position::line);
                    let cell = |names: &[&str]| {
                        let column = names.iter().find_map(|name| header.iter().position(|known| known == name))?;
                        record.get(column).filter(|text| !text.is_empty()).map(str::to_owned)
                    };
                    let cell = |names: &[&str]| Ok(cell(names));
                    (line, event(&source, cell))
                }
                Err(error) => (error.position().map_or(0, csv::Position::line), Err(error.to_string())),
            };
            self.push(&source, "line", number, event);
        }
    }

    fn push(&mut self, source: &str, part: &str, number: u64, event: Result<ChangeEvent, String>) {
        match event {
            Ok(event) => self.events.push(event),
            Err(fault) => {
                self.n_skipped += 1;
                if self.faults.len() < MAX_EXAMPLES {
                    self.faults.push(format!("`{source}`: {part} {number} is no change: {fault}"));
                }
            }
        }
    }
}

/// What parts the cells of a table: the commonest in its first line.
fn delimiter(text: &str) -> u8 {
    let header = text.lines().next().unwrap_or_default();
    let count = |delimiter: char| header.matches(delimiter).count();
    // Of equally common ones the last counts.
    [('\t', b'\t'), (';', b';'), (',', b',')]
        .into_iter()
        .max_by_key(|&(delimiter, _)| count(delimiter))
        .map_or(b',', |(_, byte)| byte)
}

/// The first of the fields that is there, as text.
fn field(value: &Value, names: &[&str]) -> Result<Option<String>, String> {
    let Some((name, value)) = names.iter().find_map(|name| Some((name, value.get(name)?))) else { return Ok(None) };
    let kind = match value {
        Value::String(text) => return Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Value::Number(number) => return Ok(Some(number.to_string())),
        Value::Null => return Ok(None),
        Value::Bool(_) => "true or false",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Err(format!("its `{name}` is {kind}, expected one text (of several services, write a line each)"))
}

fn event(source: &str, get: impl Fn(&[&str]) -> Result<Option<String>, String>) -> Result<ChangeEvent, String> {
    let time = get(&TIME)?.ok_or_else(|| format!("it has no `{}`", TIME[0]))?;
    // Offsets and clock times need data to be relative to.
    let is_absolute = time.starts_with(|c: char| c.is_ascii_digit()) && !(time.len() < 9 && time.contains(':'));
    let nowhere = TimeRange { start_unix_ns: 0, end_unix_ns: 0 };
    let time_unix_ns = Some(&time).filter(|_| is_absolute).and_then(|time| parse_bound(time, nowhere).ok());
    let time_unix_ns = time_unix_ns
        .ok_or_else(|| format!("its time `{time}` is none, expected RFC 3339 or seconds, ms, us or ns since 1970"))?;
    Ok(ChangeEvent {
        time_unix_ns,
        service: get(&SERVICE)?,
        kind: get(&KIND)?.unwrap_or_else(|| "change".to_owned()),
        title: get(&TITLE)?.unwrap_or_default(),
        url: get(&URL)?,
        source: source.to_owned(),
    })
}
