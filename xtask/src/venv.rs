//! The Python environment of the interop suite, made under the target directory.
//!
//! It is made anew when `interop/requirements.txt` changes: a copy of that file inside the
//! environment, written last, says what is installed. An interrupted installation leaves no copy
//! and is therefore done again.

use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{self, Failure};

/// Returns the environment's Python, after installing what is missing.
pub(crate) fn python() -> Result<PathBuf, Failure> {
    let wanted = process::root().join("interop/requirements.txt");
    let wanted = fs::read_to_string(&wanted)
        .map_err(|e| Failure::new(format!("cannot read {}: {e}", wanted.display()), ""))?;
    let dir = process::target_dir().join("interop-venv");
    let stamp = dir.join("installed-requirements.txt");
    let python = dir.join("bin/python");
    if fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) && python.exists() {
        return Ok(python);
    }
    println!("    making {} (once per change of requirements.txt)", dir.display());
    make(&dir)?;
    install(&python)?;
    fs::write(&stamp, wanted)
        .map_err(|e| Failure::new(format!("cannot write {}: {e}", stamp.display()), ""))?;
    Ok(python)
}

fn make(dir: &Path) -> Result<(), Failure> {
    let name = system_python()?;
    let mut command = process::program(name);
    command.args(["-m", "venv", "--clear"]).arg(dir);
    process::run_quietly(&mut command).map_err(|failure| Failure {
        hint: "Debian and Ubuntu keep this part of Python apart: apt install python3-venv".into(),
        ..failure
    })
}

fn install(python: &Path) -> Result<(), Failure> {
    let mut pip = process::program(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    pip.args(["--requirement", "interop/requirements.txt"]);
    process::run(&mut pip).map_err(|failure| Failure {
        hint: "pip needs a package index: check the network, or set PIP_INDEX_URL".into(),
        ..failure
    })
}

/// Finds a Python that is new enough for the pinned clients.
fn system_python() -> Result<&'static str, Failure> {
    const CHECK: &str = "import sys; sys.exit(sys.version_info < (3, 10))";
    let found = ["python3", "python"]
        .into_iter()
        .find(|name| process::works(process::program(name).args(["-c", CHECK])));
    found.ok_or_else(|| {
        Failure::new(
            "no Python 3.10 or newer found",
            "install Python 3, or leave this part out: cargo xtask test --skip interop",
        )
    })
}
