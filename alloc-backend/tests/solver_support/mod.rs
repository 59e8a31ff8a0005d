//! Random small problems, shared by the tests of the solver.
#![allow(dead_code, clippy::unwrap_used)] // Each test uses its part, and a test may fail.

use heapwright_alloc::solver::problem::*;
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;

/// What stands for `NV12` and `YU12` in one problem: few formats in each, so that participants still agree.
const PALETTE: [&str; 8] = ["NV12", "NV21", "P010", "YU12", "YUYV", "NV24", "RG24", "XR24"];

fn palette() -> BoxedStrategy<[Fourcc; 2]> {
    let one = || prop::sample::select(PALETTE.to_vec()).prop_map(|text| text.parse().unwrap());
    prop_oneof![1 => Just([Fourcc::NV12, Fourcc::YUV420]), 3 => [one(), one()]].boxed()
}

/// Puts a palette's formats in the place of `NV12` and `YU12`.
fn paint(participant: &mut Participant, [nv12, yuv420]: [Fourcc; 2]) {
    let alternatives = participant.alternatives.iter_mut().flatten();
    let grouped = participant.groups.iter_mut().flatten().flatten();
    let listed = alternatives.chain(grouped).flat_map(|alternative| &mut alternative.options);
    for option in participant.options.iter_mut().flatten().chain(listed) {
        option.format = match option.format {
            Match::Is(Fourcc::NV12) => Match::Is(nv12),
            Match::Is(Fourcc::YUV420) => Match::Is(yuv420),
            other => other,
        };
    }
}

fn format() -> BoxedStrategy<Match<Fourcc>> {
    prop_oneof![
        6 => Just("XR24"), 1 => Just("RG24"), 2 => Just("NV12"), 1 => Just("YU12"), 1 => Just("NV24"),
        1 => Just("ZZ99"), 2 => Just("any"),
    ]
    .prop_map(|text| if text == "any" { Match::Any } else { Match::Is(text.parse().unwrap()) })
    .boxed()
}

fn modifier() -> BoxedStrategy<Match<Modifier>> {
    prop_oneof![
        5 => Just(Match::Is(Modifier::LINEAR)),
        1 => Just(Match::Is(Modifier::INVALID)),
        1 => Just(Match::Is(Modifier((1 << 56) | 1))),
        2 => Just(Match::Any),
    ]
    .boxed()
}

fn align() -> BoxedStrategy<u64> {
    prop::sample::select(vec![1_u64, 2, 3, 4, 6, 8, 16, 64]).boxed()
}

fn layout() -> BoxedStrategy<LayoutLimits> {
    let small = (
        weighted(0.05, (0_u32..20, 0_u32..20)),
        weighted(0.05, (8_u32..40, 8_u32..40)),
        weighted(0.05, 50_u64..600),
        weighted(0.05, align()),
        weighted(0.05, align()),
    );
    let pitch = (
        weighted(0.05, 0_u64..300),
        weighted(0.1, 20_u64..300),
        weighted(0.2, align()),
        prop::bool::weighted(0.1),
        weighted(
            0.04,
            prop_oneof![
                Just(ExactPitch::Packed),
                prop::sample::select(vec![64_u64, 96, 128, 192]).prop_map(ExactPitch::Bytes)
            ],
        ),
        weighted(
            0.06,
            prop::sample::select(vec![ChromaPitch::Equal, ChromaPitch::Half, ChromaPitch::Double]),
        ),
    );
    let rest = (
        // Large ones too, or padding between planes never decides anything.
        weighted(0.1, prop_oneof![1 => align(), 1 => prop::sample::select(vec![500_u64, 1024, 2048])]),
        weighted(0.08, align()),
        weighted(0.08, 0_u64..100),
        weighted(0.08, align()),
        weighted(0.08, 200_u64..6000),
        any::<bool>(),
        weighted(0.06, prop::sample::select(vec![1_u64, 2, 3, 8, 16, 48])),
        weighted(0.08, prop::sample::select(vec![8_u64, 16, 24])),
    );
    prop_oneof![
        2 => Just(LayoutLimits::default()),
        3 => (small, pitch, rest).prop_map(|(small, pitch, rest)| LayoutLimits {
            min_size: small.0.map(|(w, h)| Size::new(w, h)),
            max_size: small.1.map(|(w, h)| Size::new(w, h)),
            max_area: small.2,
            width_align: small.3,
            height_align: small.4,
            min_pitch: pitch.0,
            max_pitch: pitch.1,
            pitch_align: pitch.2,
            pitch_at_pixel_boundary: pitch.3,
            exact_pitch: pitch.4,
            chroma_pitch: pitch.5,
            plane_offset_align: rest.0,
            alloc_height_align: rest.1,
            exact_rows: rest.7,
            pad_beyond_image: rest.2,
            size_align: rest.3,
            max_size_bytes: rest.4,
            single_allocation: rest.5,
            base_align: rest.6,
        }),
    ]
    .boxed()
}

