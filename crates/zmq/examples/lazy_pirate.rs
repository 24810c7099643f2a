//! A client that does not wait for ever: it asks again over a new socket when no answer comes, and
//! so survives a server that dies and returns (the guide's "lazy pirate").
//!
//! A REQ that waits for a reply may not send another request; so it is closed, and what it still
//! had to send with it (`linger` 0). The number in a request tells late replies from the right one.
//! A server sees some requests twice.
//!
//! `cargo run -p chaski-zmq --example lazy_pirate`

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use chaski_zmq::{Endpoint, Rep, Req};

const REQUESTS: u32 = 6;
const PATIENCE: Duration = Duration::from_millis(200);
const TRIES_MAX: u32 = 50;
/// The server dies with the third request in its hands.
const FATAL: &str = "3";

struct Client {
    server: Endpoint,
    req: Req,
    tries: u32,
}

impl Client {
    fn new(server: &Endpoint) -> Result<Self, Box<dyn Error>> {
        Ok(Client { server: server.clone(), req: connect(server)?, tries: 0 })
    }

    fn ask(&mut self, request: &str) -> Result<String, Box<dyn Error>> {
        for _ in 0..TRIES_MAX {
            self.tries += 1;
            self.req.send(request)?;
            match self.req.recv_timeout(PATIENCE) {
                Ok(reply) if reply[0] == request => return Ok(request.to_owned()),
                Ok(_) => println!("client: a reply to something else"),
                Err(error) if error.is_empty() => println!("client: no reply, asking again"),
                Err(error) => return Err(error.into()),
            }
            self.req = connect(&self.server)?;
        }
        Err("the server seems to be gone for good".into())
    }
}

fn connect(server: &Endpoint) -> Result<Req, Box<dyn Error>> {
    let req = Req::builder().linger(Duration::ZERO).build()?;
    req.connect(server)?;
    Ok(req)
}

/// Echoes requests; dies with the fatal one, and returns a while later, until all is done.
fn serve(rep: Rep, endpoint: Endpoint, done: Arc<AtomicBool>) -> JoinHandle<()> {
    thread::spawn(move || {
        loop {
            let request = rep.recv().expect("a request");
            if request[0] == FATAL {
                break;
            }
            rep.send(request).expect("who asked");
        }
        println!("server: dies");
        rep.close(Duration::ZERO);
        thread::sleep(2 * PATIENCE);

        println!("server: returns");
        let rep = Rep::new();
        rep.bind(&endpoint).expect("the address that was free");
        // A reply may come too late, even the last one: the client says when it has them all.
        while !done.load(Ordering::Relaxed) {
            match rep.recv_timeout(PATIENCE) {
                Ok(request) => rep.send(request).expect("who asked"),
                Err(error) => assert!(error.is_empty(), "{error}"),
            }
        }
        rep.close(PATIENCE);
    })
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let rep = Rep::new();
    let endpoint = rep.bind("tcp://127.0.0.1:*")?;
    let done = Arc::new(AtomicBool::new(false));
    let server = serve(rep, endpoint.clone(), done.clone());

    let mut client = Client::new(&endpoint)?;
    for request in 1..=REQUESTS {
        let reply = client.ask(&request.to_string())?;
        println!("client: reply {reply}");
    }
    println!("{REQUESTS} replies to {} requests", client.tries);
    assert!(client.tries > REQUESTS, "one request met a server that was dying");
    done.store(true, Ordering::Relaxed);
    server.join().expect("the server");
    Ok(())
}
