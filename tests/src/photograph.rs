//! A photograph of a guest's screen: read as QEMU writes it, a binary PPM, and written as PNG.

use std::io::Cursor;

/// A picture with three bytes a pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Photograph {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    pixels: Vec<u8>,
}

impl Photograph {
    /// Reads a PPM of the kind P6 with 255 levels; `None` when it is none, or cut short.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        // Three numbers follow the kind, and one white space the last (ppm(5)); QEMU writes no comments.
        let mut rest = bytes.strip_prefix(b"P6")?;
        let mut number = || {
            rest = rest.trim_ascii_start();
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (text, after) = rest.split_at(digits);
            rest = after;
            std::str::from_utf8(text).ok()?.parse::<u32>().ok()
        };
        let (width, height, levels) = (number()?, number()?, number()?);
        let pixels = rest.get(1..)?.to_vec();
        let whole = u64::from(width) * u64::from(height) * 3 == pixels.len() as u64;
        (levels == 255 && whole).then_some(Photograph { width, height, pixels })
    }

    /// From rows of XRGB8888 without padding; what is no whole row is left out.
    #[must_use]
    pub fn of_xrgb(width: u32, rows: &[u8]) -> Self {
        let row = width as usize * 4;
        let height = rows.len().checked_div(row).unwrap_or(0);
        let whole = rows.get(..height * row).unwrap_or_default();
        let pixels = whole.chunks_exact(4).flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect();
        Photograph { width, height: height as u32, pixels }
    }

    /// As PNG, with each `shrink`-th pixel of each `shrink`-th row.
    ///
    /// # Errors
    /// A picture without pixels is no PNG.
    pub fn png(&self, shrink: u32) -> Result<Vec<u8>, png::EncodingError> {
        let step = shrink.max(1) as usize;
        let rows = self.pixels.chunks_exact((self.width as usize * 3).max(1)).step_by(step);
        let pixels: Vec<u8> =
            rows.flat_map(|row| row.chunks_exact(3).step_by(step).flatten().copied()).collect();
        let mut file = Vec::new();
        let (width, height) = (self.width.div_ceil(step as u32), self.height.div_ceil(step as u32));
        let mut encoder = png::Encoder::new(Cursor::new(&mut file), width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_compression(png::Compression::High);
        encoder.write_header()?.write_image_data(&pixels)?;
        Ok(file)
    }

    /// How many pixels are not those of `picture`, given as XRGB8888.
    #[must_use]
    pub fn differing(&self, picture: impl Fn(u32, u32) -> u32) -> usize {
        let places = (0..self.height).flat_map(|y| (0..self.width).map(move |x| (x, y)));
        let wrong = |((x, y), seen): &((u32, u32), &[u8])| {
            let [blue, green, red, _] = picture(*x, *y).to_le_bytes();
            *seen != [red, green, blue]
        };
        places.zip(self.pixels.chunks_exact(3)).filter(wrong).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ppm_is_read_and_compared_pixel_by_pixel() {
        let photograph = Photograph::parse(b"P6\n2 1\n255\n\x10\x20\x30\n\x00\xff").expect("a picture");
        assert_eq!((photograph.width, photograph.height), (2, 1));
        assert_eq!(photograph.differing(|x, _| [0xff10_2030, 0x000a_00ff][x as usize]), 0);
        assert_eq!(photograph.differing(|_, _| 0x0010_2030), 1);
        assert_eq!(Photograph::of_xrgb(2, &[0x30, 0x20, 0x10, 0, 0xff, 0, 0x0a, 0, 9]), photograph);
        for wrong in ["P6\n2 1\n255\n12345", "P5\n1 1\n255\n1", "P6\n1 1\n65535\n123", "P6", "P6 9"] {
            assert_eq!(Photograph::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
