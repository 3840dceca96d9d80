//! libpam as a service sees it: transactions with the stacks of a private directory instead of /etc/pam.d.

#![expect(unsafe_code, reason = "calls into libpam")]
#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::expect_used, reason = "in a test")]

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::path::Path;
use std::ptr;
use std::time::Duration;

/// `PAM_SUCCESS`
pub const SUCCESS: c_int = 0;
/// `PAM_PERM_DENIED`
pub const PERM_DENIED: c_int = 6;
/// `PAM_AUTH_ERR`
pub const AUTH_ERR: c_int = 7;
/// `PAM_ACCT_EXPIRED`
pub const ACCT_EXPIRED: c_int = 13;
const PROMPT_ECHO_OFF: c_int = 1;
const FAIL_DELAY: c_int = 10;
/// `PAM_SILENT`
pub const SILENT: c_int = 0x8000;

/// An item that a service sets, by its number in pam_set_item(3).
#[derive(Clone, Copy)]
pub enum Item {
    /// `PAM_TTY`
    Tty = 3,
    /// `PAM_RHOST`
    RemoteHost = 4,
    /// `PAM_RUSER`
    RemoteUser = 8,
}

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Response {
    text: *mut c_char,
    code: c_int,
}

#[repr(C)]
struct Conversation {
    function: extern "C" fn(c_int, *const *const Message, *mut *mut Response, *mut c_void) -> c_int,
    data: *const c_void,
}

// SAFETY: as security/pam_appl.h and security/_pam_types.h declare them.
#[link(name = "pam")]
unsafe extern "C" {
    fn pam_start_confdir(
        service: *const c_char,
        user: *const c_char,
        conversation: *const Conversation,
        directory: *const c_char,
        handle: *mut *mut c_void,
    ) -> c_int;
    fn pam_end(handle: *mut c_void, status: c_int) -> c_int;
    fn pam_acct_mgmt(handle: *mut c_void, flags: c_int) -> c_int;
    fn pam_open_session(handle: *mut c_void, flags: c_int) -> c_int;
    fn pam_close_session(handle: *mut c_void, flags: c_int) -> c_int;
    fn pam_authenticate(handle: *mut c_void, flags: c_int) -> c_int;
    fn pam_setcred(handle: *mut c_void, flags: c_int) -> c_int;
    fn pam_set_item(handle: *mut c_void, item: c_int, value: *const c_void) -> c_int;
    fn pam_putenv(handle: *mut c_void, assignment: *const c_char) -> c_int;
}

