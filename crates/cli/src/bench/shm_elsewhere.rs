//! Where there is no shared memory between processes to be measured.

use crate::args::BenchShm;
use crate::failure::Failure;

pub(super) fn run(_: &BenchShm) -> Result<(), Failure> {
    Err(crate::shm::unsupported())
}
