//! Tests of the library's stages and of the program, in one binary because each would link all of polars.

mod analyze;
mod attributes;
mod builder;
mod canonical;
mod changes;
mod charts;
mod cli;
mod cli_input;
mod compare;
mod documents;
mod errors;
mod eval;
mod evidence;
mod explain;
mod fuzz;
mod gate;
mod gate_program;
mod hostile;
mod html;
mod ingest_table;
mod ingest_text;
mod inspect;
#[cfg(unix)]
mod interrupt;
mod invariance;
mod layering;
mod markdown;
mod narrow;
mod object_store;
mod onset;
#[cfg(unix)]
mod outputs;
mod owners;
mod profile;
mod program;
mod roundtrip;
mod schema;
mod simulate;
mod structure;
mod text;
mod time;
mod topology;
mod trace;
mod views;
mod whose;
mod window;
