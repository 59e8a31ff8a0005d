//! The bound of the search.

/// Steps that may still be taken.
#[derive(Debug)]
pub(super) struct Steps {
    left: u64,
}

/// The bound was hit: nothing is known of what was not searched.
#[derive(Debug, Copy, Clone, Eq, PartialEq)]
pub(super) struct OutOfSteps;

impl Steps {
    pub fn new(max: u64) -> Steps {
        Steps { left: max }
    }

    /// Takes some steps.
    pub fn take(&mut self, steps: usize) -> Result<(), OutOfSteps> {
        self.left = self.left.checked_sub(steps as u64).ok_or(OutOfSteps)?;
        Ok(())
    }
}
