//! libzmq, by its C interface: the program's thread and an I/O thread of the library, both on the
//! side's core. Messages are sent by `zmq_send`, which copies, and received into a `zmq_msg_t`.

mod api;

use std::ffi::{CString, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use anyhow::{Context as _, Result, ensure};

use self::api::{Api, Message, api, last_error};
use super::{CLIENT_KEYS, Keys, Lacks, Library, Read, Role, SERVER_KEYS, Spec, run_at_once};

/// Options of a context and of a socket, as zmq.h numbers them.
const MAX_SOCKETS: c_int = 2;
const SUBSCRIBE: c_int = 6;
const LINGER: c_int = 17;
const LAST_ENDPOINT: c_int = 32;
const CURVE_SERVER: c_int = 47;
const CURVE_PUBLICKEY: c_int = 48;
const CURVE_SECRETKEY: c_int = 49;
const CURVE_SERVERKEY: c_int = 50;
const XPUB_NODROP: c_int = 69;

/// The error of a call that a signal has interrupted.
const EINTR: c_int = 4;

/// More than any case needs.
const SOCKETS_MAX: c_int = 4096;

#[derive(Debug)]
pub struct Libzmq;

/// A socket, used by one thread. What it has not sent goes with it.
#[derive(Debug)]
pub struct Socket {
    api: &'static Api,
    socket: *mut c_void,
    message: Message,
}

/// What is installed.
pub fn version() -> Option<String> {
    let api = api().ok()?;
    let mut parts = [0; 3];
    let [major, minor, patch] = &mut parts;
    // SAFETY: three integers to write to.
    unsafe { (api.version)(major, minor, patch) };
    Some(parts.map(|part| part.to_string()).join("."))
}

impl Library for Libzmq {
    type Bound = Socket;
    type Socket = Socket;

    const LACKS: &'static [Lacks] = &[];

    fn run<T>(side: impl Future<Output = Result<T>>) -> Result<T> {
        run_at_once(side)
    }

    async fn bind(role: Role, spec: &Spec) -> Result<(Socket, String)> {
        let socket = Socket::new(role)?;
        if spec.lossless && role == Role::Pub {
            socket.set_flag(XPUB_NODROP)?;
        }
        if spec.curve {
            socket.set_flag(CURVE_SERVER)?;
            socket.set_keys(&SERVER_KEYS)?;
        }
        let endpoint = CString::new(spec.endpoint())?;
        // SAFETY: the socket lives and the text ends in a zero.
        socket.check(unsafe { (socket.api.bind)(socket.socket, endpoint.as_ptr()) })?;
        let endpoint = socket.last_endpoint()?;
        Ok((socket, endpoint))
    }

    async fn accept(bound: Socket, _: usize) -> Result<Socket> {
        Ok(bound)
    }

    async fn connect(role: Role, endpoint: &str, spec: &Spec) -> Result<Socket> {
        let socket = Socket::new(role)?;
        if spec.curve {
            socket.set(CURVE_SERVERKEY, &SERVER_KEYS.public)?;
            socket.set_keys(&CLIENT_KEYS)?;
        }
        if role == Role::Sub {
            spec.subscriptions().iter().try_for_each(|topic| socket.set(SUBSCRIBE, topic))?;
        }
        let endpoint = CString::new(endpoint)?;
        // SAFETY: the socket lives and the text ends in a zero.
        socket.check(unsafe { (socket.api.connect)(socket.socket, endpoint.as_ptr()) })?;
        Ok(socket)
    }
}

/// The one context of the process.
fn context(api: &Api) -> *mut c_void {
    static CONTEXT: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
    let context = CONTEXT.load(Ordering::Acquire);
    if !context.is_null() {
        return context;
    }
    // SAFETY: no requirement; a context may be used by all threads.
    let new = unsafe { (api.ctx_new)() };
    // SAFETY: the context lives. A system that allows fewer keeps what it has.
    unsafe { (api.ctx_set)(new, MAX_SOCKETS, SOCKETS_MAX) };
    match CONTEXT.compare_exchange(context, new, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => new,
        // Another thread was first; this one stays unused until the process ends.
        Err(first) => first,
    }
}

impl Socket {
    fn new(role: Role) -> Result<Socket> {
        let api = api()?;
        // SAFETY: the context lives as long as the process.
        let socket = unsafe { (api.socket)(context(api), number(role)) };
        ensure!(!socket.is_null(), last_error(api));
        let mut message = Message([0; 64]);
        // SAFETY: room for a message, as zmq.h wants it.
        unsafe { (api.msg_init)(&mut message) };
        Ok(Socket { api, socket, message })
    }

    fn check(&self, result: c_int) -> Result<()> {
        ensure!(result >= 0, last_error(self.api));
        Ok(())
    }

    /// Repeats a call that a signal has interrupted.
    fn check_again(&self, mut call: impl FnMut() -> c_int) -> Result<()> {
        loop {
            let result = call();
            // SAFETY: no requirement.
            if result < 0 && unsafe { (self.api.errno)() } == EINTR {
                continue;
            }
            return self.check(result);
        }
    }

    fn set(&self, option: c_int, value: &[u8]) -> Result<()> {
        let (set, value, length) = (self.api.setsockopt, value.as_ptr().cast(), value.len());
        // SAFETY: the socket lives, and as many bytes can be read.
        self.check(unsafe { set(self.socket, option, value, length) })
    }

    fn set_flag(&self, option: c_int) -> Result<()> {
        let on: c_int = 1;
        self.set(option, &on.to_ne_bytes())
    }

    fn set_keys(&self, keys: &Keys) -> Result<()> {
        self.set(CURVE_PUBLICKEY, &keys.public)?;
        self.set(CURVE_SECRETKEY, &keys.secret)
    }

    fn last_endpoint(&self) -> Result<String> {
        let mut text = vec![0; 256];
        let (mut length, into) = (text.len(), text.as_mut_ptr().cast());
        // SAFETY: the socket lives, and as many bytes can be written.
        let got = unsafe { (self.api.getsockopt)(self.socket, LAST_ENDPOINT, into, &mut length) };
        self.check(got)?;
        text.truncate(length.saturating_sub(1));
        String::from_utf8(text).context("an endpoint")
    }

    /// Receives a frame into the message.
    fn receive(&mut self) -> Result<()> {
        let (recv, message, socket) = (self.api.msg_recv, &raw mut self.message, self.socket);
        // SAFETY: an initialised message and a socket of this thread.
        self.check_again(|| unsafe { recv(message, socket, 0) })
    }

    /// Receives frames until the last of a message.
    fn receive_last(&mut self) -> Result<()> {
        self.receive()?;
        // SAFETY: an initialised message.
        while unsafe { (self.api.msg_more)(&self.message) } != 0 {
            self.receive()?;
        }
        Ok(())
    }
}

impl super::Socket for Socket {
    async fn send(&mut self, message: &[u8]) -> Result<()> {
        let (send, socket) = (self.api.send, self.socket);
        // SAFETY: a socket of this thread, and as many bytes can be read.
        self.check_again(|| unsafe { send(socket, message.as_ptr().cast(), message.len(), 0) })
    }

    async fn recv(&mut self, mut read: impl Read) -> Result<()> {
        self.receive_last()?;
        // SAFETY: the message is as long where it lies, until the next call that receives.
        let bytes = unsafe {
            let length = (self.api.msg_size)(&self.message);
            std::slice::from_raw_parts((self.api.msg_data)(&mut self.message).cast(), length)
        };
        read(bytes)
    }

    async fn echo(&mut self) -> Result<()> {
        self.receive_last()?;
        let (send, message, socket) = (self.api.msg_send, &raw mut self.message, self.socket);
        // SAFETY: an initialised message, which sending empties, and a socket of this thread.
        self.check_again(|| unsafe { send(message, socket, 0) })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let none: c_int = 0;
        self.set(LINGER, &none.to_ne_bytes()).ok();
        // SAFETY: an initialised message and a socket of this thread, neither used again.
        unsafe {
            (self.api.msg_close)(&mut self.message);
            (self.api.close)(self.socket);
        }
    }
}

/// As zmq.h numbers them.
fn number(role: Role) -> c_int {
    match role {
        Role::Pub => 1,
        Role::Sub => 2,
        Role::Req => 3,
        Role::Rep => 4,
        Role::Dealer => 5,
        Role::Router => 6,
        Role::Pull => 7,
        Role::Push => 8,
    }
}
