//! Outputs and the times at which frames reached them.

use smithay::{delegate_output, delegate_presentation, wayland::output::OutputHandler};

use crate::state::Heapwright;

impl OutputHandler for Heapwright {}

delegate_output!(Heapwright);
delegate_presentation!(Heapwright);