fn option() -> BoxedStrategy<OptionSpec> {
    (format(), modifier(), weighted(0.5, 0_u32..4), layout())
        .prop_map(|(format, modifier, rank, limits)| OptionSpec { format, modifier, rank, limits })
        .boxed()
}

fn alternatives(most: usize) -> BoxedStrategy<Vec<Alternative>> {
    vec(
        (weighted(0.7, "[a-z]{1,3}"), vec(option(), 0..3))
            .prop_map(|(name, options)| Alternative { name, options }),
        0..=most,
    )
    .boxed()
}

fn frequency() -> BoxedStrategy<Frequency> {
    prop::sample::select(vec![
        Frequency::None,
        Frequency::None,
        Frequency::None,
        Frequency::Rare,
        Frequency::Often,
    ])
    .boxed()
}

fn memory() -> BoxedStrategy<MemoryLimits> {
    let place = (
        prop::bool::weighted(0.2),
        weighted(0.15, prop::sample::select(vec![30_u32, 32, 40])),
        weighted(0.08, 1_u64..20),
        weighted(0.08, prop::sample::select(vec![16_u64, 100, 4096])),
        weighted(0.12, vec(prop::sample::select(vec!["h0", "h1", "h2", "h9"]).prop_map(str::to_owned), 0..3)),
    );
    let touch = (
        prop::bool::weighted(0.05),
        prop::bool::weighted(0.4),
        weighted(0.15, any::<bool>()),
        weighted(0.15, any::<bool>()),
        weighted(
            0.15,
            prop::sample::subsequence(
                vec![Coherency::Cached, Coherency::Uncached, Coherency::Inaccessible],
                0..=3,
            ),
        ),
        (frequency(), frequency()),
    );
    prop_oneof![
        1 => Just(MemoryLimits::default()),
        2 => (place, touch).prop_map(|(place, touch)| MemoryLimits {
            contiguous: place.0,
            dma_mask_bits: place.1,
            max_segments: place.2,
            max_segment_size: place.3,
            permitted_heaps: place.4,
            protected: touch.0,
            can_protected: touch.1,
            device_local_ok: touch.2,
            p2p_ok: touch.3,
            coherency: touch.4,
            cpu_access: CpuAccess { read: touch.5.0, write: touch.5.1 },
        }),
    ]
    .boxed()
}

fn counts() -> BoxedStrategy<Counts> {
    let few = || weighted(0.3, 0_u32..3);
    prop_oneof![
        2 => Just(Counts::default()),
        1 => (few(), few(), few(), few(), weighted(0.3, 1_u32..7)).prop_map(|(a, b, c, d, e)| Counts {
            camping: a,
            dedicated_slack: b,
            shared_slack: c,
            min_count: d,
            max_count: e,
        }),
    ]
    .boxed()
}

fn device() -> BoxedStrategy<Option<String>> {
    weighted(0.85, prop::sample::select(vec!["d0", "d1", "d2"]).prop_map(str::to_owned)).boxed()
}

