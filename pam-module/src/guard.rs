//! Keeps a panic inside the module: one that left it would abort sshd.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};

/// What `function` returns, or the text of its panic. Nothing is printed.
///
/// The hook that is replaced is the module's own, which lives in its private copy of the standard library. The default
/// one writes to the host's stderr and, with `RUST_BACKTRACE` set, leaks what it maps to read the symbols from. The new
/// one holds nothing, so there is nothing to free when the module is unloaded.
///
/// # Errors
/// The panic's text.
pub fn guard<T>(function: impl FnOnce() -> T) -> Result<T, String> {
    set_hook(Box::new(|_| {}));
    catch_unwind(AssertUnwindSafe(function)).map_err(|panic| match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().copied().unwrap_or("panic").to_owned(),
    })
}
