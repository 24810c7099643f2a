//! `chaski gateway`: gateways of a running broker, by its API.

mod add;
mod remove;
mod shown;

use chaski_broker::nearest;
use serde::Deserialize;

use crate::args::{Gateway, HttpArg};
use crate::failure::Failure;
use crate::http::Http;
use crate::output;
use shown::Shown;

const GATEWAYS: &str = "/api/gateways";

#[derive(Deserialize)]
struct Gateways {
    gateways: Vec<Shown>,
}

pub(crate) fn run(args: &Gateway) -> Result<(), Failure> {
    match args {
        Gateway::List(args) => output::list(args.output.output, &all(&args.http)?),
        Gateway::Describe(args) => {
            output::describe(args.output.output, &one(&args.http, &args.name)?)
        }
        Gateway::Add(args) => add::run(args),
        Gateway::Remove(args) => remove::run(args),
    }
}

/// All gateways, by name.
fn all(http: &HttpArg) -> Result<Vec<Shown>, Failure> {
    let mut gateways = Http::new(http).get::<Gateways>(GATEWAYS)?.gateways;
    gateways.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(gateways)
}

/// Names of all gateways, for whoever completes one; none if the broker does not answer.
pub(crate) fn names() -> Vec<String> {
    let gateways = HttpArg::typed().and_then(|http| all(&http).ok());
    gateways.into_iter().flatten().map(|gateway| gateway.name).collect()
}

/// One gateway, which must be there.
fn one(http: &HttpArg, name: &str) -> Result<Shown, Failure> {
    let mut gateways = all(http)?;
    match gateways.iter().position(|gateway| gateway.name == name) {
        Some(at) => Ok(gateways.swap_remove(at)),
        None => Err(unknown(name, &gateways)),
    }
}

fn unknown(name: &str, gateways: &[Shown]) -> Failure {
    let names = gateways.iter().map(|gateway| gateway.name.as_str());
    let failure = Failure::new(format!("there is no gateway `{name}`"));
    match nearest(name, names) {
        Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
        None => failure.hint("`chaski gateway list` shows which there are"),
    }
}
