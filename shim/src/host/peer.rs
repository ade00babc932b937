//! Who listens at the socket. Whoever made the socket's folder first may be any user, and the shim sends
//! stacks and memory. So it speaks to its own user, and to root, who can read the process anyway.

use hangscope_reader::text::decimal;

use crate::sys::{self, OwnedFd};

/// Whether the user that listens may read this process: the effective user of this thread, or root.
///
/// The kernel tells who called listen(2). A collector that was root then may have dropped its rights since:
/// it was root's will that it listens.
pub(crate) fn may_read(socket: &OwnedFd) -> bool {
    let (Ok(peer), own) = (sys::peer_user(socket), sys::effective_user()) else { return false };
    peer == 0 || peer == own && (own == 0 || !may_be_unmapped(own))
}

/// Whether `uid` may stand for users that have no number in this user namespace (user_namespaces(7)). All of
/// them have the overflow uid, and so has a user of that very number: the two cannot be told apart.
fn may_be_unmapped(uid: u32) -> bool {
    // Three numbers.
    let mut text = [0; 64];
    let mut read = |path| {
        let file = sys::open_read(path).ok()?;
        let n = sys::read(&file, &mut text).ok()?;
        Some(uid_map::parse(text.get(..n)?))
    };
    match read(c"/proc/thread-self/uid_map") {
        Some(map) if map == uid_map::WHOLE => false,
        // A namespace that maps some users only, or an unknown one.
        _ => read(c"/proc/sys/kernel/overflowuid").is_none_or(|overflow| overflow[0] == u64::from(uid)),
    }
}

/// The first three numbers of a text.
mod uid_map {
    use super::decimal;

    /// Of the first namespace, which maps every user to itself: inside, outside, how many.
    pub(super) const WHOLE: [u64; 3] = [0, 0, u32::MAX as u64];

    pub(super) fn parse(text: &[u8]) -> [u64; 3] {
        let mut numbers = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).map(decimal);
        [(); 3].map(|()| numbers.next().flatten().unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_namespace_maps_every_user_and_others_do_not() {
        assert_eq!(uid_map::parse(b"         0          0 4294967295\n"), uid_map::WHOLE);
        for other in [&b"0 1000 1\n"[..], b"0 100000 65536\n", b"0 0 65536\n", b"", b"x"] {
            assert_ne!(uid_map::parse(other), uid_map::WHOLE, "{other:?}");
        }
        assert_eq!(uid_map::parse(b"65534\n")[0], 65534);
    }
}
