//! Who wants it: devices and what their planes accept.
