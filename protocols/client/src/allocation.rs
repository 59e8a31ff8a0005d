//! One question after the other about the same buffers, and the answers.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use heapwright_alloc::constraints::{Fourcc, Modifier, Size};
use heapwright_protocols::allocation::client::zhw_allocation_v1::{self, ZhwAllocationV1};
use wayland_client::{Connection, Dispatch, Proxy as _, QueueHandle, WEnum};

use crate::{Answer, Buffers, Changed, Conflict, Negotiator, Outcome, Quota, Reason, Refused};

/// What a client does with answers.
pub trait NegotiationHandler {
    /// A question was answered; the questions of one allocation are answered in their order.
    fn answered(&mut self, allocation: &Allocation, answer: Answer);

    /// Asked again now, the answer would be another. The buffers of the last answer stay usable.
    fn changed(&mut self, allocation: &Allocation, change: Changed);

    /// What the client may hold has changed, or is known now.
    fn quota(&mut self, quota: Quota) {
        let _ = quota;
    }
}

/// Buffers that were asked for. Dropping it does not destroy it: events name it again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Allocation(pub(crate) ZhwAllocationV1);

impl Allocation {
    /// Asks the same for another size or count.
    pub fn resize(&self, size: Size, count: u32) {
        if let Some(data) = self.0.data::<AllocationData>() {
            data.inner(|inner| inner.asked.push_back(size));
        }
        self.0.resize(size.width, size.height, count);
    }

    /// Asks the same with what the compositor knows now.
    pub fn renegotiate(&self) {
        if let Some(data) = self.0.data::<AllocationData>() {
            data.inner(|inner| inner.asked.push_back(inner.last_size()));
        }
        self.0.renegotiate();
    }

    /// Asks no more. The buffers that came stay valid.
    pub fn destroy(self) {
        self.0.destroy();
    }
}

/// An answer as it comes in.
#[derive(Debug)]
pub struct AllocationData(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Sizes that were asked for and are not answered, the oldest first.
    asked: VecDeque<Size>,
    /// Of the last answer.
    size: Size,
    buffers: Option<Buffers>,
    conflict: Vec<Conflict>,
}

impl AllocationData {
    pub(crate) fn asked(size: Size) -> Self {
        AllocationData(Mutex::new(Inner { asked: VecDeque::from([size]), size, ..Inner::default() }))
    }

    fn inner<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inner {
    /// As asked last.
    fn last_size(&self) -> Size {
        self.asked.back().copied().unwrap_or(self.size)
    }

    /// Takes an event; an answer when it is whole.
    fn take(&mut self, event: zhw_allocation_v1::Event) -> Option<Answer> {
        use zhw_allocation_v1::Event;
        let whole = |high: u32, low: u32| (u64::from(high) << 32) | u64::from(low);
        match event {
            Event::Layout { format, modifier_hi, modifier_lo, size_hi, size_lo } => {
                self.size = self.asked.pop_front().unwrap_or(self.size);
                self.buffers = Some(Buffers {
                    size: self.size,
                    format: Fourcc(format),
                    modifier: Modifier(whole(modifier_hi, modifier_lo)),
                    bytes: whole(size_hi, size_lo),
                    planes: Vec::new(),
                    outcomes: Vec::new(),
                    fds: Vec::new(),
                });
            }
            Event::Plane { offset, pitch, .. } => self.buffers.as_mut()?.planes.push((offset, pitch)),
            Event::Participant { name, outcome } => {
                // A word of a later version: whatever it is, it is not satisfied.
                let outcome = outcome.into_result().unwrap_or(Outcome::Dropped);
                self.buffers.as_mut()?.outcomes.push((name, outcome));
            }
            Event::Buffer { fd, .. } => self.buffers.as_mut()?.fds.push(fd),
            Event::Done { .. } => return self.buffers.take().map(Ok),
            Event::Conflict { participant, field, value } => {
                self.conflict.push(Conflict { participant, field, value });
            }
            Event::Failed { reason, message } => {
                self.size = self.asked.pop_front().unwrap_or(self.size);
                let reason = reason.into_result().unwrap_or(Reason::Invalid);
                let conflict = std::mem::take(&mut self.conflict);
                return Some(Err(Refused { reason, message, conflict }));
            }
            _ => {}
        }
        None
    }
}

impl<D> Dispatch<ZhwAllocationV1, AllocationData, D> for Negotiator
where
    D: Dispatch<ZhwAllocationV1, AllocationData> + NegotiationHandler,
{
    fn event(
        client: &mut D,
        allocation: &ZhwAllocationV1,
        event: zhw_allocation_v1::Event,
        data: &AllocationData,
        _: &Connection,
        _: &QueueHandle<D>,
    ) {
        let allocation = Allocation(allocation.clone());
        if let zhw_allocation_v1::Event::Changed { change } = event {
            // Whatever a later version calls it: asking again is never wrong.
            let change = match change {
                WEnum::Value(change) => change,
                WEnum::Unknown(_) => Changed::Better,
            };
            return client.changed(&allocation, change);
        }
        if let Some(answer) = data.inner(|inner| inner.take(event)) {
            client.answered(&allocation, answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zhw_allocation_v1::Event;

    fn layout() -> Event {
        Event::Layout {
            format: Fourcc::NV12.0,
            modifier_hi: 0x0100_0000,
            modifier_lo: 2,
            size_hi: 1,
            size_lo: 4096,
        }
    }

    #[test]
    fn answers_belong_to_the_sizes_in_the_order_of_the_questions() {
        let mut inner =
            Inner { asked: VecDeque::from([Size::new(8, 8), Size::new(16, 4)]), ..Inner::default() };
        assert_eq!(inner.last_size(), Size::new(16, 4));
        let refused = Event::Failed { reason: WEnum::Value(Reason::Quota), message: "enough".to_owned() };
        let conflict = Event::Conflict {
            participant: "gpu".to_owned(),
            field: "pitch_align".to_owned(),
            value: "256".to_owned(),
        };
        assert!(inner.take(conflict).is_none());
        let Some(Err(refused)) = inner.take(refused) else { panic!("no answer") };
        assert_eq!((refused.reason, refused.conflict.len()), (Reason::Quota, 1));

        assert!(inner.take(layout()).is_none());
        assert!(inner.take(Event::Plane { index: 0, offset: 0, pitch: 64 }).is_none());
        let dropped = Event::Participant { name: "(display)".to_owned(), outcome: WEnum::Unknown(9) };
        assert!(inner.take(dropped).is_none());
        let Some(Ok(buffers)) = inner.take(Event::Done { count: 0 }) else { panic!("no answer") };
        assert_eq!(buffers.size, Size::new(16, 4));
        assert_eq!((buffers.modifier, buffers.bytes), (Modifier(0x0100_0000_0000_0002), (1 << 32) | 4096));
        assert_eq!((buffers.planes, buffers.outcomes.len()), (vec![(0, 64)], 1));
        // The conflict was of the first answer.
        assert!(inner.conflict.is_empty() && inner.asked.is_empty());
        assert_eq!(inner.last_size(), Size::new(16, 4));
    }

    #[test]
    fn a_compositor_that_forgets_the_layout_gives_no_answer() {
        let mut inner = Inner::default();
        assert!(inner.take(Event::Plane { index: 0, offset: 0, pitch: 64 }).is_none());
        assert!(inner.take(Event::Done { count: 1 }).is_none());
    }
}
