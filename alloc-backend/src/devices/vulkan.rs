//! What GPUs import, asked of Vulkan (feature `vulkan`): the loader is opened at run time, and all the `unsafe` of it is
//! here.
//!
//! A pair is listed if an image of it can be made from a dma-buf (`VK_EXT_external_memory_dma_buf`) in that modifier
//! (`VK_EXT_image_drm_format_modifier`), and read. Drivers without `VK_EXT_queue_family_foreign` cannot take an image over
//! from a display or a codec, so nothing counts of what they import.

use std::ffi::CStr;

use ash::{Entry, Instance, LoadingError, vk};

use super::render_list::{ImportList, ImportPair, RenderApi, Silence};
use super::vulkan_formats::FORMATS;
use super::whose::Whose;
use crate::constraints::{Fourcc, Modifier, Size};

/// More of a list than this is a driver's mistake.
const MOST: u32 = 4096;

/// What must be there for a dma-buf to be imported and shared, in the order in which it is asked about.
const NEEDED: [(&CStr, &str); 4] = [
    (vk::KHR_EXTERNAL_MEMORY_FD_NAME, "VK_KHR_external_memory_fd"),
    (vk::EXT_EXTERNAL_MEMORY_DMA_BUF_NAME, "VK_EXT_external_memory_dma_buf"),
    (vk::EXT_IMAGE_DRM_FORMAT_MODIFIER_NAME, "VK_EXT_image_drm_format_modifier"),
    (vk::EXT_QUEUE_FAMILY_FOREIGN_NAME, "VK_EXT_queue_family_foreign"),
];

/// Why Vulkan says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VulkanError {
    /// There is no loader.
    #[error(
        "no Vulkan here ({0}): install its loader (Debian: libvulkan1) and a driver (mesa-vulkan-drivers)"
    )]
    NoLoader(String),
    /// The loader is too old to be asked about devices.
    #[error("this Vulkan loader knows no Vulkan 1.1: install a newer one (Debian: libvulkan1)")]
    TooOld,
    /// The loader has no driver, or none that starts.
    #[error("Vulkan has no driver that starts: install one for the GPU (Debian: mesa-vulkan-drivers)")]
    NoDriver,
    /// It fails.
    #[error("Vulkan cannot {what}: error {result}")]
    Failed {
        /// What it was asked for.
        what: &'static str,
        /// A number of `VkResult`.
        result: i32,
    },
}

/// Ends the instance, which nobody else has.
struct Session(Instance);

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: nothing that was made of it is left.
        unsafe { self.0.destroy_instance(None) };
    }
}

/// Asks every device of Vulkan.
pub(super) fn devices() -> Result<Vec<(Whose, ImportList)>, VulkanError> {
    let session = start()?;
    // SAFETY: an instance that lives.
    let found = unsafe { session.0.enumerate_physical_devices() };
    let found = match found {
        // Some loaders say this where there are none.
        Err(vk::Result::ERROR_INITIALIZATION_FAILED) => return Err(VulkanError::NoDriver),
        Ok(found) if found.is_empty() => return Err(VulkanError::NoDriver),
        found => found.map_err(failed("list devices"))?,
    };
    Ok(found.into_iter().map(|device| session.device(device)).collect())
}

fn failed(what: &'static str) -> impl Fn(vk::Result) -> VulkanError {
    move |result| VulkanError::Failed { what, result: result.as_raw() }
}

fn start() -> Result<Session, VulkanError> {
    // SAFETY: the loader's initialisers are made to be run by any program that loads it.
    let entry = unsafe { Entry::load() }.map_err(|error| match error {
        LoadingError::LibraryLoadFailure(error) => VulkanError::NoLoader(error.to_string()),
        LoadingError::MissingEntryPoint(error) => VulkanError::NoLoader(error.to_string()),
    })?;
    // The loader stays: what drivers leave behind may need it.
    std::mem::forget(entry.clone());
    // SAFETY: a loader that is loaded.
    let version = unsafe { entry.try_enumerate_instance_version() }.map_err(failed("say its version"))?;
    if version.is_none_or(|version| version < vk::API_VERSION_1_1) {
        return Err(VulkanError::TooOld);
    }
    let program = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_1);
    let wanted = vk::InstanceCreateInfo::default().application_info(&program);
    // SAFETY: it asks for no layer and no extension.
    match unsafe { entry.create_instance(&wanted, None) } {
        Ok(instance) => Ok(Session(instance)),
        Err(vk::Result::ERROR_INCOMPATIBLE_DRIVER) => Err(VulkanError::NoDriver),
        Err(error) => Err(failed("start")(error)),
    }
}

