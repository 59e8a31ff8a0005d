//! The global and its objects.

use std::{
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use smithay::{
    reexports::{
        wayland_protocols::wp::linux_drm_syncobj::v1::server::{
            wp_linux_drm_syncobj_manager_v1::{
                Error as ManagerError, Request as ManagerRequest, WpLinuxDrmSyncobjManagerV1,
            },
            wp_linux_drm_syncobj_surface_v1::{
                Error as SurfaceError, Request as SurfaceRequest, WpLinuxDrmSyncobjSurfaceV1,
            },
            wp_linux_drm_syncobj_timeline_v1::{Request as TimelineRequest, WpLinuxDrmSyncobjTimelineV1},
        },
        wayland_server::{
            Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource as _, Weak,
            protocol::wl_surface::WlSurface,
        },
    },
    wayland::{
        compositor::{BufferAssignment, SurfaceAttributes, SurfaceData as States, with_states},
        dmabuf::get_dmabuf,
    },
};
use tracing::debug;

use super::{
    misuse::{Attached, Points, misuse},
    timeline::{Point, Timeline},
};
use crate::{client::ClientState, state::Heapwright};

/// The version that is offered.
pub(super) const VERSION: u32 = 1;

/// The global's interface.
pub(super) type Manager = WpLinuxDrmSyncobjManagerV1;

/// User data of a timeline object.
#[derive(Debug)]
pub struct TimelineData(Arc<Timeline>);

/// User data of a surface's sync object.
#[derive(Debug)]
pub struct SurfaceData(Weak<WlSurface>);

/// What a surface has of explicit sync.
#[derive(Debug, Default)]
struct Pending {
    object: Option<WpLinuxDrmSyncobjSurfaceV1>,
    acquire: Option<Point>,
    release: Option<Point>,
}

/// `None` for a surface that never had a sync object.
fn pending(states: &States) -> Option<MutexGuard<'_, Pending>> {
    // Nothing panics while it holds the lock.
    Some(states.data_map.get::<Mutex<Pending>>()?.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The acquire and release points of the commit that is on its way, if it has some.
pub(super) fn take_points(surface: &WlSurface) -> Option<(Point, Point)> {
    with_states(surface, |states| {
        let mut pending = pending(states)?;
        Some((pending.acquire.take()?, pending.release.take()?))
    })
}

/// Checks what a commit says of explicit sync; what is wrong with it ends the client.
pub(crate) fn is_sound(surface: &WlSurface) -> bool {
    let wrong = with_states(surface, |states| {
        let pending = pending(states)?;
        let object = pending.object.clone()?;
        let mut attributes = states.cached_state.get::<SurfaceAttributes>();
        let attached = match &attributes.pending().buffer {
            Some(BufferAssignment::NewBuffer(buffer)) if get_dmabuf(buffer).is_ok() => Attached::DmaBuf,
            Some(BufferAssignment::NewBuffer(_)) => Attached::Other,
            Some(BufferAssignment::Removed) | None => Attached::Nothing,
        };
        let (acquire, release) = (pending.acquire.as_ref(), pending.release.as_ref());
        let same_timeline =
            acquire.zip(release).is_some_and(|(acquire, release)| acquire.is_of_same_timeline(release));
        let value = |point: Option<&Point>| point.map(|point| point.value);
        let points = Points { acquire: value(acquire), release: value(release), same_timeline };
        Some((object, misuse(attached, points)?))
    });
    if let Some((object, (code, text))) = &wrong {
        object.post_error(*code, text.as_str());
    }
    wrong.is_none()
}

impl GlobalDispatch<WpLinuxDrmSyncobjManagerV1, ()> for Heapwright {
    fn bind(
        _: &mut Self,
        _: &DisplayHandle,
        _: &Client,
        manager: New<WpLinuxDrmSyncobjManagerV1>,
        (): &(),
        init: &mut DataInit<'_, Self>,
    ) {
        init.init(manager, ());
    }
}

impl Heapwright {
    fn import_timeline(&mut self, client: &Client, file: OwnedFd) -> Result<Timeline, String> {
        let sync = self.explicit_sync.as_ref().ok_or("there is no device any more")?;
        let state = client.get_data::<ClientState>().ok_or("no timelines for this client")?;
        let hold = state.sync_held.take().ok_or_else(|| {
            let limit = state.sync_held.limit();
            format!("a client may hold {limit} timelines and commits that wait: destroy some")
        })?;
        Timeline::import(&sync.devices, file, hold)
            .map_err(|error| format!("{error}: is the file a DRM sync object?"))
    }
}

impl Dispatch<WpLinuxDrmSyncobjManagerV1, ()> for Heapwright {
    fn request(
        state: &mut Self,
        client: &Client,
        manager: &WpLinuxDrmSyncobjManagerV1,
        request: ManagerRequest,
        (): &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        match request {
            ManagerRequest::GetSurface { id, surface } => with_states(&surface, |states| {
                states.data_map.insert_if_missing_threadsafe(|| Mutex::new(Pending::default()));
                let Some(mut pending) = pending(states) else { return };
                if pending.object.is_some() {
                    manager.post_error(ManagerError::SurfaceExists, "the surface has a sync object already");
                    return;
                }
                pending.object = Some(init.init(id, SurfaceData(surface.downgrade())));
            }),
            ManagerRequest::ImportTimeline { id, fd } => match state.import_timeline(client, fd) {
                Ok(timeline) => {
                    init.init(id, TimelineData(Arc::new(timeline)));
                }
                Err(why) => {
                    debug!(?client, why, "a timeline was refused");
                    manager.post_error(ManagerError::InvalidTimeline, why);
                }
            },
            // `destroy` leaves everything that was made through this object in place.
            _ => {}
        }
    }
}

impl Dispatch<WpLinuxDrmSyncobjTimelineV1, TimelineData> for Heapwright {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &WpLinuxDrmSyncobjTimelineV1,
        _: TimelineRequest,
        _: &TimelineData,
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
        // The only request is `destroy`; points that were set keep the timeline.
    }
}

impl Dispatch<WpLinuxDrmSyncobjSurfaceV1, SurfaceData> for Heapwright {
    fn request(
        _: &mut Self,
        _: &Client,
        object: &WpLinuxDrmSyncobjSurfaceV1,
        request: SurfaceRequest,
        data: &SurfaceData,
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
        let surface = data.0.upgrade();
        let set = |timeline: WpLinuxDrmSyncobjTimelineV1, (high, low), place: fn(&mut Pending, Point)| {
            let Ok(surface) = &surface else {
                object.post_error(SurfaceError::NoSurface, "the surface was destroyed");
                return;
            };
            let Some(TimelineData(timeline)) = timeline.data::<TimelineData>() else { return };
            let value = (u64::from(high) << 32) | u64::from(low);
            let point = Point { timeline: Arc::clone(timeline), value };
            with_states(surface, |states| {
                if let Some(mut pending) = pending(states) {
                    place(&mut pending, point);
                }
            });
        };
        match request {
            SurfaceRequest::SetAcquirePoint { timeline, point_hi, point_lo } => {
                let place = |pending: &mut Pending, point| pending.acquire = Some(point);
                set(timeline, (point_hi, point_lo), place);
            }
            SurfaceRequest::SetReleasePoint { timeline, point_hi, point_lo } => {
                let place = |pending: &mut Pending, point| pending.release = Some(point);
                set(timeline, (point_hi, point_lo), place);
            }
            SurfaceRequest::Destroy => {
                let Ok(surface) = surface else { return };
                with_states(&surface, |states| {
                    if let Some(mut pending) = pending(states) {
                        // What was committed stays; what was set since then is nobody's.
                        *pending = Pending::default();
                    }
                });
            }
            _ => {}
        }
    }
}
