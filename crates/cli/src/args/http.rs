//! Which broker to ask over HTTP.

use crate::address::{Address, AddressError};
use crate::complete;

/// Where a broker serves its console unless told otherwise.
const PORT: u16 = 8080;

/// Where a broker serves its metrics and its API.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct HttpArg {
    /// Address of the broker's metrics and API
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080", env = "CHASKI_HTTP")]
    #[arg(value_parser = address)]
    pub(crate) http: Address,
    /// Token, if the broker asks for one
    #[arg(long, env = "CHASKI_HTTP_TOKEN", hide_env_values = true, value_parser = token)]
    pub(crate) token: Option<String>,
}

impl HttpArg {
    /// As the words typed so far have it, where they are not parsed yet.
    pub(crate) fn typed() -> Option<HttpArg> {
        let given =
            |option, variable| complete::option(option).or_else(|| std::env::var(variable).ok());
        let http = given("--http", "CHASKI_HTTP").unwrap_or_else(|| "127.0.0.1".to_owned());
        let token = given("--token", "CHASKI_HTTP_TOKEN");
        Some(HttpArg { http: address(&http).ok()?, token })
    }
}

/// An address, or the URL that the console has there. Without a port it is the console's own.
fn address(text: &str) -> Result<Address, AddressError> {
    let text = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    let port = text.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    match port {
        true => text.parse(),
        false => format!("{text}:{PORT}").parse(),
    }
}

/// What may stand in a line of a request, and end none.
fn token(text: &str) -> Result<String, String> {
    match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => Err("a token is one word of ASCII letters, digits and marks".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_cannot_add_lines_to_a_request() {
        assert!(token("a-B_9+/=").is_ok());
        for wrong in ["", "two words", "a\r\nHost: b", "\u{fc}"] {
            assert!(token(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_may_be_typed_as_a_browser_has_it() {
        let shown = |text| address(text).map(|address| address.to_string());
        assert_eq!(shown("http://localhost:8081/"), Ok("localhost:8081".to_owned()));
        assert_eq!(shown("10.0.0.7"), Ok("10.0.0.7:8080".to_owned()));
        assert_eq!(shown("[::1]"), Ok("[::1]:8080".to_owned()));
        assert_eq!(shown("[::1]:9"), Ok("[::1]:9".to_owned()));
        assert!(shown("localhost:x").is_err());
    }
}
