//! Sentences on cameras and codecs that the text and the page share.

use heapwright_alloc::explain::{Explanation, Video};

use super::words;

/// What is said of one: its name, what it is, and lines below.
pub struct Lines {
    /// Its name.
    pub name: String,
    /// What it is called elsewhere.
    pub label: String,
    /// What it does and takes.
    pub does: String,
    /// Formats, and those left out.
    pub below: Vec<String>,
}

/// Cameras and codecs; the other nodes only by name.
pub fn all(told: &Explanation) -> (Vec<Lines>, Option<String>) {
    let (known, others): (Vec<&Video>, Vec<&Video>) = told.videos.iter().partition(|it| it.role.is_some());
    let others: Vec<_> = others.into_iter().map(|it| it.name.as_str()).collect();
    let others = (!others.is_empty()).then(|| format!("neither camera nor codec: {}", others.join(", ")));
    (known.into_iter().map(lines).collect(), others)
}

fn lines(video: &Video) -> Lines {
    let role = video.role.map_or_else(String::new, |role| format!("{role:?}").to_lowercase());
    let part = if video.takes_part { ", takes part" } else { "" };
    let formats: Vec<_> = video.formats.iter().map(ToString::to_string).collect();
    let formats = if formats.is_empty() { "none".to_owned() } else { formats.join(" ") };
    let mut below = vec![format!("{} formats: {formats}", video.formats.len())];
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for left_out in &video.left_out {
        let format = left_out.format.to_string();
        match reasons.iter_mut().find(|(why, _)| *why == left_out.why) {
            Some((_, formats)) => formats.push(format),
            None => reasons.push((&left_out.why, vec![format])),
        }
    }
    below.extend(reasons.iter().map(|(why, formats)| format!("left out, {why}: {}", formats.join(" "))));
    Lines {
        name: video.name.clone(),
        label: format!("{}, {}, {}", video.card, video.driver, video.path.display()),
        does: format!(
            "{role}{part}; imports dma-bufs: {}; takes memory in pieces: {}; IOMMU: {}",
            words::known(video.imports),
            words::known(video.takes_scattered),
            words::known(Some(video.iommu)),
        ),
        below,
    }
}
