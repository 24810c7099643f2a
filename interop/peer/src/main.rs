//! ZeroMQ sockets that neither Chaski nor libzmq made: those of `omq-tokio`, for the tests that
//! want a second opinion on the wire, and kinds of sockets that most builds of libzmq lack.
//!
//! It is told what to do as `interop-agent` is, line by line, and understands a part of what that
//! one understands: [`order::What`]. Frames travel as hexadecimal text.
//!
//! ```text
//! {"socket": "a", "do": "open", "kind": "SERVER"}
//! {"socket": "a", "do": "bind", "endpoint": "tcp://127.0.0.1:0"}
//! {"socket": "a", "do": "recv", "timeout_ms": 1000}
//! ```
//!
//! It ends with its input.

#![forbid(unsafe_code)]

mod order;
mod stage;

use std::io::{BufRead, Write, stdin, stdout};

use serde_json::json;

fn main() -> std::io::Result<()> {
    let mut stage = stage::Stage::default();
    let mut out = stdout().lock();
    for line in stdin().lock().lines() {
        let answer = match serde_json::from_str(&line?) {
            Ok(order) => stage.carry_out(order).map_err(|error| error.to_string()),
            Err(error) => Err(format!("that is no order: {error}")),
        };
        let answer = answer.map_or_else(|error| json!({"error": error}), |ok| json!({"ok": ok}));
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}
