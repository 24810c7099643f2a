//! ZeroMQ sockets that talk to every libzmq program.

#![forbid(unsafe_code)]
