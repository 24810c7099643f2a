//! `chaski completions` and `chaski man`: both from the definition in `args`.

use std::io::{self, Write};

use clap::CommandFactory;

use crate::args::{Args, Completions, Man};
use crate::failure::Failure;
use crate::output::{printed, say};

pub(crate) fn completions(args: &Completions) -> Result<(), Failure> {
    // Rendered first: clap_complete panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "chaski", &mut script);
    printed(io::stdout().lock().write_all(&script))
}

pub(crate) fn man(args: &Man) -> Result<(), Failure> {
    let shown = args.dir.display();
    std::fs::create_dir_all(&args.dir)
        .and_then(|()| clap_mangen::generate_to(Args::command(), &args.dir))
        .map_err(|e| Failure::because(format!("cannot write the manual to {shown}"), &e))?;
    say(&format!("wrote the manual; try: man {shown}/chaski.1"))
}
