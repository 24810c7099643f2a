//! TCP: binding, connecting and the options of its sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream};
use std::time::Duration;

use rustix::net::netdevice;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use super::interface;
use crate::driver::resolve;
use crate::endpoint::{Host, HostPort};
use crate::options::Options;

/// Binds a listener to the first address that can be bound.
pub(crate) fn bind(to: &HostPort, options: &Options) -> io::Result<TcpListener> {
    let mut refused = None;
    for addr in local(to, options)? {
        match bind_one(addr, to.host == Host::Any, options) {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
}

fn bind_one(addr: SocketAddr, any: bool, options: &Options) -> io::Result<TcpListener> {
    let socket = open(addr, options)?;
    if addr.is_ipv6() {
        // `*` with IPv6 means IPv4 too; an address means itself.
        socket.set_only_v6(!any)?;
    }
    // A server that was restarted need not wait for connections of its predecessor to be forgotten.
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// Begins to connect. The stream is writable when that is done, for better or worse.
pub(crate) fn connect(
    addr: SocketAddr,
    from: Option<&HostPort>,
    options: &Options,
) -> io::Result<TcpStream> {
    let socket = open(addr, options)?;
    if let Some(from) = from {
        let suits = |source: &SocketAddr| source.is_ipv4() == addr.is_ipv4();
        let sources = local(from, options)?;
        let source = sources.into_iter().find(suits).ok_or(io::ErrorKind::AddrNotAvailable)?;
        socket.set_reuse_address(true)?;
        socket.bind(&source.into())?;
    }
    match socket.connect(&addr.into()) {
        Ok(()) => {}
        Err(error)
            if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
        Err(error) => return Err(error),
    }
    tune(&socket, options)?;
    Ok(socket.into())
}

/// Sets what a connection has that was accepted, beside what it inherits from its listener: not the
/// priority, and of an IPv6 listener not what packets of IPv4 are marked with.
pub(crate) fn tune_accepted(stream: &TcpStream, options: &Options) -> io::Result<()> {
    mark(&SockRef::from(stream), stream.local_addr()?.is_ipv6(), options)?;
    tune(stream, options)
}

/// Sets what every connection has, whoever began it.
fn tune(stream: &impl std::os::fd::AsFd, options: &Options) -> io::Result<()> {
    let stream = SockRef::from(stream);
    stream.set_tcp_nodelay(true)?;
    if !options.tcp_maxrt.is_zero() {
        stream.set_tcp_user_timeout(Some(options.tcp_maxrt))?;
    }
    if let Some(keepalive) = options.tcp_keepalive {
        stream.set_keepalive(keepalive)?;
    }
    if options.tcp_keepalive == Some(true) {
        let mut keepalive = TcpKeepalive::new();
        if let Some(seconds) = options.tcp_keepalive_idle {
            keepalive = keepalive.with_time(Duration::from_secs(seconds.into()));
        }
        if let Some(seconds) = options.tcp_keepalive_intvl {
            keepalive = keepalive.with_interval(Duration::from_secs(seconds.into()));
        }
        if let Some(count) = options.tcp_keepalive_cnt {
            keepalive = keepalive.with_retries(count);
        }
        stream.set_tcp_keepalive(&keepalive)?;
    }
    Ok(())
}

/// A socket that is neither bound nor connected. What is set here is inherited by what a listener
/// accepts, and sizes the window that a connection offers from its first segment on.
fn open(addr: SocketAddr, options: &Options) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if let Some(bytes) = options.sndbuf {
        socket.set_send_buffer_size(bytes as usize)?;
    }
    if let Some(bytes) = options.rcvbuf {
        socket.set_recv_buffer_size(bytes as usize)?;
    }
    mark(&socket, addr.is_ipv6(), options)?;
    let device = &options.bindtodevice;
    if !device.is_empty() {
        let bound = socket.bind_device(Some(device.as_bytes()));
        bound.map_err(|error| refused("bindtodevice", device, &error))?;
    }
    Ok(socket)
}

/// Says how packets are marked.
fn mark(socket: &Socket, ipv6: bool, options: &Options) -> io::Result<()> {
    let tos = options.tos;
    if tos != 0 {
        // A socket of IPv6 may carry IPv4 too, whose packets have a mark of their own.
        socket.set_tos_v4(tos).map_err(|error| refused("tos", tos, &error))?;
        if ipv6 {
            socket.set_tclass_v6(tos).map_err(|error| refused("tos", tos, &error))?;
        }
    }
    let priority = options.priority;
    if priority != 0 {
        // Last: the system derives a priority of its own from the type of service.
        let set = socket.set_priority(priority);
        set.map_err(|error| refused("priority", priority, &error))?;
    }
    Ok(())
}

/// Says which option the system does not accept.
fn refused(option: &str, value: impl std::fmt::Debug, error: &io::Error) -> io::Error {
    io::Error::other(format!("the option {option} cannot be {value:?}: {error}"))
}

/// The addresses of this machine that are meant: by number, by the name of an interface, or by a
/// host's name. This may wait for the resolver.
fn local(at: &HostPort, options: &Options) -> io::Result<Vec<SocketAddr>> {
    let Host::Name(name) = &at.host else { return Ok(vec![numeric(&at.host, at.port, options)?]) };
    let found = interface::addresses(name, options.ipv6)?;
    if !found.is_empty() {
        return Ok(found.into_iter().map(|ip| SocketAddr::new(ip, at.port)).collect());
    }
    resolve::resolve(name, at.port, options.ipv6)
}

/// The address of a host that is not a name.
pub(crate) fn numeric(host: &Host, port: u16, options: &Options) -> io::Result<SocketAddr> {
    Ok(match host {
        Host::V4(ip) => SocketAddr::new(IpAddr::V4(*ip), port),
        Host::V6(ip, zone) => {
            let scope = zone.as_deref().map_or(Ok(0), zone_index)?;
            SocketAddr::V6(SocketAddrV6::new(*ip, port, 0, scope))
        }
        Host::Any if options.ipv6 && has_ipv6() => {
            SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)
        }
        Host::Any => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port),
        Host::Name(_) => return Err(io::ErrorKind::InvalidInput.into()),
    })
}

