//! Records into topics of a broker on this machine.
