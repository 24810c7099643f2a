//! Scenarios told request by request, through the wire, and a simulation of many members.

mod admin;
mod offsets;
mod rebalance;
mod scene;
mod simulation;
mod static_members;
mod wire;
