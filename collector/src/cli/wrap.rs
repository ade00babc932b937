//! `hangscope wrap`.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use hangscope_protocol::carrier::MOST_SETTINGS;
use serde::Serialize;
use serde_json::{Map, Value};

use super::args::ShimArgs;
use super::settings::SettingsArgs;
use crate::console::exit::{Ended, Status};
use crate::console::out;
use crate::files::atomic;
use crate::files::carrier::{self, Carrier, MadeOf};
use crate::files::elf::{self, Target};
use crate::files::pin::{self, Pinned};
use crate::launch::preload;
use crate::launch::shim_path;
use crate::listen::MAX_PATH;
use crate::text::carrying::CarrierLine;
use crate::text::lang::Lang;
use crate::text::message::say;

/// Make one file that is both, the shim and the allocator: a carrier.
///
/// For runners that take only a path, or that clear the environment. ld.so loads the allocator and the shim
/// that the carrier names, and the shim's settings are in it, also the socket. The allocator is pinned beside
/// it, as `hangscope pin` does. FILE.txt says what is in it.
///
/// A program under a carrier whose allocator is missing does not start: exit status 127, with ld.so's own
/// line. A variable of the environment counts more than the setting in the carrier; HANGSCOPE_SOCKET= (empty)
/// switches the shim off.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    hangscope wrap --so ./libhakozuna_hz4.so -o hz4_hs.so\n  \
    hangscope collect --out night &\n  \
    ./run_matrix.sh --hz4-so $PWD/hz4_hs.so")]
pub(crate) struct Args {
    /// The allocator's DSO.
    #[arg(long, value_name = "SO")]
    so: PathBuf,
    /// The carrier. It takes the place of a carrier that is there, also while programs run with that one.
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Short name of the allocator [default: the file's name without `lib` and version].
    #[arg(long)]
    name: Option<String>,
    /// Put shim and allocator into the folder FILE.d, from where the carrier loads them wherever both are
    /// moved: for containers and other machines.
    #[arg(long)]
    portable: bool,
    /// Overwrite FILE also if it is no carrier.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    shim: ShimArgs,
    #[command(flatten)]
    settings: SettingsArgs,
    /// Only one line of JSON on stdout: carrier (its path), sha1, build_id, name, allocator (path of the
    /// pinned copy), source, allocator_sha1, allocator_build_id (null if it has none), shim, shim_sha1,
    /// settings (an object), text (path of FILE.txt).
    #[arg(long)]
    json: bool,
}

/// What was made. Paths are absolute.
#[derive(Serialize)]
struct Made {
    carrier: PathBuf,
    sha1: String,
    build_id: String,
    name: String,
    allocator: PathBuf,
    source: PathBuf,
    allocator_sha1: String,
    allocator_build_id: Option<String>,
    shim: PathBuf,
    shim_sha1: String,
    settings: Map<String, Value>,
    text: PathBuf,
    /// The folder that goes with a carrier that can be moved.
    #[serde(skip)]
    folder: Option<String>,
}

pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    let shim = shim_path::find(args.shim.path.as_deref()).context("wrap")?;
    let out = std::path::absolute(&args.out).with_context(|| format!("wrap: {}", args.out.display()))?;
    let file = out.file_name().and_then(|name| name.to_str());
    let file = file.ok_or_else(|| usage(format!("{} is no file name; give another -o", out.display())))?;
    let bytes = bytes(&args.so, "the path of the allocator's .so")?;
    check(&args.so, &bytes, &out, args.force)?;
    let settings = settings(args.settings)?;

