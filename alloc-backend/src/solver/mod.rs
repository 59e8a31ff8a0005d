//! The decision. Pure: the same problem always gives the same answer.
