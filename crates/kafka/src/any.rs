//! Decoding without knowing what comes: for fuzzing, and for tools that only ask whether.

use crate::messages::{self, for_each_api};
use crate::wire::{DecodeError, Reader};
use crate::{ApiKey, Message, RequestHeader, ResponseHeader};

macro_rules! dispatch {
    ($($api:ident $module:ident,)*) => {
        fn request_body(api: ApiKey, body: &[u8], version: i16) -> Result<(), DecodeError> {
            let mut r = Reader::new(body);
            match api {
                $( ApiKey::$api => {
                    messages::$module::Request::decode(&mut r, version)?;
                } )*
            }
            r.finish()
        }

        fn response_body(api: ApiKey, body: &[u8], version: i16) -> Result<(), DecodeError> {
            let mut r = Reader::new(body);
            match api {
                $( ApiKey::$api => {
                    messages::$module::Response::decode(&mut r, version)?;
                } )*
            }
            r.finish()
        }
    };
}

for_each_api!(dispatch);

fn check_version(api: ApiKey, version: i16) -> Result<(), DecodeError> {
    if api.serves(version) { Ok(()) } else { Err(DecodeError::UnsupportedVersion { api, version }) }
}

/// Decodes a request frame, given without its length, and says which API it is for. Every byte
/// must be used. A Produce request goes through both of its decoders.
pub fn decode_any_request(frame: &[u8]) -> Result<ApiKey, DecodeError> {
    let (header, header_len) = RequestHeader::decode(frame)?;
    let version = header.api_version;
    let api = ApiKey::from_i16(header.api_key).ok_or(DecodeError::UnknownApi(header.api_key))?;
    check_version(api, version)?;
    let body = &frame[header_len..];
    if api == ApiKey::Produce {
        messages::produce::decode_ranges(body, version)?;
    }
    request_body(api, body, version)?;
    Ok(api)
}

/// Decodes a response frame, given without its length, and returns its correlation id. Every byte
/// must be used.
pub fn decode_any_response(api: ApiKey, version: i16, frame: &[u8]) -> Result<i32, DecodeError> {
    check_version(api, version)?;
    let (header, header_len) = ResponseHeader::decode(frame, api, version)?;
    response_body(api, &frame[header_len..], version)?;
    Ok(header.correlation_id)
}
