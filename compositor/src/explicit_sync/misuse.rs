//! What a commit of a surface with explicit sync may and may not say.

use smithay::reexports::wayland_protocols::wp::linux_drm_syncobj::v1::server::wp_linux_drm_syncobj_surface_v1::Error;

/// What is attached in a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attached {
    /// Nothing new, or no buffer any more.
    Nothing,
    /// A buffer that others' devices can write to.
    DmaBuf,
    /// A buffer of another kind: what writes to it has no points.
    Other,
}

/// The points of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Points {
    /// Acquire point, where one is set.
    pub acquire: Option<u64>,
    /// Release point, where one is set.
    pub release: Option<u64>,
    /// They are of one timeline.
    pub same_timeline: bool,
}

/// What is wrong with a commit, with the protocol's code for it and a text for the client's developer.
#[must_use]
pub fn misuse(attached: Attached, points: Points) -> Option<(Error, String)> {
    let Points { acquire, release, same_timeline } = points;
    if attached == Attached::Nothing {
        let what = match (acquire, release) {
            (None, None) => return None,
            (Some(_), _) => "an acquire point",
            (None, Some(_)) => "a release point",
        };
        return Some((Error::NoBuffer, format!("{what}, but no buffer is attached in this commit")));
    }
    let (acquire, release) = match (acquire, release) {
        (Some(acquire), Some(release)) => (acquire, release),
        (None, _) => {
            let text = "a buffer, but no acquire point: say when it may be read, or destroy the surface's sync object";
            return Some((Error::NoAcquirePoint, text.to_owned()));
        }
        (Some(_), None) => {
            let text = "a buffer, but no release point: say what is to be signalled when it has been read";
            return Some((Error::NoReleasePoint, text.to_owned()));
        }
    };
    if same_timeline && acquire >= release {
        let text =
            format!("the release point {release} of a timeline is not after its acquire point {acquire}");
        return Some((Error::ConflictingPoints, text));
    }
    if attached == Attached::Other {
        let text = "a buffer that linux-dmabuf did not make: it has no explicit sync";
        return Some((Error::UnsupportedBuffer, text.to_owned()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use Attached::{DmaBuf, Nothing, Other};

    #[test]
    fn each_misuse_has_its_code_and_right_use_has_none() {
        let (none, some) = (None::<u64>, Some(5));
        for (attached, acquire, release, same_timeline, code) in [
            (DmaBuf, Some(1), Some(2), true, None),
            (DmaBuf, Some(2), Some(1), false, None),
            (DmaBuf, Some(0), Some(u64::MAX), true, None),
            (Nothing, none, none, false, None),
            (Nothing, some, none, false, Some(Error::NoBuffer)),
            (Nothing, none, some, false, Some(Error::NoBuffer)),
            (Nothing, some, some, true, Some(Error::NoBuffer)),
            (DmaBuf, none, none, false, Some(Error::NoAcquirePoint)),
            (DmaBuf, none, some, false, Some(Error::NoAcquirePoint)),
            (Other, none, none, false, Some(Error::NoAcquirePoint)),
            (DmaBuf, some, none, false, Some(Error::NoReleasePoint)),
            (DmaBuf, Some(5), Some(5), true, Some(Error::ConflictingPoints)),
            (DmaBuf, Some(6), Some(5), true, Some(Error::ConflictingPoints)),
            (DmaBuf, Some(u64::MAX), Some(0), true, Some(Error::ConflictingPoints)),
            (Other, Some(1), Some(2), true, Some(Error::UnsupportedBuffer)),
        ] {
            let told = misuse(attached, Points { acquire, release, same_timeline });
            let case = format!("{attached:?} {acquire:?} {release:?} same {same_timeline}");
            assert_eq!(told.map(|(code, _)| code), code, "{case}");
        }
    }
}
