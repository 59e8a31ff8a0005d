//! The thing: an allocated buffer, its planes, its CPU mapping.
