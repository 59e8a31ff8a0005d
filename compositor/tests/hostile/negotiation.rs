//! Clients that ask for buffers as none should.

use std::{os::fd::OwnedFd, time::Duration};

use heapwright_protocols::allocation::client::{
    zhw_allocation_v1::{self, Error as AllocationError, Reason, ZhwAllocationV1},
    zhw_allocator_v1::{Error as AllocatorError, ZhwAllocatorV1},
    zhw_constraints_v1::{
        Any as Open, Count, Error as ConstraintsError, Limit, Memory, Request, Role, ZhwConstraintsV1,
    },
};
use wayland_client::{Connection, Dispatch, Proxy as _, QueueHandle, WEnum, delegate_noop};

use super::{
    Case, Cut, Error, Fine, case,
    client::{Client, Heard},
    play,
    server::{Bystander, Server},
};

/// `XR24`.
const FORMAT: u32 = 0x3432_5258;
const MOST: u32 = i32::MAX as u32;

/// What the compositor said to questions.
#[derive(Debug, Default)]
pub struct Answers {
    pub done: usize,
    pub failed: Vec<Reason>,
    pub fds: Vec<OwnedFd>,
    /// Buffers are not closed as they come.
    pub keeps: bool,
}

impl Dispatch<ZhwAllocationV1, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &ZhwAllocationV1,
        event: zhw_allocation_v1::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use zhw_allocation_v1::Event;
        match event {
            Event::Buffer { fd, .. } if heard.answers.keeps => heard.answers.fds.push(fd),
            Event::Done { .. } => heard.answers.done += 1,
            Event::Failed { reason: WEnum::Value(reason), .. } => heard.answers.failed.push(reason),
            _ => {}
        }
    }
}

delegate_noop!(Heard: ignore ZhwAllocatorV1);
delegate_noop!(Heard: ignore ZhwConstraintsV1);

impl Client {
    fn allocator(&self) -> ZhwAllocatorV1 {
        self.global(1)
    }

    fn constraints(&self) -> ZhwConstraintsV1 {
        self.allocator().create_constraints(&self.handle, ())
    }

    /// A client that writes with the CPU.
    fn painter(&self) -> ZhwConstraintsV1 {
        let constraints = self.begun();
        constraints.add_option(FORMAT, 0, 0, Open::empty());
        constraints.set_memory(Memory::CpuWrite, 0, 2);
        constraints
    }

    fn begun(&self) -> ZhwConstraintsV1 {
        let constraints = self.constraints();
        constraints.add_participant("painter".to_owned(), Role::Cpu, 0);
        constraints
    }

    fn allocate(
        &self,
        constraints: &ZhwConstraintsV1,
        (width, height): (u32, u32),
        count: u32,
    ) -> ZhwAllocationV1 {
        self.allocator().allocate(constraints, None, width, height, count, &self.handle, ())
    }

    /// Waits for so many answers, good or bad.
    fn answers(&mut self, wanted: usize) {
        self.wait(|heard| heard.answers.done + heard.answers.failed.len() >= wanted).expect("answers");
    }
}

fn asked(client: &Client, size: (u32, u32), count: u32) {
    client.allocate(&client.painter(), size, count);
}

