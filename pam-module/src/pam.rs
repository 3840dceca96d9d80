//! libpam as seen from a module, pam(3): what the rest of the crate may do with a transaction, safely.

#![expect(unsafe_code, reason = "calls into libpam")]

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::time::Duration;

use crate::core::Asked;
use crate::guard::guard;
use crate::turn::Attempt;

/// `pam_handle_t`: libpam's own, seen only through pointers.
#[repr(C)]
pub struct PamHandle {
    _private: [u8; 0],
}

// SAFETY: as security/_pam_types.h, security/pam_modules.h and security/pam_ext.h declare them.
#[link(name = "pam")]
unsafe extern "C" {
    fn pam_get_item(handle: *const PamHandle, item: c_int, value: *mut *const c_void) -> c_int;
    fn pam_set_item(handle: *mut PamHandle, item: c_int, value: *const c_void) -> c_int;
    fn pam_get_user(handle: *mut PamHandle, user: *mut *const c_char, prompt: *const c_char) -> c_int;
    fn pam_get_authtok(
        handle: *mut PamHandle,
        item: c_int,
        token: *mut *const c_char,
        prompt: *const c_char,
    ) -> c_int;
    fn pam_fail_delay(handle: *mut PamHandle, microseconds: c_uint) -> c_int;
    fn pam_getenv(handle: *mut PamHandle, name: *const c_char) -> *const c_char;
    fn pam_prompt(
        handle: *mut PamHandle,
        style: c_int,
        response: *mut *mut c_char,
        format: *const c_char,
        ...
    ) -> c_int;
    fn pam_set_data(
        handle: *mut PamHandle,
        name: *const c_char,
        data: *mut c_void,
        cleanup: Option<unsafe extern "C" fn(*mut PamHandle, *mut c_void, c_int)>,
    ) -> c_int;
    fn pam_get_data(handle: *const PamHandle, name: *const c_char, data: *mut *const c_void) -> c_int;
    fn pam_syslog(handle: *const PamHandle, priority: c_int, format: *const c_char, ...);
}

const PAM_SUCCESS: c_int = 0;
const PAM_CONV_AGAIN: c_int = 30;
const PAM_ERROR_MSG: c_int = 3;
const PAM_AUTHTOK: c_int = 6;

/// Of this version's own [`Attempt`]: should there be two modules in a stack, each knows only what it has put there.
const ATTEMPT: &CStr =
    match CStr::from_bytes_with_nul(concat!("lockdown_attempt_", env!("CARGO_PKG_VERSION"), "\0").as_bytes())
    {
        Ok(name) => name,
        Err(_) => c"lockdown_attempt",
    };

/// Called by libpam for what it was given by [`Transaction::keep`], once.
///
/// # Safety
/// `data` is null or a pointer that [`Transaction::keep`] has made, and nobody uses it any more.
unsafe extern "C" fn drop_attempt(_: *mut PamHandle, data: *mut c_void, _: c_int) {
    if !data.is_null() {
        // SAFETY: `keep` has made it from a box, and libpam gives it back once.
        let _ = guard(|| drop(unsafe { Box::from_raw(data.cast::<Attempt>()) }));
    }
}

/// The items of pam_get_item(3) that are strings and that the module reads.
#[derive(Clone, Copy)]
pub(crate) enum Item {
    Service = 1,
    User = 2,
    Tty = 3,
    RemoteHost = 4,
    RemoteUser = 8,
}

/// A PAM transaction for the time of one call of libpam's. Not `Send`: it belongs to the thread that was called.
pub(crate) struct Transaction<'a> {
    handle: NonNull<PamHandle>,
    call: PhantomData<&'a PamHandle>,
}

impl<'a> Transaction<'a> {
    /// `None` for a null pointer.
    ///
    /// # Safety
    /// `handle` is null or what libpam gave the module, and `'a` ends before the call does.
    pub(crate) unsafe fn new(handle: *mut PamHandle) -> Option<Self> {
        NonNull::new(handle).map(|handle| Self { handle, call: PhantomData })
    }

