//! What a client states of its side, request by request, in the words of the solver. Pure.

use heapwright_alloc::{
    constraints::{Fourcc, Modifier},
    solver::problem::{
        ChromaPitch, Coherency, CpuAccess, ExactPitch, Frequency, LayoutLimits, Match, MemoryLimits,
        OptionSpec, Participant, Role, Size, Sync,
    },
};
use heapwright_protocols::allocation::server::zhw_constraints_v1::{
    Any, Count, Error, Limit, Memory, Role as Word,
};

/// Most participants of a client.
const MAX_PARTICIPANTS: usize = 16;

/// Most options over all participants of a client.
const MAX_OPTIONS: usize = 1024;

/// Longest name, bytes.
const MAX_NAME: usize = 64;

/// A request that the protocol does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Refusal {
    /// The protocol's code.
    pub code: Error,
    /// For the client's developer.
    pub why: String,
}

fn refuse<T>(code: Error, why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { code, why: why.into() })
}

/// A client's participants, as they are stated so far.
#[derive(Debug, Clone, Default)]
pub struct Statement {
    participants: Vec<Participant>,
    options: usize,
}

impl Statement {
    /// The participants.
    #[must_use]
    pub fn participants(&self) -> &[Participant] {
        &self.participants
    }

    /// Begins a participant. A weight of 0 says that it is required.
    ///
    /// # Errors
    /// [`Refusal`] for a name that cannot be, or one too many.
    pub fn add_participant(&mut self, name: &str, role: Word, weight: u32) -> Result<(), Refusal> {
        let role = match role {
            Word::Render => Role::Render,
            Word::Sample => Role::Sample,
            Word::Scanout => Role::Scanout,
            Word::Cpu => Role::Cpu,
            Word::Decode => Role::Decode,
            Word::Encode => Role::Encode,
            Word::Capture => Role::Capture,
            Word::Writeback => Role::Writeback,
            _ => return refuse(Error::UnknownRole, "no such role"),
        };
        // Parentheses mark who is not the client's.
        if name.is_empty() || name.len() > MAX_NAME || name.starts_with('(') {
            return refuse(
                Error::InvalidName,
                format!("{name:?} is no name: 1 to {MAX_NAME} bytes, no parenthesis"),
            );
        }
        if self.participants.iter().any(|known| known.name == name) {
            return refuse(Error::DuplicateName, format!("there is a participant {name:?} already"));
        }
        if self.participants.len() >= MAX_PARTICIPANTS {
            return refuse(Error::TooMany, format!("more than {MAX_PARTICIPANTS} participants"));
        }
        self.participants.push(Participant {
            name: name.to_owned(),
            role,
            required: weight == 0,
            weight: weight.max(1),
            ..Participant::default()
        });
        Ok(())
    }

    fn participant(&mut self) -> Result<&mut Participant, Refusal> {
        let last = self.participants.last_mut();
        last.ok_or_else(|| Refusal {
            code: Error::NoParticipant,
            why: "add_participant comes first".to_owned(),
        })
    }

    /// Names the device of the participant.
    ///
    /// # Errors
    /// [`Refusal`] when there is no participant yet.
    pub fn set_device(&mut self, device: String) -> Result<(), Refusal> {
        self.participant()?.device = Some(device);
        Ok(())
    }

    /// Begins an option.
    ///
    /// # Errors
    /// [`Refusal`] when there is no participant yet, or one option too many.
    pub fn add_option(&mut self, format: u32, modifier: u64, any: Any) -> Result<(), Refusal> {
        if self.options >= MAX_OPTIONS {
            return refuse(Error::TooMany, format!("more than {MAX_OPTIONS} options"));
        }
        let option = OptionSpec {
            format: if any.contains(Any::Format) { Match::Any } else { Match::Is(Fourcc(format)) },
            modifier: if any.contains(Any::Modifier) { Match::Any } else { Match::Is(Modifier(modifier)) },
            ..OptionSpec::default()
        };
        self.participant()?.options.get_or_insert_default().push(option);
        self.options += 1;
        Ok(())
    }