impl Session {
    fn device(&self, device: vk::PhysicalDevice) -> (Whose, ImportList) {
        // SAFETY: a device of this instance.
        let has = unsafe { self.0.enumerate_device_extension_properties(device) }.unwrap_or_default();
        let has = |name: &CStr| has.iter().any(|it| it.extension_name_as_c_str() == Ok(name));
        let mut drm = vk::PhysicalDeviceDrmPropertiesEXT::default();
        // SAFETY: a device of this instance.
        let known = unsafe { self.0.get_physical_device_properties(device) };
        let modern = known.api_version >= vk::API_VERSION_1_1;
        if modern && has(vk::EXT_PHYSICAL_DEVICE_DRM_NAME) {
            let mut wanted = vk::PhysicalDeviceProperties2::default().push_next(&mut drm);
            // SAFETY: a device that has the function and the extension.
            unsafe { self.0.get_physical_device_properties2(device, &mut wanted) };
        }
        let driver = known.device_name_as_c_str().map(CStr::to_string_lossy).unwrap_or_default().into_owned();
        let pairs = match NEEDED.iter().find(|(name, _)| !has(name)) {
            _ if !modern => Err(Silence::Lacks("Vulkan 1.1")),
            Some((_, lacks)) => Err(Silence::Lacks(lacks)),
            None => Ok(self.pairs(device)),
        };
        let whose = match known.device_type {
            vk::PhysicalDeviceType::CPU => Whose::Software,
            _ => Whose::Numbers(numbers(&drm)),
        };
        (whose, ImportList { api: RenderApi::Vulkan, driver, pairs })
    }

    fn pairs(&self, device: vk::PhysicalDevice) -> Vec<ImportPair> {
        let of = |known: &(Fourcc, vk::Format)| {
            let told = self.modifiers(device, known.1);
            told.into_iter().filter_map(|told| self.pair(device, *known, told)).collect::<Vec<_>>()
        };
        FORMATS.iter().flat_map(of).collect()
    }

    fn modifiers(
        &self,
        device: vk::PhysicalDevice,
        format: vk::Format,
    ) -> Vec<vk::DrmFormatModifierPropertiesEXT> {
        let mut list = vk::DrmFormatModifierPropertiesListEXT::default();
        let mut wanted = vk::FormatProperties2::default().push_next(&mut list);
        // SAFETY: the device has the extension; asked for no list, it writes the number only.
        unsafe { self.0.get_physical_device_format_properties2(device, format, &mut wanted) };
        let count = list.drm_format_modifier_count.min(MOST);
        let mut told = vec![vk::DrmFormatModifierPropertiesEXT::default(); count as usize];
        let mut list =
            vk::DrmFormatModifierPropertiesListEXT::default().drm_format_modifier_properties(&mut told);
        let mut wanted = vk::FormatProperties2::default().push_next(&mut list);
        // SAFETY: as above; the list has room for as many as it says.
        unsafe { self.0.get_physical_device_format_properties2(device, format, &mut wanted) };
        let count = list.drm_format_modifier_count as usize;
        told.truncate(count);
        told
    }

