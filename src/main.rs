//! The `suspect` command.

fn main() {}
