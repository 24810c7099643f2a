//! `chaski gateway remove`.

use super::{GATEWAYS, all, unknown};
use crate::args::GatewayRemove;
use crate::failure::Failure;
use crate::http::{Http, escaped};
use crate::output::say;

pub(super) fn run(args: &GatewayRemove) -> Result<(), Failure> {
    // A wrong name among them is found before anything is removed.
    let gateways = all(&args.http)?;
    for name in &args.names {
        if !gateways.iter().any(|gateway| gateway.name == *name) {
            return Err(unknown(name, &gateways));
        }
    }
    let http = Http::new(&args.http);
    for name in &args.names {
        http.delete(&format!("{GATEWAYS}/{}", escaped(name)))?;
        say(&format!("removed gateway `{name}`"))?;
    }
    Ok(())
}
