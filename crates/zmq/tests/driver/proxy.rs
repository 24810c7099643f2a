//! Through a SOCKS5 proxy.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use chaski_zmq::{Pull, Push};

use crate::peer::PATIENCE;

/// A proxy for one connection, which demands a name and a password.
fn proxy() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        expect(&mut client, &[5, 2, 0, 2]);
        client.write_all(&[5, 2]).unwrap();
        expect(&mut client, b"\x01\x04user\x04pass");
        client.write_all(&[1, 0]).unwrap();
        expect(&mut client, &[5, 1, 0, 3]);
        let mut len = [0];
        client.read_exact(&mut len).unwrap();
        let mut target = vec![0; usize::from(len[0]) + 2];
        client.read_exact(&mut target).unwrap();
        let port = target.split_off(usize::from(len[0]));
        let name = String::from_utf8(target).unwrap();
        let port = u16::from_be_bytes(port.try_into().unwrap());
        let server = TcpStream::connect((name.as_str(), port)).unwrap();
        client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).unwrap();
        let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
        thread::spawn(move || copy(back.0, back.1));
        copy(client, server);
    });
    at
}

fn expect(stream: &mut TcpStream, bytes: &[u8]) {
    let mut got = vec![0; bytes.len()];
    stream.read_exact(&mut got).unwrap();
    assert_eq!(got, bytes);
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Write);
}

#[test]
fn the_proxy_looks_the_name_up_and_carries_the_messages() {
    let pull = Pull::new();
    let at = pull.bind("tcp://127.0.0.1:*").unwrap();
    let port = at.as_str().rsplit(':').next().unwrap();
    let push = Push::builder()
        .socks_proxy(proxy())
        .socks_username("user")
        .socks_password("pass")
        .build()
        .unwrap();
    push.connect(format!("tcp://localhost:{port}").as_str()).unwrap();
    push.send("by proxy").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "by proxy");
}
