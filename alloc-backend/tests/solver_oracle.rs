//! The solver against an oracle that tries everything.
//!
//! The oracle is written from the design, not from the solver: it merges nothing and computes no least common multiple. It tries
//! every subset of participants, every combination of options, every heap, and finds pitch and size by counting upward until
//! every single participant is content. It is asked for feasibility, the cost vector, the ties, the layout, and whether conflicts
//! are conflicts and minimal.
//!
//! `PROPTEST_CASES=100000 cargo test --release -p heapwright-alloc --test solver_oracle` is the long run.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may fail.

mod solver_support;

use std::cmp::Ordering;

use heapwright_alloc::solver::problem::*;
use heapwright_alloc::solver::{Answer, Culprit, Resolution, solve};
use proptest::prelude::*;
use solver_support::problem;

/// How the question is put.
#[derive(Debug, Clone, Default)]
struct Question {
    problem: Problem,
    /// Ask for any solution of the required participants, of whatever format.
    unpinned: bool,
    /// What `any` may become when unpinned: what the whole problem names, and XR24.
    named: Vec<Fourcc>,
    /// Participants whose links are ignored.
    no_links: Vec<String>,
    /// Try every relation of chroma pitch where none is stated.
    any_chroma: bool,
}

/// Bytes per block, picture pixels across a block, and picture rows to a row, by hand, per plane.
fn planes_of(format: Fourcc) -> Option<&'static [(u64, u64, u64)]> {
    match format.to_string().as_str() {
        "XR24" => Some(&[(4, 1, 1)]),
        "RG24" => Some(&[(3, 1, 1)]),
        "NV12" | "NV21" => Some(&[(1, 1, 1), (2, 2, 2)]),
        "P010" => Some(&[(2, 1, 1), (4, 2, 2)]),
        "YUYV" => Some(&[(4, 2, 1)]),
        "NV24" => Some(&[(1, 1, 1), (2, 1, 1)]),
        "YU12" => Some(&[(1, 1, 1), (1, 2, 2), (1, 2, 2)]),
        _ => None,
    }
}

/// One participant with one option per choice it has to make.
#[derive(Debug, Clone)]
struct Taken<'p> {
    who: &'p Participant,
    options: Vec<(usize, usize, &'p OptionSpec)>,
}

impl Taken<'_> {
    fn limits(&self) -> impl Iterator<Item = &LayoutLimits> {
        std::iter::once(&self.who.limits).chain(self.options.iter().map(|(_, _, option)| &option.limits))
    }
}

static ANYTHING: std::sync::LazyLock<OptionSpec> = std::sync::LazyLock::new(OptionSpec::default);

/// Every way in which a participant can take part: (alternative, place, option) per choice.
fn ways(who: &Participant) -> Vec<Vec<(usize, usize, &OptionSpec)>> {
    fn flat(list: &[Alternative]) -> Vec<(usize, usize, &OptionSpec)> {
        let mut all = Vec::new();
        for (at, alternative) in list.iter().enumerate() {
            for (place, option) in alternative.options.iter().enumerate() {
                all.push((at, place, option));
            }
        }
        all
    }
    let mut ways = vec![Vec::new()];
    let groups: Vec<Vec<(usize, usize, &OptionSpec)>> = if let Some(options) = &who.options {
        vec![options.iter().enumerate().map(|(place, option)| (0, place, option)).collect()]
    } else if let Some(alternatives) = &who.alternatives {
        vec![flat(alternatives)]
    } else if let Some(groups) = who.groups.as_ref().filter(|groups| !groups.is_empty()) {
        groups.iter().map(|group| flat(group)).collect()
    } else {
        vec![vec![(0, 0, &*ANYTHING)]]
    };
    for group in groups {
        ways = ways
            .iter()
            .flat_map(|way| {
                group.iter().map(move |one| {
                    let mut longer = way.clone();
                    longer.push(*one);
                    longer
                })
            })
            .collect();
    }
    ways
}

