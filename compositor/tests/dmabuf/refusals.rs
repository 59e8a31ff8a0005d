//! Every refusal, over the wire: the error code that the specification names, and nobody else disturbed.

use heapwright_protocols::linux_dmabuf::client::zwp_linux_buffer_params_v1::{Error, Flags};

use super::fixture::{AR24, Client, IMPLICIT, LINEAR, NV12, RG24, Server, TILED, XR24, feedback, memfd};

/// What must come of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Buffer,
    Failed,
    Code(Error),
}
use Outcome::{Buffer, Code, Failed};

/// Index, offset, pitch, modifier, bytes of the file.
type Plane = (u32, u32, u32, u64, u64);

struct Case {
    says: &'static str,
    version: u32,
    planes: &'static [Plane],
    size: (i32, i32),
    format: u32,
    flags: u32,
    outcome: Outcome,
}

const GOOD: Case = Case {
    says: "a right buffer is taken",
    version: 5,
    planes: &[(0, 0, 256, LINEAR, 256 * 64)],
    size: (64, 64),
    format: XR24,
    flags: 0,
    outcome: Buffer,
};

/// 64x64, luma then chroma in one file each time.
const LUMA: Plane = (0, 0, 64, LINEAR, 64 * 96);
const CHROMA: Plane = (1, 64 * 64, 64, LINEAR, 64 * 96);

