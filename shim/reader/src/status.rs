//! The file `status` of a thread or process (proc_pid_status(5)): lines of a name, `:`, and a value.

use crate::text::{decimal, fields, hex, line_after};

/// The text of a `status` file. Each method finds its line anew, and gives `None` where the line is missing.
#[derive(Clone, Copy, Debug)]
pub struct Status<'a>(pub &'a [u8]);

impl<'a> Status<'a> {
    /// The value of a line, such as `b"Threads:"`, without blanks around it.
    pub fn value(self, name: &[u8]) -> Option<&'a [u8]> {
        Some(line_after(self.0, name)?.trim_ascii())
    }

    /// The first decimal number of a line.
    pub fn number(self, name: &[u8]) -> Option<u64> {
        fields(line_after(self.0, name)?).next().and_then(decimal)
    }

    /// A set that is printed as one hexadecimal number: signals (bit n-1 is signal n) or capabilities.
    pub fn set(self, name: &[u8]) -> Option<u64> {
        hex(self.value(name)?)
    }

    /// The id in the innermost PID namespace: the last of `NSpid` (Linux 4.1). The first is that of the
    /// namespace that `/proc` was mounted for.
    pub fn own_pid(self) -> Option<u32> {
        u32::try_from(fields(line_after(self.0, b"NSpid:")?).last().and_then(decimal)?).ok()
    }

    /// Blocked signals of the thread (SigBlk).
    pub fn blocked_signals(self) -> Option<u64> {
        self.set(b"SigBlk:")
    }

    /// Pending signals of the thread alone (SigPnd).
    pub fn pending_signals(self) -> Option<u64> {
        self.set(b"SigPnd:")
    }

    /// Ignored signals of the process (SigIgn).
    pub fn ignored_signals(self) -> Option<u64> {
        self.set(b"SigIgn:")
    }

    /// Signals of the process that have a handler (SigCgt).
    pub fn caught_signals(self) -> Option<u64> {
        self.set(b"SigCgt:")
    }

    /// Whether a filter of system calls is in force, or strict mode (seccomp(2)). Unknown counts as so.
    pub fn is_filtered(self) -> bool {
        self.number(b"Seccomp:") != Some(0)
    }

    /// Mode and number of the filters of system calls that are in force (Linux 5.9 has the number).
    pub fn filters(self) -> (Option<u64>, Option<u64>) {
        (self.number(b"Seccomp:"), self.number(b"Seccomp_filters:"))
    }

    /// Context switches: voluntary, then involuntary.
    pub fn switches(self) -> Option<(u64, u64)> {
        Some((self.number(b"voluntary_ctxt_switches:")?, self.number(b"nonvoluntary_ctxt_switches:")?))
    }

    /// Real, effective, saved and file system user.
    pub fn users(self) -> Option<[u32; 4]> {
        self.four(b"Uid:")
    }

    /// Real, effective, saved and file system group.
    pub fn groups(self) -> Option<[u32; 4]> {
        self.four(b"Gid:")
    }

    /// Supplementary groups. An entry that is not a number is `None`.
    pub fn supplementary_groups(self) -> Option<impl Iterator<Item = Option<u32>> + 'a> {
        Some(fields(line_after(self.0, b"Groups:")?).map(|f| u32::try_from(decimal(f)?).ok()))
    }

    /// Resident set of the process, KiB. Missing for a kernel thread and for a zombie.
    pub fn rss_kib(self) -> Option<u64> {
        self.number(b"VmRSS:")
    }

    /// Largest resident set of the process so far, KiB. Missing as above.
    pub fn peak_rss_kib(self) -> Option<u64> {
        self.number(b"VmHWM:")
    }

    fn four(self, name: &[u8]) -> Option<[u32; 4]> {
        let mut ids = [0; 4];
        let mut f = fields(line_after(self.0, name)?);
        for id in &mut ids {
            *id = u32::try_from(decimal(f.next()?)?).ok()?;
        }
        Some(ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"Name:\tSigBlk:\\nx\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t8169\n\
        Uid:\t1000\t0\t1000\t4294967295\nGid:\t100\t100\t100\t100\nGroups:\t4 24 100 \nNSpid:\t8170\t31\t2\nVmHWM:\t  2048 kB\n\
        VmRSS:\t    1024 kB\nThreads:\t17\nSigPnd:\t0000000000000200\nSigBlk:\t2000000000000000\n\
        SigIgn:\t0000000000001000\nSigCgt:\t0000000180000000\nvoluntary_ctxt_switches:\t150\n\
        nonvoluntary_ctxt_switches:\t545\n";

    #[test]
    fn every_line_that_is_read() {
        let s = Status(TEXT);
        assert_eq!((s.blocked_signals(), s.pending_signals()), (Some(1 << 61), Some(0x200)));
        assert_eq!((s.ignored_signals(), s.caught_signals()), (Some(0x1000), Some(0x1_8000_0000)));
        assert_eq!((s.switches(), s.own_pid()), (Some((150, 545)), Some(2)));
        assert_eq!(s.users(), Some([1000, 0, 1000, u32::MAX]));
        assert_eq!(s.groups(), Some([100; 4]));
        assert_eq!(s.supplementary_groups().unwrap().collect::<Vec<_>>(), [Some(4), Some(24), Some(100)]);
        assert_eq!((s.rss_kib(), s.peak_rss_kib()), (Some(1024), Some(2048)));
        assert_eq!((s.number(b"Threads:"), s.value(b"Name:")), (Some(17), Some(&b"SigBlk:\\nx"[..])));
    }

    #[test]
    fn what_is_missing_or_cut_off_is_none() {
        let s = Status(b"Uid:\t1000\t0\nGroups:\tx 99999999999\nSigBlk:\nvoluntary_ctxt_switches:\t1");
        assert_eq!((s.users(), s.groups(), s.blocked_signals(), s.switches()), (None, None, None, None));
        assert_eq!(s.supplementary_groups().unwrap().collect::<Vec<_>>(), [None, None]);
        for end in (0..TEXT.len()).step_by(if cfg!(miri) { 29 } else { 1 }) {
            let s = Status(&TEXT[..end]);
            let _ = (s.users(), s.switches(), s.blocked_signals(), s.rss_kib());
        }
    }

    #[test]
    fn this_very_process() {
        let text = std::fs::read("/proc/self/status").unwrap();
        let s = Status(&text);
        assert!(s.rss_kib().unwrap() > 0 && s.peak_rss_kib() >= s.rss_kib());
        assert!(s.switches().is_some() && s.users().is_some() && s.supplementary_groups().is_some());
    }
}
