//! The decoder over a wire that splits, joins and lies.
