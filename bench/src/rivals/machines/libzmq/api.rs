//! The functions of libzmq's C interface that are needed here, found in the shared library at run
//! time, so that the bench builds and runs where it is not installed.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow};
use libloading::Library;

/// Its name since version 4.
const FILE: &str = "libzmq.so.5";

/// The opaque `zmq_msg_t` (zmq.h).
#[repr(C, align(8))]
#[derive(Debug)]
pub struct Message(pub [u8; 64]);

/// Declares the table of functions and how to fill it.
macro_rules! functions {
    ($($name:ident: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// As in zmq.h, without the prefix `zmq_`.
        #[derive(Debug)]
        pub struct Api {
            $(pub $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Api {
            fn of(library: &'static Library) -> Result<Api, libloading::Error> {
                Ok(Api {
                    // SAFETY: the signatures are those of zmq.h for every release with this file
                    // name, and the library is never unloaded.
                    $($name: unsafe {
                        *library.get(concat!("zmq_", stringify!($name)).as_bytes())?
                    },)*
                })
            }
        }
    };
}

functions! {
    bind: fn(*mut c_void, *const c_char) -> c_int;
    close: fn(*mut c_void) -> c_int;
    connect: fn(*mut c_void, *const c_char) -> c_int;
    ctx_new: fn() -> *mut c_void;
    ctx_set: fn(*mut c_void, c_int, c_int) -> c_int;
    errno: fn() -> c_int;
    getsockopt: fn(*mut c_void, c_int, *mut c_void, *mut usize) -> c_int;
    msg_close: fn(*mut Message) -> c_int;
    msg_data: fn(*mut Message) -> *mut c_void;
    msg_init: fn(*mut Message) -> c_int;
    msg_more: fn(*const Message) -> c_int;
    msg_recv: fn(*mut Message, *mut c_void, c_int) -> c_int;
    msg_send: fn(*mut Message, *mut c_void, c_int) -> c_int;
    msg_size: fn(*const Message) -> usize;
    send: fn(*mut c_void, *const c_void, usize, c_int) -> c_int;
    setsockopt: fn(*mut c_void, c_int, *const c_void, usize) -> c_int;
    socket: fn(*mut c_void, c_int) -> *mut c_void;
    strerror: fn(c_int) -> *const c_char;
    version: fn(*mut c_int, *mut c_int, *mut c_int);
}

/// The functions; an error where the library is missing.
pub fn api() -> Result<&'static Api> {
    static API: OnceLock<Result<Api, String>> = OnceLock::new();
    let api = API.get_or_init(|| load().map_err(|error| format!("{error:#}")));
    api.as_ref().map_err(|error| anyhow!("{error}"))
}

fn load() -> Result<Api> {
    // SAFETY: what it runs when it is loaded are constructors of its own static objects.
    let library = unsafe { Library::new(FILE) };
    let library = library.with_context(|| format!("{FILE} (cargo xtask bench --setup)"))?;
    Ok(Api::of(Box::leak(Box::new(library)))?)
}

/// What the last call of this thread has failed of.
pub fn last_error(api: &Api) -> anyhow::Error {
    // SAFETY: errno is this thread's, and strerror returns a string that nobody changes.
    let text = unsafe { CStr::from_ptr((api.strerror)((api.errno)())) };
    anyhow!("libzmq: {}", text.to_string_lossy())
}
