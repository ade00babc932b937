//! The shim's settings, as environment variables of a command.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use hangscope_protocol::duration::{self, Limit};
use hangscope_protocol::variable;

use super::follow::Preloads;
use crate::analysis::Stir;

/// Settings of the shim. For `None` the shim uses its own default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// Socket of the collector.
    pub(crate) socket: Option<PathBuf>,
    /// Deadline from the start of the process.
    pub(crate) hang_after: Option<Limit>,
    /// A process in which nothing moves for this time makes a dump.
    pub(crate) stall: Option<Limit>,
    /// Time between two looks of the watchdog.
    pub(crate) tick: Option<Duration>,
    /// Free text that the session carries.
    pub(crate) label: Option<String>,
    /// Names of the programs to watch, separated by commas.
    pub(crate) only: Option<String>,
    /// The allocator's DSO, where the order of LD_PRELOAD does not tell.
    pub(crate) target: Option<String>,
    /// How scheduling is disturbed.
    pub(crate) stir: Option<Stir>,
    /// The plan of a run whose threads are held.
    pub(crate) stir_plan: Option<PathBuf>,
    /// Whether the program waits, before its `main`, until the hello is sent.
    pub(crate) greet: bool,
    /// Whether a crash leaves a record.
    pub(crate) crash: bool,
    /// Whether programs with libc's own `malloc` are left alone.
    pub(crate) preloaded: bool,
}

impl Settings {
    /// Names and values, in a fixed order. LD_PRELOAD is not among them.
    pub(crate) fn variables(&self) -> Vec<(&'static str, OsString)> {
        let text = |text: &Option<String>| text.as_ref().map(OsString::from);
        let limit = |limit: Option<Limit>| limit.map(|limit| limit.to_string().into());
        [
            (variable::SOCKET, self.socket.as_ref().map(|path| path.clone().into_os_string())),
            (variable::HANG_AFTER, limit(self.hang_after)),
            (variable::STALL, limit(self.stall)),
            (variable::TICK, self.tick.map(|time| duration::Text(time).to_string().into())),
            (variable::LABEL, text(&self.label)),
            (variable::ONLY, text(&self.only)),
            (variable::TARGET, text(&self.target)),
            (variable::STIR, self.stir.map(|stir| stir.strategy.code().to_string().into())),
            (variable::STIR_SEED, self.stir.map(|stir| stir.seed.to_string().into())),
            (variable::STIR_PLAN, self.stir_plan.as_ref().map(|path| path.clone().into_os_string())),
            (variable::GREET, self.greet.then(|| "1".into())),
            (variable::CRASH, self.crash.then(|| "on".into())),
            (variable::PRELOADED, self.preloaded.then(|| "1".into())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }

    /// Gives `command` these settings and no others: a variable of the shim that is not set here is cleared,
    /// also if this process or the command already has it.
    pub(crate) fn apply(&self, command: &mut Command) {
        for name in variable::ALL.iter().chain(&variable::OF_FOLLOW) {
            command.env_remove(name);
        }
        command.envs(self.variables());
    }

    /// A command that runs under the shim.
    ///
    /// `words` are the program and its arguments, not empty. `env` are the user's own variables for it: a
    /// setting of the shim among them counts only if `self` leaves it open. `preloads` replace the LD_PRELOAD
    /// of this process, which may name the allocator's unpinned file.
    pub(crate) fn command(&self, words: &[String], env: &[(String, String)], preloads: &Preloads) -> Command {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        self.apply(&mut command);
        let ours = self.variables();
        let open = env.iter().filter(|(name, _)| !ours.iter().any(|(our, _)| our == name));
        command.envs(open.map(|(name, value)| (name, value))).envs(preloads.variables());
        command
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::path::Path;

    use super::*;
    use crate::launch::shim_path::Shim;

    /// What a command sets, and what it clears.
    fn environment(command: &Command) -> (Vec<(String, String)>, Vec<String>) {
        let text = |text: &OsStr| text.to_str().unwrap().to_owned();
        let set = command.get_envs().filter_map(|(name, value)| Some((text(name), text(value?))));
        let cleared = command.get_envs().filter(|(_, value)| value.is_none());
        (set.collect(), cleared.map(|(name, _)| text(name)).collect())
    }

    #[test]
    fn a_setting_that_is_left_open_has_no_variable() {
        assert!(Settings::default().variables().is_empty());
        for (strategy, code) in [("2", "2"), ("strict:1", "65")] {
            let stir = Some(Stir { strategy: strategy.parse().unwrap(), seed: 7 });
            let variables = Settings { stir, ..Settings::default() }.variables();
            assert_eq!(variables, [("HANGSCOPE_STIR", code.into()), ("HANGSCOPE_STIR_SEED", "7".into())]);
        }
        let settings = Settings {
            hang_after: Some(Limit::Off),
            stall: Some(Limit::After(Duration::from_millis(1500))),
            tick: Some(Duration::from_secs(90)),
            ..Settings::default()
        };
        assert_eq!(
            settings.variables(),
            [
                ("HANGSCOPE_HANG_AFTER", "off".into()),
                ("HANGSCOPE_STALL", "1500ms".into()),
                ("HANGSCOPE_TICK", "90s".into())
            ]
        );
    }

    #[test]
    fn no_variable_of_the_shim_is_inherited() {
        let mut command = Command::new("true");
        command.envs(variable::ALL.map(|name| (name, "1")));
        Settings::default().apply(&mut command);
        let (set, mut cleared) = environment(&command);
        assert_eq!(set, []);
        cleared.sort();
        let mut all = [variable::ALL.as_slice(), &variable::OF_FOLLOW].concat();
        all.sort();
        assert_eq!(cleared, all);
        // What a child of it really has, too.
        let mut command = Command::new("env");
        command.envs(variable::ALL.map(|name| (name, "1"))).env("KEPT", "1");
        Settings { greet: true, ..Settings::default() }.apply(&mut command);
        let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let ours = output.lines().filter(|line| line.starts_with(variable::PREFIX) || *line == "KEPT=1");
        let mut ours: Vec<&str> = ours.collect();
        ours.sort_unstable();
        assert_eq!(ours, ["HANGSCOPE_GREET=1", "KEPT=1"]);
    }

    #[test]
    fn the_users_variables_fill_what_is_left_open() {
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let env = [
            variable("HANGSCOPE_SIGNAL", "0"),
            variable("HANGSCOPE_TICK", "2s"),
            variable("LD_PRELOAD", "/unpinned.so"),
        ];
        let settings = Settings { tick: Some(Duration::from_secs(1)), ..Settings::default() };
        let shim = Shim { file: "/s.so".into(), follow: "/f.so".into() };
        let preloads = Preloads::of_runner(&shim, OsStr::new("/x.so"), false, Path::new("/")).unwrap();
        let command = settings.command(&["a".into(), "b".into()], &env, &preloads);
        let set = [
            "HANGSCOPE_FOLLOW=/f.so",
            "HANGSCOPE_FOLLOW_SHIM=/s.so",
            "HANGSCOPE_SIGNAL=0",
            "HANGSCOPE_TICK=1s",
            "LD_PRELOAD=/f.so:/s.so:/x.so",
        ];
        let (is, _) = environment(&command);
        assert_eq!(is.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>(), set);
        assert_eq!(command.get_args().collect::<Vec<_>>(), ["b"]);
    }
}
