//! Memory: what is not needed any more goes back to the kernel.

/// Before any thread is started: all take from one heap. A heap of its own for every thread that once did something keeps what
/// it has touched.
pub fn share_one_heap() {
    // SAFETY: mallopt(3) takes two numbers, and no other thread runs yet.
    #[expect(unsafe_code)]
    unsafe {
        nix::libc::mallopt(nix::libc::M_ARENA_MAX, 1);
    }
}

/// Gives back to the kernel what the allocator keeps: after a hundred thousand accounts, the daemon is as small as it was before.
pub fn give_back() {
    // SAFETY: malloc_trim(3) takes no pointer, and may be called at any time from any thread.
    #[expect(unsafe_code)]
    unsafe {
        nix::libc::malloc_trim(0);
    }
}
