//! What the driver does: connections that come, that are made, that fail, live, linger and go.

mod alive;
mod bytes;
mod connect;
mod fork;
mod going;
mod greeting;
mod hunger;
mod intruder;
mod notices;
mod panic;
mod peer;
mod proxy;
mod reach;
mod refusal;
mod secure;
mod settings;
mod tasks;
mod transports;
mod wakers;
