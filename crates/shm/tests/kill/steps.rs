//! The steps at which a process can be told to die: all that the sources name, so that none is
//! forgotten.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

/// How often the fatal step was passed before.
pub(crate) const TIMES: [u32; 4] = [1, 2, 3, 17];

/// Steps that no process of these tests comes to, by the beginnings of their names, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    ("bind.directory_made", "the directory of the tests is there"),
    ("bind.directory_widened", "the tests admit their own user only"),
    ("borrow.returned", "messages are copied out"),
    ("link.many_published", "messages are published one by one"),
    ("link.taken_many", "messages are taken one by one"),
    ("listener.", "the listener lives"),
    ("notify.based", "as above"),
    ("publish.", "the last ones are those of a publisher that waits for its subscribers"),
    ("subscribe.", "as above"),
    ("reach.withheld", "often, but only if the dead server had left a request"),
    ("reach.renewed", "no server here leaves nonsense behind, or its clients alone"),
    ("worker.noted_free", "a worker is idle by chance"),
];

/// How often the stages are played again for steps that nobody came to: to some, only who has luck
/// with its payloads and with the moment of another's death.
const ROUNDS: usize = 50;

/// Steps that were the last of some process.
static FATAL: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// The steps of this round, if not all.
static WANTED: Mutex<Option<Vec<String>>> = Mutex::new(None);

/// The steps to die at: at first all of them, in order.
pub(crate) fn wanted() -> Vec<String> {
    WANTED.lock().expect("nobody panics with it").clone().unwrap_or_else(all)
}

/// All steps in the sources, in order.
fn all() -> Vec<String> {
    let mut names = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut names);
    names.sort();
    let found = names.len();
    names.dedup();
    assert_eq!(names.len(), found, "a step is named twice");
    assert!(found > 30, "the sources are there");
    names
}

fn collect(folder: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("the sources can be read") {
        let path = entry.expect("the sources can be read").path();
        if path.is_dir() {
            collect(&path, names);
        } else {
            names.extend(named_in(&fs::read_to_string(path).expect("a source is text")));
        }
    }
}

/// The names in `step("name")`; but for those in comments, which have no name of a step in them.
fn named_in(source: &str) -> Vec<String> {
    let calls = source.split("step(\"").skip(1);
    let names = calls.filter_map(|rest| rest.split_once("\")").map(|(name, _)| name.to_owned()));
    names.filter(|name| name.contains('.') && !name.contains(' ')).collect()
}

/// Notes that a process died at this step.
pub(crate) fn was_fatal(name: &str) {
    FATAL.lock().expect("nobody panics with it").insert(name.to_owned());
}

/// No step is without a death at it. Steps that were missed by chance are aimed at again.
pub(crate) fn all_were_fatal() {
    for _ in 0..ROUNDS {
        let missing = missing();
        if missing.is_empty() {
            break;
        }
        println!("nobody came to {missing:?} yet");
        *WANTED.lock().expect("nobody panics with it") = Some(missing);
        super::AT_EVERY_STEP.iter().for_each(|(_, dies)| dies());
    }
    let missing = missing();
    assert!(missing.is_empty(), "nobody comes to {missing:?}: extend the roles, or say why");
}

/// The steps at which nobody died yet, without an excuse.
fn missing() -> Vec<String> {
    let fatal = FATAL.lock().expect("nobody panics with it");
    let excused = |name: &String| ELSEWHERE.iter().any(|(begin, _)| name.starts_with(begin));
    all().into_iter().filter(|name| !fatal.contains(name) && !excused(name)).collect()
}
