//! Where memory is: every source of shareable memory, behind one trait.
