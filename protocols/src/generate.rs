//! The modules of both sides of a protocol.

/// Declares `client` and `server`, as the features say, from the XML at a path below the crate.
macro_rules! generate {
    ($xml:literal) => {
        // Has cargo build this again when the file changes, of which the scanner says nothing.
        const _: &str = include_str!(concat!("../", $xml));

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
            rustdoc::all,
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
                    wayland_scanner::generate_interfaces!($xml);
                }
                use self::__interfaces::*;

                wayland_scanner::generate_client_code!($xml);
            }

            /// What compositors use.
            #[cfg(feature = "server")]
            pub mod server {
                use wayland_server::{self, protocol::*};

                #[allow(unused_imports)]
                pub mod __interfaces {
                    use wayland_server::protocol::__interfaces::*;
                    wayland_scanner::generate_interfaces!($xml);
                }
                use self::__interfaces::*;

                wayland_scanner::generate_server_code!($xml);
            }
        }
    };
}

pub(crate) use generate;
