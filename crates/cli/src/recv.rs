//! `chaski recv`: from a topic, in `kafka`, or from a service, in [`shm`](crate::shm).

mod fetcher;
mod kafka;
mod printer;

use crate::address::Url;
use crate::args::Recv;
use crate::failure::Failure;
use crate::shm;

pub(crate) fn run(args: &Recv) -> Result<(), Failure> {
    match &args.url {
        Url::Topic(url) => kafka::run(url, args),
        Url::Service(url) => shm::recv::run(url, args),
    }
}
