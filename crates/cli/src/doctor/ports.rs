//! Whether a broker could listen where it is to listen, and who does.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs as _};

use super::finding::{Finding, Severity};

/// Processes looked at, to find who has a port.
const PROCESSES_MAX: usize = 10_000;
/// How a socket that listens is marked in /proc/net/tcp.
const LISTENING: &str = "0A";

pub(super) fn examine(ports: &[String]) -> Vec<Finding> {
    ports.iter().map(|port| examine_one(port)).collect()
}

fn examine_one(port: &str) -> Finding {
    let address = port.to_socket_addrs().map(|mut found| found.next());
    let address = match address {
        Ok(Some(address)) => address,
        Ok(None) => return refused(port, "the name stands for no address"),
        Err(error) => return refused(port, &error.to_string()),
    };
    match TcpListener::bind(address) {
        Ok(_) => Finding::ok("port", format!("{port} is free"), "a broker can listen there"),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => taken(port, address),
        Err(error) => refused(port, &error.to_string()),
    }
}

fn refused(port: &str, why: &str) -> Finding {
    Finding::ok("port", format!("{port}: {why}"), "")
        .but(Severity::Error, "a broker cannot listen there")
        .mend("chaski serve --kafka ADDR --http ADDR")
}

/// Perhaps by a broker that is meant to be there.
fn taken(port: &str, address: SocketAddr) -> Finding {
    let owner = owner(address);
    let what = match &owner {
        Some((pid, program)) => format!("{port} is taken by {program} (process {pid})"),
        None => format!("{port} is taken"),
    };
    let found = Finding::ok("port", what, "a broker of ours listens there");
    match owner {
        Some((_, program)) if program == "chaski" => found,
        _ => found
            .but(Severity::Warning, "a broker that is to listen there does not start")
            .mend(format!("ss -ltnp 'sport = :{}'; or chaski serve --kafka ADDR", address.port())),
    }
}

/// The process that listens, if we may see it.
fn owner(address: SocketAddr) -> Option<(u32, String)> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|path| {
        let text = fs::read_to_string(path).ok()?;
        text.lines().find_map(|line| listener(line, address))
    })?;
    let socket = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.take(PROCESSES_MAX).find_map(|pid| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
        let mut links = files.filter_map(|file| fs::read_link(file.path()).ok());
        links.any(|link| link.to_str() == Some(&socket)).then_some(())?;
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        Some((pid, name.trim_end().to_owned()))
    })
}

/// The inode of the socket in a line of /proc/net/tcp, if it listens at this port.
fn listener(line: &str, address: SocketAddr) -> Option<u64> {
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let (host, port) = local.split_once(':')?;
    let same_port = u16::from_str_radix(port, 16) == Ok(address.port());
    let any = host.bytes().all(|byte| byte == b'0');
    let same_host = any || address.ip().is_unspecified() || host == written(address.ip());
    (state == LISTENING && same_port && same_host).then_some(())?;
    fields.nth(5)?.parse().ok()
}

/// An address as the kernel writes it there: words of 32 bits, in the machine's own order.
fn written(ip: IpAddr) -> String {
    let octets = match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let words = octets.chunks_exact(4).map(|word| [word[0], word[1], word[2], word[3]]);
    words.map(|word| format!("{:08X}", u32::from_ne_bytes(word))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernel_is_read() {
        let line = "   1: 0100007F:2384 00000000:0000 0A 00000000:00000000 00:00000000 00000000  \
                    1000        0 31415 1 0 100 0 0 10 0";
        let at = |text: &str| listener(line, text.parse().unwrap());
        if cfg!(target_endian = "little") {
            assert_eq!(at("127.0.0.1:9092"), Some(31415));
        }
        assert_eq!(at("0.0.0.0:9092"), Some(31415));
        assert_eq!(at("127.0.0.1:9093"), None);
        assert_eq!(at("10.0.0.1:9092"), None);
        assert_eq!(listener("sl local_address rem_address st", "[::]:1".parse().unwrap()), None);
    }

    #[test]
    fn a_port_that_is_taken_says_by_whom() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let found = examine_one(&address);
        assert_eq!(found.severity, Severity::Warning, "{found:?}");
        if cfg!(target_os = "linux") {
            let ours = format!("(process {})", std::process::id());
            assert!(found.what.contains(&ours), "{found:?}");
        }
        drop(listener);
        assert_eq!(examine_one(&address).severity, Severity::Ok);
        assert_eq!(examine_one("127.0.0.1:x").severity, Severity::Error);
    }
}
