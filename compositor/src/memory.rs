//! STUB
use smithay::{
    backend::{
        allocator::{Allocator, Fourcc, Modifier, dmabuf::Dmabuf},
        drm::DrmDeviceFd,
    },
    reexports::pixman::Image,
};
use std::path::Path;
#[derive(Debug)]
pub struct Memory;
#[derive(Debug, serde::Serialize)]
pub struct Report;
impl std::fmt::Display for Report {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct CanvasError;
#[derive(Debug)]
pub struct Canvas;
impl Canvas {
    pub fn width(&self) -> u32 {
        0
    }
    pub fn height(&self) -> u32 {
        0
    }
    pub fn pitch(&self) -> usize {
        0
    }
    pub fn copy(&self) -> Result<Vec<u8>, CanvasError> {
        Err(CanvasError)
    }
    pub fn image(&mut self) -> Result<Image<'static, 'static>, CanvasError> {
        Err(CanvasError)
    }
}
impl Memory {
    pub fn new() -> Self {
        Memory
    }
    pub fn canvas(&mut self, _: u32, _: u32, _: &str) -> Result<Canvas, CanvasError> {
        Err(CanvasError)
    }
    pub fn report(&self) -> Report {
        Report
    }
    pub fn use_display(&mut self, _: &DrmDeviceFd, _: &Path) {}
    pub fn screen_allocator(&self, _: &str) -> ScreenAllocator {
        ScreenAllocator
    }
}
#[derive(Debug)]
pub struct ScreenAllocator;
impl Allocator for ScreenAllocator {
    type Buffer = Dmabuf;
    type Error = CanvasError;
    fn create_buffer(&mut self, _: u32, _: u32, _: Fourcc, _: &[Modifier]) -> Result<Dmabuf, CanvasError> {
        Err(CanvasError)
    }
}
impl crate::state::Heapwright {
    pub fn advertise_dmabuf(&mut self) {}
}
