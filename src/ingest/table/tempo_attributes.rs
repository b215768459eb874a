//! Attributes of Tempo blocks: generic lists, columns of well-known keys, and dedicated columns.
//!
//! A generic attribute is a `Key` and one of `Value`, `ValueInt`, `ValueDouble` and `ValueBool`: scalars in vParquet3,
//! lists from vParquet4 on, of one element unless `IsArray` (at first `ValueType`) says that they are lists. Lists of
//! vParquet3, maps and bytes are JSON text in a column of their own. Frequent attributes may have dedicated columns
//! (`String01`, ...), whose keys stand in `meta.json` beside the block.

use super::arrow::Cells;
use super::cell::{Cell, List};
use super::json_value::JsonValue;
use crate::ingest::source::Source;
use serde::Deserialize;
use std::borrow::Cow;

/// Resource columns of well-known keys.
pub(super) const RESOURCE_COLUMNS: [(&str, &str); 8] = [
    ("Cluster", "cluster"),
    ("Namespace", "namespace"),
    ("Pod", "pod"),
    ("Container", "container"),
    ("K8sClusterName", "k8s.cluster.name"),
    ("K8sNamespaceName", "k8s.namespace.name"),
    ("K8sPodName", "k8s.pod.name"),
    ("K8sContainerName", "k8s.container.name"),
];

/// Span columns of well-known keys.
pub(super) const SPAN_COLUMNS: [(&str, &str); 3] =
    [("HttpMethod", "http.method"), ("HttpUrl", "http.url"), ("HttpStatusCode", "http.status_code")];

/// `ValueType`s from this on are lists, in the vParquet4 blocks that have it.
const FIRST_LIST_TYPE: i64 = 5;

/// A cell of a column that may be missing.
pub(super) fn named<'a>(cells: Option<&'a Cells<'a>>, row: usize) -> Cell<'a> {
    cells.map_or(Cell::Null, |cells| cells.cell(row))
}

/// Keys of dedicated columns, with the column's name.
#[derive(Debug, Default)]
pub(super) struct Dedicated {
    pub(super) resource: Vec<(String, String)>,
    pub(super) span: Vec<(String, String)>,
    /// What a reader should know if the keys are not to be had.
    pub(super) note: Option<String>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(default, rename = "dedicatedColumns")]
    dedicated_columns: Option<Vec<MetaColumn>>,
}

#[derive(Deserialize)]
struct MetaColumn {
    /// `span` (if absent), `resource` or `event`.
    #[serde(default, rename = "s")]
    scope: String,
    #[serde(rename = "n")]
    name: String,
    /// `string` (if absent) or `int`.
    #[serde(default, rename = "t")]
    kind: String,
}

impl Dedicated {
    /// Reads the keys from `meta.json` in the folder of the block.
    pub(super) fn beside(source: &Source) -> Self {
        let meta = source.path.as_ref().map(|path| path.with_file_name("meta.json"));
        let text = meta.and_then(|path| std::fs::read(path).ok());
        match text.map(|text| serde_json::from_slice::<Meta>(&text)) {
            Some(Ok(meta)) => Self::new(meta.dedicated_columns.unwrap_or_default()),
            found => {
                let what = if found.is_some() { "cannot be read" } else { "is not there" };
                let note = format!("`meta.json` {what}, so attributes in dedicated columns of the block are not read");
                Self { note: Some(note), ..Self::default() }
            }
        }
    }

    /// Columns are numbered by scope and type, in the order of the list.
    fn new(columns: Vec<MetaColumn>) -> Self {
        let mut dedicated = Self::default();
        let mut numbers = [[0_u32; 2]; 2];
        for column in columns {
            let (scope, keys) = match column.scope.as_str() {
                "" | "span" => (0, &mut dedicated.span),
                "resource" => (1, &mut dedicated.resource),
                _ => continue,
            };
            let is_int = column.kind == "int";
            let number = &mut numbers[scope][usize::from(is_int)];
            *number += 1;
            keys.push((format!("{}{number:02}", if is_int { "Int" } else { "String" }), column.name));
        }
        dedicated
    }
}

/// All attribute columns of resources or of spans.
pub(super) struct AttributeCells<'a> {
    plain: Vec<(&'a str, &'a Cells<'a>)>,
    list: Option<Generic<'a>>,
}

struct Generic<'a> {
    lists: &'a Cells<'a>,
    key: &'a Cells<'a>,
    is_array: Option<&'a Cells<'a>>,
    value_type: Option<&'a Cells<'a>>,
    values: Vec<&'a Cells<'a>>,
    json: Vec<&'a Cells<'a>>,
}

