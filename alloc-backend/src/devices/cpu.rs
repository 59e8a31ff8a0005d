//! The CPU as a participant: software renderers, clients that paint.

use crate::constraints::{CpuAccess, Fourcc, LayoutLimits, MemoryLimits, Modifier};
use crate::solver::problem::{OptionSpec, Participant, Role};

/// What the CPU asks of a buffer it maps: LINEAR, and planes at page boundaries.
///
/// Software renderers map each plane at its own offset (Smithay's `map_plane` does), and mmap takes whole pages.
pub fn cpu_participant(name: &str, formats: &[Fourcc], access: CpuAccess) -> Participant {
    linear(name, Role::Cpu, formats, access)
}

/// A renderer that samples with the CPU, such as pixman: as [`cpu_participant`], in the role of a renderer.
pub fn renderer_participant(name: &str, formats: &[Fourcc], access: CpuAccess) -> Participant {
    linear(name, Role::Sample, formats, access)
}

fn linear(name: &str, role: Role, formats: &[Fourcc], access: CpuAccess) -> Participant {
    let option = |format: &Fourcc| OptionSpec {
        format: (*format).into(),
        modifier: Modifier::LINEAR.into(),
        ..OptionSpec::default()
    };
    Participant {
        name: name.to_owned(),
        role,
        options: Some(formats.iter().map(option).collect()),
        memory: MemoryLimits { cpu_access: access, ..MemoryLimits::default() },
        limits: LayoutLimits {
            plane_offset_align: Some(rustix::param::page_size() as u64),
            ..LayoutLimits::default()
        },
        ..Participant::default()
    }
}
