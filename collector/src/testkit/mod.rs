//! Helpers of several tests.

pub(crate) mod dump;
pub(crate) mod fake_shim;
pub(crate) mod hunt;

/// What `open` gives once nobody else has it. A child that another test starts inherits a lock, until its
/// exec.
pub(crate) fn until_free<T, E>(
    open: impl Fn() -> Result<T, E>,
    is_taken: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let began = std::time::Instant::now();
    loop {
        match open() {
            Err(error) if is_taken(&error) && began.elapsed() < fake_shim::SOON => std::thread::yield_now(),
            opened => return opened,
        }
    }
}
