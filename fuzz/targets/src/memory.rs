//! How much a piece of work may hold at once.

/// Does the work, and checks that it never held more than so many bytes of heap more than before.
///
/// # Panics
/// When it did.
pub fn within<T>(bytes_max: usize, work: impl FnOnce() -> T) -> T {
    let mut done = None;
    let info = allocation_counter::measure(|| done = Some(work()));
    assert!(info.bytes_max <= bytes_max as u64, "{} bytes were held, at most {bytes_max} may be", info.bytes_max);
    done.expect("the work was done above")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_counted() {
        assert_eq!(within(1000, || vec![0_u8; 1000].len()), 1000);
        assert!(std::panic::catch_unwind(|| within(999, || vec![0_u8; 1000])).is_err());
    }
}
