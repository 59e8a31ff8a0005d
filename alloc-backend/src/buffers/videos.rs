//! The cameras and codecs that an allocator knows.

use std::sync::Arc;

use super::{Allocator, Layout};
use crate::devices::V4l2Device;
use crate::links::{probe_scattered_video, probe_video};
use crate::solver::Resolution;
use crate::solver::problem::{Participant, Problem};

impl Allocator {
    /// Adds a camera or a codec, whose [`V4l2Device::participant`] then is a party to buffers: finds out whether it takes
    /// memory in pieces. This takes its queue for a moment, unless somebody uses it.
    pub fn with_video(&mut self, device: Arc<V4l2Device>) {
        if self.videos.iter().all(|known| known.name() != device.name()) {
            probe_scattered_video(&device, &self.heaps);
            self.know_video(device);
        }
    }

    /// As [`Allocator::with_video`], without trying it now.
    pub(crate) fn know_video(&mut self, device: Arc<V4l2Device>) {
        self.videos.push(device);
    }

    /// The cameras and codecs.
    pub fn videos(&self) -> &[Arc<V4l2Device>] {
        &self.videos
    }

    /// What was found out after a participant was described.
    pub(super) fn apply_video_findings(&self, participant: &mut Participant) {
        let is_it = |video: &&Arc<V4l2Device>| participant.device.as_deref() == Some(video.name());
        if self.videos.iter().find(is_it).is_some_and(|video| video.takes_scattered() == Some(false)) {
            participant.memory.contiguous = true;
        }
    }

    /// Those behind an IOMMU that does make memory in pieces look contiguous.
    pub(super) fn videos_behind_iommu(&self) -> impl Iterator<Item = &str> {
        let behind = |it: &&Arc<V4l2Device>| it.behind_iommu() && it.takes_scattered() != Some(false);
        self.videos.iter().filter(behind).map(|video| video.name())
    }

    /// Tries an answer with every camera and codec that would touch it; whether anything new was learned.
    pub(super) fn try_videos(&self, problem: &mut Problem, resolution: &Resolution, layout: &Layout) -> bool {
        let Some(heap) = self.heaps.get(&resolution.heap) else { return false };
        let pair = (layout.format(), layout.modifier());
        for video in &self.videos {
            let touches = problem.participants.iter().any(|it| {
                it.device.as_deref() == Some(video.name()) && resolution.satisfied.contains(&it.name)
            });
            let said = |link: &crate::solver::problem::Link| {
                let holds = link.bytes.is_none_or(|tried| tried >= layout.bytes());
                link.device == video.name() && link.heap == resolution.heap && holds
            };
            // One answer is enough, also when it is that nothing could be tried.
            if !touches
                || self.links.accepted(video.name(), &resolution.heap, layout.bytes(), pair)
                || problem.links.iter().any(said)
            {
                continue;
            }
            let found = probe_video(video, &**heap, layout.bytes());
            problem.links.push(found.link.clone());
            if found.link.bytes.is_some() {
                self.links.keep(found, pair);
            }
            return true;
        }
        false
    }
}
