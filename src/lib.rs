#![doc = include_str!("ARCHITECTURE.md")]

pub mod canonical;
pub mod cli;

pub mod diagnostics;
pub mod error;
pub mod ingest;
pub mod inspect;
pub mod report;
pub mod span;
pub mod time;
pub mod window;
