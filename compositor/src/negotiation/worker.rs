//! Allocating much beside the event loop: a gigabyte takes the kernel a second to clear.

use std::{io, sync::mpsc, thread};

use heapwright_alloc::buffers::{Allocated, Owner, PooledBuffer, Want};
use heapwright_protocols::allocation::server::zhw_allocation_v1::ZhwAllocationV1;
use smithay::reexports::calloop::{
    LoopHandle,
    channel::{Event, channel},
};

use super::Question;
use crate::{
    memory::{Memory, NoBuffers},
    state::{Heapwright, StartError},
};

/// A question on its way.
#[derive(Debug)]
pub struct Job {
    /// Who gets the answer.
    pub allocation: ZhwAllocationV1,
    /// As it was asked.
    pub question: Question,
    /// As it is asked of the allocator.
    pub want: Want<'static>,
    /// Who pays.
    pub owner: Owner,
}

/// Bytes that are allocated in the event loop itself, as 3 buffers of 1920x1080 are: cleared within a millisecond or few,
/// which is not worth waking a thread for.
const LITTLE: u64 = 32 << 20;

impl Job {
    /// Whether it is worth the way to the worker.
    fn is_much(&self) -> bool {
        // Few formats take more than 4 bytes a pixel.
        let bytes = self.want.size.area().saturating_mul(4).saturating_mul(u64::from(self.want.most()));
        bytes > LITTLE
    }

    /// Does it.
    fn done(self, memory: &Memory) -> Done {
        let result = memory.allocate_for(&self.want, self.owner);
        Done { job: self, result }
    }
}

/// What came of a question.
#[derive(Debug)]
pub struct Done {
    /// The question.
    pub job: Job,
    /// The buffers.
    pub result: Result<Allocated<PooledBuffer>, NoBuffers>,
}

/// A thread that does one job after the other, until this is dropped.
#[derive(Debug)]
pub struct Worker {
    jobs: mpsc::Sender<Job>,
}

impl Worker {
    /// Starts it; `done` runs in the event loop.
    ///
    /// # Errors
    /// [`StartError`] when there is no thread, or the event loop refuses.
    pub fn start(
        memory: Memory,
        events: &LoopHandle<'static, Heapwright>,
        done: fn(&mut Heapwright, Done),
    ) -> Result<Self, StartError> {
        let (jobs, todo) = mpsc::channel::<Job>();
        let (answers, source) = channel();
        let work = move || {
            for job in todo {
                if answers.send(job.done(&memory)).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("allocator".to_owned()).spawn(work).map_err(StartError::Thread)?;
        events.insert_source(source, move |event, (), state| match event {
            Event::Msg(answer) => done(state, answer),
            Event::Closed => {}
        })?;
        Ok(Worker { jobs })
    }

    /// Gives it a job, or does a little one at once.
    ///
    /// # Errors
    /// When the thread has ended, which it never does by itself.
    pub fn begin(&self, job: Job, memory: &Memory) -> io::Result<Option<Done>> {
        if job.is_much() {
            let sent = self.jobs.send(job).map(|()| None);
            return sent.map_err(|_| io::Error::other("the allocating thread has ended"));
        }
        Ok(Some(job.done(memory)))
    }
}
