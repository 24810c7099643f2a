//! A broker of named services with heartbeats, after RFC 7 (MDP 0.1).
//!
//! ```text
//!   client REQ  "MDPC01", service, body  --> +--------+ <-- "MDPW01", READY, service
//!                                            | broker | --> "MDPW01", REQUEST, client, "", body
//!               "MDPC01", service, reply <-- | ROUTER | <-- "MDPW01", REPLY, client, "", reply
//!                                            +--------+ <-> "MDPW01", HEARTBEAT
//! ```
//!
//! Requests for a service nobody offers yet wait for a worker. A worker that is silent for three
//! heartbeats is given no more work; the client whose request it had asks again.
//!
//! `cargo run -p chaski-zmq --example majordomo`

use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chaski_zmq::{Dealer, Endpoint, Frame, Message, PollItem, Req, Router, poll};

const CLIENT: &str = "MDPC01";
const WORKER: &str = "MDPW01";
const READY: &[u8] = &[1];
const REQUEST: &[u8] = &[2];
const REPLY: &[u8] = &[3];
const HEARTBEAT: &[u8] = &[4];

const BEAT: Duration = Duration::from_millis(50);
const SILENT_MAX: Duration = Duration::from_millis(150);
const PATIENCE: Duration = Duration::from_millis(500);
const TRIES_MAX: u32 = 50;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Default)]
struct Broker {
    services: HashMap<Vec<u8>, Service>,
    workers: HashMap<Vec<u8>, Worker>,
}

#[derive(Default)]
struct Service {
    /// Client, empty frame, body.
    requests: VecDeque<Message>,
    idle: VecDeque<Vec<u8>>,
}

struct Worker {
    service: Vec<u8>,
    heard: Instant,
}

impl Broker {
    fn run(mut self, socket: &Router, stop: &AtomicBool) -> Result<()> {
        let mut beat = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            poll(&mut [PollItem::readable(socket)], BEAT)?;
            while let Ok(message) = socket.try_recv() {
                self.take(socket, message)?;
            }
            self.forget_silent();
            if beat.elapsed() >= BEAT {
                beat = Instant::now();
                for worker in self.workers.keys() {
                    socket.send(to_worker(worker, HEARTBEAT))?;
                }
            }
        }
        Ok(())
    }

    /// Identity, empty frame, and what the protocol says behind it.
    fn take(&mut self, socket: &Router, mut message: Message) -> Result<()> {
        let from = message.pop_front().unwrap_or_default();
        message.pop_front();
        let header = message.pop_front().unwrap_or_default();
        let Some(word) = message.pop_front() else { return Ok(()) };
        if header == CLIENT {
            let mut request = Message::from(from).with(Frame::empty());
            request.extend(message);
            self.services.entry(word.to_vec()).or_default().requests.push_back(request);
            return self.dispatch(socket, &word);
        }
        self.hear(socket, from.to_vec(), &word, message)
    }

    fn hear(
        &mut self,
        socket: &Router,
        worker: Vec<u8>,
        command: &[u8],
        mut rest: Message,
    ) -> Result<()> {
        if command == READY {
            let service = rest.pop_front().unwrap_or_default().to_vec();
            let known = Worker { service: service.clone(), heard: Instant::now() };
            self.workers.insert(worker.clone(), known);
            self.services.entry(service.clone()).or_default().idle.push_back(worker);
            return self.dispatch(socket, &service);
        }
        // A worker that was given up, and lives: it will say READY again when it hears nothing.
        let Some(known) = self.workers.get_mut(&worker) else { return Ok(()) };
        known.heard = Instant::now();
        if command == REPLY {
            let service = known.service.clone();
            let client = rest.pop_front().unwrap_or_default();
            rest.pop_front();
            let head = [client, Frame::empty(), CLIENT.into(), service[..].into()];
            let mut reply = Message::from_iter(head);
            reply.extend(rest);
            socket.send(reply)?;
            self.services.entry(service.clone()).or_default().idle.push_back(worker);
            return self.dispatch(socket, &service);
        }
        Ok(())
    }

    /// Gives requests to idle workers, those that have waited longest to those that have.
    fn dispatch(&mut self, socket: &Router, service: &[u8]) -> Result<()> {
        let Some(service) = self.services.get_mut(service) else { return Ok(()) };
        while let (Some(worker), Some(_)) = (service.idle.front(), service.requests.front()) {
            let mut work = to_worker(worker, REQUEST);
            service.idle.pop_front();
            work.extend(service.requests.pop_front().unwrap_or_default());
            socket.send(work)?;
        }
        Ok(())
    }

    fn forget_silent(&mut self) {
        let Broker { services, workers } = self;
        workers.retain(|id, worker| {
            let lives = worker.heard.elapsed() < SILENT_MAX;
            if !lives {
                println!("broker: a worker is silent");
                let service = services.entry(worker.service.clone()).or_default();
                service.idle.retain(|idle| idle != id);
            }
            lives
        });
    }
}

