//! What administrators and libraries ask for: topics, settings, producer ids; answered for each
//! thing asked, at a cost in proportion to what there is.

mod common;

use chaski_kafka::{ErrorCode, init_producer_id};
use common::Running;

#[test]
fn every_idempotent_producer_gets_an_id_of_its_own_and_no_transactional_one() {
    let broker = Running::start(&[]);
    let mut client = broker.connect();
    let mut ask = |request: &init_producer_id::Request<'_>| {
        client.ask(4, request, |r| (r.error_code, r.producer_id, r.producer_epoch))
    };
    let (code, first, epoch) = ask(&init_producer_id::Request::default());
    assert_eq!((code, epoch), (ErrorCode::NONE, 0));
    let again = init_producer_id::Request {
        producer_id: first,
        producer_epoch: epoch,
        ..Default::default()
    };
    let (code, second, epoch) = ask(&again);
    assert_eq!((code, epoch), (ErrorCode::NONE, 0));
    assert_ne!(first, second, "an id of which nobody knows who else has it cannot go on");
    let transactional =
        init_producer_id::Request { transactional_id: Some("t"), ..Default::default() };
    assert_eq!(ask(&transactional).0, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
}
