//! A broker in memory, and a client of its API.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use chaski_broker::client::{ProducerOptions, Record};
use chaski_broker::{Builder, Client, Server};
use chaski_kafka::{Message, Reader, Request, Writer};
use serde_json::Value;

/// Longest a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// What every change needs.
const CHANGE: [(&str, &str); 2] = [("Content-Type", "application/json"), ("X-Chaski", "1")];

/// A broker.
pub(crate) struct Broker {
    server: Server,
    address: SocketAddr,
}

impl Broker {
    /// One with these settings over the defaults.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Broker {
        let builder = Builder::new().in_memory().http("127.0.0.1:0");
        let builder = settings.iter().fold(builder, |builder, (name, value)| {
            if *name == "kafka.listen" { builder.kafka(value) } else { builder.set(name, value) }
        });
        let server = builder.start().expect("started");
        let mut address = server.http_addr().expect("it listens");
        if address.ip().is_unspecified() {
            address.set_ip([127, 0, 0, 1].into());
        }
        Broker { server, address }
    }

    /// The same broker, from inside.
    pub(crate) fn client(&self) -> Client {
        self.server.client()
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Produces text, each value a record of a partition.
    pub(crate) fn produce(&self, topic: &str, partition: i32, values: &[&str]) {
        let mut producer = self.client().producer(topic, ProducerOptions::new()).expect("a topic");
        for value in values {
            let record = Record { partition: Some(partition), ..Record::of(value.as_bytes()) };
            producer.push(record).expect("taken");
        }
        producer.flush().expect("stored");
    }

    /// Sends exactly this.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        Answer::read(self.begin(method, path, headers, body))
    }

    /// An answer that must be 200.
    pub(crate) fn get(&self, path: &str) -> Value {
        self.send("GET", path, &[], "").expect(200)
    }

    /// The same, once it is as wanted: what is told of groups may be a second old.
    pub(crate) fn until(&self, path: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let told = self.get(path);
            if is_wanted(&told) {
                return told;
            }
            assert!(Instant::now() < deadline, "still {told}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A change.
    pub(crate) fn change(&self, method: &str, path: &str, body: Value) -> Answer {
        self.send(method, path, &CHANGE, &body.to_string())
    }

    /// A stream of events.
    pub(crate) fn listen(&self, path: &str) -> Events {
        self.listen_as(path, &[])
    }

    /// The same, by somebody.
    pub(crate) fn listen_as(&self, path: &str, headers: &[(&str, &str)]) -> Events {
        let mut stream = BufReader::new(self.begin("GET", path, headers, ""));
        let head = head(&mut stream);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.to_lowercase().contains("content-type: text/event-stream"), "{head}");
        Events { stream, text: String::new() }
    }

    /// The status of a stream, and what keeps it open.
    pub(crate) fn status_of_stream(&self, path: &str) -> (u16, Option<BufReader<TcpStream>>) {
        let mut stream = BufReader::new(self.begin("GET", path, &[], ""));
        let head = head(&mut stream);
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        (status, Some(stream))
    }

    /// A request of Kafka's, answered by the control thread.
    pub(crate) fn ask<'a, R: Request<'a>, T>(
        &self,
        version: i16,
        request: &R,
        look: impl for<'r> FnOnce(R::Response<'r>) -> T,
    ) -> T {
        let mut body = Writer::new();
        request.encode(&mut body, version);
        let answer = self.client().ask(R::API, version, body.into_parts().0).expect("an answer");
        look(R::Response::decode(&mut Reader::new(&answer), version).expect("a response"))
    }

    /// Stops it.
    pub(crate) fn stop(self) {
        self.server.stop().expect("stopped");
    }

    fn begin(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let has = |name: &str| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !has("host") {
            request += &format!("Host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("Content-Length: {}\r\n\r\n", body.len());
        // What is refused may be answered before all of it is sent.
        let _ =
            stream.write_all(request.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        stream
    }
}

fn head(stream: &mut impl BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(stream.read_line(&mut head).expect("a head") > 0, "cut off: {head}");
    }
    head
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    fn read(stream: TcpStream) -> Answer {
        let mut stream = BufReader::new(stream);
        let head = head(&mut stream);
        let mut body = Vec::new();
        // Whoever is refused early is cut off, and has the answer all the same.
        let _ = stream.read_to_end(&mut body);
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        Answer { status, head, body: String::from_utf8(body).expect("UTF-8") }
    }

    /// A header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (given, value) = line.split_once(':')?;
            given.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Its JSON, if it has this status.
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// Its error, if it has this status and kind: the message, and the hint.
    pub(crate) fn refused(&self, status: u16, kind: &str) -> (String, Option<String>) {
        let error = &self.expect(status)["error"];
        assert_eq!(error["kind"], kind, "{error}");
        let message = error["message"].as_str().expect("a message").to_owned();
        assert!(!message.is_empty() && !message.ends_with('.'), "{message}");
        (message, error["hint"].as_str().map(str::to_owned))
    }
}

/// Events as they come.
pub(crate) struct Events {
    stream: BufReader<TcpStream>,
    /// What has come and was not taken yet.
    text: String,
}

impl Events {
    /// The next event: its name and its data. None: the stream has ended.
    pub(crate) fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name| event.lines().find_map(|line| line.strip_prefix(name));
                let name = field("event: ").expect("a name").to_owned();
                let data = serde_json::from_str(field("data: ").expect("data")).expect("JSON");
                self.text = rest.to_owned();
                return Some((name, data));
            }
            let mut size = String::new();
            self.stream.read_line(&mut size).expect("a chunk, or the end");
            let size = usize::from_str_radix(size.trim(), 16).ok().filter(|size| *size > 0)?;
            let mut chunk = vec![0; size + 2];
            self.stream.read_exact(&mut chunk).expect("a chunk");
            self.text += str::from_utf8(&chunk[..size]).expect("UTF-8");
        }
    }

    /// Waits for the end; what comes before it is passed over.
    pub(crate) fn end(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while let Some(event) = self.next() {
            assert!(Instant::now() < deadline, "it goes on: {event:?}");
        }
    }

    /// The data of the next event of this name; those of other names are passed over.
    pub(crate) fn expect(&mut self, wanted: &str) -> Value {
        loop {
            let (name, data) = self.next().expect("not the end");
            if name == wanted {
                return data;
            }
        }
    }
}
