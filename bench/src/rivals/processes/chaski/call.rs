//! Request and response: a client for each connection.

use std::path::{Path, PathBuf};

use ::chaski_shm::{Client, Server};
use anyhow::Result;

use super::wait;
use crate::rivals::processes::link::Link;
use crate::rivals::processes::{Calls, Hosts, Mux, Opens, Read, Serves, Spec, Visits};
use crate::workloads::side::turn_dir;

const NAME: &str = "echo";

/// Clients of one server, each a connection of its own.
#[derive(Debug)]
pub struct Asking(Vec<Client>);

#[derive(Debug)]
pub struct Answering {
    server: Server,
    request: Vec<u8>,
}

fn client(directory: &Path, spec: Spec) -> Result<Client> {
    let client = Client::builder().directory(directory).wait(wait(spec));
    Ok(client.ring_bytes(spec.room).connect(NAME)?)
}

impl Opens for Asking {
    fn open(links: &[&Link], spec: Spec) -> Result<Asking> {
        links.iter().try_for_each(|link| link.meet())?;
        let directory = turn_dir(links[0].turn());
        let clients = links.iter().map(|_| client(&directory, spec)).collect::<Result<_>>()?;
        links.iter().try_for_each(|link| link.meet())?;
        Ok(Asking(clients))
    }
}

impl Opens for Answering {
    fn open(links: &[&Link], spec: Spec) -> Result<Answering> {
        let server = Server::builder().directory(turn_dir(links[0].turn())).wait(wait(spec));
        let server = server.bind(NAME)?;
        links.iter().try_for_each(|link| link.meet())?;
        // Until all have connected: a thread that spins keeps its core from the one that lets
        // clients in.
        links.iter().try_for_each(|link| link.meet())?;
        Ok(Answering { server, request: Vec::new() })
    }
}

impl Calls for Asking {
    fn call(&mut self, request: &[u8], mut read: impl Read) -> Result<()> {
        read(self.0[0].call(request)?)
    }
}

impl Mux for Asking {
    fn request(&mut self, at: usize, request: &[u8]) -> Result<()> {
        self.0[at].send(request)?;
        Ok(())
    }

    fn ready(&mut self, ready: &mut Vec<usize>) -> Result<()> {
        ready.extend(0..self.0.len());
        Ok(())
    }

    fn poll(&mut self, at: usize, mut read: impl Read) -> Result<bool> {
        let Some(response) = self.0[at].try_recv()? else { return Ok(false) };
        read(&response)?;
        Ok(true)
    }
}

impl Serves for Answering {
    fn serve(&mut self) -> Result<()> {
        let ticket = self.server.recv_into(&mut self.request)?;
        Ok(self.server.reply(ticket, &self.request)?)
    }
}

/// Connects for each visit.
#[derive(Debug)]
pub struct Visitor {
    directory: PathBuf,
    spec: Spec,
}

impl Opens for Visitor {
    fn open(links: &[&Link], spec: Spec) -> Result<Visitor> {
        links[0].meet()?;
        links[0].meet()?;
        Ok(Visitor { directory: turn_dir(links[0].turn()), spec })
    }
}

impl Visits for Visitor {
    fn visit(&mut self, request: &[u8], mut read: impl Read) -> Result<()> {
        read(client(&self.directory, self.spec)?.call(request)?)
    }
}

impl Hosts for Answering {
    fn host(&mut self) -> Result<()> {
        self.serve()
    }
}
