//! A shared object whose only function panics under the module's guard: what `tests/leaks.rs` loads to see that a
//! panic leaves nothing behind. Built with the module's own link arguments.

#[path = "../src/guard.rs"]
mod guard;

use std::ffi::c_int;

/// Panics `count` times inside; returns how many of them were caught with their text.
#[expect(unsafe_code, reason = "found by name after dlopen")]
#[unsafe(no_mangle)]
pub extern "C" fn panic_inside(count: c_int) -> c_int {
    let caught = |index: &c_int| guard::guard(|| nothing_there(*index)) == Err(format!("nothing at {index}"));
    (0..count).filter(caught).count() as c_int
}

#[expect(clippy::panic, reason = "what it is for")]
fn nothing_there(index: c_int) {
    panic!("nothing at {index}")
}
