//! `heapwright_allocation_unstable_v1`: buffers that everybody who touches them can use.

#[cfg(feature = "client")]
pub use generated::client;
#[cfg(feature = "server")]
pub use generated::server;

#[allow(
    dead_code,
    missing_docs,
    missing_debug_implementations,
    non_camel_case_types,
    non_upper_case_globals,
    unused_imports,
    clippy::all,
    reason = "generated, in wayland-scanner's style"
)]
mod generated {
    /// What clients use.
    #[cfg(feature = "client")]
    pub mod client {
        use wayland_client::{self, protocol::*};

        #[allow(unused_imports)]
        pub mod __interfaces {
            use wayland_client::protocol::__interfaces::*;
            wayland_scanner::generate_interfaces!("xml/heapwright-allocation-unstable-v1.xml");
        }
        use self::__interfaces::*;

        wayland_scanner::generate_client_code!("xml/heapwright-allocation-unstable-v1.xml");
    }

    /// What compositors use.
    #[cfg(feature = "server")]
    pub mod server {
        use wayland_server::{self, protocol::*};

        #[allow(unused_imports)]
        pub mod __interfaces {
            use wayland_server::protocol::__interfaces::*;
            wayland_scanner::generate_interfaces!("xml/heapwright-allocation-unstable-v1.xml");
        }
        use self::__interfaces::*;

        wayland_scanner::generate_server_code!("xml/heapwright-allocation-unstable-v1.xml");
    }
}
