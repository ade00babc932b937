//! A cluster of one node: munged, slurmctld and slurmd on loopback, with files, ports and a key of their own. It
//! has nothing to do with a Slurm that the machine may have.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::hunt::processes_with;
use crate::{GIVE_UP_AFTER, Running, built, run, shim};

/// Processors that the node has for jobs, whatever the machine has.
const PROCESSORS: u32 = 2;

/// The daemons. Dropping the value ends all jobs and all processes of theirs.
pub struct Cluster {
    dir: tempfile::TempDir,
    /// Of the caller's jobs, too.
    conf: PathBuf,
    daemons: Vec<Running>,
}

impl Cluster {
    /// Starts the daemons, and waits until the node takes jobs.
    pub fn start() -> Cluster {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (root, conf) = (dir.path().to_owned(), dir.path().join("slurm.conf"));
        for folder in ["state", "spool", "jobs"] {
            std::fs::create_dir(root.join(folder)).expect("a folder");
        }
        std::fs::write(&conf, settings(&root)).expect("slurm.conf");
        let mut cluster = Cluster { dir, conf, daemons: vec![] };
        cluster.munge();
        cluster.daemon("slurmctld", &["-D", "-f"]);
        // A daemon of a node that finds nobody tries again much later.
        until("slurmctld answers", || cluster.text("scontrol", &["ping"]).contains("is UP"));
        cluster.daemon("slurmd", &["-D", "-N", NODE, "-f"]);
        until("the node takes jobs", || cluster.text("sinfo", &["-h", "-o", "%T"]).trim() == "idle");
        cluster
    }

    /// A folder for the files of jobs.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().join("jobs")
    }

    fn munge(&mut self) {
        let (key, socket) = (self.dir.path().join("munge.key"), self.dir.path().join("munge.sock"));
        let mut bytes = [0; 128];
        std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom").expect("urandom"), &mut bytes)
            .expect("random bytes");
        std::fs::write(&key, bytes).expect("a key");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("its mode");
        let option = |name: &str, path: &Path| format!("--{name}={}", path.display());
        let mut munged = Command::new(program("munged"));
        munged.args(["--foreground", "--force"]).arg(option("key-file", &key)).arg(option("socket", &socket));
        for file in ["pid-file", "seed-file", "log-file"] {
            munged.arg(option(file, &self.dir.path().join(format!("munge.{file}"))));
        }
        self.daemons.push(Running::start(&mut munged));
        until("munged listens", || socket.exists());
    }

    fn daemon(&mut self, name: &str, args: &[&str]) {
        let mut command = Command::new(program(name));
        command.args(args).arg(&self.conf).env("SLURM_CONF", &self.conf);
        self.daemons.push(Running::start(&mut command));
    }

    /// A command of Slurm. Jobs that it starts have the `hangscope` of this build, and a history of their own.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program(name));
        command
            .env("SLURM_CONF", &self.conf)
            .env("HANGSCOPE", built("hangscope"))
            .env("HANGSCOPE_SHIM", shim());
        command.env("LC_ALL", "C").env("XDG_DATA_HOME", self.dir.path().join("data")).current_dir(self.dir());
        command
    }

    /// Submits a job, and returns its number.
    pub fn submit(&self, args: &[impl AsRef<OsStr>]) -> String {
        let output = run(self.command("sbatch").arg("--parsable").args(args));
        assert!(output.status.success(), "sbatch: {output:?}\n{}", self.logs());
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Submits a job, waits until it has ended, and returns its exit status. (`sbatch --wait` looks every half
    /// minute.)
    pub fn submit_and_wait(&self, args: &[impl AsRef<OsStr>]) -> Option<i32> {
        let job = self.submit(args);
        let field = |name: &str| {
            let shown = self.text("scontrol", &["-o", "show", "job", &job]);
            shown.split(' ').find_map(|field| field.strip_prefix(name).map(str::to_owned)).unwrap_or_default()
        };
        let ended = ["COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"];
        until("the job has ended", || ended.contains(&&*field("JobState=")));
        field("ExitCode=").split(':').next()?.parse().ok()
    }

    /// What a command prints.
    pub fn text(&self, name: &str, args: &[&str]) -> String {
        let Output { stdout, .. } = run(self.command(name).args(args));
        String::from_utf8_lossy(&stdout).into_owned()
    }

    /// Runs a command that must succeed.
    pub fn must(&self, name: &str, args: &[&str]) {
        let output = run(self.command(name).args(args));
        assert!(output.status.success(), "{name} {args:?}: {output:?}\n{}", self.logs());
    }

    /// Waits until no job is left that runs or is to run.
    pub fn wait_for_all(&self) {
        until("all jobs have ended", || self.text("squeue", &["-h"]).trim().is_empty());
    }

    /// The logs of the daemons and of the jobs, for the message of a failed test.
    pub fn logs(&self) -> String {
        let mut text = String::new();
        for dir in [self.dir.path().to_owned(), self.dir()] {
            let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
            for path in entries.filter(|path| path.extension().is_some_and(|end| end == "log")) {
                let log = std::fs::read(&path).unwrap_or_default();
                text += &format!("== {}\n{}\n", path.display(), String::from_utf8_lossy(&log));
            }
        }
        text
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Jobs first: a daemon that is gone ends none.
        drop(
            self.command("scancel")
                .arg("--state=PENDING")
                .arg("--quiet")
                .arg("--name=hangscope-hunt")
                .output(),
        );
        for pid in processes_with(&format!("SLURM_CONF={}", self.conf.display())) {
            if !self.daemons.iter().any(|daemon| daemon.pid() == pid) {
                // SAFETY: kill touches no memory. The process has this cluster's settings in its environment.
                unsafe { libc::kill(pid as i32, libc::SIGKILL) };
            }
        }
        self.daemons.clear();
        // What a daemon started meanwhile.
        for pid in processes_with(&format!("SLURM_CONF={}", self.conf.display())) {
            // SAFETY: as above.
            unsafe { libc::kill(pid as i32, libc::SIGKILL) };
        }
    }
}

/// Name of the node. The machine's own name may be in no table of hosts.
const NODE: &str = "hs1";

fn settings(root: &Path) -> String {
    let (control, node) = two_ports();
    let machine = nix::unistd::gethostname().expect("the name of the machine");
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).expect("a user").expect("a user").name;
    let (root, machine) = (root.display(), machine.to_string_lossy());
    format!(
        "ClusterName=hangscope
SlurmctldHost={machine}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={control}
AuthType=auth/munge
AuthInfo=socket={root}/munge.sock
CredType=cred/munge
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=1
MpiDefault=none
ReturnToService=2
KillWait=10
SlurmdParameters=config_overrides
NodeName={NODE} NodeHostname={machine} NodeAddr=127.0.0.1 Port={node} CPUs={PROCESSORS} State=UNKNOWN
PartitionName=main Nodes={NODE} Default=YES MaxTime=INFINITE State=UP
"
    )
}

/// Two ports of loopback that nobody has.
fn two_ports() -> (u16, u16) {
    let listener = || TcpListener::bind("127.0.0.1:0").expect("a port");
    let (one, two) = (listener(), listener());
    let port = |listener: &TcpListener| listener.local_addr().expect("its address").port();
    (port(&one), port(&two))
}

/// The path of a program of Slurm or munge.
fn program(name: &str) -> PathBuf {
    let places = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    let found = places.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name} is not installed: ./scripts/test.sh installs it"))
}

/// Waits for a state that nothing announces.
pub fn until(what: &str, is: impl Fn() -> bool) {
    let end = Instant::now() + GIVE_UP_AFTER;
    while !is() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
