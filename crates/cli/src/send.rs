//! `chaski send`: to a topic, in `kafka`, to a service, in [`shm`](crate::shm), or to a socket, in
//! [`zmq`](crate::zmq). `pump` is what the latter two share.

mod kafka;
pub(crate) mod outlet;
mod partitioner;
mod producer;
pub(crate) mod pump;
mod record;

use crate::address::Url;
use crate::args::Send;
use crate::failure::Failure;
use crate::{shm, zmq};

pub(crate) fn run(args: &Send) -> Result<(), Failure> {
    match &args.url {
        Url::Socket(url) => zmq::send::run(url, args),
        Url::Topic(url) => args.security.refuse().and_then(|()| kafka::run(url, args)),
        Url::Service(url) => args.security.refuse().and_then(|()| shm::send::run(url, args)),
    }
}
