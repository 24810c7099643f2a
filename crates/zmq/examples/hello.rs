//! A server that greets, and a client that asks it to: REQ and REP.
//!
//! `cargo run -p chaski-zmq --example hello`

use std::error::Error;
use std::thread;

use chaski_zmq::{Rep, Req};

const GREETINGS: usize = 5;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let server = Rep::new();
    let endpoint = server.bind("tcp://127.0.0.1:*")?;
    let serving = thread::spawn(move || {
        for _ in 0..GREETINGS {
            let name = server.recv().expect("a request");
            server.send(format!("hello, {}", name[0].escape_ascii())).expect("who asked");
        }
        // Sends what has not left yet.
        server.close(None);
    });

    let client = Req::new();
    client.connect(&endpoint)?;
    for name in ["Ada", "Grace", "Barbara", "Frances", "Radia"] {
        client.send(name)?;
        let greeting = client.recv()?;
        println!("{}", greeting[0].escape_ascii());
        assert_eq!(&greeting[0], &format!("hello, {name}"));
    }
    serving.join().expect("the server");
    Ok(())
}
