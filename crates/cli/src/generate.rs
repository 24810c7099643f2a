//! `chaski generate`: what other programs need to know of this one.

mod grafana;
mod pages;
mod panels;
mod prometheus;
mod systemd;

use crate::args::Generate;
use crate::failure::Failure;
use crate::output::printed_text as print;

pub(crate) fn run(args: &Generate) -> Result<(), Failure> {
    match args {
        Generate::Grafana(args) => print(&grafana::dashboard(&args.title)),
        Generate::Prometheus(args) if args.rules => print(&prometheus::rules()),
        Generate::Prometheus(args) => print(&prometheus::scraping(&args.targets)),
        Generate::Systemd(args) => print(&systemd::unit(args)?),
        Generate::Completions(args) => pages::completions(args),
        Generate::Man(args) => pages::man(args),
    }
}
