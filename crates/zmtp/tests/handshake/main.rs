//! Two peers meet over a wire that does not exist: one that splits anywhere, ends anywhere, and
//! one at whose other end an older or a lying peer sits.

mod hostile;
mod meet;
mod old;
mod refuse;
mod wire;
