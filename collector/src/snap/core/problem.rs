//! Why there is no core, or why a core cannot be read, in both languages.

use crate::text::message::messages;

messages! {
    /// Why no core was written.
    pub(crate) CoreProblem {
        TooLarge { limit } => "it is larger than {limit}: give a larger --core-limit",
            "{limit} を超える。--core-limit をより大きくすること";
        TooLong { seconds } => "it was not complete after {seconds} s", "{seconds} 秒以内に書き終わらなかった";
        Interrupted {} => "interrupted (Ctrl-C)", "中断された (Ctrl-C)";
        NoRoom { why } => "the disk has no room for it: {why}", "ディスクに空きがない: {why}";
        Failed { why } => "it could not be written: {why}", "書き込めなかった: {why}";
    }
}

/// A number of bytes for a person: `3.4 MB`.
pub(crate) fn size(bytes: u64) -> String {
    let units = [(1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) if bytes.is_multiple_of(unit) => format!("{} {name}", bytes / unit),
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_for_people() {
        let all = [(7, "7 bytes"), (1 << 30, "1 GB"), (3_565_158, "3.4 MB"), (2048, "2 KB")];
        all.into_iter().for_each(|(bytes, text)| assert_eq!(size(bytes), text));
    }
}