    let beside = out.parent().unwrap_or(Path::new("/"));
    let folder = args.portable.then(|| format!("{file}.d"));
    let pins = folder.as_ref().map_or(beside.to_owned(), |folder| beside.join(folder));
    let pinned = pin::pin(&args.so, &pins, args.name.as_deref()).context("wrap")?;
    let shim_bytes = self::bytes(&shim, "the path of the shim with --shim")?;
    let shim = match args.portable {
        true => {
            let copy = pins.join(shim_path::FILE);
            atomic::write_with(&copy, atomic::READ_ONLY, |to| std::io::Write::write_all(to, &shim_bytes))
                .context("wrap")?;
            copy
        }
        false => shim,
    };
    let named = |path: &Path| named(path, folder.as_deref());
    let made_of = MadeOf {
        name: pinned.name.clone(),
        source: text(&pinned.source)?,
        allocator_sha1: pinned.sha1.clone(),
        shim_sha1: pin::sha1_hex(&shim_bytes),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let carrier = Carrier {
        soname: file.to_owned(),
        shim: named(&shim)?,
        allocator: named(&pinned.path)?,
        settings,
        made_of,
    };
    let bytes = carrier.write(pinned.elf.target).with_context(|| format!("wrap: {}", out.display()))?;
    atomic::write_with(&out, atomic::READ_ONLY, |to| std::io::Write::write_all(to, &bytes))
        .context("wrap")?;
    let made = Made::of(carrier, &bytes, Files { carrier: out, shim, pinned, folder });
    let both = [Lang::En, Lang::Ja].map(|lang| made.text(lang)).join("\n");
    atomic::write_text(&made.text, &both).context("wrap")?;
    if args.json {
        out::json(&made).context("wrap: --json")?;
    } else {
        out::line(made.carrier.display());
    }
    Ok(Status::NoHang)
}

fn bytes(path: &Path, remedy: &str) -> anyhow::Result<Vec<u8>> {
    pin::bytes_of(path).map_err(|e| usage(format!("cannot read {}: {e}; give {remedy}", path.display())))
}

/// Refuses what cannot be carried, and a place that is taken. Nothing is written before.
fn check(so: &Path, bytes: &[u8], out: &Path, force: bool) -> anyhow::Result<()> {
    let facts = pin::shared_object(so, bytes).map_err(usage)?;
    if let Some(carrier) = Carrier::read(bytes) {
        let source =
            if carrier.made_of.source.is_empty() { carrier.allocator } else { carrier.made_of.source };
        let message = format!("{} is a carrier itself: wrap its allocator, {source}", so.display());
        return Err(usage(message));
    }
    let own = Target::own();
    if facts.target != own {
        let message =
            format!("{} is {}, and the shim is {own}; give an allocator for it", so.display(), facts.target);
        return Err(usage(message));
    }
    preload::value([out]).map_err(usage)?;
    let there = std::fs::symlink_metadata(out).is_ok();
    let same = |a: &Path, b: &Path| std::fs::canonicalize(a).ok().zip(std::fs::canonicalize(b).ok());
    if same(so, out).is_some_and(|(a, b)| a == b) {
        return Err(usage(format!("{} is the allocator itself; give another -o", out.display())));
    }
    if out.is_dir() {
        return Err(usage(format!("{} is a folder; give the name of a file with -o", out.display())));
    }
    if there && !force && Carrier::at(out).is_none() {
        let message = format!("{} exists and is no carrier; give another -o, or --force", out.display());
        return Err(usage(message));
    }
    Ok(())
}

fn settings(args: SettingsArgs) -> anyhow::Result<Vec<(String, String)>> {
    let settings = args.settings("wrap")?;
    let len = settings.socket.as_ref().map_or(0, |socket| socket.as_os_str().len());
    if len > MAX_PATH {
        let message = format!("the path of the socket has {len} bytes, the system takes at most {MAX_PATH}");
        return Err(usage(format!("{message}; give a shorter one with --socket")));
    }
    let texts = settings.variables().into_iter().map(|(name, value)| {
        let value = value.into_string();
        let value = value.map_err(|_| usage(format!("{name} is not UTF-8; give another value")))?;
        Ok((name.to_owned(), value))
    });
    let texts = texts.collect::<anyhow::Result<Vec<_>>>()?;
    let len: usize = texts.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    if len > MOST_SETTINGS {
        let message = format!("the settings have {len} bytes, a carrier holds {MOST_SETTINGS}");
        return Err(usage(format!("{message}; give a shorter --label, --only or --target")));
    }
    Ok(texts)
}

/// A path as the carrier names it.
fn named(path: &Path, folder: Option<&str>) -> anyhow::Result<String> {
    let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match folder {
        Some(folder) => Ok(carrier::beside(&format!("{folder}/{file}"))),
        None => {
            preload::value([path]).map_err(usage)?;
            text(path)
        }
    }
}

fn text(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| usage(format!("the path {} is not UTF-8; give another one", path.display())))
}

