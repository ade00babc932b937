//! The texts of the outside view. No input, no output.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use hangscope_reader::maps::Mapping;

use super::threads::ThreadLook;
use crate::text::escape;

/// The text of `ps -L -o pid,tid,psr,pcpu,state,wchan:30,comm`, with its header and its alignment. `ps` makes
/// the columns of ids as wide as the largest id can be (`width`), and cuts the wait channel at 30 characters.
pub(crate) fn ps(pid: u32, threads: &[ThreadLook], width: usize) -> String {
    let mut text = format!("{:>width$} {:>width$} PSR %CPU S {:<30} COMMAND\n", "PID", "TID", "WCHAN");
    for t in threads {
        let pcpu = match t.permille {
            many @ 1000.. => (many / 10).to_string(),
            few => format!("{}.{}", few / 10, few % 10),
        };
        let wchan: String = ps_wchan(t.wchan.as_deref()).chars().take(30).collect();
        // As `ps` writes it.
        let comm: String = t.comm.chars().map(|c| if escape::is_hidden(c) { '?' } else { c }).collect();
        let (tid, psr, state) = (t.tid, t.psr, t.state);
        let _ = writeln!(text, "{pid:>width$} {tid:>width$} {psr:>3} {pcpu:>4} {state} {wchan:<30} {comm}");
    }
    text
}

/// `ps` prints `-` for no wait channel, `?` for one that could not be read, and omits leading dots and
/// underscores.
fn ps_wchan(wchan: Option<&str>) -> &str {
    match wchan.map(str::trim_end) {
        None | Some("") => "?",
        Some("0") => "-",
        Some(name) => name.strip_prefix('.').unwrap_or(name).trim_start_matches('_'),
    }
}

/// `tid<TAB>wchan`, sorted by wchan, then tid. The wchan is `0`, as the kernel prints it, for a thread that
/// is not blocked, and `NA` if it could not be read.
pub(crate) fn wchan(threads: &[ThreadLook]) -> String {
    let mut rows: Vec<(&str, u32)> = threads
        .iter()
        .map(|t| (t.wchan.as_deref().map(str::trim_end).filter(|w| !w.is_empty()).unwrap_or("NA"), t.tid))
        .collect();
    rows.sort_unstable();
    rows.iter().map(|(wchan, tid)| format!("{tid}\t{wchan}\n")).collect()
}

/// One `NAME=value` a line, for the variables whose names are wanted. Line ends in a value become `\n`.
pub(crate) fn environ(environ: &[u8], wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut lines = vec![];
    for entry in environ.split(|b| *b == 0) {
        let name = entry.split(|b| *b == b'=').next().unwrap_or_default();
        if name.len() < entry.len() && wanted(name) {
            for byte in entry {
                match byte {
                    b'\n' => lines.extend_from_slice(b"\\n"),
                    other => lines.push(*other),
                }
            }
            lines.push(b'\n');
        }
    }
    lines
}

/// The lines of maps whose file (without ` (deleted)`) is wanted, as the kernel printed them.
pub(crate) fn maps_of(maps: &[u8], wanted: impl Fn(&Path) -> bool) -> Vec<u8> {
    let lines = maps.split_inclusive(|b| *b == b'\n');
    lines.filter(|line| maps_file(line).is_some_and(&wanted)).flatten().copied().collect()
}

/// Bytes of maps that a bundle takes. A program with tens of thousands of mappings has more.
const MOST_MAPS: usize = 512 << 10;

/// Maps as a bundle has them: where they are too long, anonymous mappings are left out from some line on,
/// and the last line says how many. Those with a name stay, and the lines that stay are the kernel's.
pub(crate) fn short_maps(maps: Vec<u8>) -> Vec<u8> {
    if maps.len() <= MOST_MAPS {
        return maps;
    }
    let is_name = |path: &[u8]| !path.is_empty() && !path.starts_with(b"[anon");
    let named = |line: &[u8]| Mapping::parse(line).is_none_or(|mapping| is_name(mapping.path));
    let lines = || maps.split_inclusive(|b| *b == b'\n');
    let mut room = MOST_MAPS.saturating_sub(lines().filter(|line| named(line)).map(<[u8]>::len).sum());
    let (mut short, mut left_out) = (vec![], 0);
    for line in lines() {
        if !named(line) {
            if left_out > 0 || line.len() > room {
                left_out += 1;
                continue;
            }
            room -= line.len();
        }
        short.extend_from_slice(line);
    }
    short.extend_from_slice(format!("# {left_out} anonymous mappings are left out\n").as_bytes());
    short
}

