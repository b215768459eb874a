//! Finds the columns of span fields in a table.
//!
//! The user's `--columns` come first, then the dialects of [`super::dialect`], then common names in any case and with
//! any separators. What is left over is attributes. Units come, in this order, from `--columns`, the column's name,
//! its type, the dialect; [`super::settle`] asks the values for the rest.

use super::dialect::{self, ATTRIBUTE_MAPS, DIALECTS, Dialect, Field, Shape, UNKNOWN};
use super::unit::Unit;
use crate::error::Error;
use crate::ingest::{ColumnChoice, Options};
use crate::span::{AttributeKey, AttributeScope};
use std::path::Path;

/// A column as the file declares it.
#[derive(Clone, Debug, Default)]
pub(super) struct ColumnInfo {
    /// Name.
    pub(super) name: String,
    /// Unit that its type carries.
    pub(super) unit: Option<Unit>,
}

impl ColumnInfo {
    /// A column of a format without types.
    pub(super) fn untyped(name: impl Into<String>) -> Self {
        Self { name: name.into(), unit: None }
    }
}

/// A column that holds a field, and its unit if that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) column: usize,
    pub(super) unit: Option<Unit>,
}

/// What a column that holds no field gives to a span's attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AttributeRole {
    /// One attribute.
    One(AttributeKey),
    /// Many; nested objects become dotted keys.
    Map(AttributeScope),
    /// Many, in an object of the canonical file.
    Overflow(AttributeScope),
}

/// Which column holds what.
#[derive(Clone, Debug)]
pub(super) struct Mapping {
    /// The dialect recognised, [`UNKNOWN`] if none.
    pub(super) dialect: &'static Dialect,
    /// Column of each field, in the order of [`Field::ALL`].
    roles: [Option<Role>; Field::ALL.len()],
    /// Columns read for attributes, ascending.
    pub(super) attributes: Vec<(usize, AttributeRole)>,
    /// A map whose `service.name` stands in for a service column.
    pub(super) service_map: Option<usize>,
    /// Whether the status is a column named after errors, which says whether, or which one.
    pub(super) is_error_column: bool,
    /// A Honeycomb column that is not empty in rows that are no spans.
    pub(super) annotation: Option<usize>,
    /// Whether values carry no types, as in CSV, so that attributes are typed by their looks.
    pub(super) untyped: bool,
    /// What was assumed, for the report.
    pub(super) notes: Vec<String>,
    /// Names of all columns, for messages.
    pub(super) names: Vec<String>,
}

impl Mapping {
    /// The column of a field.
    pub(super) fn role(&self, field: Field) -> Option<Role> {
        self.roles[field as usize]
    }

    /// Whether the table is a canonical file, whose every value means what it says.
    pub(super) fn canonical(&self) -> bool {
        self.dialect.name == "canonical"
    }

    pub(super) fn set(&mut self, field: Field, role: Option<Role>) {
        self.roles[field as usize] = role;
    }

