//! DeleteTopics (20); from version 6 by name or by id.

use uuid::Uuid;

use crate::ErrorCode;
use crate::schema::{exchange, message};

exchange!(DeleteTopics: Request<'a> => Response<'r>);

message! {
    api DeleteTopics;

    /// Topics to delete.
    pub struct Request<'a> {
        topics: Vec<RequestTopic<'a>> [6+],
        topic_names: Vec<&'a str> [0..=5],
        timeout_ms: i32 [0+],
    }

    /// A topic to delete.
    pub struct RequestTopic<'a> {
        /// None: by id.
        name: Option<&'a str> [6+],
        topic_id: Uuid [6+],
    }

    /// What became of the topics.
    pub struct Response<'a> {
        throttle_time_ms: i32 [1+],
        responses: Vec<Topic<'a>> [0+],
    }

    /// What became of a topic.
    pub struct Topic<'a> {
        name: Option<&'a str> [0+] null [6+],
        topic_id: Uuid [6+],
        error_code: ErrorCode [0+],
        error_message: Option<&'a str> [5+],
    }
}