/// The file of a line of maps, without ` (deleted)`; none for an anonymous mapping or a name in brackets.
pub(crate) fn maps_file(line: &[u8]) -> Option<&Path> {
    let path = Mapping::parse(line)?.path;
    path.starts_with(b"/").then(|| Path::new(OsStr::from_bytes(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(tid: u32, state: char, permille: u64, wchan: Option<&str>, comm: &str) -> ThreadLook {
        let wchan = wchan.map(str::to_owned);
        ThreadLook { tid, comm: comm.into(), state, psr: 1, cpu_ns: 0, permille, wchan }
    }

    #[test]
    fn ps_is_aligned_as_ps_does() {
        let threads = [
            look(8169, 'S', 3, Some("futex_wait_queue"), "bench"),
            look(8170, 'S', 999, Some("poll_schedule_timeout.constprop.0"), "bench"),
            look(8181, 'R', 1004, Some("0"), "a\tb"),
            look(8182, 'D', 0, None, "hangscope"),
            look(8183, 'S', 0, Some("__do_wait"), "x y"),
        ];
        insta::assert_snapshot!(ps(8169, &threads, 7), @r"
           PID     TID PSR %CPU S WCHAN                          COMMAND
          8169    8169   1  0.3 S futex_wait_queue               bench
          8169    8170   1 99.9 S poll_schedule_timeout.constpro bench
          8169    8181   1  100 R -                              a?b
          8169    8182   1  0.0 D ?                              hangscope
          8169    8183   1  0.0 S do_wait                        x y
        ");
    }

    #[test]
    fn wait_channels_are_sorted_by_channel_then_thread() {
        let threads = [
            look(9, 'S', 0, Some("futex_wait_queue"), "b"),
            look(10, 'S', 0, Some("do_wait\n"), "b"),
            look(8, 'S', 0, Some("futex_wait_queue"), "b"),
            look(7, 'R', 0, Some("0"), "b"),
            look(11, 'R', 0, None, "b"),
        ];
        assert_eq!(wchan(&threads), "7\t0\n11\tNA\n10\tdo_wait\n8\tfutex_wait_queue\n9\tfutex_wait_queue\n");
    }

    #[test]
    fn only_wanted_variables_a_line_each() {
        let bytes = b"A=1\0HZ4_X=a\nb\0HZ4_Y\0LD_PRELOAD=/x.so\0\0";
        let lines = environ(bytes, |n| n.starts_with(b"HZ4_") || n == b"LD_PRELOAD");
        assert_eq!(String::from_utf8(lines).unwrap(), "HZ4_X=a\\nb\nLD_PRELOAD=/x.so\n");
    }

    #[test]
    fn lines_of_maps_are_found_by_their_file() {
        let maps = b"7f00-7f01 r--p 00000000 fe:01 12    /a dir/x.so\n\
            7f01-7f02 r-xp 00001000 fe:01 12                         /a dir/x.so (deleted)\n\
            7f02-7f03 rw-p 00000000 00:00 0 \n\
            7f03-7f04 rw-p 00000000 00:00 0    [heap]\n\
            7f04-7f05 r--p 00000000 fe:01 13    /b/y.so\n";
        let lines = String::from_utf8(maps_of(maps, |f| f == Path::new("/a dir/x.so"))).unwrap();
        assert_eq!(lines.lines().count(), 2);
        assert!(lines.ends_with("x.so (deleted)\n"));
        assert_eq!(maps_of(maps, |_| true).iter().filter(|b| **b == b'\n').count(), 3);
    }
}