/// A full answer: cost, then what settles ties, then the rest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Trial {
    cost: [u64; 7],
    tie: (u64, u64, u32, u64, String, String),
    bytes: u64,
    count: u64,
    planes: Vec<(u64, u64, u64)>,
    satisfied: Vec<String>,
}

impl Trial {
    /// What makes one answer better than another.
    fn rank(&self) -> impl Ord {
        (self.cost, self.tie.clone())
    }
}

impl Question {
    fn pool(&self, heap: &HeapFacts) -> String {
        heap.pool.clone().unwrap_or_else(|| heap.id.clone())
    }

    fn budget(&self, heap: &HeapFacts) -> Option<u64> {
        let same = || self.problem.heaps.iter().filter(|other| self.pool(other) == self.pool(heap));
        same().filter_map(|h| h.free).min().or_else(|| same().filter_map(|h| h.capacity).min())
    }

    fn behind_iommu(&self, who: &Participant) -> bool {
        who.device.as_ref().is_some_and(|device| self.problem.iommu.contains(device))
    }

    fn links(&self, who: &Participant, heap: &HeapFacts) -> Vec<&Link> {
        if self.no_links.contains(&who.name) {
            return Vec::new();
        }
        let ours = |link: &&Link| Some(&link.device) == who.device.as_ref() && link.heap == heap.id;
        self.problem.links.iter().filter(ours).collect()
    }

    fn link_refuses(&self, who: &Participant, heap: &HeapFacts) -> bool {
        let links = self.links(who, heap);
        let says = |verdict, evidence| links.iter().any(|l| l.verdict == verdict && l.evidence == evidence);
        use Evidence::*;
        use Verdict::*;
        if says(Refuses, Declared) {
            return true;
        }
        if says(Accepts, Declared) {
            return false;
        }
        if says(Refuses, Table) || says(Refuses, Probed) {
            return true;
        }
        says(Refuses, Evidence::Unknown) && !says(Accepts, Probed) && !says(Accepts, Table)
    }

    /// 0 declared, 1 probed, 2 table, 3 unknown.
    fn evidence(&self, who: &Participant, heap: &HeapFacts, bytes: u64) -> u64 {
        let links = self.links(who, heap);
        let accepts = |evidence: Evidence| {
            links.iter().any(|l| {
                let large_enough = evidence != Evidence::Probed || l.bytes.is_none_or(|tried| tried >= bytes);
                l.verdict == Verdict::Accepts && l.evidence == evidence && large_enough
            })
        };
        if accepts(Evidence::Declared) {
            0
        } else if accepts(Evidence::Probed) {
            1
        } else if accepts(Evidence::Table) {
            2
        } else if self.behind_iommu(who) {
            0
        } else {
            3
        }
    }

    fn heap_suits(&self, who: &Participant, heap: &HeapFacts) -> bool {
        let memory = &who.memory;
        let iommu = self.behind_iommu(who);
        let touches = memory.cpu_access.read != Frequency::None || memory.cpu_access.write != Frequency::None;
        let bits = match heap.address_bits {
            Some(bits) => Some(bits),
            None if heap.contiguous => Some(32),
            None => None,
        };
        let state = match (heap.protected, heap.cached) {
            (true, _) => Coherency::Inaccessible,
            (false, true) => Coherency::Cached,
            (false, false) => Coherency::Uncached,
        };
        let permitted = |ids: &Vec<String>| {
            self.problem
                .heaps
                .iter()
                .any(|other| ids.contains(&other.id) && self.pool(other) == self.pool(heap))
        };
        (!memory.contiguous || heap.contiguous || iommu)
            && memory.dma_mask_bits.is_none_or(|mask| iommu || bits.is_some_and(|bits| bits <= mask))
            && memory.permitted_heaps.as_ref().is_none_or(permitted)
            && (!memory.protected || heap.protected)
            && (!heap.protected || ((memory.can_protected || memory.protected) && !touches))
            && memory.coherency.as_ref().is_none_or(|states| states.contains(&state))
            && (memory.device_local_ok != Some(false) || heap.device.is_none())
            && !self.link_refuses(who, heap)
    }

