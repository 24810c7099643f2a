//! The bytes of an answer: status, and a body that may come in chunks.

use serde::Deserialize;

use super::HttpError;

/// Status and body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// How the API says no.
#[derive(Deserialize)]
struct Refusal {
    error: Reason,
}

#[derive(Deserialize)]
struct Reason {
    kind: String,
    message: String,
    hint: Option<String>,
}

impl Answer {
    /// Reads an answer that is there as a whole.
    pub(super) fn parse(bytes: &[u8]) -> Result<Answer, &'static str> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no HTTP")?;
        let head = std::str::from_utf8(&bytes[..end]).map_err(|_| "no HTTP")?;
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
        let status = status.and_then(|status| status.parse().ok()).ok_or("no HTTP")?;
        let body = &bytes[end + 4..];
        let field = |name: &str| {
            let fields = lines.clone().filter_map(|line| line.split_once(':'));
            fields.map(|(n, v)| (n, v.trim())).find(|(n, _)| n.eq_ignore_ascii_case(name))
        };
        let body = match (field("transfer-encoding"), field("content-length")) {
            (Some((_, "chunked")), _) => joined(body).ok_or("a body cut short")?,
            (_, Some((_, length))) => {
                let length = length.parse().map_err(|_| "no HTTP")?;
                body.get(..length).ok_or("a body cut short")?.to_vec()
            }
            _ => body.to_vec(),
        };
        Ok(Answer { status, body })
    }

    /// Refuses an answer that says that something went wrong.
    pub(super) fn successful(self, path: &str) -> Result<Answer, HttpError> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        match serde_json::from_slice::<Refusal>(&self.body) {
            Ok(Refusal { error: Reason { kind, message, hint } }) => {
                Err(HttpError::Refused { kind, message, hint })
            }
            Err(_) => Err(HttpError::Status { path: path.to_owned(), status: self.status }),
        }
    }
}

/// The chunks of a body, put together; None if the end is missing.
fn joined(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = &rest[line + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size.checked_add(2)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Answer, &'static str> {
        Answer::parse(text.as_bytes())
    }

    #[test]
    fn a_body_ends_where_it_says() {
        let answer = |body: &str| Ok(Answer { status: 200, body: body.into() });
        assert_eq!(parse("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nabc"), answer("ab"));
        assert_eq!(parse("HTTP/1.1 200 OK\r\n\r\nabc"), answer("abc"));
        let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(parse(&format!("{chunks}2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n")), answer("abc"));
        for cut in ["", "2\r\nab\r\n", "2\r\na", "ffffffffffffffff\r\na", "x\r\n"] {
            assert_eq!(parse(&format!("{chunks}{cut}")), Err("a body cut short"), "{cut}");
        }
        assert!(parse("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc").is_err());
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for text in ["", "HTTP/1.1", "HTTP/1.1 x\r\n\r\n", "HTTP/2 200\r\n\r\n", "\r\n\r\n"] {
            assert_eq!(parse(text), Err("no HTTP"), "{text}");
        }
    }
}