const CASES: &[Case] = &[
    GOOD,
    Case {
        says: "planes count by their index, not their order",
        format: NV12,
        planes: &[CHROMA, LUMA],
        ..GOOD
    },
    Case {
        says: "three-byte pixels may have a round pitch",
        format: RG24,
        planes: &[(0, 0, 200, LINEAR, 12_800)],
        ..GOOD
    },
    Case {
        says: "a vendor's layout may add planes",
        planes: &[(0, 0, 256, TILED, 20_000), (1, 16_384, 32, TILED, 20_000)],
        ..GOOD
    },
    Case {
        says: "implicit, where advertised",
        format: AR24,
        planes: &[(0, 0, 256, IMPLICIT, 16_384)],
        ..GOOD
    },
    Case {
        says: "plane index 4",
        planes: &[(4, 0, 256, LINEAR, 16_384)],
        outcome: Code(Error::PlaneIdx),
        ..GOOD
    },
    Case {
        says: "plane index u32::MAX",
        planes: &[(u32::MAX, 0, 256, LINEAR, 16_384)],
        outcome: Code(Error::PlaneIdx),
        ..GOOD
    },
    Case { says: "a plane set twice", planes: &[LUMA, LUMA], outcome: Code(Error::PlaneSet), ..GOOD },
    Case { says: "no plane at all", planes: &[], outcome: Code(Error::Incomplete), ..GOOD },
    Case {
        says: "the second plane missing",
        format: NV12,
        planes: &[LUMA],
        outcome: Code(Error::Incomplete),
        ..GOOD
    },
    Case { says: "the first plane missing", planes: &[CHROMA], outcome: Code(Error::Incomplete), ..GOOD },
    Case {
        says: "a gap",
        format: NV12,
        planes: &[LUMA, (2, 0, 64, LINEAR, 64 * 96)],
        outcome: Code(Error::Incomplete),
        ..GOOD
    },
    Case {
        says: "a plane too many",
        planes: &[GOOD.planes[0], (1, 0, 256, LINEAR, 16_384)],
        outcome: Code(Error::Incomplete),
        ..GOOD
    },
    Case {
        says: "a format not advertised",
        format: u32::from_le_bytes(*b"XB24"),
        outcome: Code(Error::InvalidFormat),
        ..GOOD
    },
    Case { says: "a format of zero bytes", format: 0, outcome: Code(Error::InvalidFormat), ..GOOD },
    Case {
        says: "no format that anyone knows",
        format: u32::MAX,
        outcome: Code(Error::InvalidFormat),
        ..GOOD
    },
    Case {
        says: "a modifier not advertised",
        planes: &[(0, 0, 256, 77, 16_384)],
        outcome: Code(Error::InvalidFormat),
        ..GOOD
    },
    Case {
        says: "the same in version 4",
        version: 4,
        planes: &[(0, 0, 256, 77, 16_384)],
        outcome: Code(Error::InvalidFormat),
        ..GOOD
    },
    Case {
        says: "but in version 3 it merely fails",
        version: 3,
        planes: &[(0, 0, 256, 77, 16_384)],
        outcome: Failed,
        ..GOOD
    },
    Case {
        says: "implicit, where not advertised",
        planes: &[(0, 0, 256, IMPLICIT, 16_384)],
        outcome: Code(Error::InvalidFormat),
        ..GOOD
    },
    Case {
        says: "in version 1 modifiers are no promise",
        version: 1,
        format: AR24,
        planes: &[(0, 0, 256, 77, 16_384)],
        ..GOOD
    },
    Case { says: "version 1 with a linear buffer", version: 1, ..GOOD },
    Case {
        says: "planes with two modifiers",
        format: NV12,
        planes: &[LUMA, (1, 4096, 64, TILED, 64 * 96)],
        outcome: Code(Error::InvalidFormat),
        ..GOOD
    },
    Case {
        says: "which merely fails in version 4",
        version: 4,
        format: NV12,
        planes: &[LUMA, (1, 4096, 64, TILED, 64 * 96)],
        outcome: Failed,
        ..GOOD
    },
    Case { says: "width 0", size: (0, 64), outcome: Code(Error::InvalidDimensions), ..GOOD },
    Case { says: "height -1", size: (64, -1), outcome: Code(Error::InvalidDimensions), ..GOOD },
    Case {
        says: "the smallest numbers there are",
        size: (i32::MIN, i32::MIN),
        outcome: Code(Error::InvalidDimensions),
        ..GOOD
    },
    Case {
        says: "an absurd size",
        size: (i32::MAX, i32::MAX),
        planes: &[(0, 0, u32::MAX, LINEAR, 16_384)],
        outcome: Failed,
        ..GOOD
    },
    Case {
        says: "one byte short",
        planes: &[(0, 0, 256, LINEAR, 16_383)],
        outcome: Code(Error::OutOfBounds),
        ..GOOD
    },
    Case {
        says: "an offset past the end",
        planes: &[(0, 4, 256, LINEAR, 16_384)],
        outcome: Code(Error::OutOfBounds),
        ..GOOD
    },
    Case {
        says: "the largest offset",
        planes: &[(0, u32::MAX, 256, LINEAR, 16_384)],
        outcome: Code(Error::OutOfBounds),
        ..GOOD
    },
    Case {
        says: "the largest pitch",
        planes: &[(0, 0, 0xffff_fffc, LINEAR, 16_384)],
        outcome: Code(Error::OutOfBounds),
        ..GOOD
    },
    Case {
        says: "only the second plane too long",
        format: NV12,
        planes: &[LUMA, (1, 64 * 64 + 1, 64, LINEAR, 64 * 96)],
        outcome: Code(Error::OutOfBounds),
        ..GOOD
    },
    Case {
        says: "a vendor's extra plane past the end",
        planes: &[(0, 0, 256, TILED, 20_000), (1, 19_990, 32, TILED, 20_000)],
        outcome: Code(Error::OutOfBounds),
        ..GOOD
    },
    Case {
        says: "a pitch below one row",
        planes: &[(0, 0, 252, LINEAR, 16_384)],
        outcome: Code(Error::OutOfBounds),
        ..GOOD
    },
    Case {
        says: "a pitch of zero",
        planes: &[(0, 0, 0, LINEAR, 16_384)],
        outcome: Code(Error::OutOfBounds),
        ..GOOD
    },
    Case {
        says: "a chroma pitch below one row",
        format: NV12,
        planes: &[LUMA, (1, 64 * 64, 62, LINEAR, 64 * 96)],
        outcome: Code(Error::OutOfBounds),
        ..GOOD
    },
    Case {
        says: "a pitch that splits a pixel",
        planes: &[(0, 0, 258, LINEAR, 20_000)],
        outcome: Code(Error::OutOfBounds),
        ..GOOD
    },
    Case { says: "y_invert", flags: 1, outcome: Failed, ..GOOD },
    Case { says: "interlaced, bottom first", flags: 6, outcome: Failed, ..GOOD },
    Case { says: "a flag that nobody knows", flags: 8, outcome: Failed, ..GOOD },
    Case { says: "all flags", flags: u32::MAX, outcome: Failed, ..GOOD },
];

fn server() -> Server {
    Server::new(feedback(&[
        (XR24, LINEAR),
        (XR24, TILED),
        (AR24, LINEAR),
        (AR24, IMPLICIT),
        (RG24, LINEAR),
        (NV12, LINEAR),
        (NV12, TILED),
    ]))
}