    /// Columns that must be read, ascending.
    pub(super) fn columns(&self) -> Vec<usize> {
        let mut columns: Vec<usize> = self.roles.iter().flatten().map(|role| role.column).collect();
        columns.extend(self.attributes.iter().map(|&(column, _)| column));
        columns.extend(self.service_map);
        columns.extend(self.annotation);
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// Renumbers the columns after `kept` alone were read.
    pub(super) fn project(&mut self, kept: &[usize]) {
        let place = |column: usize| kept.binary_search(&column).unwrap_or(usize::MAX);
        self.roles.iter_mut().flatten().for_each(|role| role.column = place(role.column));
        self.attributes.iter_mut().for_each(|(column, _)| *column = place(*column));
        self.service_map = self.service_map.map(place);
        self.annotation = self.annotation.map(place);
        self.names = kept.iter().filter_map(|&column| self.names.get(column).cloned()).collect();
    }
}

/// Finds the fields among `columns` of the file `path`.
pub(super) fn find(columns: &[ColumnInfo], options: &Options, path: &str) -> Result<Mapping, Error> {
    let dialect = DIALECTS
        .iter()
        .find(|dialect| dialect.signature.iter().all(|name| columns.iter().any(|column| column.name == *name)))
        .unwrap_or(&UNKNOWN);
    let mut mapping = Mapping {
        dialect,
        roles: [None; Field::ALL.len()],
        attributes: Vec::new(),
        service_map: None,
        is_error_column: false,
        annotation: columns
            .iter()
            .position(|column| column.name == "meta.annotation_type")
            .filter(|_| dialect.name != "canonical"),
        untyped: false,
        notes: Vec::new(),
        names: columns.iter().map(|column| column.name.clone()).collect(),
    };
    for &(field, names, unit) in dialect.fields {
        let column = names.iter().find_map(|name| columns.iter().position(|column| column.name == *name));
        let named = |column: usize| split_unit(&normalized(&columns[column].name), &columns[column].name).1;
        mapping.set(
            field,
            column.map(|column| Role {
                column,
                unit: field.is_time().then(|| columns[column].unit.or_else(|| named(column)).or(unit)).flatten(),
            }),
        );
    }
    let unresolved = choose(&mut mapping, columns, &options.columns)?;
    if std::ptr::eq(dialect, &raw const UNKNOWN) {
        find_by_name(&mut mapping, columns);
    }
    collect_attributes(&mut mapping, columns, options);
    check(&mapping, unresolved, path)?;
    mapping.is_error_column = mapping
        .role(Field::Status)
        .is_some_and(|role| dialect::ERROR_COLUMNS.contains(&normalized(&columns[role.column].name).as_str()));
    Ok(mapping)
}

/// Puts the user's choices in place; returns one whose column is not there.
fn choose<'o>(
    mapping: &mut Mapping,
    columns: &[ColumnInfo],
    choices: &'o [ColumnChoice],
) -> Result<Option<(Field, &'o ColumnChoice)>, Error> {
    let mut unresolved = None;
    for choice in choices {
        let Some(&field) = Field::ALL.iter().find(|field| field.name() == choice.field) else {
            return Err(Error::Usage {
                message: format!("`--columns` knows no field `{}`", choice.field),
                hint: format!("the fields are {}", Field::ALL.map(Field::name).join(", ")),
            });
        };
        let unit = match &choice.unit {
            None => None,
            Some(text) => Some(Unit::parse(text).filter(|_| field.is_time()).ok_or_else(|| Error::Usage {
                message: format!(
                    "`--columns {field}={}:{text}` has no unit that fits",
                    choice.column,
                    field = choice.field
                ),
                hint: "units are `s`, `ms`, `us` and `ns`, for start, end and duration".to_owned(),
            })?),
        };
        match columns.iter().position(|column| column.name == choice.column) {
            Some(column) => {
                let unit = unit.or_else(|| {
                    let name = &columns[column].name;
                    field.is_time().then(|| columns[column].unit.or(split_unit(&normalized(name), name).1)).flatten()
                });
                mapping.set(field, Some(Role { column, unit }));
            }
            None => unresolved = Some((field, choice)),
        }
    }
    Ok(unresolved)
}

/// Fills the fields still without a column by common names.
fn find_by_name(mapping: &mut Mapping, columns: &[ColumnInfo]) {
    let normal: Vec<String> = columns.iter().map(|column| normalized(&column.name)).collect();
    for field in Field::ALL {
        if mapping.role(field).is_some() {
            continue;
        }
        let taken = |column: usize| mapping.roles.iter().flatten().any(|role| role.column == column);
        let found = dialect::synonyms(field).iter().find_map(|synonym| {
            let plain = normal.iter().position(|name| name == synonym).filter(|&column| !taken(column));
            if !field.is_time() {
                return plain.map(|column| Role { column, unit: None });
            }
            // Among `start_time_ms` and `start_time_ns`, the finer one says more.
            let suffixed = normal
                .iter()
                .enumerate()
                .filter(|&(column, _)| !taken(column))
                .filter_map(|(column, name)| match split_unit(name, &columns[column].name) {
                    (base, Some(unit)) if base == *synonym => Some((unit, column)),
                    _ => None,
                })
                .min()
                .map(|(unit, column)| Role { column, unit: columns[column].unit.or(Some(unit)) });
            suffixed.or_else(|| plain.map(|column| Role { column, unit: columns[column].unit }))
        });
        mapping.set(field, found);
    }
}

