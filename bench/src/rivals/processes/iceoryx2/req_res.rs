//! Request-response of slices: one server, and a client port for each connection.

use ::iceoryx2::active_request::ActiveRequest;
use ::iceoryx2::pending_response::PendingResponse;
use ::iceoryx2::port::client::Client;
use ::iceoryx2::port::server::Server;
use ::iceoryx2::prelude::*;
use ::iceoryx2::service::port_factory::request_response::PortFactory as Service;
use anyhow::Result;

use super::{NODES_MAX, name, node};
use crate::rivals::processes::link::Link;
use crate::rivals::processes::{Calls, Hosts, Mux, Opens, Read, Serves, Spec, Visits, Wait};

/// A client that has just gone may still be counted.
const CLIENTS_MIN: usize = 8;

type Slices = Service<ipc::Service, [u8], (), [u8], ()>;
type Port = Client<ipc::Service, [u8], (), [u8], ()>;
type Pending = PendingResponse<ipc::Service, [u8], (), [u8], ()>;

#[derive(Debug)]
pub struct Asking {
    clients: Vec<Port>,
    pending: Vec<Option<Pending>>,
    reply: Vec<u8>,
    wait: Wait,
}

#[derive(Debug)]
pub struct Answering {
    server: Server<ipc::Service, [u8], (), [u8], ()>,
}

fn service(link: &Link, connections: usize) -> Result<Slices> {
    let service = node(link)?
        .service_builder(&name("echo")?)
        .request_response::<[u8], [u8]>()
        .max_nodes(NODES_MAX)
        .max_servers(1)
        .max_clients(connections.max(CLIENTS_MIN))
        .open_or_create()?;
    Ok(service)
}

fn client(service: &Slices, spec: Spec) -> Result<Port> {
    Ok(service.client_builder().initial_max_slice_len(spec.bytes).create()?)
}

impl Opens for Asking {
    fn open(links: &[&Link], spec: Spec) -> Result<Asking> {
        // The server creates the service: it alone knows of all the connections.
        links.iter().try_for_each(|link| link.meet())?;
        let service = service(links[0], links.len())?;
        let clients = links.iter().map(|_| client(&service, spec)).collect::<Result<Vec<_>>>()?;
        let pending = clients.iter().map(|_| None).collect();
        Ok(Asking { clients, pending, reply: vec![0; spec.bytes], wait: spec.wait })
    }
}

impl Opens for Answering {
    fn open(links: &[&Link], spec: Spec) -> Result<Answering> {
        let service = service(links[0], links.len())?;
        let server = service.server_builder().initial_max_slice_len(spec.bytes).create()?;
        links.iter().try_for_each(|link| link.meet())?;
        Ok(Answering { server })
    }
}

impl Calls for Asking {
    fn call(&mut self, request: &[u8], mut read: impl Read) -> Result<()> {
        self.request(0, request)?;
        while !self.poll(0, &mut read)? {
            self.wait.pause();
        }
        Ok(())
    }
}

impl Mux for Asking {
    fn request(&mut self, at: usize, request: &[u8]) -> Result<()> {
        let loan = self.clients[at].loan_slice_uninit(request.len())?;
        self.pending[at] = Some(loan.write_from_slice(request).send()?);
        Ok(())
    }

    fn ready(&mut self, ready: &mut Vec<usize>) -> Result<()> {
        ready.extend(0..self.clients.len());
        Ok(())
    }

    fn poll(&mut self, at: usize, mut read: impl Read) -> Result<bool> {
        let Some(pending) = &self.pending[at] else { return Ok(false) };
        let Some(response) = pending.receive()? else { return Ok(false) };
        self.reply.copy_from_slice(response.payload());
        drop(response);
        self.pending[at] = None;
        read(&self.reply)?;
        Ok(true)
    }
}

impl Serves for Answering {
    fn serve(&mut self) -> Result<()> {
        while let Some(request) = self.server.receive()? {
            answer(&request)?;
        }
        Ok(())
    }
}

fn answer(request: &ActiveRequest<ipc::Service, [u8], (), [u8], ()>) -> Result<()> {
    let payload = request.payload();
    request.loan_slice_uninit(payload.len())?.write_from_slice(payload).send()?;
    Ok(())
}

/// Creates a client port for each visit, of a service that is open already.
#[derive(Debug)]
pub struct Visitor {
    service: Slices,
    spec: Spec,
}

#[derive(Debug)]
pub struct Host(Answering);

impl Opens for Visitor {
    fn open(links: &[&Link], spec: Spec) -> Result<Visitor> {
        links[0].meet()?;
        Ok(Visitor { service: service(links[0], 1)?, spec })
    }
}

impl Opens for Host {
    fn open(links: &[&Link], spec: Spec) -> Result<Host> {
        Answering::open(links, spec).map(Host)
    }
}

impl Visits for Visitor {
    fn visit(&mut self, request: &[u8], mut read: impl Read) -> Result<()> {
        let client = client(&self.service, self.spec)?;
        let loan = client.loan_slice_uninit(request.len())?;
        let pending = loan.write_from_slice(request).send()?;
        loop {
            if let Some(response) = pending.receive()? {
                return read(response.payload());
            }
            std::hint::spin_loop();
        }
    }
}

impl Hosts for Host {
    fn host(&mut self) -> Result<()> {
        self.0.serve()
    }
}
