//! Layers import downwards only; see `src/ARCHITECTURE.md`.

use std::fs;
use std::path::{Path, PathBuf};

/// From the bottom up. Layers in one row do not import each other.
const LAYERS: [&[&str]; 23] = [
    &["error", "scratch"],
    &["diagnostics", "packed"],
    &["time", "owners", "store"],
    &["span"],
    &["stats"],
    &["ingest", "canonical"],
    &["simulate"],
    &["export"],
    &["normalize"],
    &["blame"],
    &["window"],
    &["topology"],
    &["compare"],
    &["rank"],
    &["drill"],
    &["trace"],
    &["profile"],
    &["analysis"],
    &["eval"],
    &["gate"],
    &["inspect"],
    &["report"],
    &["cli"],
];

fn rank(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&layer))
}

#[test]
fn no_layer_imports_from_a_layer_above_or_beside_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut faults = Vec::new();
    for file in rust_files(&src) {
        let path = file.strip_prefix(&src).expect("listed under src");
        let name = path.iter().next().expect("a file has a name").to_string_lossy().into_owned();
        let layer = name.trim_end_matches(".rs");
        if ["lib", "main"].contains(&layer) {
            continue;
        }
        let Some(own) = rank(layer) else {
            faults.push(format!("`{layer}` is in no row of LAYERS"));
            continue;
        };
        let text = fs::read_to_string(&file).expect("a source file is text");
        for target in imports(&text) {
            let downwards = target == layer || rank(&target).is_some_and(|target| target < own);
            if !downwards {
                faults.push(format!("src/{} uses `crate::{target}`", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn imports_are_found_alone_in_paths_in_groups_and_in_nested_groups() {
    let text = "
        use crate::error::Error;
        use crate::{time, span::{SpanFrame, schema}, // a comment, crate::cli
            window as w};
        pub(crate) use crate::stats;
        fn f() -> crate::rank::Suspect {}
        /// See [`crate::report`].
        pub(crate) fn g() {}
        let other = mycrate::no;
    ";
    assert_eq!(imports(text), ["error", "rank", "span", "stats", "time", "window"]);
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("src can be listed") {
        let path = entry.expect("an entry of src can be read").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// First names after `crate::` outside comments, sorted.
fn imports(text: &str) -> Vec<String> {
    let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap_or("")).collect();
    let code = code.join("\n");
    let mut names = Vec::new();
    for (at, prefix) in code.match_indices("crate::") {
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        if code[..at].chars().next_back().is_some_and(is_word) {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(first_names_of_group(group)),
            None => names.extend(first_name(rest)),
        }
    }
    names.sort();
    names.dedup();
    names
}

fn first_name(path: &str) -> Option<String> {
    let name: String = path.trim_start().chars().take_while(|&c| c.is_alphanumeric() || c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// First name of each item of a group whose opening brace is behind us.
fn first_names_of_group(group: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0;
    let mut item = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.extend(first_name(&group[item..at]));
                item = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names
}
