//! Who takes part in the distance "processes": ways from one process to another behind the few
//! calls that the cases make, so that each contestant is a small file and all are driven by the
//! same loops.
//!
//! ```text
//!   turn, on the client's core            side, a process of its own on the server's core
//!   Calls     one request at a time   ->  Serves
//!   Mux       many connections        ->  Serves
//!   Pulls     one way                 <-  Pushes
//!   Publishes to many                 ->  Subscribes
//!   Visits    connects for one call   ->  Hosts
//! ```
//!
//! A contestant that is nothing but two one-way channels ([`Ends`]) gets all but the last of them
//! from `lanes.rs`; one that offers a pattern of its own implements the trait of that pattern.
//! Messages come from private memory and end in private memory, where [`Read`] is shown them; in
//! between each contestant copies as little as it can.

pub mod bytes;
pub mod chaski;
pub mod event_fd;
pub mod iceoryx2;
pub mod ipc_channel;
pub mod lanes;
pub mod limits;
pub mod link;
pub mod pipe;
pub mod shared;
pub mod shmem_ipc;
pub mod unix;

use anyhow::Result;

use link::Link;

/// Those who take part, by the names of their packages. Sockets and pipes are the kernel's.
pub const PACKAGES: [&str; 4] = ["chaski-shm", "iceoryx2", "ipc-channel", "shmem-ipc"];

/// The longest message of any case.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// What both sides of a case agree on.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// Length of each message.
    pub bytes: usize,
    /// Bytes that a channel holds, where that can be chosen.
    pub room: usize,
    pub wait: Wait,
    /// How the other side waits.
    pub peer: Wait,
}

impl Spec {
    /// Neither side need sleep while there is traffic.
    pub const fn adaptive(bytes: usize, room: usize) -> Spec {
        Spec { bytes, room, wait: Wait::Adapt, peer: Wait::Adapt }
    }

    /// Neither side sleeps.
    pub const fn spinning(self) -> Spec {
        Spec { wait: Wait::Spin, peer: Wait::Spin, ..self }
    }

    /// Both sides sleep.
    pub fn sleeping(self) -> Spec {
        Spec { wait: Wait::Block, peer: Wait::Block, ..self }
    }

    /// Messages that fit into a channel.
    pub fn messages(&self) -> usize {
        self.room / self.bytes
    }
}

/// How a side waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// It does not sleep.
    Spin,
    /// It sleeps only after it has looked for longer than dense traffic lets it. Who knows no such
    /// waiting spins.
    Adapt,
    /// It sleeps at once. Who cannot sleep offers the core to others between looks.
    Block,
}

impl Wait {
    /// Between two looks.
    pub fn pause(self) {
        match self {
            Wait::Spin | Wait::Adapt => std::hint::spin_loop(),
            Wait::Block => std::thread::yield_now(),
        }
    }
}

/// One end of one or more connections.
pub trait Opens: Sized {
    /// Opens a connection over each link; the other side is doing the same.
    fn open(links: &[&Link], spec: Spec) -> Result<Self>;
}

/// What looks at a message.
pub trait Read: FnMut(&[u8]) -> Result<()> {}

impl<F: FnMut(&[u8]) -> Result<()>> Read for F {}

/// A client of one connection.
pub trait Calls: Opens {
    /// Sends a request and waits for its reply.
    fn call(&mut self, request: &[u8], read: impl Read) -> Result<()>;
}

/// A server of one or more connections, which sends back what it is sent.
pub trait Serves: Opens {
    /// Answers some of the requests that are there, and may wait for one.
    fn serve(&mut self) -> Result<()>;
}

/// A client of many connections, with one request in flight on each.
pub trait Mux: Opens {
    /// Sends a request; the reply to the one before has come.
    fn request(&mut self, at: usize, request: &[u8]) -> Result<()>;

    /// Adds the connections on which there may be a reply; does not wait.
    fn ready(&mut self, ready: &mut Vec<usize>) -> Result<()>;

    /// Takes the reply on this connection; whether there was one.
    fn poll(&mut self, at: usize, read: impl Read) -> Result<bool>;
}

/// The end of a pipeline that sends.
pub trait Pushes: Opens {
    /// Waits for room.
    fn push(&mut self, message: &[u8]) -> Result<()>;
}

/// The end of a pipeline that receives.
pub trait Pulls: Opens {
    /// Waits for a message, and shows some of those that are there.
    fn pull(&mut self, read: impl Read) -> Result<()>;
}

/// One who sends to all, and waits for nobody.
pub trait Publishes: Opens {
    /// A subscriber that is too far behind loses messages.
    fn publish(&mut self, message: &[u8]) -> Result<()>;
}

/// Many who receive, each on its own.
pub trait Subscribes: Opens {
    /// Takes the next message of this subscriber; whether there was one.
    fn poll(&mut self, at: usize, read: impl Read) -> Result<bool>;
}

/// A client that comes and goes.
pub trait Visits: Opens {
    /// Connects, calls once, and is gone without a trace.
    fn visit(&mut self, request: &[u8], read: impl Read) -> Result<()>;
}

/// A server whose clients come and go.
pub trait Hosts: Opens {
    /// Serves a client from coming to going.
    fn host(&mut self) -> Result<()>;
}

/// Two channels, one in each direction.
pub trait Ends {
    type Tx: Sends;
    type Rx: Receives;

    /// The turn's ends.
    fn near(link: &Link, spec: Spec) -> Result<(Self::Tx, Self::Rx)>;

    /// The other side's ends.
    fn far(link: &Link, spec: Spec) -> Result<(Self::Tx, Self::Rx)>;
}

/// The end that sends. With [`Wait::Block`] a call waits and then returns true.
pub trait Sends {
    /// Whether there was room.
    fn offer(&mut self, message: &[u8]) -> Result<bool>;

    fn send(&mut self, message: &[u8]) -> Result<()> {
        while !self.offer(message)? {
            std::hint::spin_loop();
        }
        Ok(())
    }
}

/// The end that receives. With [`Wait::Block`] a call waits and then returns true.
pub trait Receives {
    /// Shows a message where it lies; whether there was one.
    fn show(&mut self, read: impl Read) -> Result<bool>;

    /// Shows a message once it is in private memory; whether there was one.
    fn poll(&mut self, read: impl Read) -> Result<bool> {
        self.show(read)
    }

    fn receive(&mut self, mut read: impl Read) -> Result<()> {
        while !self.poll(&mut read)? {
            std::hint::spin_loop();
        }
        Ok(())
    }
}