    /// Ranks the option.
    ///
    /// # Errors
    /// [`Refusal`] when there is no option yet.
    pub fn set_rank(&mut self, rank: u32) -> Result<(), Refusal> {
        match self.participant()?.options.as_mut().and_then(|options| options.last_mut()) {
            Some(option) => option.rank = Some(rank),
            None => return refuse(Error::NoOption, "add_option comes first"),
        }
        Ok(())
    }

    /// Limits size or layout, of the option or of the whole participant.
    ///
    /// # Errors
    /// [`Refusal`] when there is no participant yet, or for a value that cannot be.
    pub fn set_limit(&mut self, field: Limit, value: u64) -> Result<(), Refusal> {
        let participant = self.participant()?;
        let limits = match participant.options.as_mut().and_then(|options| options.last_mut()) {
            Some(option) => &mut option.limits,
            None => &mut participant.limits,
        };
        limit(limits, field, value)
    }

    /// Limits the memory of the participant.
    ///
    /// # Errors
    /// [`Refusal`] when there is no participant yet, or for a value that cannot be.
    pub fn set_memory(&mut self, field: Memory, value: u64) -> Result<(), Refusal> {
        let participant = self.participant()?;
        if field == Memory::Sync {
            let kinds = [(1, Sync::Implicit), (2, Sync::Explicit)];
            participant.sync = Some(chosen(&kinds, field, value)?);
            return Ok(());
        }
        memory(&mut participant.memory, field, value)
    }

    /// Says how many buffers the participant needs.
    ///
    /// # Errors
    /// [`Refusal`] when there is no participant yet.
    pub fn set_count(&mut self, field: Count, value: u32) -> Result<(), Refusal> {
        let counts = &mut self.participant()?.counts;
        let count = match field {
            Count::Camping => &mut counts.camping,
            Count::DedicatedSlack => &mut counts.dedicated_slack,
            Count::SharedSlack => &mut counts.shared_slack,
            Count::MinCount => &mut counts.min_count,
            Count::MaxCount => &mut counts.max_count,
            _ => return refuse(Error::UnknownField, "no such count"),
        };
        *count = Some(value);
        Ok(())
    }
}

fn invalid<T>(field: impl std::fmt::Debug, value: u64) -> Result<T, Refusal> {
    refuse(Error::InvalidValue, format!("{field:?} cannot be {value}"))
}

fn flag(field: impl std::fmt::Debug, value: u64) -> Result<bool, Refusal> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => invalid(field, value),
    }
}

fn narrow(field: impl std::fmt::Debug, value: u64) -> Result<u32, Refusal> {
    u32::try_from(value).or_else(|_| invalid(field, value))
}

/// The words whose bits are set: at least one, and none that is unknown.
fn chosen<T: Copy>(words: &[(u64, T)], field: impl std::fmt::Debug, value: u64) -> Result<Vec<T>, Refusal> {
    let all = words.iter().fold(0, |all, (bit, _)| all | bit);
    if value == 0 || value & !all != 0 {
        return invalid(field, value);
    }
    Ok(words.iter().filter(|(bit, _)| value & bit != 0).map(|(_, word)| *word).collect())
}

fn frequency(field: Memory, value: u64) -> Result<Frequency, Refusal> {
    match value {
        0 => Ok(Frequency::None),
        1 => Ok(Frequency::Rare),
        2 => Ok(Frequency::Often),
        _ => invalid(field, value),
    }
}

