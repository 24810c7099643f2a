//! Frames: what stands before the body of a request or a response.
//!
//! ```text
//! request    i32 length | i16 API key | i16 version | i32 correlation id | client id | tags | body
//! response   i32 length | i32 correlation id | tags | body
//! ```
//!
//! The length does not count itself. Tags are there only in header version 2 (requests) and 1
//! (responses). The client id keeps its old form, an i16 length, in every version: a broker must
//! be able to read the header of a version it does not know (KIP-511).

use crate::wire::{DecodeError, Reader, Writer, saturated};
use crate::{ApiKey, Message, Request};

/// The header of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestHeader<'a> {
    /// Number of the API, served or not.
    pub api_key: i16,
    /// Version of the API, served or not.
    pub api_version: i16,
    /// Comes back with the response.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<&'a str>,
}

impl<'a> RequestHeader<'a> {
    /// Reads the header at the start of a frame, which is given without its length. Returns it
    /// with the number of bytes it took: the body starts there.
    ///
    /// An unknown API is not an error; the header is then taken to have no tags.
    pub fn decode(frame: &'a [u8]) -> Result<(RequestHeader<'a>, usize), DecodeError> {
        let mut r = Reader::new(frame);
        let header = RequestHeader {
            api_key: r.i16()?,
            api_version: r.i16()?,
            correlation_id: r.i32()?,
            client_id: r.nullable_string(false)?,
        };
        if header.has_tags() {
            r.skip_tags()?;
        }
        Ok((header, r.position()))
    }

    /// Writes the header.
    pub fn encode(&self, w: &mut Writer) {
        w.i16(self.api_key);
        w.i16(self.api_version);
        w.i32(self.correlation_id);
        w.nullable_string(self.client_id, false);
        if self.has_tags() {
            w.uvarint(0);
        }
    }

    fn has_tags(&self) -> bool {
        let header_version = ApiKey::from_i16(self.api_key)
            .map_or(1, |api| api.request_header_version(self.api_version));
        header_version >= 2
    }
}

/// The header of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResponseHeader {
    /// As it came with the request.
    pub correlation_id: i32,
}

impl ResponseHeader {
    /// Reads the header at the start of a frame, which is given without its length. Returns it
    /// with the number of bytes it took: the body starts there.
    pub fn decode(
        frame: &[u8],
        api: ApiKey,
        version: i16,
    ) -> Result<(ResponseHeader, usize), DecodeError> {
        let mut r = Reader::new(frame);
        let header = ResponseHeader { correlation_id: r.i32()? };
        if api.response_header_version(version) >= 1 {
            r.skip_tags()?;
        }
        Ok((header, r.position()))
    }

    /// Writes the header.
    pub fn encode(&self, w: &mut Writer, api: ApiKey, version: i16) {
        w.i32(self.correlation_id);
        if api.response_header_version(version) >= 1 {
            w.uvarint(0);
        }
    }
}

/// A frame ready to be sent, length first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// All bytes but the spliced ones.
    pub bytes: Vec<u8>,
    /// Where bytes from elsewhere go: `(position in bytes, length)`, by rising position, none of
    /// length 0.
    pub cuts: Vec<(usize, usize)>,
}

impl Frame {
    /// The bytes of a frame that nothing is spliced into.
    pub fn into_bytes(self) -> Vec<u8> {
        debug_assert!(self.cuts.is_empty(), "the spliced bytes would be missing");
        self.bytes
    }

    /// Bytes on the wire, the length field and the spliced bytes included.
    pub fn wire_len(&self) -> usize {
        self.bytes.len() + self.cuts.iter().map(|(_, len)| len).sum::<usize>()
    }
}

/// Bytes that most frames without records fit in.
const FRAME_CAPACITY: usize = 256;

fn frame(write: impl FnOnce(&mut Writer)) -> Frame {
    let mut w = Writer::with_capacity(FRAME_CAPACITY);
    w.i32(0);
    write(&mut w);
    w.patch_i32(0, saturated(w.len() - 4));
    let (bytes, cuts) = w.into_parts();
    Frame { bytes, cuts }
}

