//! Pictures of an output as PNG files.

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

/// A picture could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ScreenshotError {
    /// The file could not be created or written.
    #[error("cannot write {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The pixels do not make a picture.
    #[error("cannot encode {path}: {source}")]
    Encode {
        /// The file.
        path: PathBuf,
        /// What is wrong with the pixels.
        source: png::EncodingError,
    },
}

/// Writes XRGB8888 pixels (little-endian: B, G, R, X; `pitch` bytes a row) as a PNG file.
///
/// # Errors
/// [`ScreenshotError`] when the file cannot be written, or `pixels` is shorter than `height` rows.
pub fn write_png(
    path: &Path,
    width: u32,
    height: u32,
    pitch: usize,
    pixels: &[u8],
) -> Result<(), ScreenshotError> {
    let file = |source| ScreenshotError::File { path: path.to_owned(), source };
    let encode = |source| ScreenshotError::Encode { path: path.to_owned(), source };
    let mut out = BufWriter::new(File::create(path).map_err(file)?);
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(encode)?;
    let rgb: Vec<u8> = pixels
        .chunks(pitch.max(1))
        .take(height as usize)
        .flat_map(|row| row.chunks_exact(4).take(width as usize))
        .flat_map(|pixel| [pixel[2], pixel[1], pixel[0]])
        .collect();
    writer.write_image_data(&rgb).map_err(encode)?;
    writer.finish().map_err(encode)?;
    out.flush().map_err(file)
}
