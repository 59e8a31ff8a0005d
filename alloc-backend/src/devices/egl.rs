//! What GPUs import, asked of EGL (`EGL_EXT_image_dma_buf_import_modifiers` on `EGL_EXT_platform_device`): the library is
//! opened at run time, and all the `unsafe` of it is here.
//!
//! Nothing is ever ended again: an `EGLDisplay` of a device is one for the whole process, so ending it here would end it
//! under a renderer that uses the same; and a driver that was loaded does not always survive being unloaded.

use std::ffi::{CStr, c_char, c_void};
use std::path::PathBuf;
use std::ptr::{null, null_mut};

use libloading::Library;

use super::render_list::{ImportList, ImportPair, RenderApi, Silence};
use super::whose::Whose;
use crate::constraints::{Format, Fourcc, Modifier};

type Pointer = *mut c_void;
type GetProcAddress = unsafe extern "C" fn(*const c_char) -> Pointer;
type QueryString = unsafe extern "C" fn(Pointer, i32) -> *const c_char;
type Initialize = unsafe extern "C" fn(Pointer, *mut i32, *mut i32) -> u32;
type QueryDevices = unsafe extern "C" fn(i32, *mut Pointer, *mut i32) -> u32;
type QueryDeviceString = unsafe extern "C" fn(Pointer, i32) -> *const c_char;
type GetPlatformDisplay = unsafe extern "C" fn(u32, Pointer, *const i32) -> Pointer;
type QueryFormats = unsafe extern "C" fn(Pointer, i32, *mut i32, *mut i32) -> u32;
type GetDriverName = unsafe extern "C" fn(Pointer) -> *const c_char;
type QueryModifiers = unsafe extern "C" fn(Pointer, i32, i32, *mut u64, *mut u32, *mut i32) -> u32;

/// `EGL_VENDOR`, `EGL_EXTENSIONS`, `EGL_PLATFORM_DEVICE_EXT`, `EGL_DRM_DEVICE_FILE_EXT`, `EGL_DRM_RENDER_NODE_FILE_EXT`.
const VENDOR: i32 = 0x3053;
const EXTENSIONS: i32 = 0x3055;
const PLATFORM_DEVICE: u32 = 0x313f;
const DRM_DEVICE_FILE: i32 = 0x3233;
const DRM_RENDER_NODE_FILE: i32 = 0x3377;
/// More of a list than this is a driver's mistake.
const MOST: i32 = 4096;

/// Why EGL says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EglError {
    /// There is no library.
    #[error("no EGL here ({0}): install libEGL (Debian: libegl1) and a driver for the GPU")]
    NoLibrary(String),
    /// The library cannot be asked without a window system.
    #[error("this EGL has no {0}: install a newer libEGL or driver")]
    NoFunction(&'static str),
}

/// The functions that are used.
struct Egl {
    query_string: QueryString,
    initialize: Initialize,
    query_devices: QueryDevices,
    query_device_string: QueryDeviceString,
    get_platform_display: GetPlatformDisplay,
    query_formats: Option<QueryFormats>,
    query_modifiers: Option<QueryModifiers>,
    driver_name: Option<GetDriverName>,
}

/// Asks every device of EGL.
pub(super) fn devices() -> Result<Vec<(Whose, ImportList)>, EglError> {
    let egl = Egl::load()?;
    let mut found = [null_mut(); 64];
    let mut count = 0;
    // SAFETY: the array has room for as many as are asked for, and `count` is written.
    let told = unsafe { (egl.query_devices)(64, found.as_mut_ptr(), &raw mut count) };
    let count = if told == 0 { 0 } else { usize::try_from(count).unwrap_or(0).min(found.len()) };
    Ok(found[..count].iter().map(|device| egl.device(*device)).collect())
}

