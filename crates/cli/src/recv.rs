//! `chaski recv`: from a topic, in `kafka`, from a service, in [`shm`](crate::shm), or from a
//! socket, in [`zmq`](crate::zmq). `pump` is what the latter two share.

mod fetcher;
mod kafka;
mod printer;
pub(crate) mod pump;

use crate::address::Url;
use crate::args::Recv;
use crate::failure::Failure;
use crate::{shm, zmq};

pub(crate) fn run(args: &Recv) -> Result<(), Failure> {
    match &args.url {
        Url::Socket(url) => zmq::recv::run(url, args),
        Url::Topic(url) => args.security.refuse().and_then(|()| kafka::run(url, args)),
        Url::Service(url) => args.security.refuse().and_then(|()| shm::recv::run(url, args)),
    }
}
