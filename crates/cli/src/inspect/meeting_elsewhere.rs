//! Where there is no shared memory between processes, there is no place where they meet.

use crate::args::InspectShm;
use crate::failure::Failure;
use crate::shm::unsupported;

pub(super) fn run(_: &InspectShm) -> Result<(), Failure> {
    Err(unsupported())
}
