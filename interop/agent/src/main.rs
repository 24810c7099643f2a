//! ZeroMQ sockets of Chaski for tests that are written in another language.
//!
//! Each line of the standard input is an order, a JSON object; each is answered by one line on the
//! standard output, in order: `{"ok": ..}` or `{"error": "..."}`. Frames are hexadecimal text.
//!
//! ```text
//! {"socket": "a", "do": "open", "kind": "REQ", "options": {"sndhwm": "10"}}
//! {"socket": "a", "do": "bind", "endpoint": "tcp://127.0.0.1:*"}
//! {"socket": "a", "do": "send", "frames": ["68656c6c6f"]}
//! {"socket": "a", "do": "recv", "timeout_ms": 1000}
//! ```
//!
//! The agent ends with its input; sockets left open are closed as their linger says.

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
