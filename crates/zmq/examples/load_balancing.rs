//! A broker that gives each request to the worker that has been idle longest: ROUTER to ROUTER.
//!
//! ```text
//!   client REQ --> ROUTER | broker | ROUTER <-- worker REQ, which asks for work by saying READY
//! ```
//!
//! A DEALER at the back would deal requests out in turn, to busy workers too. A ROUTER sends to
//! whom it is told, so the broker keeps a list of those that are idle, and takes no request while
//! that is empty: clients wait in their sockets.
//!
//! `cargo run -p chaski-zmq --example load_balancing`

use std::collections::VecDeque;
use std::error::Error;
use std::thread;

use chaski_zmq::{Endpoint, Frame, Message, PollItem, Readiness, Req, Router, poll};

const CLIENTS: usize = 5;
const WORKERS: usize = 3;
const REQUESTS: usize = 20;

fn client(broker: &Endpoint, number: usize) {
    let req = Req::new();
    req.connect(broker).expect("an address");
    for n in 0..REQUESTS {
        req.send(format!("{number}: {n}")).expect("room");
        let reply = req.recv().expect("a reply");
        assert_eq!(&reply[0], &format!("done {number}: {n}"));
    }
}

fn worker(broker: &Endpoint) -> usize {
    let req = Req::new();
    req.connect(broker).expect("an address");
    req.send("READY").expect("room");
    let mut done = 0;
    loop {
        // The client's identity and an empty frame, which go back as they came; then the request.
        let mut work = req.recv().expect("work, or word that there is no more");
        let Some(request) = work.pop().filter(|_| work.len() == 2) else { return done };
        done += 1;
        work.push(format!("done {}", request.escape_ascii()));
        req.send(work).expect("room");
    }
}

/// Passes requests on until so many were answered, and then sends the workers home.
fn broker(front: &Router, back: &Router, requests: usize) -> Result<(), Box<dyn Error>> {
    let mut idle: VecDeque<Frame> = VecDeque::new();
    let mut answered = 0;
    while answered < requests || idle.len() < WORKERS {
        let mut items = [PollItem::readable(back), PollItem::readable(front)];
        if idle.is_empty() {
            items[1].set_wanted(Readiness::NONE);
        }
        poll(&mut items, None)?;
        if items[0].is_readable() {
            let mut message = back.recv()?;
            idle.extend(message.pop_front());
            message.pop_front();
            if message[0] != "READY" {
                front.send(message)?;
                answered += 1;
            }
        }
        if items[1].is_readable() {
            let request = front.recv()?;
            let worker = idle.pop_front().ok_or("a request while nobody is idle")?;
            let mut work = Message::from(worker).with(Frame::empty());
            work.extend(request);
            back.send(work)?;
        }
    }
    for worker in idle {
        back.send(Message::from(worker).with(Frame::empty()).with("go home"))?;
    }
    Ok(())
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let (front, back) = (Router::new(), Router::new());
    let clients_at = front.bind("tcp://127.0.0.1:*")?;
    let workers_at = back.bind("tcp://127.0.0.1:*")?;
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let broker = &clients_at;
            scope.spawn(move || client(broker, number));
        }
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(|| worker(&workers_at))).collect();
        broker(&front, &back, CLIENTS * REQUESTS)?;
        let mut done = Vec::new();
        for worker in workers {
            done.push(worker.join().expect("a worker"));
        }
        println!("{} requests, by worker: {done:?}", CLIENTS * REQUESTS);
        assert_eq!(done.iter().sum::<usize>(), CLIENTS * REQUESTS);
        Ok(())
    })
}
