//! Scripts that people run benchmarks with. Each sets LD_PRELOAD itself, so what is in front of the script is
//! lost.

use std::path::Path;

/// A runner of benchmarks.
#[derive(Clone, Copy, Debug)]
pub struct Runner {
    pub name: &'static str,
    /// The programs that read the script, with its path as the last argument.
    pub interpreter: &'static [&'static str],
    /// `@SO@` stands for the allocator's path, `@ONE@` and `@TWO@` for the commands that run under it, one
    /// after the other: words without a quote or a blank, and a blank between them.
    script: &'static str,
}

/// The status that each runner ends with. make has 2 for every recipe that fails.
impl Runner {
    pub fn status(&self) -> i32 {
        if self.name == "make" { 2 } else { 3 }
    }

    /// The script, with the allocator and the two commands.
    pub fn script(&self, so: &Path, one: &[&str], two: &[&str]) -> String {
        let so = so.to_str().expect("UTF-8");
        self.script.replace("@SO@", so).replace("@ONE@", &one.join(" ")).replace("@TWO@", &two.join(" "))
    }
}

pub const RUNNERS: [Runner; 13] = [
    Runner {
        name: "env",
        interpreter: &["bash"],
        script: "SO=@SO@\n\
            env LD_PRELOAD=\"$SO\" taskset -c 0-1 timeout 100 @ONE@\n\
            env LD_PRELOAD=\"$SO\" taskset -c 0-1 timeout 100 @TWO@\n\
            exit 3\n",
    },
    Runner {
        name: "inline",
        interpreter: &["bash"],
        script: "LD_PRELOAD=@SO@ @ONE@\nLD_PRELOAD=@SO@ @TWO@\nexit 3\n",
    },
    Runner {
        name: "env -i",
        interpreter: &["bash"],
        script: "env -i LD_PRELOAD=@SO@ @ONE@\nenv -i PATH=\"$PATH\" LD_PRELOAD=@SO@ @TWO@\nexit 3\n",
    },
    Runner {
        name: "timeout",
        interpreter: &["dash"],
        script: "export LD_PRELOAD=@SO@\ntimeout 100 @ONE@\ntimeout -k 1 100 @TWO@\nexit 3\n",
    },
    Runner {
        name: "python",
        interpreter: &["python3"],
        script: "import os, subprocess, sys\n\
            env = dict(os.environ, LD_PRELOAD='@SO@')\n\
            subprocess.run('@ONE@'.split(), env=env)\n\
            subprocess.run('@TWO@', env=env, shell=True)\n\
            sys.exit(3)\n",
    },
    Runner {
        name: "system",
        interpreter: &["python3"],
        script: "import ctypes, os, sys\n\
            os.environ['LD_PRELOAD'] = '@SO@'\n\
            os.system('@ONE@')\n\
            libc = ctypes.CDLL(None)\n\
            libc.popen.restype = ctypes.c_void_p\n\
            libc.pclose(ctypes.c_void_p(libc.popen(b'@TWO@; : \\'it is\\'', b'w')))\n\
            sys.exit(3)\n",
    },
    Runner {
        name: "make",
        interpreter: &["make", "-s", "-f"],
        script: "all: two\n\
            \tLD_PRELOAD=@SO@ sh -c 'exit 3'\n\
            one:\n\tLD_PRELOAD=@SO@ @ONE@\n\
            two: one\n\t-env LD_PRELOAD=@SO@ @TWO@ 2>&1 || true\n",
    },
    Runner {
        name: "xargs",
        interpreter: &["bash"],
        script: "echo @ONE@ | xargs env LD_PRELOAD=@SO@\n\
            export LD_PRELOAD=@SO@\necho @TWO@ | xargs nice\nexit 3\n",
    },
    Runner {
        name: "parallel",
        interpreter: &["bash"],
        script: "parallel --will-cite -j 1 ::: 'LD_PRELOAD=@SO@ @ONE@' 'LD_PRELOAD=@SO@ @TWO@'\nexit 3\n",
    },
    Runner {
        name: "perl",
        interpreter: &["perl"],
        script: "$ENV{LD_PRELOAD} = '@SO@';\n\
            system(qw(@ONE@));\n\
            my $pid = fork // die; if (!$pid) { exec(qw(@TWO@)) } waitpid($pid, 0);\n\
            exit 3;\n",
    },
    Runner {
        name: "node",
        interpreter: &["node"],
        script: "const { spawnSync } = require('child_process');\n\
            const options = { stdio: 'inherit', env: { ...process.env, LD_PRELOAD: '@SO@' } };\n\
            for (const command of ['@ONE@', '@TWO@']) {\n\
            const [program, ...words] = command.split(' ');\n\
            spawnSync(program, words, options);\n\
            }\n\
            process.exit(3);\n",
    },
    Runner {
        name: "wrappers",
        interpreter: &["bash"],
        script: "export LD_PRELOAD=@SO@\nnice -n 1 stdbuf -oL @ONE@\nchrt -o 0 setsid -w nohup @TWO@ 2>/dev/null\nexit 3\n",
    },
    Runner {
        name: "posix_spawn",
        interpreter: &["python3"],
        script: "import os, sys\n\
            for command in ('@ONE@', '@TWO@'):\n    \
                words = command.split()\n    \
                pid = os.posix_spawn(words[0], words, {'LD_PRELOAD': '@SO@'})\n    \
                os.waitpid(pid, 0)\n\
            sys.exit(3)\n",
    },
];
