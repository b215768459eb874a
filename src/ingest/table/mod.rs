//! Tables of spans: Parquet, Arrow IPC, CSV and flat JSON rows.

use super::Options;
use super::source::{Part, Source};
use crate::error::Error;

fn unsupported(source: &Source) -> Error {
    Error::Format { path: source.name.clone().into(), reason: "tables are not read yet".to_owned() }
}

pub(super) fn read_parquet(source: &Source, _options: &Options) -> Result<Vec<Part>, Error> {
    Err(unsupported(source))
}

pub(super) fn read_arrow_ipc(source: &Source, _options: &Options) -> Result<Vec<Part>, Error> {
    Err(unsupported(source))
}

pub(super) fn read_csv(source: &Source, _options: &Options) -> Result<Vec<Part>, Error> {
    Err(unsupported(source))
}

pub(super) fn read_json_rows(source: &Source, _options: &Options) -> Result<Vec<Part>, Error> {
    Err(unsupported(source))
}
