//! Unit tests of Rust's std, as their authors wrote them, outside of it; for the scenario `others-library`.
#![cfg_attr(all(test, target_env = "musl"), feature(test, custom_test_frameworks), test_runner(crate::runner::run))]
// As modules of another crate, the files cannot ask for these themselves.
#![cfg_attr(
    all(test, target_env = "musl"),
    feature(
        borrowed_buf_init,
        buf_read_has_data_left,
        can_vector,
        clone_to_uninit,
        const_default,
        const_trait_impl,
        core_io_borrowed_buf,
        dirfd,
        fn_traits,
        fs_set_times,
        io_const_error,
        io_error_uncategorized,
        io_slice_as_bytes,
        os_str_slice,
        peer_credentials_unix_socket,
        read_buf,
        read_buf_at,
        seek_io_take_position,
        seek_stream_len,
        super_let,
        tcp_deferaccept,
        tcp_linger,
        tcp_quickack,
        try_reserve_kind,
        unix_file_vectored_at,
        unix_mkfifo,
        unix_socket_ancillary_data,
        unix_socket_peek,
        write_all_vectored,
    )
)]
#![cfg_attr(
    all(test, target_env = "musl"),
    allow(warnings, internal_features, reason = "what others wrote is theirs to mend")
)]

#[cfg(all(test, target_env = "musl"))]
extern crate alloc;
#[cfg(all(test, target_env = "musl"))]
extern crate std as realstd;
#[cfg(all(test, target_env = "musl"))]
extern crate test;

#[cfg(all(test, target_env = "musl"))]
#[path = "../../runner.rs"]
mod runner;

// `crate::` leads the files to std, but for the modules that hold tests; these stand for std's own.
#[cfg(all(test, target_env = "musl"))]
pub use std::*;

#[cfg(all(test, target_env = "musl"))]
mod collections {
    pub use std::collections::*;
    pub(crate) mod hash {
        pub(crate) mod map {
            pub use std::collections::hash_map::*;
            include!(concat!(env!("OUT_DIR"), "/collections_hash_map_tests.rs"));
        }
        pub(crate) mod set {
            pub use std::collections::hash_set::*;
            include!(concat!(env!("OUT_DIR"), "/collections_hash_set_tests.rs"));
        }
    }
}

#[cfg(all(test, target_env = "musl"))]
mod ffi {
    pub use std::ffi::*;
    pub(crate) mod os_str {
        use std::borrow::Cow;
        use std::clone::CloneToUninit;
        pub use std::ffi::os_str::*;
        use std::ffi::{OsStr, OsString};
        use std::rc::Rc;
        use std::sync::Arc;
        include!(concat!(env!("OUT_DIR"), "/ffi_os_str_tests.rs"));
    }
}

#[cfg(all(test, target_env = "musl"))]
mod fs {
    pub use std::fs::*;
    include!(concat!(env!("OUT_DIR"), "/fs_tests.rs"));
}

#[cfg(all(test, target_env = "musl"))]
mod io {
    pub use std::io::*;
    pub(crate) const DEFAULT_BUF_SIZE: usize = 8 * 1024;
    // What `Read::read_to_end` does unless a reader has its own; private to std.
    pub(crate) fn default_read_to_end<R: Read + ?Sized>(
        reader: &mut R,
        into: &mut Vec<u8>,
        _hint: Option<usize>,
    ) -> Result<usize> {
        reader.read_to_end(into)
    }
    pub(crate) mod buffered {
        pub use super::*;
        include!(concat!(env!("OUT_DIR"), "/io_buffered_tests.rs"));
    }
    pub(crate) mod copy {
        pub use super::*;
        include!(concat!(env!("OUT_DIR"), "/io_copy_tests.rs"));
    }
    pub(crate) mod cursor {
        pub use super::*;
        include!(concat!(env!("OUT_DIR"), "/io_cursor_tests.rs"));
    }
    pub(crate) mod impls {
        pub use super::*;
        include!(concat!(env!("OUT_DIR"), "/io_impls_tests.rs"));
    }
    pub(crate) mod pipe {
        pub use super::*;
        include!(concat!(env!("OUT_DIR"), "/io_pipe_tests.rs"));
    }
    pub(crate) mod stdio {
        pub use super::*;
        use std::sync::{Arc, Mutex};
        include!(concat!(env!("OUT_DIR"), "/io_stdio_tests.rs"));
    }
    pub(crate) mod util {
        pub use super::*;
        include!(concat!(env!("OUT_DIR"), "/io_util_tests.rs"));
    }
    include!(concat!(env!("OUT_DIR"), "/io_tests.rs"));
}

#[cfg(all(test, target_env = "musl"))]
mod macros {
    include!(concat!(env!("OUT_DIR"), "/macros_tests.rs"));
}

#[cfg(all(test, target_env = "musl"))]
mod net {
    pub use std::net::*;
    include!(concat!(env!("OUT_DIR"), "/net_test.rs"));
    pub(crate) mod ip_addr {
        pub use super::*;
        include!(concat!(env!("OUT_DIR"), "/net_ip_addr_tests.rs"));
    }
    pub(crate) mod socket_addr {
        pub use super::*;
        include!(concat!(env!("OUT_DIR"), "/net_socket_addr_tests.rs"));
    }
    pub(crate) mod tcp {
        pub use super::*;
        include!(concat!(env!("OUT_DIR"), "/net_tcp_tests.rs"));
    }
    pub(crate) mod udp {
        pub use super::*;
        include!(concat!(env!("OUT_DIR"), "/net_udp_tests.rs"));
    }
}

#[cfg(all(test, target_env = "musl"))]
mod os {
    pub use std::os::*;
    pub(crate) mod fd {
        pub use std::os::fd::*;
        include!(concat!(env!("OUT_DIR"), "/os_fd_tests.rs"));
    }
    pub(crate) mod net {
        pub(crate) mod linux_ext {
            pub(crate) use std::os::linux::net as tcp;
            pub use std::os::linux::net::*;
            include!(concat!(env!("OUT_DIR"), "/os_net_linux_ext_tests.rs"));
        }
    }
    pub(crate) mod raw {
        pub use std::os::raw::*;
        include!(concat!(env!("OUT_DIR"), "/os_raw_tests.rs"));
    }
    pub(crate) mod unix {
        pub use std::os::unix::*;
        pub(crate) mod fs {
            use std::fs::Permissions;
            use std::io::{Read, Write};
            pub use std::os::unix::fs::*;
            use std::{fs, io};
            include!(concat!(env!("OUT_DIR"), "/os_unix_fs_tests.rs"));
        }
        pub(crate) mod io {
            pub use std::os::unix::io::*;
            include!(concat!(env!("OUT_DIR"), "/os_unix_io_tests.rs"));
        }
        pub(crate) mod net {
            pub use std::os::unix::net::*;
            include!(concat!(env!("OUT_DIR"), "/os_unix_net_tests.rs"));
        }
    }
}

#[cfg(all(test, target_env = "musl"))]
mod process {
    pub use std::process::*;
    include!(concat!(env!("OUT_DIR"), "/process_tests.rs"));
}

#[cfg(all(test, target_env = "musl"))]
mod thread {
    pub use std::thread::*;
    include!(concat!(env!("OUT_DIR"), "/thread_tests.rs"));
}

#[cfg(all(test, target_env = "musl"))]
include!(concat!(env!("OUT_DIR"), "/test_helpers.rs"));

#[cfg(all(test, target_env = "musl"))]
include!(concat!(env!("OUT_DIR"), "/tests.rs"));

fn main() {}