fn to_worker(worker: &[u8], command: &[u8]) -> Message {
    Message::from(worker).with("").with(WORKER).with(command)
}

fn from_worker(command: &[u8]) -> Message {
    Message::from("").with(WORKER).with(command)
}

/// Offers a service; falls silent with a request in its hands after having done so many.
fn work(
    broker: &Endpoint,
    service: &str,
    does: fn(&str) -> String,
    many: usize,
    stop: &AtomicBool,
) -> Result<()> {
    let mut socket = sign_up(broker, service)?;
    let mut heard = Instant::now();
    let mut done = 0;
    while !stop.load(Ordering::Relaxed) {
        let message = match socket.recv_timeout(BEAT) {
            Ok(message) => message,
            Err(error) if error.is_empty() && heard.elapsed() < SILENT_MAX => {
                socket.send(from_worker(HEARTBEAT))?;
                continue;
            }
            Err(error) if error.is_empty() => {
                // The broker may have been born again, or have given us up.
                socket = sign_up(broker, service)?;
                heard = Instant::now();
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        heard = Instant::now();
        // Empty, header, command, client, empty, body.
        match message.as_slice() {
            [_, _, command, client, empty, body] if command == REQUEST => {
                if done == many {
                    println!("worker: falls silent");
                    return Ok(());
                }
                done += 1;
                let mut reply = from_worker(REPLY);
                reply.extend([client.clone(), empty.clone()]);
                reply.push(does(&String::from_utf8_lossy(body)));
                socket.send(reply)?;
            }
            _ => socket.send(from_worker(HEARTBEAT))?,
        }
    }
    Ok(())
}

fn sign_up(broker: &Endpoint, service: &str) -> Result<Dealer> {
    let socket = Dealer::builder().linger(Duration::ZERO).build()?;
    socket.connect(broker)?;
    socket.send(from_worker(READY).with(service))?;
    Ok(socket)
}

/// Asks a service until it answers.
fn ask(broker: &Endpoint, service: &str, body: &str) -> Result<String> {
    for _ in 0..TRIES_MAX {
        let socket = Req::builder().linger(Duration::ZERO).build()?;
        socket.connect(broker)?;
        socket.send(Message::from_iter([CLIENT, service, body]))?;
        match socket.recv_timeout(PATIENCE) {
            Ok(reply) => return Ok(String::from_utf8_lossy(&reply[2]).into_owned()),
            Err(error) if error.is_empty() => println!("client: no reply, asking again"),
            Err(error) => return Err(error.into()),
        }
    }
    Err("nobody offers the service".into())
}

pub(crate) fn main() -> Result<()> {
    let socket = Router::new();
    let at = &socket.bind("tcp://127.0.0.1:*")?;
    let stop = &AtomicBool::new(false);
    let echo: fn(&str) -> String = str::to_owned;
    thread::scope(|scope| {
        let broker = scope.spawn(move || Broker::default().run(&socket, stop));
        let early = scope.spawn(move || ask(at, "upper", "who waits"));
        let mut workers = vec![
            scope.spawn(move || work(at, "echo", echo, 3, stop)),
            scope.spawn(move || work(at, "echo", echo, usize::MAX, stop)),
            scope.spawn(move || work(at, "upper", |body| body.to_uppercase(), usize::MAX, stop)),
        ];
        let asked = || -> Result<()> {
            for n in 0..20 {
                let body = format!("request {n}");
                assert_eq!(ask(at, "echo", &body)?, body);
            }
            Ok(())
        };
        let asked = asked();
        let waited = early.join().expect("a client");
        stop.store(true, Ordering::Relaxed);
        for worker in workers.drain(..) {
            worker.join().expect("a worker")?;
        }
        broker.join().expect("the broker")?;
        asked?;
        assert_eq!(waited?, "WHO WAITS");
        println!("20 replies of one service, though a worker fell silent, and one of another");
        Ok(())
    })
}
