//! Plans for wishes, as tables.