/// Gives every column left over to the attributes, as far as they are asked for.
fn collect_attributes(mapping: &mut Mapping, columns: &[ColumnInfo], options: &Options) {
    let dialect = mapping.dialect;
    let known = !std::ptr::eq(dialect, &raw const UNKNOWN);
    let any = !matches!(&options.attributes, crate::span::AttributeSelection::Keys(keys) if keys.is_empty());
    let holds_field =
        |column: usize| Field::ALL.iter().any(|&field| mapping.role(field).is_some_and(|role| role.column == column));
    let mut attributes = Vec::new();
    let (mut service_map, mut span_map) = (None, None);
    for (index, column) in columns.iter().enumerate() {
        let name = column.name.as_str();
        if let Some(&(_, scope, key)) = dialect.renamed.iter().find(|(renamed, ..)| *renamed == name) {
            attributes.push((index, AttributeRole::One(AttributeKey { scope, key: key.to_owned() })));
            continue;
        }
        if holds_field(index) || dialect.skipped.iter().any(|pattern| dialect::fits(pattern, name)) {
            continue;
        }
        let map = if known {
            dialect.maps.iter().find(|(map, _)| *map == name).map(|&(_, scope)| scope)
        } else {
            let normal = normalized(name);
            ATTRIBUTE_MAPS.iter().find(|(map, _)| *map == normal).map(|&(_, scope)| scope)
        };
        if let Some(scope) = map {
            match scope {
                AttributeScope::Resource => service_map = service_map.or(Some(index)),
                AttributeScope::Span if known => span_map = span_map.or(Some(index)),
                AttributeScope::Span => {}
            }
            attributes.push((
                index,
                if mapping.canonical() { AttributeRole::Overflow(scope) } else { AttributeRole::Map(scope) },
            ));
        } else {
            let key = name.strip_prefix(dialect.prefix).unwrap_or(name);
            attributes.push((index, AttributeRole::One(AttributeKey::from_column_name(key))));
        }
    }
    attributes.retain(|(_, role)| match role {
        AttributeRole::One(key) => options.attributes.wants(&key.key),
        AttributeRole::Map(_) | AttributeRole::Overflow(_) => any,
    });
    mapping.attributes = attributes;
    if mapping.role(Field::Service).is_none() {
        mapping.service_map = service_map.or(span_map);
    }
}

/// An error for the first field that spans cannot do without and no column holds.
fn check(mapping: &Mapping, unresolved: Option<(Field, &ColumnChoice)>, path: &str) -> Result<(), Error> {
    let has = |field| mapping.role(field).is_some();
    let duration = has(Field::Duration) || has(Field::End);
    let service = has(Field::Service) || mapping.service_map.is_some();
    let missing = [
        (Field::TraceId, has(Field::TraceId)),
        (Field::SpanId, has(Field::SpanId)),
        (Field::Service, service),
        (Field::Operation, has(Field::Operation)),
        (Field::Start, has(Field::Start)),
        (Field::Duration, duration),
    ]
    .into_iter()
    .find(|&(_, there)| !there)
    .map(|(field, _)| field);
    if let Some((field, choice)) = unresolved
        && (missing.is_some() || mapping.dialect.shape == Shape::Spans && !has(field))
    {
        return Err(Error::NotFound {
            message: format!(
                "`{path}` has no column `{}`, which `--columns` names for the {}",
                choice.column,
                field.role()
            ),
            hint: format!("its columns are {}", mapping.names.join(", ")),
        });
    }
    match missing {
        None => Ok(()),
        Some(field) => Err(Error::Column {
            path: Path::new(path).to_path_buf(),
            role: field.role(),
            field: field.name(),
            columns: mapping.names.clone(),
        }),
    }
}

/// A column name without case and separators.
fn normalized(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// Splits a normalised name into its base and the unit that its end names; a lone `s` counts only after a separator.
fn split_unit<'n>(normal: &'n str, name: &str) -> (&'n str, Option<Unit>) {
    const SUFFIXES: [&str; 13] = [
        "nanoseconds",
        "nanos",
        "nano",
        "ns",
        "microseconds",
        "micros",
        "us",
        "milliseconds",
        "millis",
        "msec",
        "ms",
        "seconds",
        "sec",
    ];
    for suffix in SUFFIXES {
        if let Some(base) = normal.strip_suffix(suffix)
            && !base.is_empty()
        {
            return (base, Unit::parse(suffix));
        }
    }
    match normal.strip_suffix('s') {
        Some(base) if name.ends_with("_s") || name.ends_with("(s)") => (base, Some(Unit::Seconds)),
        _ => (normal, None),
    }
}
