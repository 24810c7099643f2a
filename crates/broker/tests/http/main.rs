//! The JSON API of a real broker, asked by a client that says exactly what it is told.

mod browser;
mod gateways;
mod groups;
mod messages;
mod overview;
mod security;
mod streams;
mod topics;
