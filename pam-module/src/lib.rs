//! `pam_lockdown.so`: denies login to locked and expired accounts and locked authenticators, counts failed attempts, and tells
//! the daemon of all that, of sessions, and of logins that are to trigger a lockdown.
//!
//! This file is what `libpam` sees. `core` decides and touches nothing; `host` is what it decides on.
//! The module runs inside sshd, sudo and cron and leaves nothing there: no thread, descriptor, signal handler or output.

mod arguments;
mod core;
mod guard;
mod host;
mod login_socket;
mod message;
mod nss;
mod pam;
mod turn;

#[expect(unsafe_code, reason = "the symbols that libpam looks for")]
mod entries {
    use std::ffi::{c_char, c_int};

    use crate::arguments::Arguments;
    use crate::core::{self, Code, Host};
    use crate::guard::guard;
    use crate::host::PamHost;
    use crate::pam::{PamHandle, Transaction};

    type Decide = fn(&dyn Host, &Arguments, c_int) -> Code;

    /// Runs `decide`; should it panic, runs what is left to do then, under a guard of its own.
    ///
    /// # Safety
    /// As for [`pam_sm_acct_mgmt`].
    unsafe fn run(
        handle: *mut PamHandle,
        flags: c_int,
        count: c_int,
        vector: *const *const c_char,
        decide: Decide,
        after_panic: Decide,
    ) -> c_int {
        let attempt = |decide: Decide| {
            // SAFETY: the caller passes on what libpam gave it.
            let Some(transaction) = (unsafe { Transaction::new(handle) }) else { return Code::SystemError };
            // SAFETY: the same.
            let arguments = Arguments::parse(unsafe { crate::pam::words(count, vector) });
            let host = PamHost::new(transaction, &arguments);
            decide(&host, &arguments, flags)
        };
        let code = guard(|| attempt(decide)).or_else(|_| guard(|| attempt(after_panic)));
        code.unwrap_or(Code::SystemError) as c_int
    }

    /// Account: may this account be used now?
    ///
    /// # Safety
    /// Called by libpam as pam_sm_acct_mgmt(3) says: a handle that lives through the call, and `argc` strings in `argv`.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn pam_sm_acct_mgmt(
        handle: *mut PamHandle,
        flags: c_int,
        argc: c_int,
        argv: *const *const c_char,
    ) -> c_int {
        // SAFETY: by this function's own contract.
        unsafe { run(handle, flags, argc, argv, core::check_account, core::after_panic) }
    }

    /// Session: the same question again, and the report that it began.
    ///
    /// # Safety
    /// As for [`pam_sm_acct_mgmt`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn pam_sm_open_session(
        handle: *mut PamHandle,
        flags: c_int,
        argc: c_int,
        argv: *const *const c_char,
    ) -> c_int {
        // SAFETY: by this function's own contract.
        unsafe { run(handle, flags, argc, argv, core::open_session, core::after_panic) }
    }

    /// Session: the report that it ended. Never fails.
    ///
    /// # Safety
    /// As for [`pam_sm_acct_mgmt`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn pam_sm_close_session(
        handle: *mut PamHandle,
        flags: c_int,
        argc: c_int,
        argv: *const *const c_char,
    ) -> c_int {
        // SAFETY: by this function's own contract.
        unsafe { run(handle, flags, argc, argv, core::close_session, |_, _, _| Code::Success) }
    }

    /// Auth: without an argument that gives it a function there, the module has none.
    ///
    /// # Safety
    /// As for [`pam_sm_acct_mgmt`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn pam_sm_authenticate(
        handle: *mut PamHandle,
        flags: c_int,
        argc: c_int,
        argv: *const *const c_char,
    ) -> c_int {
        // A line that only holds the place of another, which a jump may fall on.
        if argc == 0 {
            return Code::Ignore as c_int;
        }
        // SAFETY: by this function's own contract.
        unsafe { run(handle, flags, argc, argv, core::authenticate, core::authenticate_after_panic) }
    }

    /// Auth: there are no credentials to set, and no attempt is under way any more. Never fails.
    ///
    /// # Safety
    /// As for [`pam_sm_acct_mgmt`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn pam_sm_setcred(
        handle: *mut PamHandle,
        flags: c_int,
        argc: c_int,
        argv: *const *const c_char,
    ) -> c_int {
        // SAFETY: by this function's own contract.
        unsafe { run(handle, flags, argc, argv, core::set_credentials, |_, _, _| Code::Ignore) }
    }

    /// Password: the module has no function there.
    #[unsafe(no_mangle)]
    pub extern "C" fn pam_sm_chauthtok(
        _: *mut PamHandle,
        _: c_int,
        _: c_int,
        _: *const *const c_char,
    ) -> c_int {
        Code::Ignore as c_int
    }
}
