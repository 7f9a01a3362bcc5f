//! Memory that the allocator keeps. What was freed between what is still in use stays the process's: after a flood most
//! of the heap may be empty, and the cgroup would be full for ever.

/// Gives free pages back to the system. Costs as much as the heap has pieces; called once a second at most, and by the
/// control thread alone.
#[cfg(target_env = "gnu")]
#[allow(
    unsafe_code,
    reason = "no crate wraps it; it takes a number, keeps nothing, and may be called at any time"
)]
pub(super) fn trim() {
    unsafe extern "C" {
        fn malloc_trim(pad: usize) -> core::ffi::c_int;
    }
    // SAFETY: glibc documents it as safe for threads and without preconditions (malloc_trim(3)).
    unsafe { malloc_trim(0) };
}

/// Other allocators give it back by themselves.
#[cfg(not(target_env = "gnu"))]
pub(super) fn trim() {}