/// Hears what is said, and answers every question for a password.
extern "C" fn listen(
    count: c_int,
    messages: *const *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int {
    // SAFETY: `data` is what `Transaction::start` gave to libpam and keeps.
    let heard = unsafe { &*data.cast::<Heard>() };
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: all zero is a valid response, and libpam frees them.
    let answers: *mut Response = unsafe { libc::calloc(count, size_of::<Response>()) }.cast();
    for index in 0..count {
        // SAFETY: libpam gives `count` pointers to messages.
        let message = unsafe { &**messages.add(index) };
        // SAFETY: a string of libpam's.
        let text = unsafe { CStr::from_ptr(message.text) };
        heard.texts.borrow_mut().push(text.to_string_lossy().into_owned());
        if message.style == PROMPT_ECHO_OFF {
            let password = heard.password.borrow();
            // SAFETY: one of the `count` answers, and a string of which it gets a copy.
            unsafe { (*answers.add(index)).text = libc::strdup(password.as_ptr()) };
        }
    }
    // SAFETY: libpam gives a place for the answers.
    unsafe { *responses = answers };
    SUCCESS
}

/// Takes down for how long libpam would wait, and does not wait.
extern "C" fn note_delay(_: c_int, microseconds: c_uint, data: *mut c_void) {
    // SAFETY: `data` is what `Transaction::start` gave to libpam and keeps.
    let heard = unsafe { &*data.cast::<Heard>() };
    heard.delays.borrow_mut().push(Duration::from_micros(microseconds.into()));
}

struct Heard {
    password: RefCell<CString>,
    texts: RefCell<Vec<String>>,
    delays: RefCell<Vec<Duration>>,
}

/// A PAM transaction.
pub struct Transaction {
    handle: *mut c_void,
    // Boxed, because libpam keeps pointers to it.
    heard: Box<Heard>,
}

impl Transaction {
    /// `pam_start_confdir(3)`, with the password `wrong`. Panics if libpam cannot.
    pub fn start(service: &CStr, user: &CStr, directory: &CStr) -> Self {
        let heard = Box::new(Heard {
            password: RefCell::new(c"wrong".to_owned()),
            texts: RefCell::default(),
            delays: RefCell::default(),
        });
        let conversation = Conversation { function: listen, data: (&raw const *heard).cast() };
        let mut handle = ptr::null_mut();
        // SAFETY: strings, and a conversation of which libpam takes a copy.
        let code = unsafe {
            pam_start_confdir(service.as_ptr(), user.as_ptr(), &conversation, directory.as_ptr(), &mut handle)
        };
        assert_eq!(code, SUCCESS, "pam_start_confdir");
        // SAFETY: the item is a function of this type.
        let code = unsafe { pam_set_item(handle, FAIL_DELAY, note_delay as *const c_void) };
        assert_eq!(code, SUCCESS, "pam_set_item");
        Self { handle, heard }
    }

    /// `pam_acct_mgmt(3)`
    pub fn check_account(&self, flags: c_int) -> c_int {
        // SAFETY: a handle of libpam's.
        unsafe { pam_acct_mgmt(self.handle, flags) }
    }

    /// `pam_open_session(3)`
    pub fn open_session(&self, flags: c_int) -> c_int {
        // SAFETY: a handle of libpam's.
        unsafe { pam_open_session(self.handle, flags) }
    }

    /// `pam_close_session(3)`
    pub fn close_session(&self) -> c_int {
        // SAFETY: a handle of libpam's.
        unsafe { pam_close_session(self.handle, 0) }
    }

    /// `pam_authenticate(3)`
    pub fn authenticate(&self) -> c_int {
        // SAFETY: a handle of libpam's.
        unsafe { pam_authenticate(self.handle, 0) }
    }

    /// `pam_setcred(3)`, `PAM_ESTABLISH_CRED`
    pub fn set_credentials(&self) -> c_int {
        // SAFETY: a handle of libpam's.
        unsafe { pam_setcred(self.handle, 2) }
    }

    /// `pam_set_item(3)`
    pub fn set(&self, item: Item, value: &CStr) {
        // SAFETY: a handle of libpam's, and a string of which it takes a copy.
        assert_eq!(unsafe { pam_set_item(self.handle, item as c_int, value.as_ptr().cast()) }, SUCCESS);
    }

    /// `pam_putenv(3)`, `NAME=value`
    pub fn put_variable(&self, assignment: &CStr) {
        // SAFETY: a handle of libpam's, and a string of which it takes a copy.
        assert_eq!(unsafe { pam_putenv(self.handle, assignment.as_ptr()) }, SUCCESS);
    }

    /// The password that questions are answered with from now on.
    pub fn answer(&self, password: &CStr) {
        *self.heard.password.borrow_mut() = password.to_owned();
    }

    /// What the user has been told so far.
    pub fn heard(&self) -> Vec<String> {
        self.heard.texts.borrow().clone()
    }

    /// How long libpam would have waited after failures so far.
    pub fn delays(&self) -> Vec<Duration> {
        self.heard.delays.borrow().clone()
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // SAFETY: a handle of libpam's, used for the last time.
        unsafe { pam_end(self.handle, SUCCESS) };
    }
}

/// `path` for C.
pub fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_encoded_bytes()).expect("a path without NUL")
}
