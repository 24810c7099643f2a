//! Requests with replies: a thread that owns a store answers threads that block and tasks that
//! await, over one channel.
//!
//! A request carries the way back with it: a channel for one message. If the store goes away, who
//! asks learns it instead of waiting for ever.
//!
//!     cargo run --release -p chaski --example request_reply

use std::collections::HashMap;
use std::thread;

use chaski::channel::mpsc::{self, Receiver, Sender};
use chaski::channel::{RecvError, oneshot};

/// A question, and where the answer goes.
enum Request {
    Set { key: String, value: String, reply: oneshot::Sender<Option<String>> },
    Get { key: String, reply: oneshot::Sender<Option<String>> },
}

/// A client of the store; clone it for another thread.
#[derive(Clone)]
struct Store(Sender<Request>);

impl Store {
    /// Starts the thread that owns the map. It ends with the last client.
    fn start() -> Store {
        let (requests, inbox) = mpsc::channel(64);
        thread::spawn(move || serve(inbox));
        Store(requests)
    }

    /// Sets a value and blocks for the one before.
    fn set(&self, key: &str, value: &str) -> Result<Option<String>, RecvError> {
        let (reply, answer) = oneshot::channel();
        let (key, value) = (key.to_owned(), value.to_owned());
        self.0.send(Request::Set { key, value, reply }).map_err(|_| RecvError)?;
        answer.recv()
    }

    /// The same question for a task, on any executor.
    async fn get(&self, key: &str) -> Result<Option<String>, RecvError> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Get { key: key.to_owned(), reply };
        self.0.send_async(request).await.map_err(|_| RecvError)?;
        answer.await
    }
}

/// The only one who touches the map.
fn serve(mut inbox: Receiver<Request>) {
    let mut values = HashMap::new();
    for request in inbox.iter() {
        let (answer, reply) = match request {
            Request::Set { key, value, reply } => (values.insert(key, value), reply),
            Request::Get { key, reply } => (values.get(&key).cloned(), reply),
        };
        // Fails if nobody waits for it any more, for instance after a timeout.
        let _ = reply.send(answer);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for line in conversation()? {
        println!("{line}");
    }
    Ok(())
}

fn conversation() -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let store = Store::start();
    let mut said = Vec::new();
    for value in ["hello", "good morning"] {
        said.push(format!("set greeting to {value:?}, was {:?}", store.set("greeting", value)?));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        for key in ["greeting", "farewell"] {
            said.push(format!("{key} is {:?}", store.get(key).await?));
        }
        Ok(said)
    })
}

#[test]
fn both_kinds_of_client_are_answered() {
    let said = conversation().unwrap();
    assert_eq!(
        said,
        [
            "set greeting to \"hello\", was None",
            "set greeting to \"good morning\", was Some(\"hello\")",
            "greeting is Some(\"good morning\")",
            "farewell is None",
        ]
    );
}