/// The frame of a response.
pub fn frame_response<'a>(
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    body: &impl Message<'a>,
) -> Frame {
    frame_response_with(api, version, correlation_id, |w| body.encode(w, version))
}

/// The frame of a response whose body `write` writes.
pub fn frame_response_with(
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    write: impl FnOnce(&mut Writer),
) -> Frame {
    frame(|w| {
        ResponseHeader { correlation_id }.encode(w, api, version);
        write(w);
    })
}

/// The frame of a request.
pub fn frame_request<'a, R: Request<'a>>(
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
    body: &R,
) -> Frame {
    frame(|w| {
        let api_key = R::API as i16;
        RequestHeader { api_key, api_version: version, correlation_id, client_id }.encode(w);
        body.encode(w, version);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api_versions, fetch, metadata};

    #[test]
    fn client_id_stays_in_its_old_form() {
        let header =
            RequestHeader { api_key: 3, api_version: 9, correlation_id: 7, client_id: Some("me") };
        let mut w = Writer::new();
        header.encode(&mut w);
        let (bytes, _) = w.into_parts();
        assert_eq!(bytes, b"\0\x03\0\x09\0\0\0\x07\0\x02me\0");
        assert_eq!(RequestHeader::decode(&bytes), Ok((header, bytes.len())));
    }

    #[test]
    fn tags_of_a_request_header_are_passed_over() {
        let bytes = b"\0\x12\0\x03\0\0\0\x07\xff\xff\x01\x00\x02hibody";
        let (header, len) = RequestHeader::decode(bytes).unwrap();
        assert_eq!((header.client_id, &bytes[len..]), (None, &b"body"[..]));
    }

    #[test]
    fn an_unknown_api_or_version_has_a_header_all_the_same() {
        let (header, _) = RequestHeader::decode(b"\x03\xe7\0\x01\0\0\0\x07\0\0").unwrap();
        assert_eq!((header.api_key, header.correlation_id), (999, 7));
        let (header, len) = RequestHeader::decode(b"\0\x12\0\x63\0\0\0\x07\0\0\0rest").unwrap();
        assert_eq!((header.api_version, len), (99, 11));
    }

    #[test]
    fn api_versions_answers_without_tags_in_its_header() {
        let frame = frame_response(ApiKey::ApiVersions, 3, 5, &api_versions::Response::default());
        assert_eq!(frame.bytes, [0, 0, 0, 12, 0, 0, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0]);
        let frame = frame_response(ApiKey::Metadata, 9, 5, &metadata::Response::default());
        let (header, len) = ResponseHeader::decode(&frame.bytes[4..], ApiKey::Metadata, 9).unwrap();
        assert_eq!((header.correlation_id, len), (5, 5));
    }

    #[test]
    fn the_length_counts_spliced_bytes() {
        let partition =
            fetch::Partition { records: fetch::Records::Spliced(1000), ..Default::default() };
        let topic = fetch::Topic { partitions: vec![partition], ..Default::default() };
        let response = fetch::Response { responses: vec![topic], ..Default::default() };
        let frame = frame_response(ApiKey::Fetch, 11, 1, &response);
        let length = Reader::new(&frame.bytes).i32();
        assert_eq!(length, Ok(frame.wire_len() as i32 - 4));
        assert_eq!(frame.cuts, [(frame.bytes.len(), 1000)]);
    }

    #[test]
    fn a_request_frame_reads_back() {
        let request =
            api_versions::Request { client_software_name: "chaski", client_software_version: "1" };
        let frame = frame_request(3, 9, Some("cli"), &request);
        let (header, len) = RequestHeader::decode(&frame.bytes[4..]).unwrap();
        assert_eq!((header.api_key, header.api_version, header.correlation_id), (18, 3, 9));
        let mut body = Reader::new(&frame.bytes[4 + len..]);
        assert_eq!(api_versions::Request::decode(&mut body, 3), Ok(request));
    }
}