/// Whether the kernel has IPv6 at all: where it has none, `*` still means IPv4.
fn has_ipv6() -> bool {
    Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP)).is_ok()
}

fn zone_index(zone: &str) -> io::Result<u32> {
    if let Ok(index) = zone.parse() {
        return Ok(index);
    }
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    Ok(netdevice::name_to_index(socket, zone)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::parse_host_port;

    const DELAY_LOW: u32 = 0x10;
    const PRIORITY: u32 = 5;

    /// How a connection is marked that was accepted: the type of service, and the priority.
    fn marks(bind_to: &str, ipv6: bool) -> (u32, u32) {
        let options = Options { tos: DELAY_LOW, priority: PRIORITY, ipv6, ..Options::default() };
        let listener = bind(&parse_host_port(bind_to).unwrap(), &options).unwrap();
        let port = listener.local_addr().unwrap().port();
        let connecting = SockRef::from(&listener);
        assert_eq!(connecting.priority().unwrap(), PRIORITY);
        let _peer = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let accepted = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            std::thread::yield_now();
        };
        tune_accepted(&accepted, &options).unwrap();
        let accepted = SockRef::from(&accepted);
        (accepted.tos_v4().unwrap(), accepted.priority().unwrap())
    }

    #[test]
    fn what_is_accepted_is_marked_as_its_listener_is() {
        assert_eq!(marks("127.0.0.1:0", false), (DELAY_LOW, PRIORITY));
        // Where the system has IPv6, this is a connection of IPv4 to a listener of IPv6.
        assert_eq!(marks("*:0", true), (DELAY_LOW, PRIORITY));
    }

    #[test]
    fn what_the_system_refuses_is_said_by_the_name_of_the_option() {
        let options = Options { bindtodevice: "no-such-if".into(), ..Options::default() };
        let error = bind(&parse_host_port("127.0.0.1:0").unwrap(), &options).unwrap_err();
        assert!(error.to_string().contains("bindtodevice cannot be \"no-such-if\""), "{error}");
    }
}
