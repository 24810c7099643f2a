//! The channel whose messages lie side by side, so that they can be written and read in place.