    /// One modifier of a format, if images of it can be imported and read.
    fn pair(
        &self,
        device: vk::PhysicalDevice,
        (fourcc, format): (Fourcc, vk::Format),
        told: vk::DrmFormatModifierPropertiesEXT,
    ) -> Option<ImportPair> {
        let can = told.drm_format_modifier_tiling_features;
        if !can.contains(vk::FormatFeatureFlags::SAMPLED_IMAGE) {
            return None;
        }
        let read = vk::ImageUsageFlags::SAMPLED;
        let modifier = told.drm_format_modifier;
        let drawn = can
            .contains(vk::FormatFeatureFlags::COLOR_ATTACHMENT)
            .then(|| self.imported(device, format, modifier, read | vk::ImageUsageFlags::COLOR_ATTACHMENT));
        let (limits, sample_only) = match drawn.flatten() {
            Some(limits) => (limits, false),
            None => (self.imported(device, format, modifier, read)?, true),
        };
        Some(ImportPair {
            planes: Some(told.drm_format_modifier_plane_count),
            max_size: Some(Size::new(limits.max_extent.width, limits.max_extent.height)),
            max_bytes: Some(limits.max_resource_size),
            ..ImportPair::new(fourcc, Modifier(modifier), sample_only)
        })
    }

    /// The limits of images that are made from dma-bufs; `None` when there are no such images.
    fn imported(
        &self,
        device: vk::PhysicalDevice,
        format: vk::Format,
        modifier: u64,
        usage: vk::ImageUsageFlags,
    ) -> Option<vk::ImageFormatProperties> {
        let mut memory = vk::PhysicalDeviceExternalImageFormatInfo::default()
            .handle_type(vk::ExternalMemoryHandleTypeFlags::DMA_BUF_EXT);
        let mut layout = vk::PhysicalDeviceImageDrmFormatModifierInfoEXT::default()
            .drm_format_modifier(modifier)
            .sharing_mode(vk::SharingMode::EXCLUSIVE);
        let question = vk::PhysicalDeviceImageFormatInfo2::default()
            .format(format)
            .ty(vk::ImageType::TYPE_2D)
            .tiling(vk::ImageTiling::DRM_FORMAT_MODIFIER_EXT)
            .usage(usage)
            .push_next(&mut memory)
            .push_next(&mut layout);
        let mut external = vk::ExternalImageFormatProperties::default();
        let mut answer = vk::ImageFormatProperties2::default().push_next(&mut external);
        // SAFETY: the device has the extensions that the question and the answer are made of.
        unsafe { self.0.get_physical_device_image_format_properties2(device, &question, &mut answer) }
            .ok()?;
        let limits = answer.image_format_properties;
        let features = external.external_memory_properties.external_memory_features;
        features.contains(vk::ExternalMemoryFeatureFlags::IMPORTABLE).then_some(limits)
    }
}

/// The device's nodes by number.
fn numbers(drm: &vk::PhysicalDeviceDrmPropertiesEXT<'_>) -> Vec<(u32, u32)> {
    let number = |there: vk::Bool32, major: i64, minor: i64| {
        (there == vk::TRUE).then_some((u32::try_from(major).ok()?, u32::try_from(minor).ok()?))
    };
    let primary = number(drm.has_primary, drm.primary_major, drm.primary_minor);
    let render = number(drm.has_render, drm.render_major, drm.render_minor);
    primary.into_iter().chain(render).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_not_there_has_no_number() {
        let drm = vk::PhysicalDeviceDrmPropertiesEXT {
            has_render: vk::TRUE,
            primary_major: 1,
            render_major: 226,
            render_minor: 128,
            ..Default::default()
        };
        assert_eq!(numbers(&drm), [(226, 128)]);
        let odd = vk::PhysicalDeviceDrmPropertiesEXT { has_primary: vk::TRUE, primary_major: -1, ..drm };
        assert_eq!(numbers(&odd), [(226, 128)]);
    }

    #[test]
    fn where_there_is_no_driver_that_is_said_and_nothing_fails() {
        // Whatever this machine has: an answer or a typed error, twice, for nothing may be left in a bad state.
        for _ in 0..2 {
            match devices() {
                Ok(found) => assert!(!found.is_empty()),
                Err(error) => assert!(error.to_string().contains("Vulkan"), "{error}"),
            }
        }
    }
}
