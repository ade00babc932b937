//! The value of LD_PRELOAD for a program that is about to start.

use crate::room::Text;

/// What goes in front.
#[derive(Clone, Copy)]
pub(crate) struct Ours<'a> {
    pub(crate) follow: &'a [u8],
    /// With what goes behind it, if anything: `shim:stir`.
    pub(crate) shim: &'a [u8],
    /// The shim goes into every program, not only where something else is preloaded.
    pub(crate) everywhere: bool,
}

/// The files that a value of LD_PRELOAD names. ld.so(8): a colon or a space ends a name, and there is no
/// quoting.
pub(crate) fn files(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|b| matches!(b, b':' | b' ')).filter(|file| !file.is_empty())
}

/// Writes `follow:shim:` and the files of `value`, each only once; without the shim where `value` preloads
/// nothing. `instead` may name another file for one of them. False if `to` has no room.
pub(crate) fn compose<'a>(
    value: &'a [u8],
    ours: Ours<'a>,
    instead: impl Fn(&'a [u8]) -> &'a [u8],
    to: &mut Text<'_>,
) -> bool {
    let is_ours = |file: &[u8]| file == ours.follow || files(ours.shim).any(|ours| ours == file);
    let with_shim = ours.everywhere || files(value).any(|file| file != ours.follow);
    let shim = with_shim.then_some(ours.shim);
    let others = files(value).filter(|file| !is_ours(file)).map(instead);
    let all = core::iter::once(ours.follow).chain(shim).chain(others);
    all.enumerate().all(|(at, file)| (at == 0 || to.push(b":")) && to.push(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn composed(value: &str, everywhere: bool) -> String {
        let ours = Ours { follow: b"/f.so", shim: b"/s.so", everywhere };
        let mut room = [0; 256];
        let mut text = Text::new(&mut room);
        let pinned = |file| if file == b"./hz4.so".as_slice() { b"/pinned.so".as_slice() } else { file };
        assert!(compose(value.as_bytes(), ours, pinned, &mut text));
        String::from_utf8(text.since(0).to_vec()).unwrap()
    }

    #[test]
    fn the_shim_goes_in_front_of_what_is_preloaded() {
        for (value, expected) in [
            ("", "/f.so"),
            (":", "/f.so"),
            ("/f.so", "/f.so"),
            ("/a.so", "/f.so:/s.so:/a.so"),
            ("/a.so libb.so", "/f.so:/s.so:/a.so:libb.so"),
            ("/f.so:/s.so:/a.so", "/f.so:/s.so:/a.so"),
            ("/a.so:/f.so:/s.so", "/f.so:/s.so:/a.so"),
            ("/s.so", "/f.so:/s.so"),
            ("/s.so:./hz4.so", "/f.so:/s.so:/pinned.so"),
        ] {
            assert_eq!(composed(value, false), expected, "{value}");
        }
        assert_eq!(composed("", true), "/f.so:/s.so");
        assert_eq!(composed("/a.so", true), "/f.so:/s.so:/a.so");
    }

    #[test]
    fn what_holds_threads_goes_behind_the_shim_once() {
        let ours = Ours { follow: b"/f.so", shim: b"/s.so:/h.so", everywhere: false };
        for value in ["/a.so", "/f.so:/s.so:/h.so:/a.so", "/h.so:/a.so"] {
            let mut room = [0; 256];
            let mut text = Text::new(&mut room);
            assert!(compose(value.as_bytes(), ours, |file| file, &mut text));
            assert_eq!(text.since(0), b"/f.so:/s.so:/h.so:/a.so", "{value}");
        }
    }

    #[test]
    fn what_has_no_room_is_not_cut_off() {
        let ours = Ours { follow: b"/f.so", shim: b"/s.so", everywhere: false };
        let mut room = [0; 12];
        assert!(!compose(b"/a.so", ours, |file| file, &mut Text::new(&mut room)));
    }
}
