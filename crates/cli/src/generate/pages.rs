//! Completions and manual: both from the definition in `args`.

use std::io::{self, Write};

use clap::{CommandFactory, ValueEnum as _};
use clap_complete::env::Shells;

use crate::args::{Args, GenerateCompletions, GenerateMan};
use crate::failure::Failure;
use crate::output::{printed, say};

/// The variable by which a shell says that it asks; see `complete`.
const VARIABLE: &str = "COMPLETE";

pub(super) fn completions(args: &GenerateCompletions) -> Result<(), Failure> {
    let name = args.shell.to_possible_value().map(|value| value.get_name().to_owned());
    let name = name.unwrap_or_default();
    let failed = || Failure::new(format!("there are no completions for {name}"));
    let shells = Shells::builtins();
    let shell = shells.completer(&name).ok_or_else(failed)?;
    let mut script = Vec::new();
    shell
        .write_registration(VARIABLE, "chaski", "chaski", "chaski", &mut script)
        .map_err(|e| Failure::because("cannot write the script", &e))?;
    printed(io::stdout().lock().write_all(&script))
}

pub(super) fn man(args: &GenerateMan) -> Result<(), Failure> {
    let shown = args.dir.display();
    std::fs::create_dir_all(&args.dir)
        .and_then(|()| clap_mangen::generate_to(Args::command(), &args.dir))
        .map_err(|e| Failure::because(format!("cannot write the manual to {shown}"), &e))?;
    say(&format!("wrote the manual; try: man {shown}/chaski.1"))
}