const CASES: &[Case] = &[
    case("a question", |c| asked(c, (64, 64), 3), Fine),
    case(
        "a question about everything",
        |c| {
            let constraints = c.begun();
            for field in 0.. {
                let Ok(field) = Limit::try_from(field) else { break };
                constraints.set_limit(field, 0, 1);
            }
            constraints.add_option(FORMAT, 0x00ff_ffff, u32::MAX, Open::Format | Open::Modifier);
            constraints.set_rank(u32::MAX);
            for field in 0.. {
                let Ok(field) = Limit::try_from(field) else { break };
                constraints.set_limit(field, 0, 1);
            }
            for field in 0.. {
                let Ok(field) = Memory::try_from(field) else { break };
                constraints.set_memory(field, 0, 1);
            }
            for field in 0.. {
                let Ok(field) = Count::try_from(field) else { break };
                constraints.set_count(field, u32::MAX);
            }
            constraints.set_device(vec![0xff; 8]);
            c.allocate(&constraints, (64, 64), 3);
        },
        Fine,
    ),
    case(
        "constraints that overflow when they are joined",
        |c| {
            let constraints = c.begun();
            constraints.set_limit(Limit::PitchAlign, u32::MAX, u32::MAX);
            constraints.set_limit(Limit::SizeAlign, u32::MAX, u32::MAX - 1);
            constraints.set_limit(Limit::PadBeyondImage, u32::MAX, u32::MAX);
            constraints.set_limit(Limit::AllocHeightAlign, 0x7fff_ffff, 1);
            c.allocate(&constraints, (MOST, MOST), 64);
        },
        Fine,
    ),
    case("the largest picture", |c| asked(c, (MOST, MOST), 64), Fine),
    case(
        "a size of nothing",
        |c| asked(c, (0, 64), 3),
        Error("zhw_allocator_v1", AllocatorError::InvalidSize as u32),
    ),
    case(
        "a size beyond numbers",
        |c| asked(c, (64, MOST + 1), 3),
        Error("zhw_allocator_v1", AllocatorError::InvalidSize as u32),
    ),
    case(
        "no buffers",
        |c| asked(c, (64, 64), 0),
        Error("zhw_allocator_v1", AllocatorError::InvalidCount as u32),
    ),
    case(
        "too many buffers",
        |c| asked(c, (64, 64), u32::MAX),
        Error("zhw_allocator_v1", AllocatorError::InvalidCount as u32),
    ),
    case(
        "a question of nobody",
        |c| drop(c.allocate(&c.constraints(), (64, 64), 3)),
        Error("zhw_allocator_v1", AllocatorError::NoParticipant as u32),
    ),
    case(
        "257 objects",
        |c| {
            for _ in 0..257 {
                c.constraints();
            }
        },
        Error("zhw_allocator_v1", AllocatorError::TooMany as u32),
    ),
    case(
        "10,000 objects, one after another",
        |c| {
            for at in 0..10_000 {
                c.constraints().destroy();
                if at % 500 == 0 {
                    c.settle().expect("still there");
                }
            }
        },
        Fine,
    ),
    case(
        "an option of nobody",
        |c| c.constraints().add_option(FORMAT, 0, 0, Open::empty()),
        Error("zhw_constraints_v1", ConstraintsError::NoParticipant as u32),
    ),
    case(
        "a device of nobody",
        |c| c.constraints().set_device(vec![0; 8]),
        Error("zhw_constraints_v1", ConstraintsError::NoParticipant as u32),
    ),
    case(
        "a rank of nothing",
        |c| c.begun().set_rank(1),
        Error("zhw_constraints_v1", ConstraintsError::NoOption as u32),
    ),
    case(
        "two of one name",
        |c| c.begun().add_participant("painter".to_owned(), Role::Sample, 1),
        Error("zhw_constraints_v1", ConstraintsError::DuplicateName as u32),
    ),
    case(
        "the compositor's own name",
        |c| c.constraints().add_participant("(renderer)".to_owned(), Role::Sample, 0),
        Error("zhw_constraints_v1", ConstraintsError::InvalidName as u32),
    ),
    case(
        "a name of 4000 bytes",
        |c| c.constraints().add_participant("x".repeat(4000), Role::Cpu, 0),
        Error("zhw_constraints_v1", ConstraintsError::InvalidName as u32),
    ),
    case(
        "a role of its own",
        |c| {
            let request =
                Request::AddParticipant { name: "it".to_owned(), role: WEnum::Unknown(8), weight: 0 };
            c.constraints().send_request(request).expect("sent");
        },
        Error("zhw_constraints_v1", ConstraintsError::UnknownRole as u32),
    ),
    case(
        "a limit of its own",
        |c| {
            let request = Request::SetLimit { field: WEnum::Unknown(1000), value_hi: 0, value_lo: 1 };
            c.begun().send_request(request).expect("sent");
        },
        Error("zhw_constraints_v1", ConstraintsError::UnknownField as u32),
    ),
    case(
        "an openness of its own",
        |c| {
            let (any, modifier_hi, modifier_lo) = (WEnum::Unknown(4), 0, 0);
            let request = Request::AddOption { format: FORMAT, modifier_hi, modifier_lo, any };
            c.begun().send_request(request).expect("sent");
        },
        Error("zhw_constraints_v1", ConstraintsError::InvalidValue as u32),
    ),
    case(
        "a pitch aligned to nothing",
        |c| c.begun().set_limit(Limit::PitchAlign, 0, 0),
        Error("zhw_constraints_v1", ConstraintsError::InvalidValue as u32),
    ),
    case(
        "addresses of 65 bits",
        |c| c.begun().set_memory(Memory::DmaMaskBits, 0, 65),
        Error("zhw_constraints_v1", ConstraintsError::InvalidValue as u32),
    ),
    case(
        "a device of 7 bytes",
        |c| c.begun().set_device(vec![0; 7]),
        Error("zhw_constraints_v1", ConstraintsError::InvalidDevice as u32),
    ),
    case(
        "17 participants",
        |c| {
            let constraints = c.constraints();
            for number in 0..17 {
                constraints.add_participant(number.to_string(), Role::Cpu, 0);
            }
        },
        Error("zhw_constraints_v1", ConstraintsError::TooMany as u32),
    ),
    case(
        "100,000 options",
        |c| {
            let constraints = c.begun();
            for at in 0..100_000 {
                constraints.add_option(FORMAT, 0, at, Open::empty());
                if at % 500 == 0 && c.settle().is_err() {
                    return;
                }
            }
        },
        Cut("zhw_constraints_v1", ConstraintsError::TooMany as u32),
    ),
    case(
        "another size of nothing",
        |c| c.allocate(&c.painter(), (64, 64), 3).resize(64, 0, 3),
        Error("zhw_allocation_v1", AllocationError::InvalidSize as u32),
    ),
    case(
        "another count of nothing",
        |c| c.allocate(&c.painter(), (64, 64), 3).resize(64, 64, 0),
        Error("zhw_allocation_v1", AllocationError::InvalidCount as u32),
    ),
    case(
        "questions without end",
        |c| {
            let allocation = c.allocate(&c.painter(), (64, 64), 3);
            for _ in 0..1000 {
                allocation.renegotiate();
            }
        },
        Cut("zhw_allocation_v1", AllocationError::TooMany as u32),
    ),
    case(
        "a question whose constraints have gone",
        |c| {
            let constraints = c.painter();
            let allocation = c.allocate(&constraints, (64, 64), 3);
            constraints.destroy();
            allocation.resize(32, 32, 2);
            c.answers(2);
        },
        Fine,
    ),
    case(
        "a question whose window has gone",
        |c| {
            let window = c.window(64, 64);
            let handle = c.handle.clone();
            let painter = c.painter();
            let allocation = c.allocator().allocate(&painter, Some(&window.surface), 64, 64, 3, &handle, ());
            c.answers(1);
            window.toplevel.set_fullscreen(None);
            window.toplevel.destroy();
            window.xdg_surface.destroy();
            window.surface.destroy();
            allocation.renegotiate();
            c.answers(2);
        },
        Fine,
    ),
    case(
        "a question that is taken back",
        |c| {
            for _ in 0..50 {
                c.allocate(&c.painter(), (1024, 1024), 3).destroy();
            }
        },
        Fine,
    ),
];

