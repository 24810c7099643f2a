//! Where there are no sockets to be measured.

use crate::args::BenchZmq;
use crate::failure::Failure;

pub(super) fn run(_: &BenchZmq) -> Result<(), Failure> {
    Err(crate::zmq::unsupported())
}
