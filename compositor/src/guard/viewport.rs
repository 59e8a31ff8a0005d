//! `wp_viewporter`, `wp_viewport`: one for each surface, and no larger than can be drawn.

use smithay::{
    reexports::{
        wayland_protocols::wp::viewporter::server::{
            wp_viewport::{self, WpViewport},
            wp_viewporter::{self, WpViewporter},
        },
        wayland_server::{Client, DataInit, Resource as _},
    },
    wayland::viewporter::{ViewportState, ViewporterState},
};

use super::{Guard, guarded, limits::SURFACE_SIDE, peek, records::records};
use crate::state::Heapwright;

impl Guard for WpViewporter {
    fn check(
        _: &mut Heapwright,
        client: &Client,
        viewporter: &Self,
        request: wp_viewporter::Request,
        init: &mut DataInit<'_, Heapwright>,
    ) -> Option<wp_viewporter::Request> {
        let wp_viewporter::Request::GetViewport { id, surface } = request else { return Some(request) };
        let mut records = records(client);
        if records.has_viewport(&surface) {
            viewporter.post_error(wp_viewporter::Error::ViewportExists, "the surface has a viewport");
            return None;
        }
        let (viewport, id) = peek(id, init);
        records.add_viewport(viewport.id(), surface.id());
        Some(wp_viewporter::Request::GetViewport { id, surface })
    }
}

impl Guard for WpViewport {
    fn check(
        _: &mut Heapwright,
        client: &Client,
        viewport: &Self,
        request: wp_viewport::Request,
        _: &mut DataInit<'_, Heapwright>,
    ) -> Option<wp_viewport::Request> {
        use wp_viewport::Request::{Destroy, SetDestination};
        Some(match request {
            SetDestination { width, height } => {
                SetDestination { width: width.min(SURFACE_SIDE), height: height.min(SURFACE_SIDE) }
            }
            Destroy => {
                records(client).remove_viewport(&viewport.id());
                Destroy
            }
            other => other,
        })
    }
}

guarded!(WpViewporter, () => ViewporterState);
guarded!(WpViewport, ViewportState => ViewportState);
