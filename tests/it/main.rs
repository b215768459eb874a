//! All integration tests, a module a stage.

mod ingest_text;
