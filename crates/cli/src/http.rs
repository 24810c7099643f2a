//! A small HTTP client for the broker's metrics and its JSON API: one request a connection.
//!
//! What the broker sends is bounded before it is held, and so is how long it may be silent. There
//! is no TLS: the API is for the same machine, a tunnel, or a network that is trusted.

mod answer;
mod error;

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::address::Address;
use crate::args::HttpArg;
pub(crate) use answer::Answer;
pub(crate) use error::HttpError;

/// How long connecting may take, for each address a name stands for.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long the broker may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Bytes of an answer at most, its head included.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Where a broker answers over HTTP, and who asks.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    address: Address,
    token: Option<String>,
    connect_wait: Duration,
    silence: Duration,
}

impl Http {
    pub(crate) fn new(arg: &HttpArg) -> Http {
        Http {
            address: arg.http.clone(),
            token: arg.token.clone(),
            connect_wait: CONNECT_WAIT_MAX,
            silence: SILENCE_MAX,
        }
    }

    /// Gives up sooner: after so long without a word.
    pub(crate) fn patient_for(mut self, wait: Duration) -> Http {
        (self.connect_wait, self.silence) = (wait, wait);
        self
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// The body of what is at `path`, which must be there.
    pub(crate) fn text(&self, path: &str) -> Result<String, HttpError> {
        let answer = self.ask("GET", path, None)?.successful(path)?;
        String::from_utf8(answer.body).map_err(|_| self.strange("a body that is no text"))
    }

    /// The JSON at `path`.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, HttpError> {
        self.parsed(self.ask("GET", path, None)?.successful(path)?)
    }

    /// What the broker made of `body`.
    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<T, HttpError> {
        self.parsed(self.ask("POST", path, Some(body))?.successful(path)?)
    }

    pub(crate) fn delete(&self, path: &str) -> Result<(), HttpError> {
        self.ask("DELETE", path, None)?.successful(path).map(drop)
    }

    fn parsed<T: DeserializeOwned>(&self, answer: Answer) -> Result<T, HttpError> {
        serde_json::from_slice(&answer.body).map_err(|e| self.strange(&e.to_string()))
    }

    /// One request and its answer, whatever its status.
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, HttpError> {
        let lost = |source| HttpError::Lost { address: self.address.clone(), source };
        let stream = self.dial()?;
        (&stream).write_all(self.request(method, path, body).as_bytes()).map_err(lost)?;
        let mut bytes = Vec::new();
        let mut bounded = (&stream).take(ANSWER_BYTES_MAX + 1);
        bounded.read_to_end(&mut bytes).map_err(lost)?;
        if bytes.len() as u64 > ANSWER_BYTES_MAX {
            return Err(self.strange(&format!("more than {ANSWER_BYTES_MAX} bytes")));
        }
        Answer::parse(&bytes).map_err(|why| self.strange(why))
    }

    fn dial(&self) -> Result<TcpStream, HttpError> {
        let refused = |source| HttpError::Unreachable { address: self.address.clone(), source };
        let Address { host, port } = &self.address;
        let mut failed = io::Error::other("the name stands for no address");
        for address in (host.as_str(), *port).to_socket_addrs().map_err(refused)? {
            match TcpStream::connect_timeout(&address, self.connect_wait) {
                Ok(stream) => {
                    let set = stream.set_read_timeout(Some(self.silence));
                    set.and_then(|()| stream.set_write_timeout(Some(self.silence)))
                        .map_err(refused)?;
                    return Ok(stream);
                }
                Err(error) => failed = error,
            }
        }
        Err(refused(failed))
    }

    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> String {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Accept: application/json, text/plain\r\nX-Chaski: 1\r\n",
            self.address
        );
        if let Some(token) = &self.token {
            head += &format!("Authorization: Bearer {token}\r\n");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        if method != "GET" {
            let length = body.len();
            head += &format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
        }
        head + "\r\n" + &body
    }

    fn strange(&self, why: &str) -> HttpError {
        HttpError::Strange { address: self.address.clone(), why: why.to_owned() }
    }
}

/// A part of a path, with everything escaped that has a meaning there.
pub(crate) fn escaped(part: &str) -> String {
    let mut text = String::with_capacity(part.len());
    for byte in part.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => text.push(byte.into()),
            _ => text += &format!("%{byte:02X}"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::net::TcpListener;

    use super::*;

    /// A server that sends this to whoever asks first; what it was asked is returned.
    fn server(answer: &'static str) -> (Http, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string().parse().unwrap();
        let asked = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let asked: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            stream.write_all(answer.as_bytes()).unwrap();
            asked
        });
        let token = Some("s3cret".to_owned());
        (Http::new(&HttpArg { http: address, token }), asked)
    }

    #[test]
    fn json_is_asked_for_and_parsed() {
        let (http, asked) = server("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"a\":1}");
        let value: Value = http.get("/api/x").unwrap();
        assert_eq!(value["a"], 1);
        let asked = asked.join().unwrap();
        assert_eq!(asked[0], "GET /api/x HTTP/1.1");
        assert!(asked.contains(&"Authorization: Bearer s3cret".to_owned()), "{asked:?}");
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_broker() {
        let answer = "HTTP/1.1 404 Not Found\r\n\r\n\
                      {\"error\":{\"kind\":\"not_found\",\"message\":\"no gateway `x`\"}}";
        let (http, asked) = server(answer);
        let error = http.delete("/api/gateways/x").unwrap_err();
        assert!(
            matches!(&error, HttpError::Refused { message, .. } if message == "no gateway `x`")
        );
        assert!(asked.join().unwrap().contains(&"X-Chaski: 1".to_owned()));
    }

    #[test]
    fn what_is_no_broker_is_said_to_be_none() {
        for answer in ["", "SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n<html>"] {
            let (http, asked) = server(answer);
            let error = http.get::<Value>("/api").unwrap_err();
            assert!(matches!(error, HttpError::Strange { .. }), "{error:?}");
            asked.join().unwrap();
        }
    }

    #[test]
    fn a_name_cannot_leave_its_place_in_a_path() {
        assert_eq!(escaped("a/b?c d"), "a%2Fb%3Fc%20d");
        assert_eq!(escaped("in-1.x_Y"), "in-1.x_Y");
    }
}
