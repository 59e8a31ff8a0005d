//! The global and its objects.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use heapwright_alloc::constraints::Size;
use heapwright_protocols::allocation::server::{
    zhw_allocation_v1::{self, ZhwAllocationV1},
    zhw_allocator_v1::{self, ZhwAllocatorV1},
    zhw_constraints_v1::{self, ZhwConstraintsV1},
};
use smithay::reexports::wayland_server::{
    Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource as _, WEnum, Weak,
    backend::ClientId, protocol::wl_surface::WlSurface,
};

use super::{
    Question, Refusal, Statement,
    answer::{Had, halves},
    question::DISPLAY,
};
use crate::{
    client::ClientState,
    memory::{CLIENT_BUFFERS, CLIENT_BYTES},
    state::Heapwright,
};

/// Buffers in one allocation.
const AT_ONCE: u32 = 64;

/// Unanswered questions of one allocation.
const MAX_WAITING: usize = 64;

/// What a client has stated so far.
#[derive(Debug, Default)]
pub struct ConstraintsData(Mutex<Statement>);

/// An allocation's questions and answers.
#[derive(Debug)]
pub struct AllocationData {
    surface: Option<Weak<WlSurface>>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// As asked last.
    question: Question,
    waiting: VecDeque<Question>,
    /// What was answered last, and to what; `None` inside for a failure.
    settled: Option<(Question, Option<Had>)>,
    /// The display that was asked about then.
    display: Option<String>,
    degraded: bool,
    /// When to tell of room for spare buffers, where they alone are missing.
    spare: Spare,
    /// The display was left out for want of memory, and the client has no other answer since.
    without_display: bool,
}

/// Spare buffers that are missing. A client that asks for them again must find room for all its buffers beside those that it
/// has, and may end with less: where that led to nothing, it is told ever more seldom.
#[derive(Debug, Default)]
struct Spare {
    lacking: bool,
    /// Seconds from an answer to when it is told of room.
    wait: u32,
    /// Of them, those that are left.
    left: u32,
}

impl Spare {
    /// The longest wait, in seconds.
    const LAST: u32 = 64;

    fn answered(&mut self, lacking: bool) {
        self.wait = match (self.lacking, lacking) {
            // It was told, asked, and got no more.
            (true, true) => (self.wait * 2).clamp(1, Self::LAST),
            // It may have lost what the display reads: no sooner the next time.
            (true, false) | (false, true) => self.wait,
            (false, false) => 0,
        };
        (self.lacking, self.left) = (lacking, self.wait);
    }

