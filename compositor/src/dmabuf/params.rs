//! `zwp_linux_buffer_params_v1`: planes are collected, then one buffer is made of them.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use heapwright_alloc::constraints::Modifier;
use heapwright_protocols::linux_dmabuf::server::zwp_linux_buffer_params_v1::{
    Error as Code, Request, ZwpLinuxBufferParamsV1,
};
use smithay::backend::allocator::dmabuf::{Dmabuf, DmabufFlags};
use smithay::backend::allocator::{Fourcc as DrmFourcc, Modifier as DrmModifier};
use smithay::reexports::wayland_server::backend::ClientId;
use smithay::reexports::wayland_server::protocol::wl_buffer::{self, WlBuffer};
use smithay::reexports::wayland_server::{Client, DataInit, Dispatch, DisplayHandle, Resource};

use super::file;
use super::validate::{BufferRequest, MAX_PLANES, PlaneRequest, Refusal, check_add, validate};
use super::{DmabufGlobalState, DmabufHandler};

/// Letters of an error's text that are sent.
const MAX_TEXT: usize = 500;

/// One plane as it was added.
#[derive(Debug)]
struct Plane {
    file: OwnedFd,
    offset_bytes: u32,
    pitch_bytes: u32,
    modifier: Modifier,
}

/// What one params object has collected.
#[derive(Debug, Default)]
struct Collected {
    planes: [Option<Plane>; MAX_PLANES],
    sampling_device: Option<u64>,
    used: bool,
    over_quota: bool,
}

/// User data of `zwp_linux_buffer_params_v1`.
#[derive(Debug, Default)]
pub struct ParamsData(Mutex<Collected>);

impl ParamsData {
    fn lock(&self) -> MutexGuard<'_, Collected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `create` and `create_immed` have in common.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    width: i32,
    height: i32,
    format: u32,
    flags: u32,
}

/// Adds a plane; the file is closed when it is refused.
fn add<D: DmabufHandler>(
    state: &mut D,
    client: &Client,
    version: u32,
    data: &ParamsData,
    index: u32,
    plane: Plane,
) -> Result<(), Refusal> {
    let mut collected = data.lock();
    if collected.used {
        return Err(Refusal::AlreadyUsed);
    }
    let modifiers = collected.planes.each_ref().map(|plane| plane.as_ref().map(|plane| plane.modifier));
    let slot = check_add(version, &modifiers, index, plane.modifier)?;
    if !state.dmabuf_state().quota.take(&client.id()) {
        // Only `create` can be answered by `failed`, so the answer has to wait for it.
        collected.over_quota = true;
        return Ok(());
    }
    match collected.planes.get_mut(slot) {
        Some(place) => *place = Some(plane),
        None => state.dmabuf_state().quota.give_back(&client.id(), 1),
    }
    Ok(())
}

/// Keeps the device that the client names.
fn set_device(data: &ParamsData, device: &[u8]) -> Result<(), Refusal> {
    let mut collected = data.lock();
    if collected.used {
        return Err(Refusal::AlreadyUsed);
    }
    let bytes = device.try_into().map_err(|_| Refusal::DevTSize(device.len()))?;
    collected.sampling_device = Some(u64::from_ne_bytes(bytes));
    Ok(())
}

/// Makes the buffer, or gives back its planes and says why not.
fn import<D: DmabufHandler>(
    state: &mut D,
    client: &Client,
    version: u32,
    data: &ParamsData,
    wanted: Wanted,
) -> Result<Dmabuf, Refusal> {
    let (planes, device, over_quota) = {
        let mut collected = data.lock();
        if collected.used {
            return Err(Refusal::AlreadyUsed);
        }
        collected.used = true;
        (std::mem::take(&mut collected.planes), collected.sampling_device, collected.over_quota)
    };
    let held = planes.iter().flatten().count();
    let result = if over_quota {
        Err(Refusal::Quota(state.dmabuf_state().quota.limit()))
    } else {
        build(state, version, planes, wanted).and_then(|dmabuf| {
            let imported = state.dmabuf_imported(client, &dmabuf, device);
            imported.map_err(|error| Refusal::Import(error.to_string()))?;
            Ok(dmabuf)
        })
    };
    if result.is_err() {
        state.dmabuf_state().quota.give_back(&client.id(), held);
    }
    result
}