fn limit(limits: &mut LayoutLimits, field: Limit, value: u64) -> Result<(), Refusal> {
    let may_be_zero = matches!(
        field,
        Limit::PadBeyondImage
            | Limit::ExactPitch
            | Limit::PitchAtPixelBoundary
            | Limit::SingleAllocation
            | Limit::ChromaPitch
    );
    if value == 0 && !may_be_zero {
        return invalid(field, value);
    }
    let least = limits.min_size.unwrap_or(Size::new(1, 1));
    let most = limits.max_size.unwrap_or(Size::new(u32::MAX, u32::MAX));
    match field {
        Limit::MinWidth => limits.min_size = Some(Size { width: narrow(field, value)?, ..least }),
        Limit::MinHeight => limits.min_size = Some(Size { height: narrow(field, value)?, ..least }),
        Limit::MaxWidth => limits.max_size = Some(Size { width: narrow(field, value)?, ..most }),
        Limit::MaxHeight => limits.max_size = Some(Size { height: narrow(field, value)?, ..most }),
        Limit::MaxArea => limits.max_area = Some(value),
        Limit::WidthAlign => limits.width_align = Some(value),
        Limit::HeightAlign => limits.height_align = Some(value),
        Limit::MinPitch => limits.min_pitch = Some(value),
        Limit::MaxPitch => limits.max_pitch = Some(value),
        Limit::PitchAlign => limits.pitch_align = Some(value),
        Limit::PitchAtPixelBoundary => limits.pitch_at_pixel_boundary = flag(field, value)?,
        Limit::ExactPitch if value == 0 => limits.exact_pitch = Some(ExactPitch::Packed),
        Limit::ExactPitch => limits.exact_pitch = Some(ExactPitch::Bytes(value)),
        Limit::PlaneOffsetAlign => limits.plane_offset_align = Some(value),
        Limit::AllocHeightAlign => limits.alloc_height_align = Some(value),
        Limit::ExactRows => limits.exact_rows = Some(value),
        Limit::PadBeyondImage => limits.pad_beyond_image = Some(value),
        Limit::SizeAlign => limits.size_align = Some(value),
        Limit::MaxSizeBytes => limits.max_size_bytes = Some(value),
        Limit::SingleAllocation => limits.single_allocation = flag(field, value)?,
        Limit::BaseAlign => limits.base_align = Some(value),
        Limit::ChromaPitch => {
            limits.chroma_pitch = Some(match value {
                0 => ChromaPitch::Equal,
                1 => ChromaPitch::Half,
                2 => ChromaPitch::Double,
                _ => return invalid(field, value),
            });
        }
        _ => return refuse(Error::UnknownField, "no such limit"),
    }
    Ok(())
}

