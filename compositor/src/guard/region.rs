//! `wl_region`: rectangles cut to what a surface can have, and not without end.

use smithay::{
    reexports::wayland_server::{
        Client, DataInit, Resource as _,
        protocol::wl_region::{self, WlRegion},
    },
    wayland::compositor::{CompositorState, RegionUserData},
};

use super::{
    Guard, guarded,
    limits::{FAR, REGION_PARTS, part},
    records::records,
};
use crate::state::Heapwright;

/// `wl_display`'s code for what is right but too much: a region has no errors of its own.
const IMPLEMENTATION: u32 = 3;

impl Guard for WlRegion {
    fn check(
        _: &mut Heapwright,
        client: &Client,
        region: &Self,
        request: wl_region::Request,
        _: &mut DataInit<'_, Heapwright>,
    ) -> Option<wl_region::Request> {
        use wl_region::Request::{Add, Destroy, Subtract};
        let request = match request {
            Add { x, y, width, height } => {
                let (x, y, width, height) = part(x, y, width, height, FAR)?;
                Add { x, y, width, height }
            }
            Subtract { x, y, width, height } => {
                let (x, y, width, height) = part(x, y, width, height, FAR)?;
                Subtract { x, y, width, height }
            }
            Destroy => {
                records(client).regions.remove(&region.id());
                return Some(Destroy);
            }
            other => return Some(other),
        };
        let parts = {
            let mut records = records(client);
            let parts = records.regions.entry(region.id()).or_default();
            *parts += 1;
            *parts
        };
        if parts > REGION_PARTS {
            region.post_error(IMPLEMENTATION, format!("a region of more than {REGION_PARTS} rectangles"));
            return None;
        }
        Some(request)
    }
}

guarded!(WlRegion, RegionUserData => CompositorState);
