//! Integration tests, one module a stage.

mod canonical;
mod ingest_table;