impl<'a> AttributeCells<'a> {
    pub(super) fn new(
        cells: &'a Cells<'a>,
        well_known: &'static [(&'static str, &'static str)],
        dedicated: &'a [(String, String)],
    ) -> Self {
        let mut plain: Vec<(&str, &Cells<'_>)> =
            well_known.iter().filter_map(|&(column, key)| Some((key, cells.field(column)?))).collect();
        if let Some(columns) = cells.field("DedicatedAttributes") {
            plain.extend(dedicated.iter().filter_map(|(column, key)| Some((key.as_str(), columns.field(column)?))));
        }
        Self { plain, list: cells.field("Attrs").and_then(Generic::new) }
    }

    /// Calls `visit` with each attribute of row `row`.
    pub(super) fn each(&self, row: usize, visit: &mut dyn FnMut(&str, Cell<'_>)) {
        for (key, cells) in &self.plain {
            match cells.cell(row) {
                Cell::List(list) => one_or_list(list, false, &mut |value| visit(key, value)),
                value => visit(key, value),
            }
        }
        if let Some(generic) = &self.list {
            generic.lists.range(row).for_each(|attribute| generic.visit(attribute, visit));
        }
    }
}

impl<'a> Generic<'a> {
    fn new(lists: &'a Cells<'a>) -> Option<Self> {
        let fields = lists.elements()?;
        let some = |names: &[&str]| names.iter().filter_map(|name| fields.field(name)).collect();
        Some(Self {
            lists,
            key: fields.field("Key")?,
            is_array: fields.field("IsArray"),
            value_type: fields.field("ValueType"),
            values: some(&["Value", "ValueInt", "ValueDouble", "ValueBool"]),
            json: some(&["ValueArray", "ValueKVList", "ValueDropped", "ValueUnsupported"]),
        })
    }

    fn visit(&self, row: usize, visit: &mut dyn FnMut(&str, Cell<'_>)) {
        let Cell::Str(key) = self.key.cell(row) else { return };
        let is_list = matches!(named(self.is_array, row), Cell::Bool(true))
            || matches!(named(self.value_type, row), Cell::Int(FIRST_LIST_TYPE..));
        for values in &self.values {
            match values.cell(row) {
                Cell::Null => {}
                Cell::List(list) if list.len() == 0 => {}
                Cell::List(list) => return one_or_list(list, is_list, &mut |value| visit(key, value)),
                value => return visit(key, value),
            }
        }
        let mut texts = self.json.iter().filter_map(|cells| cells.cell(row).text());
        if let Some(text) = texts.find(|text| !text.is_empty()) {
            return match serde_json::from_str::<JsonValue<'_>>(&text) {
                Ok(value) => visit(key, plain(value).cell()),
                Err(_) => visit(key, Cell::Str(&text)),
            };
        }
        if is_list {
            visit(key, Cell::List(List::Json(&[])));
        }
    }
}

/// The one element of a list that stands for a scalar, or the list.
fn one_or_list(list: List<'_>, is_list: bool, visit: &mut dyn FnMut(Cell<'_>)) {
    match list.len() {
        0 if !is_list => {}
        1 if !is_list => visit(list.get(0)),
        _ => visit(Cell::List(list)),
    }
}

/// A value without the type names that OTLP's JSON puts around it: `{"arrayValue":{"values":[{"intValue":"1"}]}}` is `[1]`.
fn plain(value: JsonValue<'_>) -> JsonValue<'_> {
    let JsonValue::Object(mut entries) = value else { return value };
    let known = ["stringValue", "bytesValue", "intValue", "doubleValue", "boolValue", "arrayValue", "kvlistValue"];
    if entries.len() != 1 || !known.contains(&entries[0].0.as_ref()) {
        return JsonValue::Object(entries);
    }
    let Some((kind, inner)) = entries.pop() else { return JsonValue::Null };
    match (kind.as_ref(), inner) {
        ("intValue", JsonValue::Str(digits)) => digits.parse().map_or(JsonValue::Str(digits), JsonValue::Int),
        ("arrayValue", array) => JsonValue::List(values(array).into_iter().map(plain).collect()),
        ("kvlistValue", list) => JsonValue::Object(values(list).into_iter().filter_map(pair).collect()),
        (_, scalar) => scalar,
    }
}

/// The list `values` of an object.
fn values(object: JsonValue<'_>) -> Vec<JsonValue<'_>> {
    let JsonValue::Object(entries) = object else { return Vec::new() };
    match entries.into_iter().find(|(key, _)| key == "values") {
        Some((_, JsonValue::List(values))) => values,
        _ => Vec::new(),
    }
}

/// The key and value of an object that has both.
fn pair(object: JsonValue<'_>) -> Option<(Cow<'_, str>, JsonValue<'_>)> {
    let JsonValue::Object(entries) = object else { return None };
    let (mut name, mut content) = (None, JsonValue::Null);
    for (key, value) in entries {
        match (key.as_ref(), value) {
            ("key", JsonValue::Str(key)) => name = Some(key),
            ("value", value) => content = plain(value),
            _ => {}
        }
    }
    Some((name?, content))
}
