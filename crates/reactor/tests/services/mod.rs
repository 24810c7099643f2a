//! Services that the tests run.

use std::net::SocketAddr;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use chaski_reactor::{Closed, ConnId, Handle, Io, Output, Progress, Service};

/// What a test tells a service.
pub(crate) enum Command {
    Send(ConnId, Output),
    Close(ConnId),
    Pause(ConnId, bool),
    /// From now on, ask for so many bytes.
    Need(usize),
    Timers(Vec<(Instant, u64)>),
    /// The `n`th of a sender.
    Count(usize, u64),
    /// Answer.
    Echo(u64, Sender<u64>),
    /// Send it on through this reactor's own handle so many times, then answer.
    Relay(Handle<Command>, u64, Sender<u64>),
    Stop(Duration),
}

/// What a service tells its test.
#[derive(Debug)]
pub(crate) enum Event {
    Opened(ConnId),
    Received(ConnId, Vec<u8>),
    Closed(ConnId, Closed),
    Timer(u64, Instant),
}

/// A service that tests can listen to.
pub(crate) trait Tested: Service<Message = Command> + Send + 'static {
    fn tell(&mut self, tell: Sender<Event>);
}

/// A frame: its length in four bytes, then that many.
pub(crate) fn frame(body: &[u8]) -> Vec<u8> {
    let mut frame = (body.len() as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(body);
    frame
}

/// Sends every frame back.
#[derive(Default)]
pub(crate) struct Framed {
    /// Answer at the end of the turn.
    pub(crate) gather: bool,
    /// Say no to everyone.
    pub(crate) refuse: bool,
    /// The first connection is only read.
    pub(crate) sink_first: bool,
    pub(crate) opened: u64,
    pub(crate) closed: u64,
    /// Most bytes of the sink's that one turn brought.
    pub(crate) sink_turn_max: usize,
    pub(crate) sink: Option<ConnId>,
    pub(crate) sink_turn: usize,
    pub(crate) gathered: Vec<(ConnId, Output)>,
}

impl Framed {
    fn answer(&mut self, io: &mut Io<'_>, id: ConnId, frame: &[u8]) {
        let output = Output::Bytes(frame.to_vec());
        if self.gather {
            self.gathered.push((id, output));
        } else {
            io.send(id, output);
        }
    }
}

impl Tested for Framed {
    fn tell(&mut self, _tell: Sender<Event>) {}
}

impl Service for Framed {
    type Message = Command;

    fn opened(&mut self, io: &mut Io<'_>, id: ConnId, _peer: SocketAddr) -> bool {
        if self.sink_first && self.opened == 0 {
            self.sink = Some(id);
        }
        self.opened += 1;
        if self.refuse {
            io.send(id, Output::Bytes(b"no".to_vec()));
        }
        !self.refuse
    }

    fn received(&mut self, io: &mut Io<'_>, id: ConnId, input: &mut [u8]) -> Progress {
        if self.sink == Some(id) {
            self.sink_turn += input.len();
            self.sink_turn_max = self.sink_turn_max.max(self.sink_turn);
            return Progress { consumed: input.len(), need: 0 };
        }
        let (mut consumed, mut need) = (0, 4);
        while let Some(length) = input[consumed..].first_chunk() {
            need = 4 + u32::from_be_bytes(*length) as usize;
            if input.len() - consumed < need {
                break;
            }
            self.answer(io, id, &input[consumed..consumed + need]);
            (consumed, need) = (consumed + need, 4);
        }
        Progress { consumed, need }
    }

    fn closed(&mut self, _io: &mut Io<'_>, _id: ConnId, _why: Closed) {
        self.closed += 1;
    }

    fn timer(&mut self, _io: &mut Io<'_>, _key: u64) {}

    fn message(&mut self, io: &mut Io<'_>, message: Command) {
        if let Command::Stop(grace) = message {
            io.stop(grace);
        }
    }

    fn turn_ended(&mut self, io: &mut Io<'_>) {
        self.sink_turn = 0;
        for (id, output) in self.gathered.drain(..) {
            io.send(id, output);
        }
    }
}

/// Does what it is told, and tells what it is called for.
#[derive(Default)]
pub(crate) struct Script {
    /// Bytes to consume at each call; all of them if none.
    pub(crate) consume: Option<usize>,
    /// Calls of `closed`.
    pub(crate) closed: u64,
    /// Messages counted of each sender.
    pub(crate) counted: [u64; 4],
    pub(crate) need: usize,
    pub(crate) tell: Option<Sender<Event>>,
}

impl Script {
    fn event(&self, event: Event) {
        // A test that has seen enough listens no more.
        let _gone = self.tell.as_ref().map(|tell| tell.send(event));
    }
}

impl Tested for Script {
    fn tell(&mut self, tell: Sender<Event>) {
        self.tell = Some(tell);
    }
}

impl Service for Script {
    type Message = Command;

    fn opened(&mut self, _io: &mut Io<'_>, id: ConnId, _peer: SocketAddr) -> bool {
        self.event(Event::Opened(id));
        true
    }

    fn received(&mut self, _io: &mut Io<'_>, id: ConnId, input: &mut [u8]) -> Progress {
        self.event(Event::Received(id, input.to_vec()));
        Progress { consumed: self.consume.unwrap_or(usize::MAX).min(input.len()), need: self.need }
    }

    fn closed(&mut self, _io: &mut Io<'_>, id: ConnId, why: Closed) {
        self.closed += 1;
        self.event(Event::Closed(id, why));
    }

    fn timer(&mut self, io: &mut Io<'_>, key: u64) {
        self.event(Event::Timer(key, io.now()));
    }

    fn message(&mut self, io: &mut Io<'_>, message: Command) {
        match message {
            Command::Send(id, output) => io.send(id, output),
            Command::Close(id) => io.close(id),
            Command::Pause(id, paused) => io.pause(id, paused),
            Command::Need(need) => self.need = need,
            Command::Timers(timers) => timers.into_iter().for_each(|(at, key)| io.timer(at, key)),
            Command::Count(sender, n) => {
                assert_eq!(self.counted[sender], n, "lost, doubled or out of order");
                self.counted[sender] += 1;
            }
            Command::Echo(n, reply) => reply.send(n).unwrap(),
            Command::Relay(_, 0, reply) => reply.send(0).unwrap(),
            Command::Relay(own, left, reply) => {
                own.clone().send(Command::Relay(own, left - 1, reply));
            }
            Command::Stop(grace) => io.stop(grace),
        }
    }
}
