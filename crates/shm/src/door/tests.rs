//! The door, with real sockets.
