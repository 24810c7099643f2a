//! Runs the examples: each ends by itself, and panics or fails if it does not come out right.

#[path = "../examples/clone.rs"]
mod clone;
#[path = "../examples/hello.rs"]
mod hello;
#[path = "../examples/lazy_pirate.rs"]
mod lazy_pirate;
#[path = "../examples/load_balancing.rs"]
mod load_balancing;
#[path = "../examples/majordomo.rs"]
mod majordomo;

#[test]
fn a_server_greets() {
    hello::main().unwrap();
}

#[test]
fn a_client_survives_its_server() {
    lazy_pirate::main().unwrap();
}

#[test]
fn idle_workers_get_the_work() {
    load_balancing::main().unwrap();
}

#[test]
fn services_outlive_their_workers() {
    majordomo::main().unwrap();
}

#[test]
fn copies_agree() {
    clone::main().unwrap();
}