fn memory(limits: &mut MemoryLimits, field: Memory, value: u64) -> Result<(), Refusal> {
    let CpuAccess { read, write } = limits.cpu_access;
    match field {
        Memory::Contiguous => limits.contiguous = flag(field, value)?,
        Memory::DmaMaskBits if (1..=64).contains(&value) => {
            limits.dma_mask_bits = Some(narrow(field, value)?)
        }
        Memory::MaxSegments if value > 0 => limits.max_segments = Some(value),
        Memory::MaxSegmentSize if value > 0 => limits.max_segment_size = Some(value),
        Memory::Protected => limits.protected = flag(field, value)?,
        Memory::CanProtected => limits.can_protected = flag(field, value)?,
        Memory::Coherency => {
            let states = [(1, Coherency::Cached), (2, Coherency::Uncached), (4, Coherency::Inaccessible)];
            limits.coherency = Some(chosen(&states, field, value)?);
        }
        Memory::CpuRead => limits.cpu_access = CpuAccess { read: frequency(field, value)?, write },
        Memory::CpuWrite => limits.cpu_access = CpuAccess { read, write: frequency(field, value)? },
        Memory::DeviceLocal => limits.device_local_ok = Some(flag(field, value)?),
        Memory::P2p => limits.p2p_ok = Some(flag(field, value)?),
        Memory::DmaMaskBits | Memory::MaxSegments | Memory::MaxSegmentSize => return invalid(field, value),
        _ => return refuse(Error::UnknownField, "no such limit of memory"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun() -> Statement {
        let mut statement = Statement::default();
        statement.add_participant("gpu", Word::Render, 0).expect("a participant");
        statement
    }

    fn code<T>(result: Result<T, Refusal>) -> Option<Error> {
        result.err().map(|refusal| refusal.code)
    }

    #[test]
    fn a_statement_says_what_a_problem_file_would() {
        let mut said = begun();
        said.set_limit(Limit::MaxWidth, 4096).expect("a limit of all options");
        said.add_option(Fourcc::XRGB8888.0, 0, Any::empty()).expect("an option");
        said.set_limit(Limit::PitchAlign, 256).expect("a limit");
        said.set_rank(7).expect("a rank");
        said.add_option(0, 0, Any::Format | Any::Modifier).expect("an option");
        said.set_memory(Memory::Contiguous, 1).expect("a limit");
        said.set_memory(Memory::Coherency, 3).expect("a limit");
        said.set_memory(Memory::CpuWrite, 2).expect("a limit");
        said.set_memory(Memory::Sync, 1).expect("a limit");
        said.set_count(Count::Camping, 2).expect("a count");
        said.add_participant("camera", Word::Capture, 5).expect("a participant");
        said.set_limit(Limit::ExactPitch, 0).expect("a limit");
        let file = r#"[
            { "name": "gpu", "role": "render", "max_size": [4096, 4294967295], "options": [
                { "format": "XR24", "modifier": "LINEAR", "pitch_align": 256, "rank": 7 },
                { "format": "any", "modifier": "any" } ],
              "memory": { "contiguous": true, "coherency": ["cached", "uncached"], "cpu_access": { "write": "often" } },
              "sync": "implicit", "counts": { "camping": 2 } },
            { "name": "camera", "role": "capture", "required": false, "weight": 5, "exact_pitch": "packed" } ]"#;
        let wanted: Vec<Participant> = serde_json::from_str(file).expect("participants");
        assert_eq!(said.participants(), wanted);
    }

    /// Reads what a client's library says.
    fn heard(participants: &[Participant]) -> Vec<Participant> {
        use heapwright_client::said::{Said, said};
        let mut all = Vec::new();
        for participant in participants {
            said(participant, None, &mut all).expect("words for it");
        }
        let mut statement = Statement::default();
        for request in all {
            let taken = match request {
                Said::Participant { name, role, weight } => {
                    statement.add_participant(name, Word::try_from(role as u32).expect("a role"), weight)
                }
                Said::Device(number) => statement.set_device(number.to_string()),
                Said::Option { format, modifier, any } => {
                    statement.add_option(format, modifier, Any::from_bits_truncate(any.bits()))
                }
                Said::Rank(rank) => statement.set_rank(rank),
                Said::Limit(field, value) => {
                    statement.set_limit(Limit::try_from(field as u32).expect("a limit"), value)
                }
                Said::Memory(field, value) => {
                    statement.set_memory(Memory::try_from(field as u32).expect("a limit"), value)
                }
                Said::Count(field, value) => {
                    statement.set_count(Count::try_from(field as u32).expect("a count"), value)
                }
            };
            taken.expect("what the library says is right");
        }
        statement.participants().to_vec()
    }

    /// Every field that there are words for, each on its own and all at once.
    #[test]
    fn what_the_client_library_says_is_understood() {
        let limits = r#"{ "min_size": [16, 8], "max_size": [4096, 2048], "max_area": 7, "width_align": 2, "height_align": 3,
            "min_pitch": 64, "max_pitch": 65536, "pitch_align": 256, "pitch_at_pixel_boundary": true, "exact_pitch": 2560,
            "plane_offset_align": 4096, "alloc_height_align": 16, "exact_rows": 608, "pad_beyond_image": 128, "size_align": 8192,
            "max_size_bytes": 99999999999, "single_allocation": true, "base_align": 65536, "chroma_pitch": "half" }"#;
        let memory = r#"{ "contiguous": true, "dma_mask_bits": 32, "max_segments": 4, "max_segment_size": 65536,
            "protected": true, "can_protected": true, "coherency": ["uncached", "inaccessible"],
            "cpu_access": { "read": "rare", "write": "often" }, "device_local_ok": false, "p2p_ok": true }"#;
        let counts =
            r#"{ "camping": 1, "dedicated_slack": 2, "shared_slack": 3, "min_count": 4, "max_count": 5 }"#;
        let object = |text: &str| -> serde_json::Map<String, serde_json::Value> {
            serde_json::from_str(text).expect("an object")
        };
        let mut all = object(r#"{ "name": "all", "role": "writeback", "sync": ["explicit"] }"#);
        all.extend(object(limits));
        all.insert("memory".to_owned(), object(memory).into());
        all.insert("counts".to_owned(), object(counts).into());
        let mut option = object(limits);
        option
            .extend(object(r#"{ "format": "NV12", "modifier": "any", "rank": 3, "exact_pitch": "packed" }"#));
        all.insert("options".to_owned(), vec![serde_json::Value::from(option)].into());
        let mut stated = vec![all];
        for role in ["render", "sample", "scanout", "cpu", "decode", "encode", "capture"] {
            let role = format!(r#"{{ "name": "{role}", "role": "{role}", "required": false, "weight": 9 }}"#);
            stated.push(object(&role));
        }
        for (at, (key, value)) in object(limits).into_iter().enumerate() {
            let mut one = object(&format!(r#"{{ "name": "limit-{at}", "role": "cpu" }}"#));
            one.insert(key, value);
            stated.push(one);
        }
        for one in stated {
            let one: Participant = serde_json::from_value(one.into()).expect("a participant");
            assert_eq!(heard(std::slice::from_ref(&one)), [one]);
        }
    }

    #[test]
    fn every_request_before_its_time_is_refused_by_its_code() {
        let mut nobody = Statement::default();
        assert_eq!(code(nobody.add_option(0, 0, Any::empty())), Some(Error::NoParticipant));
        assert_eq!(code(nobody.set_limit(Limit::MaxArea, 1)), Some(Error::NoParticipant));
        assert_eq!(code(nobody.set_memory(Memory::Contiguous, 1)), Some(Error::NoParticipant));
        assert_eq!(code(nobody.set_count(Count::Camping, 1)), Some(Error::NoParticipant));
        assert_eq!(code(nobody.set_device("d".to_owned())), Some(Error::NoParticipant));
        assert_eq!(code(begun().set_rank(1)), Some(Error::NoOption));
    }

    #[test]
    fn names_are_unique_short_and_not_ours() {
        for (name, why) in [
            ("gpu", Error::DuplicateName),
            ("", Error::InvalidName),
            ("(display)", Error::InvalidName),
            (&*"x".repeat(65), Error::InvalidName),
        ] {
            assert_eq!(code(begun().add_participant(name, Word::Cpu, 0)), Some(why), "{name}");
        }
    }

    #[test]
    fn values_that_cannot_be_are_refused() {
        for (field, value) in [
            (Limit::PitchAlign, 0),
            (Limit::MaxArea, 0),
            (Limit::MinWidth, 1 << 32),
            (Limit::SingleAllocation, 2),
            (Limit::ChromaPitch, 3),
        ] {
            assert_eq!(code(begun().set_limit(field, value)), Some(Error::InvalidValue), "{field:?} {value}");
        }
        for (field, value) in [
            (Memory::DmaMaskBits, 0),
            (Memory::DmaMaskBits, 65),
            (Memory::MaxSegments, 0),
            (Memory::Contiguous, 2),
            (Memory::Coherency, 0),
            (Memory::Coherency, 8),
            (Memory::CpuRead, 3),
            (Memory::Sync, 4),
        ] {
            assert_eq!(
                code(begun().set_memory(field, value)),
                Some(Error::InvalidValue),
                "{field:?} {value}"
            );
        }
    }

    #[test]
    fn a_flood_ends_at_the_limits_that_the_protocol_names() {
        let mut said = begun();
        let options = (0..).map_while(|_| said.add_option(0, 0, Any::empty()).ok()).count();
        assert_eq!(options, 1024);
        assert_eq!(code(said.add_option(0, 0, Any::empty())), Some(Error::TooMany));
        let names = (0..).map_while(|n: u32| said.add_participant(&n.to_string(), Word::Cpu, 0).ok()).count();
        assert_eq!(names, 15);
        assert_eq!(code(said.add_participant("last", Word::Cpu, 0)), Some(Error::TooMany));
    }
}
