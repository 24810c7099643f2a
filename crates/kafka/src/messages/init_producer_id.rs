//! InitProducerId (22): an identity for an idempotent producer (KIP-98).

use crate::ErrorCode;
use crate::schema::{exchange, message};

exchange!(InitProducerId: Request<'a> => Response);

message! {
    api InitProducerId;

    /// Asks for a producer id.
    pub struct Request<'a> {
        /// None: idempotent only.
        transactional_id: Option<&'a str> [0+],
        transaction_timeout_ms: i32 [0+],
        /// The id to go on with (KIP-360); -1: a new one.
        producer_id: i64 [3+] = -1,
        producer_epoch: i16 [3+] = -1,
    }

    /// The producer id.
    pub struct Response {
        throttle_time_ms: i32 [0+],
        error_code: ErrorCode [0+],
        producer_id: i64 [0+] = -1,
        producer_epoch: i16 [0+],
    }
}