#[test]
fn negotiation() {
    play(CASES);
}

#[test]
fn ten_thousand_questions_at_once_are_all_answered_and_others_are_served() {
    let mut server = Server::start();
    let mut bystander = Bystander::connect(&server);
    let mut clients: Vec<_> = (0..50).map(|_| Client::connect(&server.socket)).collect();
    for client in &mut clients {
        let constraints = client.painter();
        for _ in 0..100 {
            let allocation = client.allocate(&constraints, (16, 16), 1);
            allocation.renegotiate();
        }
        client.connection.flush().expect("room for it");
    }
    bystander.is_served();
    for client in &mut clients {
        client.answers(200);
    }
    assert!(server.ended().is_none());
}

#[test]
fn who_leaves_in_the_middle_leaves_nothing() {
    let mut server = Server::start();
    let mut bystander = Bystander::connect(&server);
    let steps: [fn(&mut Client); 6] = [
        |c| drop(c.allocator()),
        |c| drop(c.begun()),
        |c| asked(c, (1920, 1080), 3),
        |c| {
            asked(c, (1920, 1080), 3);
            c.answers(1);
        },
        // Too much for the event loop: on its way while its client goes.
        |c| asked(c, (1920, 1080), 40),
        |c| {
            let allocation = c.allocate(&c.painter(), (1920, 1080), 3);
            c.answers(1);
            allocation.resize(3840, 2160, 20);
        },
    ];
    for (number, step) in steps.iter().enumerate() {
        for _ in 0..3 {
            let mut client = Client::connect(&server.socket);
            step(&mut client);
            client.connection.flush().expect("room for it");
            drop(client);
        }
        bystander.is_served();
        assert!(server.ended().is_none(), "step {number}: {}", server.last_words());
    }
    // Were it all held still, nobody could have a whole share again.
    let mut client = Client::connect(&server.socket);
    client.heard.answers.keeps = true;
    asked(&client, (1920, 1080), 64);
    client.answers(1);
    if !server.has_heaps() {
        assert_eq!(client.heard.answers.failed, [Reason::Unsatisfiable]);
        return;
    }
    assert_eq!(client.heard.answers.fds.len(), 64, "{:?}", client.heard.answers);
    // The next share is beyond the quota, until the first is let go of.
    asked(&client, (1920, 1080), 64);
    client.answers(2);
    asked(&client, (1920, 1080), 64);
    client.answers(3);
    assert_eq!(client.heard.answers.failed, [Reason::Quota]);
    client.heard.answers.fds.clear();
    asked(&client, (1920, 1080), 64);
    client.answers(4);
    assert_eq!(client.heard.answers.failed, [Reason::Quota]);
    bystander.is_served();
}

#[test]
fn who_never_reads_is_left_alone() {
    let mut server = Server::start();
    let mut bystander = Bystander::connect(&server);
    let client = Client::connect(&server.socket);
    let constraints = client.painter();
    let allocation = client.allocate(&constraints, (16, 16), 64);
    for _ in 0..60 {
        allocation.renegotiate();
    }
    client.connection.flush().expect("room for it");
    // Whatever the compositor does with the rest, the others go on.
    for _ in 0..5 {
        bystander.is_served();
    }
    assert!(server.ended().is_none(), "{}", server.last_words());
    let mut other = Client::connect(&server.socket);
    asked(&other, (16, 16), 1);
    assert!(
        other
            .wait_for(Duration::from_secs(60), |heard| heard.answers.done + heard.answers.failed.len() == 1)
            .is_ok_and(|came| came)
    );
}
