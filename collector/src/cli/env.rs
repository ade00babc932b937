//! `hangscope env`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::Value;

use super::args::ShimArgs;
use super::carried::Carried;
use super::settings::SettingsArgs;
use crate::console::exit::{Ended, Status};
use crate::console::out;
use crate::files::pin;
use crate::launch::preload;

/// Print the variables for your own command.
///
/// It prints one line with NAME=value and spaces, for `env $(hangscope env ...) ./bench`. With --export it
/// prints lines for `eval "$(hangscope env --export ...)"`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    env $(hangscope env --so ./libhakozuna_hz4.so --socket /run/user/1000/hs.sock) ./bench 16 2000000\n  \
    eval \"$(hangscope env --export --so ./libhz4.so --label rss_hz4_1 --only bench)\"; ./run_matrix.sh")]
pub(crate) struct Args {
    /// The allocator's DSO. Without it only the shim is preloaded (the C library's malloc).
    #[arg(long, value_name = "SO")]
    so: Option<PathBuf>,
    #[command(flatten)]
    shim: ShimArgs,
    #[command(flatten)]
    settings: SettingsArgs,
    /// Print `export NAME=value` lines, quoted for the shell.
    #[arg(long)]
    export: bool,
    /// Only one line of JSON on stdout: the variables, {"LD_PRELOAD": "...", "HANGSCOPE_SOCKET": "...", ...}.
    #[arg(long, conflicts_with = "export")]
    json: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    let shim = args.shim.file().context("env")?;
    let mut files = vec![shim];
    if let Some(so) = &args.so {
        let carried = Carried::by(so, "env")?;
        carried.iter().for_each(|carried| out::error_line(carried.line().text(out::lang())));
        let so = carried.as_ref().map_or(so, |carried| &carried.allocator);
        let unreadable = |e| {
            anyhow::anyhow!("env: cannot read {}: {e}; give the path of the allocator's .so", so.display())
        };
        let path = std::fs::canonicalize(so).map_err(unreadable)?;
        pin::shared_object(so, &pin::bytes_of(&path).map_err(unreadable)?).context("env")?;
        files.push(path);
    }
    let settings = args.settings.settings("env")?;
    let preload = preload::value(files.iter().map(PathBuf::as_path)).context("env")?;
    let mut variables = vec![("LD_PRELOAD", preload)];
    variables.extend(settings.variables());
    if args.json {
        out::json(&object(&variables)?)?;
        return Ok(Status::NoHang);
    }
    let text = if args.export { exports(&variables) } else { one_line(&variables)? };
    out::bytes(text.as_bytes());
    Ok(Status::NoHang)
}

/// The variables as a JSON object. A value that is not UTF-8 cannot be in it.
fn object(variables: &[(&str, OsString)]) -> anyhow::Result<serde_json::Map<String, Value>> {
    let text = |(name, value): &(&str, OsString)| {
        let value = value.to_str().map(|value| ((*name).to_owned(), value.into()));
        value.ok_or_else(|| {
            Ended::new(Status::Usage, format!("env: {name} is not UTF-8, which JSON has to be; use --export"))
                .into()
        })
    };
    variables.iter().map(text).collect()
}

/// Lines for a shell's `eval`.
fn exports(variables: &[(&str, OsString)]) -> OsString {
    let mut text = vec![];
    for (name, value) in variables {
        text.extend_from_slice(format!("export {name}=").as_bytes());
        text.extend_from_slice(quoted(value).as_bytes());
        text.push(b'\n');
    }
    OsString::from_vec(text)
}

/// One line for `env $(...)`. The shell splits the line at spaces and knows no quotes in it, so a value with
/// a space is an error.
fn one_line(variables: &[(&str, OsString)]) -> anyhow::Result<OsString> {
    let mut text = vec![];
    for (name, value) in variables {
        // The shell would replace glob characters by file names.
        if let Some(bad) = value.as_bytes().iter().find(|b| b" \t\n*?[\\".contains(b)) {
            let bad = bad.escape_ascii();
            let message = format!("env: {name} has a '{bad}', which `env $(...)` cannot pass; use --export");
            return Err(Ended::new(Status::Usage, message).into());
        }
        if !text.is_empty() {
            text.push(b' ');
        }
        text.extend_from_slice(name.as_bytes());
        text.push(b'=');
        text.extend_from_slice(value.as_bytes());
    }
    text.push(b'\n');
    Ok(OsString::from_vec(text))
}

/// A word that a POSIX shell reads back as `value`.
fn quoted(value: &OsStr) -> OsString {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"%+,-./:=@_".contains(b);
    let bytes = value.as_bytes();
    if !bytes.is_empty() && bytes.iter().all(plain) {
        return value.to_owned();
    }
    let mut word = vec![b'\''];
    for byte in bytes {
        match byte {
            b'\'' => word.extend_from_slice(b"'\\''"),
            byte => word.push(*byte),
        }
    }
    word.push(b'\'');
    OsString::from_vec(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        let values = ["plain", "", "two words", "it's", "$HOME `id` \"x\" \\", "a\nb", "*", "~", "#x", "a=b"];
        let variables: Vec<_> = values.iter().map(|v| ("V", OsString::from(v))).collect();
        for (variable, value) in variables.iter().zip(values) {
            let script = exports(std::slice::from_ref(variable));
            let shell = std::process::Command::new("sh")
                .arg("-c")
                .arg(OsString::from_vec([script.as_bytes(), b"printf %s \"$V\""].concat()))
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(shell.stdout).unwrap(), value);
        }
    }

    #[test]
    fn an_object_holds_what_is_text() {
        let good =
            object(&[("LD_PRELOAD", "/a b.so".into()), ("HANGSCOPE_LABEL", "\"x\"\n".into())]).unwrap();
        assert_eq!(
            Value::Object(good),
            serde_json::json!({"LD_PRELOAD": "/a b.so", "HANGSCOPE_LABEL": "\"x\"\n"})
        );
        let error = object(&[("LD_PRELOAD", OsString::from_vec(vec![b'/', 0xff]))]).unwrap_err();
        assert_eq!(crate::console::exit::status_of(&error), Status::Usage);
    }

    #[test]
    fn one_line_refuses_what_the_shell_would_split() {
        let line =
            one_line(&[("LD_PRELOAD", "/a.so:/b.so".into()), ("HANGSCOPE_LABEL", "x".into())]).unwrap();
        assert_eq!(line, "LD_PRELOAD=/a.so:/b.so HANGSCOPE_LABEL=x\n");
        for bad in ["two words", "*.so", "a\tb"] {
            let error = one_line(&[("HANGSCOPE_LABEL", bad.into())]).unwrap_err();
            assert_eq!(crate::console::exit::status_of(&error), Status::Usage);
        }
    }
}
