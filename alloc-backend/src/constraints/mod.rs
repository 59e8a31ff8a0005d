//! What is wanted: the vocabulary of the constraint solver. Pure: no I/O.