    /// The item if it is set. Valid until somebody sets it anew, which nobody does during the call.
    pub(crate) fn item(&self, item: Item) -> Option<&'a CStr> {
        let mut value = ptr::null();
        // SAFETY: the handle is valid by `new`; `value` is written only on success.
        let code = unsafe { pam_get_item(self.handle.as_ptr(), item as c_int, &mut value) };
        if code != PAM_SUCCESS || value.is_null() {
            return None;
        }
        // SAFETY: a set item of this kind is a string that libpam keeps.
        Some(unsafe { CStr::from_ptr(value.cast()) })
    }

    /// A variable of the PAM environment, which is not the process's.
    pub(crate) fn variable(&self, name: &CStr) -> Option<&'a CStr> {
        // SAFETY: the handle is valid by `new`, the name is a string.
        let value = unsafe { pam_getenv(self.handle.as_ptr(), name.as_ptr()) };
        // SAFETY: if not null, a string that libpam keeps until the variable is set anew.
        (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) })
    }

    /// Has the user asked who it is, unless the service has said so.
    pub(crate) fn ask_user(&self) -> Asked {
        let mut user = ptr::null();
        // SAFETY: the handle is valid by `new`; without a prompt libpam takes its own.
        asked(unsafe { pam_get_user(self.handle.as_ptr(), &mut user, ptr::null()) })
    }

    /// Has the user asked for a password, unless there is one. libpam keeps it; it is not looked at here.
    pub(crate) fn ask_password(&self) -> Asked {
        let mut token = ptr::null();
        // SAFETY: the handle is valid by `new`; without a prompt libpam takes its own.
        asked(unsafe { pam_get_authtok(self.handle.as_ptr(), PAM_AUTHTOK, &mut token, ptr::null()) })
    }

    /// Has every module that comes later find this password, and nobody asked for one.
    pub(crate) fn set_password(&self, password: &CStr) {
        // SAFETY: the handle is valid by `new`; libpam takes a copy of the string.
        unsafe { pam_set_item(self.handle.as_ptr(), PAM_AUTHTOK, password.as_ptr().cast()) };
    }

    /// Has libpam wait about this long before pam_authenticate(3) returns a failure.
    pub(crate) fn delay_failure(&self, delay: Duration) {
        let microseconds = c_uint::try_from(delay.as_micros()).unwrap_or(c_uint::MAX);
        // SAFETY: the handle is valid by `new`.
        unsafe { pam_fail_delay(self.handle.as_ptr(), microseconds) };
    }

    /// Keeps it in the transaction, in the place of what was kept before, until [`forget`](Self::forget) or pam_end(3).
    pub(crate) fn keep(&self, attempt: Attempt) {
        let data = Box::into_raw(Box::new(attempt));
        // SAFETY: the handle is valid by `new`; libpam hands the pointer to `drop_attempt` once, before it unloads the module.
        let code =
            unsafe { pam_set_data(self.handle.as_ptr(), ATTEMPT.as_ptr(), data.cast(), Some(drop_attempt)) };
        if code != PAM_SUCCESS {
            // SAFETY: from the box above, and libpam has not taken it.
            drop(unsafe { Box::from_raw(data) });
        }
    }

    /// What `look` sees in what is kept.
    pub(crate) fn kept<T>(&self, look: fn(&Attempt) -> T) -> Option<T> {
        let mut data = ptr::null();
        // SAFETY: the handle is valid by `new`; `data` is written only on success.
        let code = unsafe { pam_get_data(self.handle.as_ptr(), ATTEMPT.as_ptr(), &mut data) };
        // SAFETY: what `keep` has put under this name. A plain function has no transaction to replace it with.
        (code == PAM_SUCCESS && !data.is_null()).then(|| look(unsafe { &*data.cast::<Attempt>() }))
    }

    /// Keeps nothing.
    pub(crate) fn forget(&self) {
        if self.kept(|_| ()).is_some() {
            // SAFETY: the handle is valid by `new`; what was there goes to `drop_attempt`.
            unsafe { pam_set_data(self.handle.as_ptr(), ATTEMPT.as_ptr(), ptr::null_mut(), None) };
        }
    }

    /// Shows `text` to the user through the conversation of the service, if that can.
    pub(crate) fn say(&self, text: &str) {
        let text = without_nul(text);
        // SAFETY: the handle is valid by `new`; "%s" takes one string. No response is asked for.
        unsafe {
            pam_prompt(self.handle.as_ptr(), PAM_ERROR_MSG, ptr::null_mut(), c"%s".as_ptr(), text.as_ptr())
        };
    }

    /// Writes a line to AUTHPRIV by pam_syslog(3), which leaves the ident and options of the host's syslog alone.
    pub(crate) fn log(&self, priority: c_int, line: &str) {
        let line = without_nul(line);
        // SAFETY: the handle is valid by `new`; "%s" takes one string.
        unsafe { pam_syslog(self.handle.as_ptr(), priority, c"%s".as_ptr(), line.as_ptr()) };
    }
}

fn asked(code: c_int) -> Asked {
    match code {
        PAM_SUCCESS => Asked::Given,
        PAM_CONV_AGAIN => Asked::Later,
        _ => Asked::Failed,
    }
}

fn without_nul(text: &str) -> CString {
    let bytes: Vec<u8> = text.bytes().filter(|byte| *byte != 0).collect();
    CString::new(bytes).unwrap_or_default()
}

/// The words of the line in pam.d.
///
/// # Safety
/// `vector` points to `count` strings that live for `'a`, as libpam gives them.
pub(crate) unsafe fn words<'a>(count: c_int, vector: *const *const c_char) -> impl Iterator<Item = &'a [u8]> {
    let count = if vector.is_null() { 0 } else { usize::try_from(count).unwrap_or(0) };
    (0..count).filter_map(move |index| {
        // SAFETY: within the vector, by this function's contract.
        let word = unsafe { *vector.add(index) };
        // SAFETY: if not null, a string, by this function's contract.
        (!word.is_null()).then(|| unsafe { CStr::from_ptr(word) }.to_bytes())
    })
}
