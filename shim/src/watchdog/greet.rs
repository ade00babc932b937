//! The hello, and what goes with it on a new connection.

use hangscope_protocol::record::{Hello, HelloRecord, hello_flags, note_code};
use hangscope_protocol::{Kind, VERSION};

use super::hello;
use super::state::Watchdog;
use crate::arch;
use crate::arena::Work;
use crate::host::copy;
use crate::link::{Batch, Connected};
use crate::signal::{crash, hide};
use crate::stir::Stir;
use crate::sys;

const SECOND: u64 = 1_000_000_000;

impl Watchdog {
    /// Connects if it is time, and says hello on a new connection. False if another user listens there.
    pub(super) fn greet(&mut self, work: &mut Work) -> bool {
        let met = self.link.connect(self.facts.config.socket, sys::now());
        self.meet(work, met)
    }

    /// Says hello if the connection is new. False if another user listens there.
    pub(super) fn meet(&mut self, work: &mut Work, met: Connected) -> bool {
        match met {
            Connected::New => self.say_all(work),
            Connected::NotNow => hello::ended(),
            Connected::Stranger => return false,
        }
        true
    }

    /// Says all that is said on a new connection.
    fn say_all(&mut self, work: &mut Work) {
        self.pending = None;
        self.link.dump = 0;
        self.link.patience = sys::now() + SECOND / 10;
        self.say_hello(work);
        let [frame, _] = &mut work.frames;
        let mut batch = Batch::new(frame, Kind::Dsos);
        for dso in self.facts.dsos.iter() {
            batch.add(&mut self.link, &mut |w| w.record_with(&dso.record, dso.path.as_bytes()));
        }
        batch.flush(&mut self.link);
        self.send_crash_page(work);
        hello::ended();
        if !self.complained {
            self.complained = true;
            for line in
                self.facts.config.complaints.as_bytes().split(|b| *b == b'\n').filter(|l| !l.is_empty())
            {
                self.note(work, note_code::BAD_SETTING, 0, line);
            }
            let left_out = self.facts.dsos.left_out as u64;
            if left_out > 0 {
                self.note(work, note_code::DSOS_LEFT_OUT, left_out, b"more DSOs than the table holds");
            }
            if self.facts.config.stir > 0 && self.stir.is_none() {
                self.note(work, note_code::STIR_LIMITED, 0, b"scheduling cannot be disturbed here");
            }
        }
        hide::know();
        self.open_files();
        // At once: the collector reads the file before somebody overwrites it.
        self.send_copy(work);
        self.send_integrity(work, false, true);
        self.link.patience = 0;
    }

    /// Opens the mapped files, once.
    fn open_files(&mut self) {
        if self.link.connections > 1 {
            return;
        }
        for (dso, file) in self.facts.dsos.iter().zip(&mut self.files) {
            *file = dso.open().ok();
        }
    }

    fn say_hello(&mut self, work: &mut Work) {
        let (uid, euid) = sys::users();
        let facts = self.facts;
        let fixed = HelloRecord {
            version: VERSION,
            arch: arch::MACHINE,
            pid: self.pid,
            ppid: sys::getppid(),
            uid,
            euid,
            watchdog_tid: self.tasks.own,
            flags: self.flags | if self.link.connections > 1 { hello_flags::AGAIN } else { 0 },
            page_size: facts.page_size,
            start_ticks: self.tasks.start_ticks,
            init_ns: self.init_ns,
            wall_ns: self.wall_ns,
            hang_after_ns: facts.config.hang_after.nanoseconds(),
            stall_ns: facts.config.stall.nanoseconds(),
            tick_ns: facts.tick_ns(),
            allocator: facts.allocator,
            dsos: facts.dsos.len as u32,
            malloc: facts.malloc,
            init_cost_ns: facts.init_cost_ns,
            probe_signal: facts.config.signal,
            clk_tck: facts.clk_tck,
            stir_level: self.stir.as_ref().map_or(0, Stir::code),
            stir_seed: facts.stir_seed,
        };
        let cmdline = self.tasks.read(self.tasks.own, "cmdline", &mut work.text).unwrap_or(&[]);
        let hello = Hello {
            fixed,
            label: facts.config.label.as_bytes(),
            exe: facts.exe.as_bytes(),
            cmdline: cmdline.get(..cmdline.len().min(4096)).unwrap_or(&[]),
            ld_preload: facts.config.ld_preload.as_bytes(),
            target: facts.config.target.as_bytes(),
            shim: env!("CARGO_PKG_VERSION").as_bytes(),
        };
        let [frame, _] = &mut work.frames;
        self.link.send_one(frame, Kind::Hello, None, &mut |w| hello.put(w));
    }

    /// Sends the allocator's file, which is opened once.
    fn send_copy(&mut self, work: &mut Work) {
        if !self.copy_tried {
            self.copy_tried = true;
            let index = self.facts.allocator as usize;
            if let Some(dso) = self.facts.dsos.iter().nth(index) {
                match copy::make(dso, &mut work.stack_copy) {
                    Ok(copy) => self.copy = Some(copy),
                    Err(e) => {
                        self.note(work, note_code::NO_COPY, e.raw_os_error() as u64, dso.path.as_bytes())
                    }
                }
            }
        }
        let [frame, _] = &mut work.frames;
        if let Some((file, record)) = &self.copy {
            self.link.send_one(frame, Kind::Copy, Some(file), &mut |w| w.record(record));
        }
    }

    /// Shares the page that a crash is written to (made once), also with a collector that came anew.
    fn send_crash_page(&mut self, work: &mut Work) {
        if self.facts.config.crash && self.crash_page.is_none() {
            self.crash_page = crash::share().ok();
        }
        let [frame, _] = &mut work.frames;
        if let Some((file, record)) = &self.crash_page {
            self.link.send_one(frame, Kind::CrashPage, Some(file), &mut |w| w.record(record));
        }
    }

    /// Shares the page of the last reading (made once), also with a collector that came anew.
    pub(super) fn send_last_memory(&mut self, work: &mut Work) {
        if self.last_memory.is_none() {
            match self.wanted.share() {
                Ok(shared) => self.last_memory = Some(shared),
                Err(e) => {
                    let text = b"a page for memory that was asked for";
                    self.note(work, note_code::UNREADABLE, e.raw_os_error() as u64, text);
                }
            }
        }
        let [frame, _] = &mut work.frames;
        if let Some((file, record)) = &self.last_memory {
            self.link.send_one(frame, Kind::LastMemory, Some(file), &mut |w| w.record(record));
        }
    }
}
