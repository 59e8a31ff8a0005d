//! The compositor's allocator.

use std::sync::{Arc, Mutex, PoisonError};

use heapwright_alloc::constraints::Size;
use heapwright_protocols::allocation::client::{
    zhw_allocation_v1::ZhwAllocationV1,
    zhw_allocator_v1::{self, ZhwAllocatorV1},
    zhw_constraints_v1::{self, ZhwConstraintsV1},
};
use wayland_client::{
    Connection, Dispatch, QueueHandle,
    globals::{BindError, GlobalList, GlobalListContents},
    protocol::{wl_registry::WlRegistry, wl_surface::WlSurface},
};

use crate::{
    Allocation, Constraints, Inexpressible,
    allocation::{AllocationData, NegotiationHandler},
};

/// What this client may hold at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// Over all allocations.
    pub bytes: u64,
    /// Over all allocations.
    pub buffers: u32,
    /// In one allocation.
    pub at_once: u32,
}

/// Shared with the events of the global.
#[derive(Debug, Clone, Default)]
pub struct QuotaData(Arc<Mutex<Option<Quota>>>);

/// The compositor's allocator, bound.
#[derive(Debug, Clone)]
pub struct Negotiator {
    global: ZhwAllocatorV1,
    quota: QuotaData,
}

impl Negotiator {
    /// Binds it.
    ///
    /// # Errors
    /// [`BindError::NotPresent`] where the compositor does not negotiate: allocate by linux-dmabuf feedback then.
    pub fn bind<D>(globals: &GlobalList, queue: &QueueHandle<D>) -> Result<Self, BindError>
    where
        D: Dispatch<ZhwAllocatorV1, QuotaData> + Dispatch<WlRegistry, GlobalListContents> + 'static,
    {
        let quota = QuotaData::default();
        let global = globals.bind(queue, 1..=1, quota.clone())?;
        Ok(Negotiator { global, quota })
    }

    /// What this client may hold; known after the first round trip.
    #[must_use]
    pub fn quota(&self) -> Option<Quota> {
        *self.quota.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for `count` buffers or more of a size in pixels, to be shown by `surface` if there is one. The answer comes to
    /// [`NegotiationHandler::answered`].
    ///
    /// # Errors
    /// [`Inexpressible`]; then nothing was asked. A size of 0, or a count beyond the [`Quota`], ends the connection.
    pub fn allocate<D>(
        &self,
        queue: &QueueHandle<D>,
        constraints: &Constraints,
        surface: Option<&WlSurface>,
        size: Size,
        count: u32,
    ) -> Result<Allocation, Inexpressible>
    where
        D: Dispatch<ZhwConstraintsV1, ()> + Dispatch<ZhwAllocationV1, AllocationData> + 'static,
    {
        let all = constraints.said()?;
        let stated = self.global.create_constraints(queue, ());
        for said in all {
            said.send(&stated);
        }
        let data = AllocationData::asked(size);
        let Size { width, height } = size;
        let allocation = self.global.allocate(&stated, surface, width, height, count, queue, data);
        // The question has its own copy.
        stated.destroy();
        Ok(Allocation(allocation))
    }

    /// Asks for no more allocations. Those that there are stay.
    pub fn destroy(self) {
        self.global.destroy();
    }
}

impl<D> Dispatch<ZhwAllocatorV1, QuotaData, D> for Negotiator
where
    D: Dispatch<ZhwAllocatorV1, QuotaData> + NegotiationHandler,
{
    fn event(
        client: &mut D,
        _: &ZhwAllocatorV1,
        event: zhw_allocator_v1::Event,
        data: &QuotaData,
        _: &Connection,
        _: &QueueHandle<D>,
    ) {
        if let zhw_allocator_v1::Event::Quota { bytes_hi, bytes_lo, buffers, at_once } = event {
            let bytes = (u64::from(bytes_hi) << 32) | u64::from(bytes_lo);
            let quota = Quota { bytes, buffers, at_once };
            *data.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(quota);
            client.quota(quota);
        }
    }
}

impl<D> Dispatch<ZhwConstraintsV1, (), D> for Negotiator
where
    D: Dispatch<ZhwConstraintsV1, ()>,
{
    fn event(
        _: &mut D,
        _: &ZhwConstraintsV1,
        _: zhw_constraints_v1::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<D>,
    ) {
    }
}

/// Passes the events of negotiation on to a state that is a [`NegotiationHandler`].
#[macro_export]
macro_rules! delegate_negotiation {
    ($state:ty) => {
        const _: () = {
            use $crate::protocol::{
                zhw_allocation_v1::ZhwAllocationV1, zhw_allocator_v1::ZhwAllocatorV1,
                zhw_constraints_v1::ZhwConstraintsV1,
            };
            $crate::wayland_client::delegate_dispatch!($state: [ZhwAllocatorV1: $crate::QuotaData] => $crate::Negotiator);
            $crate::wayland_client::delegate_dispatch!($state: [ZhwConstraintsV1: ()] => $crate::Negotiator);
            $crate::wayland_client::delegate_dispatch!($state: [ZhwAllocationV1: $crate::AllocationData] => $crate::Negotiator);
        };
    };
}
