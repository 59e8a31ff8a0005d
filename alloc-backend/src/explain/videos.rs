//! The cameras and codecs of a machine, and those of them that take part in the answer.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::gather::{Question, cell};
use super::model::{LinkCell, Unseen};
use crate::buffers::{Allocator, Want};
use crate::constraints::{Fourcc, Size};
use crate::devices::{LeftOut, V4l2Device, v4l2_devices};
use crate::heaps::Root;
use crate::links::probe_video;
use crate::solver::problem::{Participant, Role};

/// A video node.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Video {
    /// What links and answers call it.
    pub name: String,
    /// Its node.
    pub path: PathBuf,
    /// Its driver: a label.
    pub driver: String,
    /// What its maker calls it: a label.
    pub card: String,
    /// `capture`, `decode` or `encode`; none of them for a converter, for example.
    pub role: Option<Role>,
    /// Whether it is behind an IOMMU.
    pub iommu: bool,
    /// Whether its queue imports dma-bufs: the driver says so.
    pub imports: Option<bool>,
    /// Whether it takes memory in pieces: tried, if it takes part, or not known.
    pub takes_scattered: Option<bool>,
    /// Whether it takes part in the answers.
    pub takes_part: bool,
    /// The formats that it shares with others.
    pub formats: Vec<Fourcc>,
    /// Those that it does not, or not at the size asked about.
    pub left_out: Vec<LeftOutLine>,
}

/// A format of a video node that no buffer is made in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeftOutLine {
    /// V4L2's code.
    pub format: Fourcc,
    /// Why.
    pub why: String,
}

impl From<&LeftOut> for LeftOutLine {
    fn from(left_out: &LeftOut) -> Self {
        LeftOutLine { format: left_out.v4l2, why: left_out.why.to_string() }
    }
}

/// What was found.
pub(super) struct Looked {
    pub list: Vec<Video>,
    pub unseen: Vec<Unseen>,
    pub links: Vec<LinkCell>,
    participants: Vec<Participant>,
}

/// Looks at all, and tries those that take part, unless the question is only to look.
pub(super) fn look(root: &Root, question: &Question, size: Size, allocator: &mut Allocator) -> Looked {
    let found = v4l2_devices(root);
    let unseen = found.problems.iter().map(|it| Unseen { path: it.path().to_owned(), why: it.to_string() });
    let mut looked =
        Looked { list: Vec::new(), unseen: unseen.collect(), links: Vec::new(), participants: Vec::new() };
    for device in found.devices.into_iter().map(Arc::new) {
        let wanted = question.with.iter().any(|name| name == device.name());
        let takes_part = wanted && device.role().is_some();
        if takes_part {
            if question.look_only {
                allocator.know_video(Arc::clone(&device));
            } else {
                allocator.with_video(Arc::clone(&device));
            }
            let participant = participant(&device, question, size);
            if !question.look_only {
                looked.links.extend(links(&device, &participant, size, allocator));
            }
            looked.participants.push(participant);
        }
        looked.list.push(video(&device, size, takes_part));
    }
    for name in &question.with {
        if !looked.list.iter().any(|it| it.takes_part && it.name == *name) {
            let there = looked.list.iter().filter(|it| it.role.is_some()).map(|it| it.name.as_str());
            let there: Vec<&str> = there.collect();
            let there = if there.is_empty() { "there is none".to_owned() } else { there.join(", ") };
            let why = format!("no camera or codec that can be opened is called {name}: {there}");
            looked.unseen.push(Unseen { path: root.dev.join(name), why });
        }
    }
    looked
}

impl Looked {
    /// The question with them among those who touch the buffer: who paints by default does not, where a device writes it.
    pub fn join(&self, question: &Question, others: Vec<Participant>, by_default: bool) -> Question {
        let writes = |it: &Participant| matches!(it.role, Role::Capture | Role::Decode);
        let written = by_default && self.participants.iter().any(writes);
        let mut whole = question.clone();
        whole.participants = self.participants.clone();
        whole.participants.extend(others.into_iter().filter(|it| !written || it.role != Role::Cpu));
        whole
    }
}

fn participant(device: &V4l2Device, question: &Question, size: Size) -> Participant {
    let mut participant = device.participant(device.name(), size).unwrap_or_default();
    if let Some(format) = question.format {
        participant.options.iter_mut().for_each(|all| all.retain(|option| option.format.allows(format)));
    }
    participant
}

/// This device with every heap.
fn links(device: &V4l2Device, participant: &Participant, size: Size, allocator: &Allocator) -> Vec<LinkCell> {
    let participants = vec![participant.clone()];
    let want = Want {
        size,
        participants,
        count: 1,
        name: "heapwright-explain",
        dma_buf_only: false,
        ..Want::default()
    };
    let mut problem = allocator.problem(&want);
    // What most buffers have.
    let bytes = size.area().saturating_mul(4);
    let heaps = &allocator.heaps().heaps;
    let probes: Vec<_> = heaps.iter().map(|heap| probe_video(device, &**heap, bytes)).collect();
    problem.links.extend(probes.iter().map(|probe| probe.link.clone()));
    heaps
        .iter()
        .zip(probes)
        .map(|(heap, probe)| cell(device.name(), &**heap, Some(probe), &problem))
        .collect()
}

fn video(device: &V4l2Device, size: Size, takes_part: bool) -> Video {
    let mut formats: Vec<Fourcc> = Vec::new();
    for it in device.formats() {
        if !formats.contains(&it.format) {
            formats.push(it.format);
        }
    }
    let not_at_size = if takes_part { device.offers(size).1 } else { Vec::new() };
    Video {
        name: device.name().to_owned(),
        path: device.path().to_owned(),
        driver: device.driver().to_owned(),
        card: device.card().to_owned(),
        role: device.role(),
        iommu: device.behind_iommu(),
        imports: device.imports(),
        takes_scattered: device.takes_scattered(),
        takes_part,
        formats,
        left_out: device.left_out().iter().chain(&not_at_size).map(LeftOutLine::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constraints::CpuAccess;
    use crate::devices::cpu_participant;

    #[test]
    fn who_paints_by_default_leaves_when_a_camera_writes_but_who_was_named_stays() {
        let party = |name: &str, role| Participant { name: name.to_owned(), role, ..Participant::default() };
        let client =
            || vec![cpu_participant("client", &[], CpuAccess::default()), party("renderer", Role::Sample)];
        let joined = |role, by_default| {
            let participants = vec![party("video0", role)];
            let looked = Looked { list: Vec::new(), unseen: Vec::new(), links: Vec::new(), participants };
            let whole = looked.join(&Question::default(), client(), by_default);
            whole.participants.iter().map(|it| it.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(joined(Role::Capture, true), ["video0", "renderer"]);
        assert_eq!(joined(Role::Encode, true), ["video0", "client", "renderer"]);
        assert_eq!(joined(Role::Capture, false), ["video0", "client", "renderer"]);
    }

    #[test]
    fn a_name_that_nobody_has_is_said_not_to_be_there() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let question = Question { with: vec!["video7".to_owned()], ..Question::default() };
        let mut allocator = Allocator::new(crate::heaps::HeapList::default());
        let looked = look(&root, &question, Size::new(64, 64), &mut allocator);
        let why: Vec<_> = looked.unseen.iter().map(|it| it.why.as_str()).collect();
        assert_eq!(why, ["no camera or codec that can be opened is called video7: there is none"]);
    }
}
