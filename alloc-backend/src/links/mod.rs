//! Which device can use which heap, and the evidence for it.