fn participant(name: &'static str) -> BoxedStrategy<Participant> {
    let offer = prop_oneof![
        5 => vec(option(), 0..4).prop_map(|options| (Some(options), None, None)),
        3 => alternatives(3).prop_map(|alternatives| (None, Some(alternatives), None)),
        1 => vec(alternatives(2), 0..3).prop_map(|groups| (None, None, Some(groups))),
        1 => Just((None, None, None)),
    ];
    let sync = weighted(0.15, prop::sample::subsequence(vec![Sync::Implicit, Sync::Explicit], 0..=2));
    (device(), prop::bool::weighted(0.6), 0_u32..4, offer, (memory(), counts(), sync, layout()))
        .prop_map(move |(device, required, weight, offer, (memory, counts, sync, limits))| Participant {
            name: name.to_owned(),
            device,
            role: Role::Render,
            required,
            weight,
            options: offer.0,
            alternatives: offer.1,
            groups: offer.2,
            memory,
            counts,
            sync,
            limits,
        })
        .boxed()
}

fn heap(id: &'static str) -> BoxedStrategy<HeapFacts> {
    let kind = (
        any::<bool>(),
        any::<bool>(),
        prop::bool::weighted(0.15),
        weighted(0.3, prop::sample::select(vec![30_u32, 32, 36])),
    );
    let room = (
        weighted(0.2, 2_000_u64..60_000),
        weighted(0.2, 1_000_u64..30_000),
        weighted(0.1, 500_u64..5_000),
        weighted(0.1, 0_u64..3),
        prop::sample::select(vec![16_u64, 48, 64]),
    );
    let rest = (
        weighted(0.7, prop::sample::select(vec!["p0", "p1"]).prop_map(str::to_owned)),
        prop::bool::weighted(0.95),
        weighted(0.15, prop::sample::select(vec!["d0", "d1"]).prop_map(str::to_owned)),
    );
    (kind, room, rest)
        .prop_map(move |(kind, room, rest)| HeapFacts {
            id: id.to_owned(),
            names: Vec::new(),
            pool: rest.0,
            contiguous: kind.0,
            cached: kind.1,
            protected: kind.2,
            address_bits: kind.3,
            capacity: room.0,
            free: room.1,
            max_bytes: room.2,
            max_ranges: room.3,
            page_size: room.4,
            can_open: rest.1,
            device: rest.2,
        })
        .boxed()
}

fn link() -> BoxedStrategy<Link> {
    (
        prop::sample::select(vec!["d0", "d1", "d2", "d9"]),
        prop::sample::select(vec!["h0", "h1", "h2", "h9"]),
        prop::sample::select(vec![Verdict::Accepts, Verdict::Accepts, Verdict::Refuses, Verdict::Unknown]),
        prop::sample::select(vec![Evidence::Declared, Evidence::Probed, Evidence::Table, Evidence::Unknown]),
        weighted(0.5, 100_u64..6000),
    )
        .prop_map(|(device, heap, verdict, evidence, bytes)| Link {
            device: device.to_owned(),
            heap: heap.to_owned(),
            verdict,
            evidence,
            bytes,
        })
        .boxed()
}

/// A problem small enough to try everything.
pub fn problem() -> BoxedStrategy<Problem> {
    (
        (1_u32..40, 1_u32..24, 1_u32..4),
        (participant("a"), participant("b"), participant("c"), participant("d"), 0_usize..=4),
        (heap("h0"), heap("h1"), heap("h2"), prop_oneof![1 => Just(0_usize), 30 => 1_usize..=3]),
        vec(link(), 0..4),
        prop::sample::subsequence(vec!["d0".to_owned(), "d1".to_owned(), "d9".to_owned()], 0..=3),
        palette(),
    )
        .prop_map(
            |((width, height, count), (a, b, c, d, people), (h0, h1, h2, heaps), links, iommu, palette)| {
                let mut participants: Vec<Participant> = [a, b, c, d].into_iter().take(people).collect();
                participants.iter_mut().for_each(|participant| paint(participant, palette));
                Problem {
                    size: Size::new(width, height),
                    count,
                    participants,
                    heaps: [h0, h1, h2].into_iter().take(heaps).collect(),
                    links,
                    iommu,
                }
            },
        )
        .boxed()
}