fn build<D: DmabufHandler>(
    state: &mut D,
    version: u32,
    planes: [Option<Plane>; MAX_PLANES],
    wanted: Wanted,
) -> Result<Dmabuf, Refusal> {
    let shared = state.dmabuf_state();
    let check = shared.dmabuf_check;
    let described = planes.each_ref().map(|plane| {
        plane.as_ref().map(|plane| PlaneRequest {
            offset_bytes: plane.offset_bytes,
            pitch_bytes: plane.pitch_bytes,
            modifier: plane.modifier,
            file_bytes: file::size_bytes(plane.file.as_fd()),
            is_dmabuf: check(plane.file.as_fd()),
        })
    });
    let Wanted { width, height, format, flags } = wanted;
    let request = BufferRequest { version, width, height, format, flags, planes: described };
    let layout = validate(&request, &shared.offer)?;

    let code = DrmFourcc::try_from(layout.format).map_err(|_| Refusal::Format(layout.format))?;
    let modifier = DrmModifier::from(layout.modifier);
    let mut builder = Dmabuf::builder((layout.width, layout.height), code, modifier, DmabufFlags::empty());
    for (index, plane) in (0u32..).zip(planes.into_iter().flatten()) {
        builder.add_plane(plane.file, index, plane.offset_bytes, plane.pitch_bytes);
    }
    builder.build().ok_or(Refusal::MissingPlane { index: 0, needed: 1 })
}

/// Posts the refusal's protocol error if it is one. Otherwise `create` fails and `create_immed`, which has promised a
/// buffer already, ends the client, as the specification allows.
fn refuse(params: &ZwpLinuxBufferParamsV1, refusal: &Refusal, immediately: bool) {
    tracing::debug!(params = %params.id(), %refusal, "linux-dmabuf buffer refused");
    // A driver's text may be part of it, and a Wayland string has no zero bytes and fits into one message.
    let text =
        refusal.to_string().chars().filter(|letter| *letter != '\0').take(MAX_TEXT).collect::<String>();
    match refusal.code(params.version()) {
        Some(code) => params.post_error(code, text),
        None if immediately => params.post_error(Code::InvalidWlBuffer, text),
        None => params.failed(),
    }
}

impl<D> Dispatch<ZwpLinuxBufferParamsV1, ParamsData, D> for DmabufGlobalState
where
    D: Dispatch<ZwpLinuxBufferParamsV1, ParamsData> + Dispatch<WlBuffer, Dmabuf> + DmabufHandler + 'static,
{
    fn request(
        state: &mut D,
        client: &Client,
        params: &ZwpLinuxBufferParamsV1,
        request: Request,
        data: &ParamsData,
        display: &DisplayHandle,
        data_init: &mut DataInit<'_, D>,
    ) {
        let version = params.version();
        match request {
            Request::Add { fd, plane_idx, offset, stride, modifier_hi, modifier_lo } => {
                let modifier = Modifier((u64::from(modifier_hi) << 32) | u64::from(modifier_lo));
                let plane = Plane { file: fd, offset_bytes: offset, pitch_bytes: stride, modifier };
                if let Err(refusal) = add(state, client, version, data, plane_idx, plane) {
                    refuse(params, &refusal, false);
                }
            }
            Request::Create { width, height, format, flags } => {
                let wanted = Wanted { width, height, format, flags: flags.into() };
                let dmabuf = match import(state, client, version, data, wanted) {
                    Ok(dmabuf) => dmabuf,
                    Err(refusal) => return refuse(params, &refusal, false),
                };
                let planes = dmabuf.num_planes();
                match client.create_resource::<WlBuffer, Dmabuf, D>(display, 1, dmabuf.clone()) {
                    Ok(buffer) => {
                        params.created(&buffer);
                        state.dmabuf_created(&buffer, &dmabuf);
                    }
                    // The client has gone meanwhile; there is nobody to tell.
                    Err(_) => state.dmabuf_state().quota.give_back(&client.id(), planes),
                }
            }
            Request::CreateImmed { buffer_id, width, height, format, flags } => {
                let wanted = Wanted { width, height, format, flags: flags.into() };
                match import(state, client, version, data, wanted) {
                    Ok(dmabuf) => {
                        let buffer = data_init.init(buffer_id, dmabuf.clone());
                        state.dmabuf_created(&buffer, &dmabuf);
                    }
                    Err(refusal) => refuse(params, &refusal, true),
                }
            }
            Request::SetSamplingDevice { device } => {
                if let Err(refusal) = set_device(data, &device) {
                    refuse(params, &refusal, false);
                }
            }
            // `destroy` is dealt with in `destroyed`; later requests belong to versions that are not offered.
            _ => {}
        }
    }

    fn destroyed(state: &mut D, client: ClientId, _: &ZwpLinuxBufferParamsV1, data: &ParamsData) {
        let planes = std::mem::take(&mut data.lock().planes);
        state.dmabuf_state().quota.give_back(&client, planes.iter().flatten().count());
    }
}

impl<D> Dispatch<WlBuffer, Dmabuf, D> for DmabufGlobalState
where
    D: Dispatch<WlBuffer, Dmabuf> + DmabufHandler + 'static,
{
    fn request(
        _: &mut D,
        _: &Client,
        _: &WlBuffer,
        _: wl_buffer::Request,
        _: &Dmabuf,
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
        // The only request is `destroy`, dealt with in `destroyed`.
    }

    fn destroyed(state: &mut D, client: ClientId, buffer: &WlBuffer, dmabuf: &Dmabuf) {
        state.dmabuf_state().quota.give_back(&client, dmabuf.num_planes());
        state.buffer_destroyed(buffer);
    }
}
