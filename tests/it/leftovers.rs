//! What a killed run leaves behind is removed by the next one, and what a running one has is not.

use crate::outputs::{folder_of_spans, names_in, output_flags, pipe, suspect};
use crate::program::run_in;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Stdio};

/// Unfinished files of the outputs of [`output_flags`].
const N_FILES: usize = 14;

/// Names of unfinished files in both folders that a run writes to.
fn unfinished(folder: &Path) -> Vec<String> {
    let names = [names_in(folder), names_in(&folder.join("new/tables"))].concat();
    names.into_iter().filter(|name| name.starts_with(".suspect-")).collect()
}

/// A run that has prepared its files, beside those in `known`, and stands still, for nobody reads the pipe that is its last output.
fn standing_still(folder: &Path, pipe_name: &str, known: &[String]) -> (Child, Vec<String>) {
    pipe(&folder.join(pipe_name));
    let arguments = [&["analyze", "spans.json", "--quiet"], output_flags().as_slice(), &["-o", pipe_name]].concat();
    let mut child = suspect(folder).args(arguments).stdout(Stdio::null()).spawn().expect("it starts");
    loop {
        let mut own = unfinished(folder);
        own.retain(|name| !known.contains(name));
        if own.len() == N_FILES {
            return (child, own);
        }
        assert!(child.try_wait().expect("a child").is_none(), "it waits for its reader");
        std::thread::yield_now();
    }
}

#[test]
#[cfg(target_os = "linux")]
fn unfinished_files_of_a_killed_run_are_removed_by_the_next_and_those_of_a_running_one_are_not() {
    let folder = folder_of_spans(true);
    let here = folder.path();
    let (mut killed, of_killed) = standing_still(here, "killed", &[]);
    killed.kill().expect("it is killed");
    killed.wait().expect("it ends");
    assert_eq!(unfinished(here), of_killed, "a kill leaves them");

    let (mut living, of_living) = standing_still(here, "living", &of_killed);
    assert_eq!(unfinished(here), of_living, "the second run has removed those of the first");
    run_in(here, &[&["analyze", "spans.json", "--quiet"], output_flags().as_slice()].concat()).complete();
    assert_eq!(unfinished(here), of_living, "the second run still goes on");

    let mut text = String::new();
    File::open(here.join("living")).expect("a pipe").read_to_string(&mut text).expect("its result");
    assert_eq!(living.wait().expect("it ends").code(), Some(0));
    assert!(text.contains("GET /"), "{text}");
    assert_eq!(names_in(here), ["a.html", "a.json", "a.md", "killed", "living", "new", "spans.json"]);
    assert_eq!(unfinished(here), Vec::<String>::new());
}

#[test]
#[cfg(target_os = "linux")]
fn only_files_with_our_names_that_nobody_has_locked_are_taken_for_leftovers() {
    let folder = folder_of_spans(false);
    let here = folder.path();
    for name in
        [".suspect-notes.txt", ".suspect-a.b.tmp", ".suspect-.tmp", "x.suspect-aaaaaa.tmp", ".suspect-locked.tmp"]
    {
        fs::write(here.join(name), "kept").expect("written");
    }
    fs::create_dir(here.join(".suspect-folder.tmp")).expect("made");
    std::os::unix::fs::symlink("spans.json", here.join(".suspect-link.tmp")).expect("made");
    pipe(&here.join(".suspect-pipe.tmp"));
    let before = names_in(here);
    fs::write(here.join(".suspect-left00.tmp"), "left").expect("written");
    // As the old content of a file is that another run is about to replace.
    let locked = File::open(here.join(".suspect-locked.tmp")).expect("there");
    locked.try_lock_shared().expect("nobody else has it");
    run_in(here, &["inspect", "spans.json", "--quiet", "-o", "text"]).complete();
    let mut expected = [before, vec!["text".to_owned()]].concat();
    expected.sort();
    assert_eq!(names_in(here), expected);
    drop(locked);
    run_in(here, &["inspect", "spans.json", "--quiet", "-o", "text"]).complete();
    assert!(!here.join(".suspect-locked.tmp").exists());
}
