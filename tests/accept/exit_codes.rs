//! Exit codes of lockdownctl(1).

pub const DONE: i32 = 0;
pub const FAILED: i32 = 1;
pub const USAGE: i32 = 2;
/// Of `apply --detailed-exitcode`: something changed, or would.
pub const CHANGED: i32 = 2;
pub const NOT_FOUND: i32 = 3;
pub const NOT_AUTHORIZED: i32 = 4;
pub const UNREACHABLE: i32 = 5;
pub const REFUSED: i32 = 6;