impl Egl {
    fn load() -> Result<Self, EglError> {
        // SAFETY: libEGL's initialisers are made to be run by any program that loads it.
        let library = unsafe { Library::new("libEGL.so.1") };
        let library = library.map_err(|error| EglError::NoLibrary(error.to_string()))?;
        // SAFETY: EGL 1.0 gives this function this type; the library is never unloaded, see below.
        let get = unsafe { library.get::<GetProcAddress>(b"eglGetProcAddress\0") }.map(|symbol| *symbol);
        let get = get.map_err(|_| EglError::NoFunction("eglGetProcAddress"))?;
        // SAFETY: as above.
        let query_string = unsafe { library.get::<QueryString>(b"eglQueryString\0") }.map(|symbol| *symbol);
        let query_string = query_string.map_err(|_| EglError::NoFunction("eglQueryString"))?;
        // SAFETY: as above.
        let initialize = unsafe { library.get::<Initialize>(b"eglInitialize\0") }.map(|symbol| *symbol);
        let initialize = initialize.map_err(|_| EglError::NoFunction("eglInitialize"))?;
        // Drivers leave threads and exit handlers behind.
        std::mem::forget(library);
        let address = |name: &'static CStr| {
            // SAFETY: a text that ends, and the result is only looked at here.
            let address = unsafe { get(name.as_ptr()) };
            (!address.is_null()).then_some(address)
        };
        // Without a display the string names what the library itself has. Asked first, because eglGetProcAddress may
        // give an address for functions that are not there.
        // SAFETY: EGL_NO_DISPLAY is null; the string lives as long as the library.
        let client = unsafe { words(query_string(null_mut(), EXTENSIONS)) };
        let has = |name: &str| client.split(' ').any(|word| word == name);
        if !has("EGL_EXT_platform_device") {
            return Err(EglError::NoFunction("EGL_EXT_platform_device"));
        }
        if !has("EGL_EXT_device_base") && !has("EGL_EXT_device_enumeration") {
            return Err(EglError::NoFunction("EGL_EXT_device_enumeration"));
        }
        let devices = address(c"eglQueryDevicesEXT").ok_or(EglError::NoFunction("eglQueryDevicesEXT"))?;
        let string =
            address(c"eglQueryDeviceStringEXT").ok_or(EglError::NoFunction("eglQueryDeviceStringEXT"))?;
        let display =
            address(c"eglGetPlatformDisplayEXT").ok_or(EglError::NoFunction("eglGetPlatformDisplayEXT"))?;
        let (formats, modifiers) =
            (address(c"eglQueryDmaBufFormatsEXT"), address(c"eglQueryDmaBufModifiersEXT"));
        let driver_name = address(c"eglGetDisplayDriverName");
        // SAFETY: each address is of the function of that name, whose extension gives it that type.
        unsafe {
            Ok(Egl {
                query_string,
                initialize,
                query_devices: std::mem::transmute::<Pointer, QueryDevices>(devices),
                query_device_string: std::mem::transmute::<Pointer, QueryDeviceString>(string),
                get_platform_display: std::mem::transmute::<Pointer, GetPlatformDisplay>(display),
                query_formats: formats.map(|it| std::mem::transmute::<Pointer, QueryFormats>(it)),
                query_modifiers: modifiers.map(|it| std::mem::transmute::<Pointer, QueryModifiers>(it)),
                driver_name: driver_name.map(|it| std::mem::transmute::<Pointer, GetDriverName>(it)),
            })
        }
    }

    fn device(&self, device: Pointer) -> (Whose, ImportList) {
        // SAFETY: a device that EGL listed; its strings live as long as the library.
        let string = |name| unsafe { words((self.query_device_string)(device, name)) };
        let has = string(EXTENSIONS);
        let path = |extension: &str, name| {
            let told = has.split(' ').any(|word| word == extension).then(|| string(name))?;
            (!told.is_empty()).then(|| PathBuf::from(told))
        };
        let primary = path("EGL_EXT_device_drm", DRM_DEVICE_FILE);
        let nodes = Vec::from_iter(
            primary.into_iter().chain(path("EGL_EXT_device_drm_render_node", DRM_RENDER_NODE_FILE)),
        );
        // A device without nodes is of software, whether it says so or not: no other can be shared with.
        let whose = if nodes.is_empty() { Whose::Software } else { Whose::Nodes(nodes) };
        let (driver, pairs) = match self.display(device) {
            Ok((display, has)) => (self.driver(display, &has), self.imports(display, &has)),
            Err(silence) => (String::new(), Err(silence)),
        };
        (whose, ImportList { api: RenderApi::Egl, driver, pairs })
    }

    /// The device's display, and what it can do.
    fn display(&self, device: Pointer) -> Result<(Pointer, Vec<String>), Silence> {
        // SAFETY: a device that EGL listed, without attributes.
        let display = unsafe { (self.get_platform_display)(PLATFORM_DEVICE, device, null()) };
        if display.is_null() {
            return Err(Silence::NotStarted);
        }
        // SAFETY: a display that EGL made; it may be initialised any number of times.
        if unsafe { (self.initialize)(display, null_mut(), null_mut()) } == 0 {
            return Err(Silence::NotStarted);
        }
        // SAFETY: an initialised display; its string lives as long as it, which is not ended.
        let has = unsafe { words((self.query_string)(display, EXTENSIONS)) };
        Ok((display, has.split(' ').map(str::to_owned).collect()))
    }

    /// What people call the driver: its name, or who made the library.
    fn driver(&self, display: Pointer, has: &[String]) -> String {
        let ask = self.driver_name.filter(|_| has.iter().any(|word| word == "EGL_MESA_query_driver"));
        // SAFETY: an initialised display that has the extension; the name lives as long as it.
        let name = ask.map_or_else(String::new, |ask| unsafe { words(ask(display)) });
        if !name.is_empty() {
            return name;
        }
        // SAFETY: an initialised display; its string lives as long as it.
        unsafe { words((self.query_string)(display, VENDOR)) }
    }

    fn imports(&self, display: Pointer, has: &[String]) -> Result<Vec<ImportPair>, Silence> {
        const EXTENSION: &str = "EGL_EXT_image_dma_buf_import_modifiers";
        let there = has.iter().any(|word| word == EXTENSION);
        let functions = self.query_formats.zip(self.query_modifiers).filter(|_| there);
        let (formats, modifiers) = functions.ok_or(Silence::Lacks(EXTENSION))?;
        Self::all_pairs(display, formats, modifiers).ok_or(Silence::Failed)
    }

    fn all_pairs(
        display: Pointer,
        formats: QueryFormats,
        modifiers: QueryModifiers,
    ) -> Option<Vec<ImportPair>> {
        let mut count = 0;
        // SAFETY: asked for none, it writes the number only.
        let told = unsafe { formats(display, 0, null_mut(), &raw mut count) };
        let mut list = room::<i32>(told, count)?;
        // SAFETY: the list has room for as many as are asked for.
        let told = unsafe { formats(display, count.min(MOST), list.as_mut_ptr(), &raw mut count) };
        list.truncate(room::<i32>(told, count)?.len());
        let pairs = list.into_iter().map(|format| Self::pairs(display, modifiers, format));
        Some(pairs.collect::<Option<Vec<_>>>()?.concat())
    }

    fn pairs(display: Pointer, query: QueryModifiers, format: i32) -> Option<Vec<ImportPair>> {
        let fourcc = Fourcc(u32::from_ne_bytes(format.to_ne_bytes()));
        let mut count = 0;
        // SAFETY: asked for none, it writes the number only.
        let told = unsafe { query(display, format, 0, null_mut(), null_mut(), &raw mut count) };
        let (mut modifiers, mut external) = (room::<u64>(told, count)?, room::<u32>(told, count)?);
        let most = count.min(MOST);
        // SAFETY: both lists have room for as many as are asked for.
        let told = unsafe {
            query(display, format, most, modifiers.as_mut_ptr(), external.as_mut_ptr(), &raw mut count)
        };
        let count = room::<u32>(told, count)?.len();
        if count == 0 {
            // The format is imported, but only with what the driver itself knows of the buffer.
            return Some(vec![ImportPair::new(fourcc, Modifier::INVALID, true)]);
        }
        // A driver may read luma and chroma as an ordinary texture, but GL draws to red, green and blue only.
        let yuv = Format::of(fourcc).is_some_and(Format::is_yuv);
        let pair = |(modifier, external)| ImportPair::new(fourcc, Modifier(modifier), yuv || external != 0);
        Some(modifiers.into_iter().zip(external).take(count).map(pair).collect())
    }
}

/// A list of as many as EGL says; `None` when it says nothing, or nonsense.
fn room<T: Default + Clone>(told: u32, count: i32) -> Option<Vec<T>> {
    let count = usize::try_from(count.min(MOST)).ok()?;
    (told != 0).then(|| vec![T::default(); count])
}

/// A text of EGL; empty for none.
///
/// # Safety
/// Null, or a text that ends and stays.
unsafe fn words(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as promised by the caller.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
