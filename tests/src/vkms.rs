//! What vkms, the kernel's virtual display, says about the picture on it.

/// Shell functions for scenarios with a session on vkms: where it is, and its proofs.
pub const SHELL: &str = r#"
find_vkms() { # [NAME]: the first, or that of this name in configfs
    card=$(for d in /sys/class/drm/card[0-9]; do readlink -f $d/device | grep -q ${1:-vkms} && basename $d; done | head -1)
    device=/dev/dri/$card
    debug=/sys/kernel/debug/dri/${card#card}
}
find_vkms
make_vkms() { # NAME [OVERLAYS]: a display with a primary plane, so many overlay planes and a cursor plane
    C=/sys/kernel/config/vkms/$1
    mkdir $C $C/crtcs/crtc $C/encoders/enc $C/connectors/con
    echo 1 >$C/crtcs/crtc/writeback
    # In this order they lie above each other: the kernel has no zpos here.
    for plane in primary:1 $(seq -f over%g:0 1 ${2:-0}) cursor:2; do
        mkdir $C/planes/${plane%:*}
        echo ${plane#*:} >$C/planes/${plane%:*}/type
        ln -s $C/crtcs/crtc $C/planes/${plane%:*}/possible_crtcs/
    done
    ln -s $C/crtcs/crtc $C/encoders/enc/possible_crtcs/
    ln -s $C/encoders/enc $C/connectors/con/possible_encoders/
    echo 1 >$C/enabled
    udevadm settle
    find_vkms $1
}
crc() { # NAME: keeps the CRC of what is on the screen now
    echo auto >$debug/crtc-0/crc/control
    # head complains that it can't give back what it has read too much.
    head -n 4 $debug/crtc-0/crc/data >$LAB_OUT/$1.crc 2>/dev/null
}
proof() { # NAME: keeps the planes' state and the CRC
    cat $debug/state >$LAB_OUT/$1.state
    crc $1
}
until_said() { # FILE: waits for a program to say something; the session's end is the end of waiting
    until [ -s $1 ]; do kill -0 $session || exit 9; sleep 0.05; done
}
until_there() { until_said there; export WAYLAND_DISPLAY=$(cat there); }
until_shown() { # ROLE: waits until such a surface is there
    until heapwright msg surfaces | grep -q " $1 "; do sleep 0.1; done
}
asked() { heapwright msg surfaces --json >$LAB_OUT/$1; }
"#;

/// The CRC that vkms reports for a screen of `width` x `height` opaque pixels, given as XRGB8888.
///
/// Source: drivers/gpu/drm/vkms/vkms_composer.c (Linux 7.3): each pixel becomes four 16-bit channels a, r, g, b
/// (8-bit values times 257), and `crc32_le` runs over the lines, starting from 0 and without a final inversion.
#[must_use]
pub fn crc(width: u32, height: u32, pixel: impl Fn(u32, u32) -> u32) -> u32 {
    // crc32fast inverts before and after; starting at all ones and inverting the result undoes both.
    let mut hasher = crc32fast::Hasher::new_with_initial(u32::MAX);
    let mut line = Vec::with_capacity(width as usize * 8);
    for y in 0..height {
        line.clear();
        for x in 0..width {
            let [blue, green, red, _] = pixel(x, y).to_le_bytes();
            for channel in [0xff, red, green, blue] {
                line.extend((u16::from(channel) * 257).to_le_bytes());
            }
        }
        hasher.update(&line);
    }
    !hasher.finalize()
}

/// The CRCs in the text of `crtc-N/crc/data`: a frame number and a value a line, both in hexadecimal.
#[must_use]
pub fn crcs(data: &str) -> Vec<u32> {
    data.lines()
        .filter_map(|line| line.split_whitespace().nth(1)?.strip_prefix("0x"))
        .filter_map(|value| u32::from_str_radix(value, 16).ok())
        .collect()
}

/// The section of one plane in the text of `state`, up to the next object.
#[must_use]
pub fn plane<'a>(state: &'a str, name: &str) -> Option<&'a str> {
    let start = state.find(&format!("]: {name}\n"))?;
    let section = &state[start..];
    let end = section[1..].find("\nplane[").or_else(|| section[1..].find("\ncrtc["));
    Some(end.map_or(section, |end| &section[..=end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `crc32_le` as the kernel defines it, bit by bit.
    fn crc32_le(mut crc: u32, bytes: &[u8]) -> u32 {
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
            }
        }
        crc
    }

    #[test]
    fn the_crc_is_the_kernels() {
        let pixels = [0x0012_3456, 0xffab_cdef];
        let bytes: Vec<u8> = [[0xff, 0x12, 0x34, 0x56], [0xff, 0xab, 0xcd, 0xef]]
            .concat()
            .into_iter()
            .flat_map(|channel: u16| (channel * 257).to_le_bytes())
            .collect();
        assert_eq!(crc(2, 1, |x, _| pixels[x as usize]), crc32_le(0, &bytes));
    }

    #[test]
    fn one_planes_section_is_its_own() {
        let state = "plane[35]: plane-0\n\tfb=55\n\t\timported=no\nplane[40]: plane-1\n\tfb=0\ncrtc[45]: crtc-0\n\tactive=1\n";
        assert_eq!(plane(state, "plane-0"), Some("]: plane-0\n\tfb=55\n\t\timported=no"));
        assert_eq!(plane(state, "plane-1"), Some("]: plane-1\n\tfb=0"));
        assert_eq!(plane(state, "plane-2"), None);
    }
}