    fn size_suits(&self, limits: &LayoutLimits) -> bool {
        let Size { width, height } = self.problem.size;
        limits.min_size.is_none_or(|min| width >= min.width && height >= min.height)
            && limits.max_size.is_none_or(|max| width <= max.width && height <= max.height)
            && limits.max_area.is_none_or(|max| u64::from(width) * u64::from(height) <= max)
            && limits.width_align.is_none_or(|align| u64::from(width) % align == 0)
            && limits.height_align.is_none_or(|align| u64::from(height) % align == 0)
    }

    /// The smallest pitches with which every one of `limits` is content, by counting upward.
    fn pitches(
        &self,
        planes: &[(u64, u64, u64)],
        limits: &[&LayoutLimits],
        relation: Option<ChromaPitch>,
        gapless: Option<u64>,
    ) -> Option<Vec<u64>> {
        let width = u64::from(self.problem.size.width);
        let packed = width.div_ceil(planes[0].1) * planes[0].0;
        'pitch: for pitch in packed..packed + 3000 {
            let mut pitches = Vec::new();
            for (at, (bytes, horizontal, _)) in planes.iter().enumerate() {
                let (over, under) = match (at, relation) {
                    (0, _) | (_, Some(ChromaPitch::Equal)) => (1, 1),
                    (_, Some(ChromaPitch::Half)) => (1, 2),
                    (_, Some(ChromaPitch::Double)) => (2, 1),
                    (_, None) => (*bytes * planes[0].1, planes[0].0 * horizontal),
                };
                if pitch * over % under != 0 {
                    continue 'pitch;
                }
                let own = pitch * over / under;
                if own < width.div_ceil(*horizontal) * bytes {
                    continue 'pitch;
                }
                pitches.push(own);
            }
            if let Some(rows) = gapless {
                let mut end = 0;
                for (pitch, plane) in pitches.iter().zip(planes) {
                    if limits.iter().any(|l| l.plane_offset_align.is_some_and(|align| end % align != 0)) {
                        continue 'pitch;
                    }
                    end += pitch * rows.div_ceil(plane.2);
                }
            }
            for one in limits {
                let all = |test: &dyn Fn(u64, u64) -> bool| {
                    pitches.iter().zip(planes).all(|(p, plane)| test(*p, plane.0))
                };
                let content = one.min_pitch.is_none_or(|min| pitch >= min)
                    && all(&|p, _| one.pitch_align.is_none_or(|align| p % align == 0))
                    && all(&|p, bytes| !one.pitch_at_pixel_boundary || p % bytes == 0)
                    && match one.exact_pitch {
                        None => true,
                        Some(ExactPitch::Packed) => pitch == packed,
                        Some(ExactPitch::Bytes(exact)) => pitch == exact,
                    };
                if !content {
                    continue 'pitch;
                }
            }
            // Only the smallest is considered; a maximum it exceeds is exceeded by all others.
            let fits =
                limits.iter().all(|one| one.max_pitch.is_none_or(|max| pitches.iter().all(|p| *p <= max)));
            return fits.then_some(pitches);
        }
        None
    }

    fn judge(
        &self,
        taken: &[Taken<'_>],
        format: Fourcc,
        modifier: Modifier,
        heap: &HeapFacts,
    ) -> Option<Trial> {
        let limits: Vec<&LayoutLimits> = taken.iter().flat_map(Taken::limits).collect();
        let planes = planes_of(format)?;
        if !heap.can_open || heap.max_ranges == Some(0) {
            return None;
        }
        if !taken.iter().all(|t| self.heap_suits(t.who, heap)) || !limits.iter().all(|l| self.size_suits(l)) {
            return None;
        }
        let can = |kind| taken.iter().all(|t| t.who.sync.as_ref().is_none_or(|kinds| kinds.contains(&kind)));
        if !can(Sync::Implicit) && !can(Sync::Explicit) {
            return None;
        }
        self.judge_layout(taken, &limits, planes, format, modifier, heap)
    }

    fn judge_layout(
        &self,
        taken: &[Taken<'_>],
        limits: &[&LayoutLimits],
        planes: &[(u64, u64, u64)],
        format: Fourcc,
        modifier: Modifier,
        heap: &HeapFacts,
    ) -> Option<Trial> {
        let mut stated: Vec<ChromaPitch> = limits.iter().filter_map(|l| l.chroma_pitch).collect();
        stated.dedup();
        let relations = match stated.as_slice() {
            [] if self.any_chroma => {
                vec![None, Some(ChromaPitch::Equal), Some(ChromaPitch::Half), Some(ChromaPitch::Double)]
            }
            [] => vec![None],
            [one] => vec![Some(*one)],
            _ => return None,
        };
        relations
            .into_iter()
            .filter_map(|relation| {
                self.judge_relation(taken, limits, planes, (format, modifier), heap, relation)
            })
            .min()
    }

    fn judge_relation(
        &self,
        taken: &[Taken<'_>],
        limits: &[&LayoutLimits],
        planes: &[(u64, u64, u64)],
        (format, modifier): (Fourcc, Modifier),
        heap: &HeapFacts,
        relation: Option<ChromaPitch>,
    ) -> Option<Trial> {
        let height = u64::from(self.problem.size.height);
        let width = u64::from(self.problem.size.width);
        let fits = |value: u64, align: &dyn Fn(&LayoutLimits) -> Option<u64>| {
            limits.iter().all(|l| align(l).is_none_or(|align| value % align == 0))
        };
        let mut rows = (height..).find(|rows| fits(*rows, &|l| l.alloc_height_align))?;
        let exact = limits.iter().find_map(|l| l.exact_rows);
        if let Some(exact) = exact {
            let stated = |l: &&LayoutLimits| l.exact_rows.is_none_or(|other| other == exact);
            if exact < rows || !fits(exact, &|l| l.alloc_height_align) || !limits.iter().all(stated) {
                return None;
            }
            rows = exact;
        }
        let pitches = self.pitches(planes, limits, relation, exact)?;
        let (mut end, mut picture, mut laid) = (0, 0, Vec::new());
        for ((bytes, horizontal, vertical), pitch) in planes.iter().zip(pitches) {
            let offset = (end..).find(|offset| fits(*offset, &|l| l.plane_offset_align))?;
            let size = pitch * rows.div_ceil(*vertical);
            end = offset + size;
            picture += width.div_ceil(*horizontal) * bytes * height.div_ceil(*vertical);
            laid.push((offset, pitch, size));
        }
        end += limits.iter().filter_map(|l| l.pad_beyond_image).max().unwrap_or(0);
        let bytes = (end..).find(|bytes| bytes % heap.page_size == 0 && fits(*bytes, &|l| l.size_align))?;
        if limits.iter().any(|l| l.max_size_bytes.is_some_and(|max| bytes > max))
            || limits.iter().any(|l| l.base_align.is_some_and(|align| heap.page_size % align != 0))
            || heap.max_bytes.is_some_and(|max| bytes > max)
        {
            return None;
        }
        // Segments: the strictest number and the smallest piece of anybody.
        let limiting =
            |t: &&Taken<'_>| t.who.memory.max_segments.is_some() || t.who.memory.max_segment_size.is_some();
        let pages = !heap.contiguous && taken.iter().filter(limiting).any(|t| !self.behind_iommu(t.who));
        let mut piece = taken.iter().filter_map(|t| t.who.memory.max_segment_size).min().unwrap_or(u64::MAX);
        if pages {
            piece = piece.min(heap.page_size);
        }
        if taken.iter().filter_map(|t| t.who.memory.max_segments).any(|most| bytes.div_ceil(piece) > most) {
            return None;
        }
        // Buffers.
        let sum = |f: &dyn Fn(&Counts) -> Option<u32>| -> Vec<u64> {
            taken.iter().filter_map(|t| f(&t.who.counts)).map(u64::from).collect()
        };
        let held: u64 =
            sum(&|c| c.camping).iter().sum::<u64>() + sum(&|c| c.dedicated_slack).iter().sum::<u64>();
        let shared = sum(&|c| c.shared_slack).into_iter().max().unwrap_or(0);
        let least = sum(&|c| c.min_count).into_iter().max().unwrap_or(0);
        let count = u64::from(self.problem.count).max(held + shared).max(least);
        if sum(&|c| c.max_count).into_iter().any(|most| count > most) {
            return None;
        }
        let budget = self.budget(heap);
        if budget.is_some_and(|budget| bytes * count > budget) {
            return None;
        }
        // Reaching into a device.
        let foreign: Vec<_> = taken
            .iter()
            .filter(|t| heap.device.is_some() && t.who.device.is_some() && heap.device != t.who.device)
            .collect();
        if !foreign.is_empty() && taken.iter().any(|t| t.who.memory.p2p_ok == Some(false)) {
            return None;
        }
        // Cost.
        let is_in = |p: &Participant| taken.iter().any(|t| t.who.name == p.name);
        let dropped: Vec<_> = self.problem.participants.iter().filter(|p| !is_in(p)).collect();
        let weight = dropped.iter().map(|p| u64::from(p.weight)).sum();
        let migrations = foreign.iter().filter(|t| t.who.memory.p2p_ok.is_none()).count();
        let pressure = budget.map_or(0, |budget| bytes * count * 1000 / budget.max(1));
        let read = taken.iter().map(|t| t.who.memory.cpu_access.read).max().unwrap_or_default();
        let write = taken.iter().map(|t| t.who.memory.cpu_access.write).max().unwrap_or_default();
        let cached = heap.cached && !heap.protected;
        let read_cost = match read {
            Frequency::None => 0,
            Frequency::Rare => {
                if cached {
                    1
                } else {
                    8
                }
            }
            Frequency::Often => {
                if cached {
                    2
                } else {
                    64
                }
            }
        };
        let write_cost = match write {
            Frequency::None => 0,
            Frequency::Rare => 1,
            Frequency::Often => {
                if cached {
                    2
                } else {
                    4
                }
            }
        };
        let mut devices: Vec<(&String, u64)> = taken
            .iter()
            .filter_map(|t| t.who.device.as_ref().map(|device| (device, self.evidence(t.who, heap, bytes))))
            .collect();
        devices.sort();
        devices.dedup();
        let unknown = devices.iter().filter(|(_, grade)| *grade == 3).count() as u64;
        let cost = [
            weight,
            (dropped.len() + migrations) as u64,
            taken.iter().map(|t| self.rank(t)).sum(),
            pressure,
            read_cost + write_cost,
            unknown,
            bytes - picture,
        ];
        let order = taken.iter().flat_map(|t| &t.options).map(|(_, place, _)| *place as u64).sum();
        let grade = devices.iter().map(|(_, grade)| grade).sum();
        let tie = (order, modifier.0, format.0, grade, self.pool(heap), heap.id.clone());
        let mut satisfied: Vec<String> = taken.iter().map(|t| t.who.name.clone()).collect();
        satisfied.sort();
        Some(Trial { cost, tie, bytes, count, planes: laid, satisfied })
    }

    fn rank(&self, taken: &Taken<'_>) -> u64 {
        let ranks = |p: &Participant| -> Vec<u32> {
            let mut all = Vec::new();
            for options in p.options.iter().chain(p.alternatives.iter().flatten().map(|a| &a.options)) {
                all.extend(options.iter().filter_map(|o| o.rank));
            }
            for alternative in p.groups.iter().flatten().flatten() {
                all.extend(alternative.options.iter().filter_map(|o| o.rank));
            }
            all
        };
        let worst = self.problem.participants.iter().flat_map(&ranks).max().unwrap_or(0);
        let lists = !ranks(taken.who).is_empty();
        let of = |option: &OptionSpec| option.rank.map_or(u64::from(worst) + u64::from(lists), u64::from);
        taken.options.iter().map(|(_, _, option)| of(option)).sum()
    }

    /// Of every answer there is, those that nothing is better than: the same in cost and ties.
    fn best(&self) -> Vec<Trial> {
        let people = &self.problem.participants;
        let optional: Vec<usize> = (0..people.len()).filter(|at| !people[*at].required).collect();
        let mut best: Vec<Trial> = Vec::new();
        for subset in 0..1_usize << optional.len() {
            let gone = |at: usize| {
                optional.iter().position(|o| *o == at).is_some_and(|bit| (subset >> bit) & 1 == 1)
            };
            let present: Vec<&Participant> =
                people.iter().enumerate().filter(|(at, _)| !gone(*at)).map(|(_, p)| p).collect();
            if self.unpinned && subset + 1 != 1 << optional.len() {
                continue;
            }
            self.combine(&present, &mut Vec::new(), &mut best);
        }
        best
    }

    fn combine<'p>(&'p self, rest: &[&'p Participant], taken: &mut Vec<Taken<'p>>, best: &mut Vec<Trial>) {
        if let Some((who, rest)) = rest.split_first() {
            for options in ways(who) {
                taken.push(Taken { who, options });
                if self.pair(taken).is_some() {
                    self.combine(rest, taken, best);
                }
                taken.pop();
            }
            return;
        }
        let Some((format, modifier)) = self.pair(taken) else { return };
        let formats: Vec<Fourcc> = match format {
            Some(format) => vec![format],
            None if self.unpinned => self.named.clone(),
            None => return,
        };
        let modifiers: Vec<Modifier> = match modifier {
            Some(modifier) => vec![modifier],
            None if self.unpinned => vec![Modifier::LINEAR],
            None => return,
        };
        for format in formats {
            for modifier in &modifiers {
                for heap in &self.problem.heaps {
                    let trial = self.judge(taken, format, *modifier, heap);
                    if let Some(trial) = trial {
                        match best.first().map(|best| trial.rank().cmp(&best.rank())) {
                            None | Some(Ordering::Less) => *best = vec![trial],
                            Some(Ordering::Equal) => best.push(trial),
                            Some(Ordering::Greater) => {}
                        }
                    }
                }
            }
        }
    }

    /// The format and modifier on which all agree so far; `None` inside where nobody has named one.
    fn pair(&self, taken: &[Taken<'_>]) -> Option<(Option<Fourcc>, Option<Modifier>)> {
        let (mut format, mut modifier) = (None, None);
        for (_, _, option) in taken.iter().flat_map(|t| &t.options) {
            if let Match::Is(f) = option.format {
                if *format.get_or_insert(f) != f {
                    return None;
                }
            }
            if let Match::Is(m) = option.modifier {
                if *modifier.get_or_insert(m) != m {
                    return None;
                }
            }
        }
        Some((format, modifier))
    }

    /// The same question without some constraints of the required participants; the optional ones are gone.
    fn keeping(&self, keep: &dyn Fn(&str, &str) -> bool) -> Question {
        let mut asked = Question { unpinned: true, ..self.clone() };
        asked.problem.participants.retain(|p| p.required);
        for p in &mut asked.problem.participants {
            let name = p.name.clone();
            let gone = |field: &str| !keep(&name, field);
            let mut lists: Vec<&mut Vec<OptionSpec>> = Vec::new();
            if gone("format") {
                let fill = |list: &mut Vec<Alternative>| {
                    if list.iter().all(|a| a.options.is_empty()) {
                        list.push(Alternative { name: None, options: vec![OptionSpec::default()] });
                    }
                };
                if p.options.as_ref().is_some_and(Vec::is_empty) {
                    p.options = None;
                }
                p.alternatives.iter_mut().for_each(fill);
                p.groups.iter_mut().flatten().for_each(fill);
            }
            lists.extend(p.options.iter_mut());
            lists.extend(p.alternatives.iter_mut().flatten().map(|a| &mut a.options));
            lists.extend(p.groups.iter_mut().flatten().flatten().map(|a| &mut a.options));
            let mut all_limits = vec![&mut p.limits];
            for option in lists.into_iter().flatten() {
                if gone("format") {
                    option.format = Match::Any;
                }
                if gone("modifier") {
                    option.modifier = Match::Any;
                }
                all_limits.push(&mut option.limits);
            }
            for limits in all_limits {
                if gone("chroma_pitch") && limits.chroma_pitch.is_some() {
                    asked.any_chroma = true;
                }
                // By way of JSON, so that no list of fields can be forgotten here.
                let option = OptionSpec { limits: *limits, ..OptionSpec::default() };
                let mut json = serde_json::to_value(&option).unwrap();
                json.as_object_mut().unwrap().retain(|key, _| !gone(key));
                *limits = serde_json::from_value::<OptionSpec>(json).unwrap().limits;
            }
            let mut json = serde_json::to_value(&p.memory).unwrap();
            json.as_object_mut().unwrap().retain(|key, _| !gone(key) || key == "can_protected");
            if gone("can_protected") {
                json["can_protected"] = true.into();
            }
            p.memory = serde_json::from_value(json).unwrap();
            let mut json = serde_json::to_value(p.counts).unwrap();
            json.as_object_mut().unwrap().retain(|key, _| !gone(key));
            p.counts = serde_json::from_value(json).unwrap();
            if gone("sync") {
                p.sync = None;
            }
            if gone("link") {
                asked.no_links.push(name.clone());
            }
        }
        asked
    }

    /// The question with nothing wanted, and only some of what is given.
    fn keeping_givens(&self, keep: &dyn Fn(&str, &str) -> bool) -> Question {
        let mut asked = self.keeping(&|_, _| false);
        if !keep("(problem)", "size") {
            asked.problem.size = Size::new(1, 1);
        }
        if !keep("(problem)", "count") {
            asked.problem.count = 1;
        }
        for at in 0..asked.problem.heaps.len() {
            let pool = self.pool(&asked.problem.heaps[at]);
            let heap = &mut asked.problem.heaps[at];
            let id = format!("(heap {})", heap.id);
            heap.can_open |= !keep(&id, "can_open");
            heap.max_bytes = heap.max_bytes.filter(|_| keep(&id, "max_bytes"));
            heap.max_ranges = heap.max_ranges.filter(|_| keep(&id, "max_ranges"));
            let pool = format!("(pool {pool})");
            if !keep(&pool, "free") && !keep(&pool, "capacity") {
                (heap.free, heap.capacity) = (None, None);
            }
        }
        asked
    }
}

fn check_resolution(problem: &Problem, got: &Resolution, best: &[Trial]) {
    let want = &best[0];
    assert_eq!(got.cost, want.cost, "cost of {}", text(problem));
    let tie = (want.tie.1, want.tie.2, want.tie.4.as_str(), want.tie.5.as_str());
    assert_eq!(
        (got.modifier.0, got.format.0, got.pool.as_str(), got.heap.as_str()),
        tie,
        "tie of {}",
        text(problem)
    );
    // Answers that are equal in cost and ties may differ in who takes part and in the layout; it is one of them.
    let planes: Vec<_> = got.planes.iter().map(|p| (p.offset, p.pitch, p.size)).collect();
    let same = |trial: &Trial| {
        (trial.bytes, trial.count, &trial.planes, &trial.satisfied)
            == (got.size, got.count, &planes, &got.satisfied)
    };
    assert!(best.iter().any(same), "{got:?} is none of {best:?} in {}", text(problem));
    for p in problem.participants.iter().filter(|p| p.required) {
        assert!(got.satisfied.contains(&p.name));
    }
    assert_eq!(got.satisfied.len() + got.dropped.len(), problem.participants.len());
}

fn check_conflict(question: &Question, conflict: &[Culprit]) {
    assert!(!conflict.is_empty());
    let given = conflict.iter().any(|culprit| culprit.participant.starts_with('('));
    if given && conflict.iter().any(|culprit| culprit.field == "heaps") {
        assert!(question.problem.heaps.is_empty());
        return;
    }
    let ask = |conflict: &[&Culprit]| {
        let keep = |who: &str, field: &str| conflict.iter().any(|c| c.participant == who && c.field == field);
        let asked = if given { question.keeping_givens(&keep) } else { question.keeping(&keep) };
        !asked.best().is_empty()
    };
    let all: Vec<&Culprit> = conflict.iter().collect();
    assert!(!ask(&all), "no conflict: {conflict:#?} in {}", text(&question.problem));
    for left_out in 0..all.len() {
        let mut fewer = all.clone();
        fewer.remove(left_out);
        assert!(
            ask(&fewer),
            "not minimal, {left_out} is not needed: {conflict:#?} in {}",
            text(&question.problem)
        );
    }
}

/// The problem as a file, to be kept or solved by hand.
fn text(problem: &Problem) -> String {
    serde_json::to_string(problem).unwrap()
}

/// Every option of every participant.
fn listed(problem: &Problem) -> Vec<OptionSpec> {
    let mut all: Vec<OptionSpec> = Vec::new();
    for p in &problem.participants {
        all.extend(p.options.iter().flatten().cloned());
        let alternatives = p.alternatives.iter().flatten().chain(p.groups.iter().flatten().flatten());
        all.extend(alternatives.flat_map(|alternative| alternative.options.clone()));
    }
    all
}

fn check(problem: Problem) {
    let mut question = Question { problem, ..Question::default() };
    question.named = listed(&question.problem).iter().filter_map(|option| option.format.exact()).collect();
    question.named.push(Fourcc::XRGB8888);
    let problem = &question.problem;
    let blocked = problem.participants.iter().any(|p| p.required && ways(p).is_empty());
    let all_any = listed(problem).iter().all(|o| o.format == Match::Any)
        || listed(problem).iter().all(|o| o.modifier == Match::Any);
    let answer = solve(problem);
    let best = question.best();
    match (&answer, best.as_slice()) {
        (Answer::Solved(got), [_, ..]) => check_resolution(problem, got, &best),
        (Answer::Underconstrained { .. }, []) => {
            let asked = Question { unpinned: true, ..question.clone() };
            let possible = !asked.keeping(&|_, _| true).best().is_empty();
            assert!(possible || (all_any && !blocked), "{}", text(problem));
        }
        (Answer::Unsatisfiable { conflict, .. }, []) => {
            assert!(!all_any || blocked, "{}", text(problem));
            check_conflict(&question, conflict);
        }
        _ => panic!("solver: {answer:?}\noracle: {best:?}\n{}", text(problem)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_solver_agrees_with_trying_everything(problem in problem()) {
        check(problem);
    }
}

/// The fields of the vocabulary, by hand: each is at fault somewhere in the random problems, so that the
/// comparisons above say something about each.
const VOCABULARY: [&str; 39] = [
    "format",
    "modifier",
    "min_size",
    "max_size",
    "max_area",
    "width_align",
    "height_align",
    "min_pitch",
    "max_pitch",
    "pitch_align",
    "pitch_at_pixel_boundary",
    "exact_pitch",
    "chroma_pitch",
    "plane_offset_align",
    "alloc_height_align",
    "exact_rows",
    "pad_beyond_image",
    "size_align",
    "max_size_bytes",
    "base_align",
    "contiguous",
    "dma_mask_bits",
    "max_segments",
    "max_segment_size",
    "permitted_heaps",
    "protected",
    "can_protected",
    "device_local_ok",
    "p2p_ok",
    "coherency",
    "cpu_access",
    "sync",
    "camping",
    "dedicated_slack",
    "shared_slack",
    "min_count",
    "max_count",
    "link",
    "can_open",
];

#[test]
fn every_field_is_at_fault_in_some_random_problem() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut missing: Vec<&str> = VOCABULARY.to_vec();
    let mut runner = TestRunner::deterministic();
    let strategy = problem();
    for _ in 0..100_000 {
        if missing.is_empty() {
            break;
        }
        let problem = strategy.new_tree(&mut runner).unwrap().current();
        if let Answer::Unsatisfiable { conflict, .. } = solve(&problem) {
            missing.retain(|field| !conflict.iter().any(|culprit| culprit.field == *field));
        }
    }
    assert!(missing.is_empty(), "never at fault: {missing:?}");
}