/// The files of a carrier.
struct Files {
    carrier: PathBuf,
    shim: PathBuf,
    pinned: Pinned,
    folder: Option<String>,
}

impl Made {
    fn of(carrier: Carrier, bytes: &[u8], files: Files) -> Made {
        let Files { carrier: path, shim, pinned, folder } = files;
        let mut text = path.clone().into_os_string();
        text.push(".txt");
        Made {
            sha1: pin::sha1_hex(bytes),
            build_id: elf::read(bytes).ok().and_then(|facts| facts.build_id).unwrap_or_default(),
            name: carrier.made_of.name,
            allocator_build_id: pinned.build_id().map(str::to_owned),
            allocator: pinned.path,
            source: pinned.source,
            allocator_sha1: carrier.made_of.allocator_sha1,
            shim,
            shim_sha1: carrier.made_of.shim_sha1,
            settings: carrier.settings.into_iter().map(|(name, value)| (name, value.into())).collect(),
            text: text.into(),
            carrier: path,
            folder,
        }
    }

    /// The text beside the carrier.
    fn text(&self, lang: Lang) -> String {
        let file = self.carrier.file_name().unwrap_or_default().display();
        let t = |line: CarrierLine| line.text(lang);
        let one = |what: String, path: &dyn Display, sha1: &str, build_id: Option<&str>| {
            let none = CarrierLine::NoBuildId {}.text(lang);
            format!("{what}: {path}\n  sha1 {sha1}\n  build-id {}\n", build_id.unwrap_or(&none))
        };
        let mut text = t(say!(CarrierLine::Title { file, version: env!("CARGO_PKG_VERSION") })) + "\n\n";
        text += &(t(CarrierLine::Stands {}) + "\n\n");
        text += &one(t(CarrierLine::Carrier {}), &self.carrier.display(), &self.sha1, Some(&self.build_id));
        let copy = t(say!(CarrierLine::CopyOf { source: self.source.display() }));
        let allocator = format!("{} ({copy})", self.allocator.display());
        let id = self.allocator_build_id.as_deref();
        text += &one(t(CarrierLine::Allocator {}), &allocator, &self.allocator_sha1, id);
        let id = elf_build_id(&self.shim);
        text += &one(t(CarrierLine::Shim {}), &self.shim.display(), &self.shim_sha1, id.as_deref());
        text += &format!("\n{}\n", t(CarrierLine::Settings {}));
        for (name, value) in &self.settings {
            text += &format!("  {name}={}\n", value.as_str().unwrap_or_default());
        }
        text += &format!("\n{}\n", t(CarrierLine::AllocatorMissing {}));
        text += &t(match &self.folder {
            Some(folder) => say!(CarrierLine::Moves { folder }),
            None => CarrierLine::Stays {},
        });
        text += &format!(
            "\n\n{}\n  hangscope collect --out night &\n  env LD_PRELOAD={} ./bench 16 2000000 400 16 32768 90 65536\n",
            t(CarrierLine::Example {}),
            self.carrier.display()
        );
        text
    }
}

fn elf_build_id(path: &Path) -> Option<String> {
    elf::read(&pin::bytes_of(path).ok()?).ok()?.build_id
}

fn usage(what: impl Display) -> anyhow::Error {
    Ended::new(Status::Usage, format!("wrap: {what}")).into()
}
