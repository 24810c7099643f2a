//! Those who keep the protocol, in processes of their own.

use std::process::ExitCode;
use std::time::Duration;

use chaski_shm::pipe::Pipe;
use chaski_shm::{Client, Error, Server};

use super::NAME;
use super::processes::child;
use super::processes::dice::Dice;
use super::processes::mail::Wish;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);

/// Asks until its input ends, and checks each byte of each response.
pub(crate) fn client() -> ExitCode {
    let first: u64 = child::told_number("CHASKI_FIRST").expect("a number");
    let mut dice = Dice::new(first);
    let mut client = Client::builder().connect_within(LONG).connect(NAME).expect("a server");
    for id in first.. {
        let wish = Wish { parts: 0, ..Wish::random(id, &mut dice) };
        let response = client.call(&wish.request()).expect("a server that serves");
        assert!(*response == wish.response(), "the response to {id:#x}");
        if child::input_ended() {
            break;
        }
    }
    ExitCode::SUCCESS
}

/// Answers until its input ends.
pub(crate) fn server() -> ExitCode {
    let mut server = Server::bind(NAME).expect("the name is free");
    while !child::input_ended() {
        if let Ok(request) = server.recv_timeout(Duration::from_millis(20)) {
            let response = Wish::of(&request).expect("a request as its client wrote it").response();
            request.reply(&response).expect("a client that listens");
        }
    }
    ExitCode::SUCCESS
}

/// The end of a pipe that sends back what it receives, until it is closed.
pub(crate) fn pipe() -> ExitCode {
    let mut pipe = Pipe::builder().connect_within(LONG).connect(NAME).expect("a listener");
    loop {
        match pipe.recv() {
            // Closed by one who did not wait for it.
            Ok(record) => match pipe.send(&[&record]) {
                Ok(()) | Err(Error::Closed) => {}
                Err(error) => panic!("{error}"),
            },
            Err(Error::Closed) => return ExitCode::SUCCESS,
            Err(error) => panic!("{error}"),
        }
    }
}
