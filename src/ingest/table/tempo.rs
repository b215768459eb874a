//! stub
use super::input::Input;
use crate::error::Error;
use crate::ingest::{
    Options,
    source::{Part, Source},
};
use ::parquet::arrow::arrow_reader::ArrowReaderMetadata;
pub(super) fn recognise(_schema: &arrow_schema::Schema) -> bool {
    false
}
pub(super) fn read(
    _source: &Source,
    _options: &Options,
    _input: &Input,
    _metadata: &ArrowReaderMetadata,
) -> Result<Vec<Part>, Error> {
    Ok(Vec::new())
}