fn request(server: &mut Server, client: &mut Client, case: &Case, immediately: bool) -> Outcome {
    let params = client.params();
    for &(index, offset, pitch, modifier, bytes) in case.planes {
        use std::os::fd::AsFd;
        let file = memfd(bytes);
        params.add(file.as_fd(), index, offset, pitch, (modifier >> 32) as u32, modifier as u32);
        // The request holds a copy of the descriptor until it is sent.
        client.roundtrip_or_error(server);
    }
    let (width, height) = case.size;
    let flags = Flags::from_bits_retain(case.flags);
    let (failed, created, made) = (client.seen.failed, client.seen.created.len(), server.state.buffers.len());
    if immediately {
        params.create_immed(width, height, case.format, flags, &client.handle(), ());
    } else {
        params.create(width, height, case.format, flags);
    }
    match client.roundtrip(server) {
        Err(error) => {
            assert_eq!(error.object_interface, "zwp_linux_buffer_params_v1", "{}", case.says);
            Code(Error::try_from(error.code).unwrap())
        }
        Ok(()) if client.seen.failed > failed => Failed,
        Ok(()) => {
            assert_eq!(server.state.buffers.len(), made + 1, "{}", case.says);
            assert_eq!(client.seen.created.len(), created + usize::from(!immediately), "{}", case.says);
            Buffer
        }
    }
}

impl Client {
    /// The error of a client that is dead already is asked for again by the next roundtrip.
    fn roundtrip_or_error(&mut self, server: &mut Server) {
        let _ = self.roundtrip(server);
    }
}

#[test]
fn create_answers_each_mistake_by_its_code_and_others_go_on() {
    let mut server = server();
    let mut bystander = server.connect(5);
    for case in CASES {
        let mut client = server.connect(case.version);
        assert_eq!(request(&mut server, &mut client, case, false), case.outcome, "{}", case.says);
        bystander.roundtrip(&mut server).unwrap();
    }
}

#[test]
fn create_immed_ends_the_client_where_create_would_fail() {
    let mut server = server();
    let mut bystander = server.connect(5);
    for case in CASES.iter().filter(|case| case.version >= 2) {
        let mut client = server.connect(case.version);
        let outcome = match case.outcome {
            Failed => Code(Error::InvalidWlBuffer),
            other => other,
        };
        assert_eq!(request(&mut server, &mut client, case, true), outcome, "{}", case.says);
        bystander.roundtrip(&mut server).unwrap();
    }
}

#[test]
fn params_make_one_buffer_only_also_after_a_failure() {
    use std::os::fd::AsFd;
    for flags in [Flags::empty(), Flags::YInvert] {
        for again in 0..3 {
            let mut server = server();
            let mut client = server.connect(5);
            let params = client.params();
            let file = memfd(16_384);
            params.add(file.as_fd(), 0, 0, 256, 0, 0);
            params.create(64, 64, XR24, flags);
            client.roundtrip(&mut server).unwrap();
            match again {
                0 => params.add(file.as_fd(), 1, 0, 256, 0, 0),
                1 => params.create(64, 64, XR24, flags),
                _ => drop(params.create_immed(64, 64, XR24, flags, &client.handle(), ())),
            }
            let error = client.roundtrip(&mut server).unwrap_err();
            assert_eq!(error.code, Error::AlreadyUsed as u32, "{flags:?} {again}");
        }
    }
}

#[test]
fn a_memfd_is_no_dmabuf_to_the_real_check() {
    let mut server = server();
    server.state.dmabuf.set_dmabuf_check(heapwright::dmabuf::file::is_dmabuf);
    let mut client = server.connect(5);
    assert_eq!(request(&mut server, &mut client, &GOOD, false), Failed);
    assert_eq!(request(&mut server, &mut client, &GOOD, true), Code(Error::InvalidWlBuffer));
    assert!(server.state.buffers.is_empty());
}

#[test]
fn a_refused_import_fails_and_the_client_may_try_again() {
    let mut server = server();
    server.state.refuse_imports = true;
    let mut client = server.connect(5);
    assert_eq!(request(&mut server, &mut client, &GOOD, false), Failed);
    server.state.refuse_imports = false;
    assert_eq!(request(&mut server, &mut client, &GOOD, false), Buffer);
    server.state.refuse_imports = true;
    // The reason, however long and whatever is in it, reaches the client.
    assert_eq!(request(&mut server, &mut client, &GOOD, true), Code(Error::InvalidWlBuffer));
}
