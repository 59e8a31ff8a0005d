//! What no problem can mean: empty pictures, alignments of nothing, two participants of one name.

use super::problem::{Alternative, InvalidProblem, LayoutLimits, OptionSpec, Problem};

fn invalid(where_: impl Into<String>, why: impl Into<String>) -> InvalidProblem {
    InvalidProblem { where_: where_.into(), why: why.into() }
}

impl Problem {
    /// Whether the problem makes sense, beyond its syntax. [`super::solve`] asks this itself.
    ///
    /// # Errors
    /// If the picture is empty; `count`, `page_size`, an alignment or `max_segment_size` is 0; names or ids
    /// are empty or stand twice; or a participant says in more than one way what it accepts.
    pub fn validate(&self) -> Result<(), InvalidProblem> {
        if self.size.is_empty() {
            return Err(invalid("size", format!("{} has no pixels", self.size)));
        }
        if self.count == 0 {
            return Err(invalid("count", "must be at least 1"));
        }
        unique(self.participants.iter().map(|p| p.name.as_str()), "participants", "name")?;
        unique(self.heaps.iter().map(|h| h.id.as_str()), "heaps", "id")?;
        for (at, participant) in self.participants.iter().enumerate() {
            let path = || format!("participants[{at}]");
            let ways = usize::from(participant.options.is_some())
                + usize::from(participant.alternatives.is_some())
                + usize::from(participant.groups.is_some());
            if ways > 1 {
                return Err(invalid(
                    path(),
                    "has more than one of options, alternatives and groups; keep one",
                ));
            }
            if participant.memory.max_segment_size == Some(0) {
                return Err(invalid(format!("{}.memory.max_segment_size", path()), "must be at least 1"));
            }
            let repeats = |len: Option<usize>, kinds: usize| len.is_some_and(|len| len > kinds);
            if repeats(participant.memory.coherency.as_ref().map(Vec::len), 3) {
                return Err(invalid(
                    format!("{}.memory.coherency", path()),
                    "says a word twice; there are three",
                ));
            }
            if repeats(participant.sync.as_ref().map(Vec::len), 2) {
                return Err(invalid(format!("{}.sync", path()), "says a word twice; there are two"));
            }
            limits(&participant.limits, path)?;
            options(participant.options.iter().flatten(), || format!("{}.options", path()))?;
            alternatives(participant.alternatives.iter().flatten(), || format!("{}.alternatives", path()))?;
            for (group_at, group) in participant.groups.iter().flatten().enumerate() {
                alternatives(group, || format!("{}.groups[{group_at}]", path()))?;
            }
        }
        for (at, heap) in self.heaps.iter().enumerate() {
            if heap.page_size == 0 {
                return Err(invalid(format!("heaps[{at}].page_size"), "must be at least 1"));
            }
        }
        Ok(())
    }
}

fn alternatives<'a>(
    list: impl IntoIterator<Item = &'a Alternative>,
    path: impl Fn() -> String,
) -> Result<(), InvalidProblem> {
    for (at, alternative) in list.into_iter().enumerate() {
        options(&alternative.options, || format!("{}[{at}].options", path()))?;
    }
    Ok(())
}

fn options<'a>(
    list: impl IntoIterator<Item = &'a OptionSpec>,
    path: impl Fn() -> String,
) -> Result<(), InvalidProblem> {
    for (at, option) in list.into_iter().enumerate() {
        limits(&option.limits, || format!("{}[{at}]", path()))?;
    }
    Ok(())
}

fn limits(limits: &LayoutLimits, path: impl Fn() -> String) -> Result<(), InvalidProblem> {
    for (field, value) in limits.alignments() {
        if value == Some(0) {
            return Err(invalid(
                format!("{}.{field}", path()),
                "must be at least 1: nothing is a multiple of 0",
            ));
        }
    }
    Ok(())
}

fn unique<'a>(
    names: impl Iterator<Item = &'a str> + Clone,
    list: &str,
    key: &str,
) -> Result<(), InvalidProblem> {
    let mut sorted: Vec<&str> = names.clone().collect();
    sorted.sort_unstable();
    let twice = sorted.windows(2).find(|two| two.first() == two.last()).and_then(<[&str]>::first);
    let empty = sorted.first().filter(|name| name.is_empty());
    let Some(name) = empty.or(twice) else { return Ok(()) };
    let last = names.enumerate().filter(|(_, other)| other == name).last().map_or(0, |(at, _)| at);
    let why = match empty {
        Some(_) => "must not be empty".to_owned(),
        None => format!("'{name}' stands twice; it must be unique"),
    };
    Err(invalid(format!("{list}[{last}].{key}"), why))
}
