//! Requests with replies between two processes: a store in one, who asks in the other.
//!
//! They meet at a name, and talk through memory that the two share. Kill the store and start it
//! again while somebody asks: requests that it had not taken are answered by the next one.
//!
//!     cargo run --release -p chaski --example shm_request_reply           # in two processes
//!     cargo run --release -p chaski --example shm_request_reply -- serve  # in one terminal
//!     cargo run --release -p chaski --example shm_request_reply -- ask    # in another

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::process::Command;

use chaski::shm::{Client, Server};

const NAME: &str = "example-store";

fn main() -> Result<(), Box<dyn Error>> {
    match env::args().nth(1).as_deref() {
        Some("serve") => serve(Server::bind(NAME)?),
        Some("ask") => converse(),
        _ => {
            let mut store = Command::new(env::current_exe()?).arg("serve").spawn()?;
            let conversed = converse();
            store.kill()?;
            store.wait()?;
            conversed
        }
    }
}

/// Answers `key` with its value, and `key=value` with the value before. Ends at `.`.
fn serve(mut server: Server) -> Result<(), Box<dyn Error>> {
    let mut values = HashMap::<String, String>::new();
    loop {
        let request = server.recv()?;
        let text = String::from_utf8_lossy(&request).into_owned();
        let answer = match text.split_once('=') {
            Some((key, value)) => values.insert(key.to_owned(), value.to_owned()),
            None => values.get(&text).cloned(),
        };
        request.reply(answer.unwrap_or_default().as_bytes())?;
        if text == "." {
            return Ok(());
        }
    }
}

/// Connecting waits for the store for a while, so it does not matter which is started first.
fn converse() -> Result<(), Box<dyn Error>> {
    let mut client = Client::connect(NAME)?;
    for request in ["greeting=hello", "greeting=good morning", "greeting", "farewell"] {
        println!("{request} -> {:?}", ask(&mut client, request)?);
    }
    Ok(())
}

fn ask(client: &mut Client, request: &str) -> Result<String, Box<dyn Error>> {
    Ok(String::from_utf8_lossy(client.call(request.as_bytes())?).into_owned())
}

#[test]
fn a_value_set_is_the_value_got() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::builder().directory(directory.path()).bind(NAME).unwrap();
    let serving = std::thread::spawn(move || serve(server).unwrap());
    let mut client = Client::builder().directory(directory.path()).connect(NAME).unwrap();
    let mut ask = |request| ask(&mut client, request).unwrap();
    assert_eq!(ask("greeting=hello"), "");
    assert_eq!(ask("greeting=good morning"), "hello");
    assert_eq!(ask("greeting"), "good morning");
    assert_eq!(ask("farewell"), "");
    ask(".");
    serving.join().unwrap();
}