    /// A second has passed.
    fn waits(&mut self) -> bool {
        let waits = self.lacking && self.left > 0;
        self.left = self.left.saturating_sub(1);
        waits
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics between two changes that belong together.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AllocationData {
    fn new(surface: Option<WlSurface>, question: Question) -> Self {
        let waiting = VecDeque::from([question.clone()]);
        let inner = Inner {
            question,
            waiting,
            settled: None,
            display: None,
            degraded: false,
            spare: Spare::default(),
            without_display: false,
        };
        AllocationData { surface: surface.map(|surface| surface.downgrade()), inner: Mutex::new(inner) }
    }

    /// The surface that it is for, while it lives.
    pub(super) fn surface(&self) -> Option<WlSurface> {
        self.surface.as_ref()?.upgrade().ok()
    }

    /// The oldest question that is not answered, to be answered now: until then there is no news of an older answer.
    pub(super) fn next_question(&self) -> Option<Question> {
        let mut inner = lock(&self.inner);
        inner.settled = None;
        inner.degraded = false;
        inner.waiting.pop_front()
    }

    /// A question was answered, with this display in mind: what there is, or nothing. `missed` are those who could have
    /// been satisfied, had there been memory, and empty where only buffers are fewer; `None` where there was enough.
    pub(super) fn answered(
        &self,
        question: Question,
        display: Option<String>,
        had: Option<Had>,
        missed: Option<&[String]>,
    ) {
        let mut inner = lock(&self.inner);
        inner.display = display;
        // With nothing in its place, the buffers of the answer before are still shown.
        if had.is_some() {
            inner.without_display = missed.is_some_and(|names| names.iter().any(|name| name == DISPLAY));
        }
        inner.spare.answered(had.is_some() && missed.is_some_and(<[String]>::is_empty));
        inner.settled = Some((question, had));
        inner.degraded = missed.is_some();
    }

    /// Whether its buffers are not what the display reads because there was no memory for such.
    pub(super) fn is_without_display(&self) -> bool {
        lock(&self.inner).without_display
    }

    /// The last question with its answer, unless another waits or a change was told already.
    pub(super) fn settled(&self) -> Option<(Question, Option<Had>)> {
        let inner = lock(&self.inner);
        if inner.waiting.is_empty() { inner.settled.clone() } else { None }
    }

    /// The display that the last answer had in mind.
    pub(super) fn display(&self) -> Option<String> {
        lock(&self.inner).display.clone()
    }

    /// The client knows that the answer changed: once is enough.
    pub(super) fn told_of_change(&self) {
        let mut inner = lock(&self.inner);
        inner.settled = None;
        inner.degraded = false;
    }

    /// A second has passed. Whether it is not yet time to look after this one, as only spare buffers are missing, and
    /// telling of them has led to nothing lately.
    pub(super) fn waits_for_spare(&self) -> bool {
        lock(&self.inner).spare.waits()
    }

    /// Whether only spare buffers are missing.
    pub(super) fn lacks_only_spare(&self) -> bool {
        lock(&self.inner).spare.lacking
    }

    /// Whether there was less than there could have been, for want of memory.
    pub(super) fn is_degraded(&self) -> bool {
        lock(&self.inner).degraded
    }

    /// One more question; whether there may be one.
    fn ask(&self, change: impl FnOnce(&mut Question)) -> bool {
        let mut inner = lock(&self.inner);
        change(&mut inner.question);
        let question = inner.question.clone();
        inner.waiting.push_back(question);
        inner.waiting.len() <= MAX_WAITING
    }
}

/// A picture's size and count, or the code and the words of what is wrong with them.
fn checked<E>(width: u32, height: u32, count: u32, (size, number): (E, E)) -> Result<Size, (E, String)> {
    let side = 1..=i32::MAX as u32;
    if !side.contains(&width) || !side.contains(&height) {
        return Err((size, format!("{width}x{height} is no size of a picture")));
    }
    if !(1..=AT_ONCE).contains(&count) {
        return Err((number, format!("{count} buffers asked: 1 to {AT_ONCE} can be had at once")));
    }
    Ok(Size::new(width, height))
}

impl GlobalDispatch<ZhwAllocatorV1, ()> for Heapwright {
    fn bind(
        _: &mut Self,
        _: &DisplayHandle,
        _: &Client,
        resource: New<ZhwAllocatorV1>,
        (): &(),
        init: &mut DataInit<'_, Self>,
    ) {
        let allocator = init.init(resource, ());
        let (bytes_hi, bytes_lo) = halves(CLIENT_BYTES);
        allocator.quota(bytes_hi, bytes_lo, CLIENT_BUFFERS, AT_ONCE);
    }
}

impl Dispatch<ZhwAllocatorV1, ()> for Heapwright {
    fn request(
        state: &mut Self,
        client: &Client,
        allocator: &ZhwAllocatorV1,
        request: zhw_allocator_v1::Request,
        (): &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        use zhw_allocator_v1::{Error, Request};
        let may = || client.get_data::<ClientState>().is_some_and(|data| data.account.take_object());
        let too_many =
            || allocator.post_error(Error::TooMany, "destroy some objects of this extension first");
        match request {
            Request::CreateConstraints { id } => {
                init.init(id, ConstraintsData::default());
                if !may() {
                    too_many();
                }
            }
            Request::Allocate { id, constraints, surface, width, height, count } => {
                let participants = constraints.data::<ConstraintsData>().map(|data| lock(&data.0).clone());
                let participants =
                    participants.map_or_else(Vec::new, |statement| statement.participants().to_vec());
                let none = participants.is_empty();
                let size = checked(width, height, count, (Error::InvalidSize, Error::InvalidCount));
                let question = Question { participants, size: size.clone().unwrap_or_default(), count };
                let allocation = init.init(id, AllocationData::new(surface, question));
                match size {
                    _ if !may() => too_many(),
                    Err((code, why)) => allocator.post_error(code, why),
                    Ok(_) if none => {
                        allocator.post_error(Error::NoParticipant, "add_participant comes before allocate");
                    }
                    Ok(_) => state.negotiate(client.id(), allocation),
                }
            }
            _ => {}
        }
    }
}

/// An object has gone, by request or with its client.
fn gone(state: &Heapwright, client: ClientId) {
    let data = state.display.backend_handle().get_client_data(client);
    if let Ok(Some(data)) = data.map(|data| data.downcast_arc::<ClientState>().ok()) {
        data.account.give_object_back();
    }
}

impl Dispatch<ZhwConstraintsV1, ConstraintsData> for Heapwright {
    fn request(
        state: &mut Self,
        _: &Client,
        constraints: &ZhwConstraintsV1,
        request: zhw_constraints_v1::Request,
        data: &ConstraintsData,
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
        use zhw_constraints_v1::{Any, Error, Request};
        let refuse = |code, why: &str| Err(Refusal { code, why: why.to_owned() });
        let whole = |high: u32, low: u32| (u64::from(high) << 32) | u64::from(low);
        let mut statement = lock(&data.0);
        let said = match request {
            Request::AddParticipant { name, role, weight } => match role {
                WEnum::Value(role) => statement.add_participant(&name, role, weight),
                WEnum::Unknown(_) => refuse(Error::UnknownRole, "no such role"),
            },
            Request::SetDevice { device } => match <[u8; 8]>::try_from(device.as_slice()) {
                Ok(bytes) => statement.set_device(state.memory.device_name(u64::from_ne_bytes(bytes))),
                Err(_) => refuse(Error::InvalidDevice, "a device is a dev_t of 8 bytes"),
            },
            Request::AddOption { format, modifier_hi, modifier_lo, any } => match any {
                WEnum::Value(any) => statement.add_option(format, whole(modifier_hi, modifier_lo), any),
                WEnum::Unknown(bits) => refuse(
                    Error::InvalidValue,
                    &format!("any knows only {:#x}, not {bits:#x}", Any::all().bits()),
                ),
            },
            Request::SetRank { rank } => statement.set_rank(rank),
            Request::SetLimit { field, value_hi, value_lo } => match field {
                WEnum::Value(field) => statement.set_limit(field, whole(value_hi, value_lo)),
                WEnum::Unknown(_) => refuse(Error::UnknownField, "no such limit"),
            },
            Request::SetMemory { field, value_hi, value_lo } => match field {
                WEnum::Value(field) => statement.set_memory(field, whole(value_hi, value_lo)),
                WEnum::Unknown(_) => refuse(Error::UnknownField, "no such limit of memory"),
            },
            Request::SetCount { field, value } => match field {
                WEnum::Value(field) => statement.set_count(field, value),
                WEnum::Unknown(_) => refuse(Error::UnknownField, "no such count"),
            },
            _ => Ok(()),
        };
        if let Err(Refusal { code, why }) = said {
            constraints.post_error(code, why);
        }
    }

    fn destroyed(state: &mut Self, client: ClientId, _: &ZhwConstraintsV1, _: &ConstraintsData) {
        gone(state, client);
    }
}

impl Dispatch<ZhwAllocationV1, AllocationData> for Heapwright {
    fn request(
        state: &mut Self,
        client: &Client,
        allocation: &ZhwAllocationV1,
        request: zhw_allocation_v1::Request,
        data: &AllocationData,
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
        use zhw_allocation_v1::{Error, Request};
        let may = match request {
            Request::Resize { width, height, count } => {
                match checked(width, height, count, (Error::InvalidSize, Error::InvalidCount)) {
                    Ok(size) => data.ask(|question| (question.size, question.count) = (size, count)),
                    Err((code, why)) => return allocation.post_error(code, why),
                }
            }
            Request::Renegotiate => data.ask(|_| {}),
            _ => return,
        };
        if may {
            state.ask(client.id(), allocation.clone());
        } else {
            allocation.post_error(Error::TooMany, format!("{MAX_WAITING} questions wait for their answers"));
        }
    }

    fn destroyed(state: &mut Self, client: ClientId, allocation: &ZhwAllocationV1, _: &AllocationData) {
        state.negotiations.end(&client, allocation);
        gone(state, client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds until it is told.
    fn told_after(spare: &mut Spare) -> usize {
        std::iter::repeat_with(|| spare.waits()).take(100).take_while(|waits| *waits).count()
    }

    #[test]
    fn who_asks_for_spare_buffers_in_vain_is_told_ever_more_seldom() {
        let mut spare = Spare::default();
        spare.answered(true);
        assert_eq!(told_after(&mut spare), 0, "the first time at once");
        let again = |_| {
            spare.answered(true);
            told_after(&mut spare)
        };
        let waits: Vec<_> = (0..9).map(again).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
        // Its display went with the last question, and is back.
        spare.answered(false);
        assert_eq!(told_after(&mut spare), 0, "that is told at once");
        spare.answered(true);
        assert_eq!(told_after(&mut spare), 64);
        // It has all, and once more.
        spare.answered(false);
        spare.answered(false);
        spare.answered(true);
        assert_eq!(told_after(&mut spare), 0);
    }
}
