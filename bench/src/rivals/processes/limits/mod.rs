//! What the machine itself allows between two processes, measured in the same rounds as those who
//! try to reach it.

pub mod blocks;
pub mod copies;
pub mod futex;
pub mod line;
pub mod page;
pub mod seqlock;
