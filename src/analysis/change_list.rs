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
    /// Adds the changes of a file: JSON objects, a line each or not, if it begins with `{`, a list of JSON if with `[` or if its one object
    /// holds it, else CSV with a header, its cells parted by commas, semicolons or tabs. Keys and columns that are not known are ignored.
    pub fn add(&mut self, path: &Path, text: &str) {
        let source = path.display().to_string();
        let text = text.trim_start_matches('\u{feff}');
        if text.trim_start().starts_with('{') {
            return self.add_objects(&source, text);
        }
        if text.trim_start().starts_with('[') {
            return match serde_json::from_str::<Vec<Value>>(text) {
                Ok(list) => self.add_elements(&source, &list),
                Err(error) => self.push(&source, "line", error.line() as u64, Err(error.to_string())),
            };
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
                    let cell = |name: &str| record.get(header.iter().position(|known| known == name)?);
                    let cell = |names: &[&str]| {
                        let text = names.iter().find_map(|name| cell(name).filter(|text| !text.is_empty()));
                        Ok(text.map(str::to_owned))
                    };
                    (line, event(&source, cell))
                }
                Err(error) => (error.position().map_or(0, csv::Position::line), Err(error.to_string())),
            };
            self.push(&source, "line", number, event);
        }
    }

    /// Adds JSON objects that follow each other, on as many lines as each takes; where they are broken, those on a line of their own.
    fn add_objects(&mut self, source: &str, text: &str) {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        let (mut objects, mut line, mut at) = (Vec::new(), 1, 0);
        let fault = loop {
            let rest = &text[values.byte_offset()..];
            let begin = values.byte_offset() + rest.len() - rest.trim_start().len();
            line += text[at..begin].matches('\n').count() as u64;
            at = begin;
            match values.next() {
                Some(Ok(value)) => objects.push((line, value)),
                Some(Err(error)) => break Some(error),
                None => break None,
            }
        };
        let is_object = |line: &str| line.trim_start().starts_with('{') && serde_json::from_str::<Value>(line).is_ok();
        match fault {
            None => {
                if let [(_, object)] = objects.as_slice()
                    && let Some(list) = only_list(object)
                {
                    return self.add_elements(source, list);
                }
                for (line, object) in objects {
                    self.push(source, "line", line, event(source, |names| field(&object, names)));
                }
            }
            Some(_) if text.lines().any(is_object) => {
                for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
                    let event = serde_json::from_str::<Value>(line)
                        // A line is a document of its own to the parser.
                        .map_err(|error| error.to_string().replace(" at line 1 column ", " at column "))
                        .and_then(|value| event(source, |names| field(&value, names)));
                    self.push(source, "line", number, event);
                }
            }
            Some(error) => self.push(source, "line", error.line() as u64, Err(error.to_string())),
        }
    }

    fn add_elements(&mut self, source: &str, list: &[Value]) {
        for (number, value) in (1..).zip(list) {
            self.push(source, "element", number, event(source, |names| field(value, names)));
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

/// The list of an object that is no change itself and has one list, as in `{"changes": [...]}`.
fn only_list(object: &Value) -> Option<&Vec<Value>> {
    let mut lists = object.as_object()?.values().filter_map(Value::as_array);
    let list = lists.next().filter(|_| member(object, &TIME).is_none());
    list.filter(|_| lists.next().is_none())
}

/// The first of the fields that is there, in upper or lower case.
fn member<'a>(value: &'a Value, names: &[&'static str]) -> Option<(&'static str, &'a Value)> {
    let members = || value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let find = |name: &&'static str| Some((*name, members().find(|(key, _)| key.eq_ignore_ascii_case(name))?.1));
    names.iter().find_map(find)
}

/// The same as text.
fn field(value: &Value, names: &[&'static str]) -> Result<Option<String>, String> {
    let Some((name, value)) = member(value, names) else { return Ok(None) };
    let kind = match value {
        Value::String(text) => return Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Value::Number(number) => return Ok(Some(number.to_string())),
        Value::Null => return Ok(None),
        Value::Bool(_) => "true or false",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Err(format!("its `{name}` is {kind}, expected one text (of several services, write a line each)"))
}

fn event(source: &str, get: impl Fn(&[&'static str]) -> Result<Option<String>, String>) -> Result<ChangeEvent, String> {
    let time = get(&TIME)?.ok_or_else(|| format!("it has no `{}`", TIME[0]))?;
    // Offsets and clock times need data to be relative to, and `20250615` would be a day in 1970.
    let is_day = time.len() == 8 && time.bytes().all(|byte| byte.is_ascii_digit());
    let is_absolute =
        time.starts_with(|c: char| c.is_ascii_digit()) && !(time.len() < 9 && time.contains(':')) && !is_day;
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
