//! Limits on where the memory lies, and how it is touched.

use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::layout::unstated;

/// A state of the CPU's caches with which a participant can live.
#[derive(Debug, Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coherency {
    /// The CPU's caches hold the buffer; somebody must keep them coherent.
    Cached,
    /// The CPU bypasses its caches (write-combining).
    Uncached,
    /// The CPU cannot reach the buffer at all.
    Inaccessible,
}

impl Coherency {
    /// The word in JSON and in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Coherency::Cached => "cached",
            Coherency::Uncached => "uncached",
            Coherency::Inaccessible => "inaccessible",
        }
    }
}

/// How producers and consumers of a buffer wait for each other.
#[derive(Debug, Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sync {
    /// Fences travel with the buffer, in the kernel.
    Implicit,
    /// Fences are passed beside the buffer (sync files, timelines).
    Explicit,
}

impl Sync {
    /// The word in JSON and in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Sync::Implicit => "implicit",
            Sync::Explicit => "explicit",
        }
    }
}

/// How often the CPU touches a buffer in one direction.
#[derive(Debug, Copy, Clone, Default, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frequency {
    /// Never.
    #[default]
    None,
    /// Now and then: a screenshot, a fallback.
    Rare,
    /// Every frame.
    Often,
}

/// How often the CPU reads and writes a buffer. `{"read": "often", "write": "none"}` in JSON, or one word for
/// both.
#[derive(Debug, Copy, Clone, Default, Eq, PartialEq, Hash, Serialize)]
pub struct CpuAccess {
    /// Reads.
    pub read: Frequency,
    /// Writes.
    pub write: Frequency,
}

impl CpuAccess {
    /// Whether the CPU touches the buffer at all.
    #[must_use]
    pub fn any(self) -> bool {
        self != CpuAccess::default()
    }
}

impl fmt::Display for CpuAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |frequency| match frequency {
            Frequency::None => "none",
            Frequency::Rare => "rare",
            Frequency::Often => "often",
        };
        write!(f, "read {}, write {}", word(self.read), word(self.write))
    }
}

impl<'de> Deserialize<'de> for CpuAccess {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<CpuAccess, D::Error> {
        #[derive(Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[derive(Default)]
        struct Both {
            read: Frequency,
            write: Frequency,
        }
        struct Access;
        impl<'de> de::Visitor<'de> for Access {
            type Value = CpuAccess;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"none\", \"rare\", \"often\", or an object with \"read\" and \"write\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<CpuAccess, E> {
                let both = Frequency::deserialize(de::value::StrDeserializer::<E>::new(text))?;
                Ok(CpuAccess { read: both, write: both })
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<CpuAccess, A::Error> {
                let both = Both::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(CpuAccess { read: both.read, write: both.write })
            }
        }
        deserializer.deserialize_any(Access)
    }
}

/// The memory fields of one participant. A field that is not stated narrows nothing.
#[derive(Debug, Clone, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryLimits {
    /// Its device needs physically contiguous memory. An IOMMU in front of the device waives it.
    #[serde(skip_serializing_if = "unstated")]
    pub contiguous: bool,
    /// Its device sends addresses of so many bits. An IOMMU in front of the device waives it. Merge: min.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dma_mask_bits: Option<u32>,
    /// Most pieces of memory in one buffer. Merge: min.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_segments: Option<u64>,
    /// Largest piece of memory it maps at once, in bytes. Merge: min.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_segment_size: Option<u64>,
    /// Ids of the only heaps it takes; a heap that shares a pool with one of them is as good. Merge:
    /// intersection by pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permitted_heaps: Option<Vec<String>>,
    /// It asks for protected memory, which it then can touch. Merge: or.
    #[serde(skip_serializing_if = "unstated")]
    pub protected: bool,
    /// It can touch protected memory. Never true of a participant with `cpu_access`.
    #[serde(skip_serializing_if = "unstated")]
    pub can_protected: bool,
    /// Whether the buffer may lie in a device's own memory. Not stated: it may. Merge: and.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_local_ok: Option<bool>,
    /// Whether it may reach into, or let others reach into, a device's own memory. Not stated: it may, and a
    /// participant on another device is counted as one migration per frame; stated, it reads in place. Merge:
    /// and.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p2p_ok: Option<bool>,
    /// Cache states it can live with: a list, or one word. Merge: intersection.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "one_or_many")]
    pub coherency: Option<Vec<Coherency>>,
    /// How often the CPU touches the buffer on its behalf. Merge: max of each direction; a cost.
    #[serde(skip_serializing_if = "unstated")]
    pub cpu_access: CpuAccess,
}

/// Reads a list of words, or one word as a list of one.
pub(crate) fn one_or_many<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    struct OneOrMany<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> de::Visitor<'de> for OneOrMany<T> {
        type Value = Option<Vec<T>>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a word or a list of words")
        }
        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            T::deserialize(de::value::StrDeserializer::<E>::new(text)).map(|one| Some(vec![one]))
        }
        fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(de::value::SeqAccessDeserializer::new(seq)).map(Some)
        }
    }
    deserializer.deserialize_any(OneOrMany(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_access_is_a_word_or_one_word_per_direction() {
        for (json, read, write) in [
            ("\"rare\"", Frequency::Rare, Frequency::Rare),
            ("{\"read\": \"often\"}", Frequency::Often, Frequency::None),
            ("{\"read\": \"none\", \"write\": \"rare\"}", Frequency::None, Frequency::Rare),
            ("{}", Frequency::None, Frequency::None),
        ] {
            assert_eq!(serde_json::from_str::<CpuAccess>(json).unwrap(), CpuAccess { read, write }, "{json}");
        }
        for json in ["\"always\"", "{\"reed\": \"rare\"}", "1", "[]"] {
            assert!(serde_json::from_str::<CpuAccess>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn coherency_is_a_word_or_a_list() {
        let read = |json| serde_json::from_str::<MemoryLimits>(json).map(|memory| memory.coherency);
        assert_eq!(read("{\"coherency\": \"cached\"}").unwrap(), Some(vec![Coherency::Cached]));
        assert_eq!(read("{\"coherency\": []}").unwrap(), Some(vec![]));
        assert_eq!(read("{\"coherency\": null}").unwrap(), None);
        assert_eq!(read("{}").unwrap(), None);
        assert!(read("{\"coherency\": \"warm\"}").is_err());
    }
}
