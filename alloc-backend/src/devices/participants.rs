//! What a display asks of a buffer: scan-out, tearing scan-out, and writeback, as participants of a problem.

use super::{Connector, KmsDevice, Plane, PlaneKind};
use crate::constraints::{Fourcc, LayoutLimits, MemoryLimits, Modifier};
use crate::solver::problem::{Alternative, OptionSpec, Participant, Role};

impl KmsDevice {
    /// Scan-out on one CRTC, one alternative for each plane that can serve it. Optional, of weight 100: without it the
    /// picture is composited.
    pub fn participant(&self, crtc: u32, name: &str) -> Participant {
        let serving = |plane: &&Plane| plane.possible_crtcs.contains(&crtc);
        self.participant_of(self.planes().iter().filter(serving), name)
    }

    /// Scan-out on some of its planes, one alternative each.
    pub fn participant_of<'a>(&self, planes: impl IntoIterator<Item = &'a Plane>, name: &str) -> Participant {
        let alternatives = planes.into_iter().map(|plane| self.alternative(plane, &plane.options)).collect();
        self.scanout(alternatives, name)
    }

    /// As [`KmsDevice::participant`], for flips that do not wait for the blank: drivers take fewer modifiers then. Planes
    /// for which the kernel does not say what they take are left out.
    pub fn tearing_participant(&self, crtc: u32, name: &str) -> Participant {
        let serving = self.planes().iter().filter(|plane| plane.possible_crtcs.contains(&crtc));
        let alternative = |plane: &Plane| Some(self.alternative(plane, plane.async_options.as_ref()?));
        self.scanout(serving.filter_map(alternative).collect(), name)
    }

    /// A connector that writes what a CRTC shows into the buffer; `None` when it is no such connector.
    ///
    /// The kernel lists formats without modifiers, so LINEAR is asked for.
    pub fn writeback_participant(&self, connector: &Connector, name: &str) -> Option<Participant> {
        let option = |format: &Fourcc| OptionSpec {
            format: (*format).into(),
            modifier: Modifier::LINEAR.into(),
            ..OptionSpec::default()
        };
        connector.writeback.then(|| Participant {
            role: Role::Writeback,
            options: Some(connector.writeback_formats.iter().map(option).collect()),
            ..self.touching(name)
        })
    }

    fn scanout(&self, alternatives: Vec<Alternative>, name: &str) -> Participant {
        Participant {
            role: Role::Scanout,
            required: false,
            weight: 100,
            alternatives: Some(alternatives),
            ..self.touching(name)
        }
    }

    /// What holds for every framebuffer of the device.
    fn touching(&self, name: &str) -> Participant {
        Participant {
            name: name.to_owned(),
            device: Some(self.name().to_owned()),
            memory: MemoryLimits {
                // Behind an IOMMU the same finding counts: it was made through the IOMMU.
                contiguous: self.takes_scattered() == Some(false),
                ..MemoryLimits::default()
            },
            limits: LayoutLimits {
                min_size: Some(self.limits().min),
                max_size: Some(self.limits().max),
                ..LayoutLimits::default()
            },
            ..Participant::default()
        }
    }

    fn alternative(&self, plane: &Plane, options: &[(Fourcc, Modifier)]) -> Alternative {
        let limits = LayoutLimits {
            max_size: (plane.kind == PlaneKind::Cursor).then(|| self.limits().cursor),
            ..LayoutLimits::default()
        };
        let option = |pair: &(Fourcc, Modifier)| OptionSpec {
            format: pair.0.into(),
            modifier: pair.1.into(),
            limits,
            ..OptionSpec::default()
        };
        Alternative { name: Some(plane.name()), options: options.iter().map(option).collect() }
    }
}
