//! A browser for the tests of the console: one that is there, or Debian's.
//!
//! Any Chrome or Chromium does. Only root on Debian installs one without being asked, which is how
//! containers run; everybody else is told the command.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use crate::process;

/// Names it its path: for a browser in a strange place, and for the tests.
pub(crate) const VARIABLE: &str = "CHASKI_BROWSER";

const NAMES: &[&str] =
    &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/// What to run where none is found; also said by the tests that are skipped then.
const HINT: &str = "sudo apt-get install chromium, or set CHASKI_BROWSER to a Chrome or Chromium";

/// Finds a browser, or installs one where that may be done.
pub(crate) fn path() -> Option<PathBuf> {
    if let Some(found) = env::var_os(VARIABLE).map(PathBuf::from).or_else(on_path) {
        return Some(found);
    }
    if may_install() && install() {
        return on_path();
    }
    println!("    no browser: the tests of the console are skipped; to have them run: {HINT}");
    None
}

fn on_path() -> Option<PathBuf> {
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH")?).collect();
    let candidates = NAMES.iter().flat_map(|name| folders.iter().map(move |dir| dir.join(name)));
    candidates.into_iter().find(|path| path.is_file())
}

/// Root, and on Debian itself: elsewhere the package of this name is something else.
fn may_install() -> bool {
    let debian = fs::read_to_string("/etc/os-release")
        .is_ok_and(|text| text.lines().any(|line| line == "ID=debian"));
    let id = process::program("id").arg("-u").stderr(Stdio::null()).output();
    debian && id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn install() -> bool {
    println!("    installing Debian's chromium for the tests of the console");
    let apt = |args: &[&str]| {
        let mut command = process::program("apt-get");
        command.args(["-q", "-y"]).args(args).env("DEBIAN_FRONTEND", "noninteractive");
        process::run_quietly(&mut command).is_ok()
    };
    apt(&["update"])
        && apt(&["install", "--no-install-recommends", "chromium", "fonts-dejavu-core"])
}
