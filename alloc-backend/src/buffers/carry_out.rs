//! Carrying an answer out, and thinking again where a heap cannot deliver.

use super::degradation::{Scarcity, degradation, shortages_behind};
use super::spare::Found;
use super::want::MAX_BUFFERS;
use super::{
    Allocated, Allocator, AllocatorError, Buffer, BufferError, FailureReason, HeapFailure, Layout, PoolError,
    Shortage, Want,
};
use crate::heaps::Heap;
use crate::links::check_with_test;
use crate::solver::problem::{Problem, Verdict};
use crate::solver::{Answer, Resolution};

impl Allocator {
    pub(super) fn carry_out<B: AsRef<Buffer>>(
        &self,
        want: &Want<'_>,
        mut take: impl FnMut(&dyn Heap, &Layout) -> Result<B, PoolError>,
    ) -> Result<Allocated<B>, AllocatorError> {
        let mut failures: Vec<HeapFailure> = Vec::new();
        let mut scarcity = Scarcity::new(self.ledger.shortages());
        loop {
            let Found { found: (problem, answer), whole } = self.resolve_within_means(want, &scarcity);
            let Answer::Solved(resolution) = answer else {
                return Err(unsolved(answer, failures, problem, &scarcity));
            };
            if resolution.count > MAX_BUFFERS {
                return Err(AllocatorError::TooMany(resolution.count));
            }
            let layout = Layout::of(&resolution, want.size)?;
            let Some(heap) = self.heaps.get(&resolution.heap) else {
                // The solver chooses among the heaps of the problem, which are ours.
                return Err(unsolved(Answer::Solved(resolution), failures, problem, &scarcity));
            };
            let mut buffers = Vec::new();
            match self.take_all(&**heap, &resolution, &problem, (want, &layout), &mut take, &mut buffers) {
                Ok(()) => {
                    let degraded = degradation(
                        whole.as_ref().map_or(&problem, |(whole, _)| whole),
                        &resolution,
                        &scarcity,
                    );
                    if let Some(degraded) = &degraded {
                        self.ledger.count(|metrics| metrics.degradations += 1);
                        tracing::warn!(buffer = want.name, %degraded, "degraded");
                    }
                    return Ok(Allocated { buffers, resolution, problem, failures, degraded });
                }
                Err(why) => {
                    let had = buffers.len() as u64;
                    // First freed, then learned: a free says that there is memory again.
                    drop(buffers);
                    let failure = HeapFailure { heap: heap.id().clone(), why };
                    self.learn(&failure, &resolution, had, &mut scarcity)?;
                    tracing::warn!(buffer = want.name, %failure, "heap failed, trying without it");
                    failures.push(failure);
                }
            }
        }
    }

    /// What a failure says of the next try; or that there must be none.
    fn learn(
        &self,
        failure: &HeapFailure,
        resolution: &Resolution,
        had: u64,
        scarcity: &mut Scarcity,
    ) -> Result<(), AllocatorError> {
        self.ledger.count(|metrics| metrics.failures += 1);
        let pool = &resolution.pool;
        // As many as it gave, and not one more.
        let free = had.saturating_add(1).saturating_mul(resolution.size).saturating_sub(1);
        match &failure.why {
            // No other heap has descriptors either.
            FailureReason::Buffer(BufferError::Alloc(error)) if error.is_no_descriptors() => {
                return Err(AllocatorError::NoDescriptors(error.clone()));
            }
            FailureReason::Quota(error @ PoolError::OwnerQuota { .. }) => {
                return Err(AllocatorError::Quota(error.clone()));
            }
            FailureReason::Buffer(BufferError::Alloc(error)) if error.is_out_of_memory() => {
                scarcity.short(self.ledger.ran_dry(pool, free), &failure.heap);
            }
            // Not the pool is short but what we may take of it: nothing for others to remember.
            FailureReason::Quota(_) => {
                scarcity.short(Shortage { pool: pool.clone(), free, retry_at: None }, &failure.heap);
            }
            _ => scarcity.fail(&failure.heap),
        }
        Ok(())
    }

    fn take_all<B: AsRef<Buffer>>(
        &self,
        heap: &dyn Heap,
        resolution: &Resolution,
        problem: &Problem,
        (want, layout): (&Want<'_>, &Layout),
        take: &mut impl FnMut(&dyn Heap, &Layout) -> Result<B, PoolError>,
        buffers: &mut Vec<B>,
    ) -> Result<(), FailureReason> {
        let contiguous = self.facts_of(heap).contiguous;
        for _ in 0..resolution.count {
            let buffer = take(heap, layout).map_err(|error| match error {
                PoolError::Buffer(error) => FailureReason::Buffer(error),
                quota => FailureReason::Quota(quota),
            })?;
            // What passed once may have passed by luck, where it is not known that the device takes any memory.
            for device in self.touching(resolution, problem) {
                if contiguous || device.takes_scattered() == Some(true) {
                    continue;
                }
                let found = check_with_test(device, buffer.as_ref(), want.test());
                if found.link.verdict == Verdict::Refuses {
                    self.links.keep(found.clone(), (layout.format(), layout.modifier()));
                    return Err(FailureReason::Check(Box::new(found)));
                }
            }
            buffers.push(buffer);
        }
        Ok(())
    }
}

fn unsolved(
    answer: Answer,
    failures: Vec<HeapFailure>,
    problem: Problem,
    scarcity: &Scarcity,
) -> AllocatorError {
    let short = shortages_behind(&problem, scarcity);
    let (answer, problem) = (Box::new(answer), Box::new(problem));
    AllocatorError::Unsolved { answer, failures, problem, short }
}
