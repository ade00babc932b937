//! What a program has in its environment does not reach the disk, but for the names that the profile asks
//! for.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use hangscope_collector::listen::What;
use hangscope_test_e2e::collect::Collect;
use hangscope_test_e2e::hunt::{QUICK, stuck_benchmark};
use hangscope_test_e2e::{Running, TestCollector, hangscope, preload, run};

/// A value that is nowhere else.
fn secret() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_nanos();
    format!("token-{:x}-{now:x}-which-nobody-else-has", std::process::id())
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let number = three.iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[number >> shift & 63]))
    };
    bytes.as_chunks::<3>().0.iter().flat_map(|three| group(three)).collect()
}

/// How the secret may be written: as it is, in hex, as a list of numbers, in base64 at each of its three
/// places.
fn forms(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let joined = |one: &dyn Fn(&u8) -> String, by: &str| bytes.iter().map(one).collect::<Vec<_>>().join(by);
    let mut forms =
        vec![secret.to_owned(), joined(&|b| format!("{b:02x}"), ""), joined(&|b| b.to_string(), ",")];
    forms.extend((0..3).map(|skipped| base64(&bytes[skipped..])));
    forms
}

/// The content of every file in a folder, unpacked, by its path.
fn contents(dir: &Path, all: &mut Vec<(String, Vec<u8>)>) {
    for path in fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let name = path.display().to_string();
        if path.is_dir() {
            contents(&path, all);
            continue;
        }
        let Ok(raw) = fs::read(&path) else { continue };
        if name.ends_with(".gz") {
            let mut unpacked = vec![];
            flate2::read::MultiGzDecoder::new(&raw[..]).read_to_end(&mut unpacked).expect("gzip");
            all.push((format!("{name}, unpacked"), unpacked));
        }
        if raw.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            let mut unpacked = vec![];
            zstd::Decoder::new(&raw[..]).and_then(|mut zstd| zstd.read_to_end(&mut unpacked)).expect("zstd");
            all.push((format!("{name}, unpacked"), unpacked));
        }
        all.push((name, raw));
    }
}

/// Every file of a folder in which the secret is, in any form.
fn found_in(dir: &Path, secret: &str) -> Vec<String> {
    let mut all = vec![];
    contents(dir, &mut all);
    assert!(all.iter().any(|(name, _)| name.ends_with("dump.bin")), "there is a dump");
    let has = |bytes: &[u8], form: &str| bytes.windows(form.len()).any(|part| part == form.as_bytes());
    let forms = forms(secret);
    let with = all.into_iter().filter(|(_, bytes)| forms.iter().any(|form| has(bytes, form)));
    with.map(|(name, _)| name).collect()
}

/// A program whose main thread waits a few hundred bytes below its environment.
fn waits(secret: &str) -> Command {
    let mut command = Command::new("/bin/sleep");
    command.arg("1000").env("MY_SECRET_TOKEN", secret);
    command
}

#[test]
fn the_search_finds_a_secret_in_every_form() {
    let dir = tempfile::tempdir().expect("a folder");
    let secret = secret();
    fs::write(dir.path().join("dump.bin"), "").expect("a file");
    assert_eq!(found_in(dir.path(), &secret), Vec::<String>::new());
    for (i, form) in forms(&secret).iter().enumerate() {
        fs::write(dir.path().join(format!("{i}.txt")), format!("x{form}y")).expect("a file");
    }
    let gz = fs::File::create(dir.path().join("packed.gz")).expect("a file");
    let mut gz = flate2::write::GzEncoder::new(gz, flate2::Compression::default());
    std::io::Write::write_all(&mut gz, secret.as_bytes()).expect("a file");
    gz.finish().expect("a file");
    let packed = zstd::encode_all(secret.as_bytes(), 1).expect("zstd");
    fs::write(dir.path().join("packed"), packed).expect("a file");
    let found = found_in(dir.path(), &secret);
    assert!(
        found.len() >= 8 && found.iter().filter(|name| name.ends_with("unpacked")).count() == 2,
        "{found:?}"
    );
    for skipped in 0..3 {
        let whole = format!("{}{secret}", &"abc"[..skipped]);
        assert!(forms(&secret).iter().any(|form| base64(whole.as_bytes()).contains(form)), "{skipped}");
    }
}

/// The copy ends where the strings begin: without the bound, the secret would be in it.
#[test]
fn a_copy_of_the_main_threads_stack_ends_below_the_strings() {
    let collector = TestCollector::new();
    let mut command = waits("x");
    let host = collector.preload(&mut command, None).env("HANGSCOPE_HANG_AFTER", "300ms").spawn();
    let host = Running(host.expect("a program"));
    let stat = fs::read_to_string(format!("/proc/{}/stat", host.0.id())).expect("its stat");
    let dump = collector.until("a dump", |event| match &event.what {
        What::Dump(dump) => Some(dump.read().expect("a dump").dump),
        _ => None,
    });
    let numbers: Vec<u64> = stat
        .rsplit(')')
        .next()
        .expect("fields")
        .split_whitespace()
        .skip(1)
        .map(|n| n.parse().unwrap_or(0))
        .collect();
    // Fields 48 and 51 of proc_pid_stat(5): the first is field 4.
    let (arguments, environment_end) = (numbers[48 - 4], numbers[51 - 4]);
    let stack = dump.stacks.iter().find(|s| s.record.tid == host.0.id()).expect("the main thread's stack");
    assert_eq!(stack.record.sp + stack.bytes.len() as u64, arguments);
    assert!(environment_end < stack.record.sp + 32 * 1024, "the environment is near");
}

#[test]
fn a_hunt_a_collector_and_a_snap_keep_no_secret_of_the_environment() {
    let secret = secret();
    let dir = tempfile::tempdir().expect("a folder");
    let (so, command) = stuck_benchmark();
    let hunted = dir.path().join("hunt");
    let mut hunt = hangscope();
    hunt.arg("hunt").arg("--so").arg(so).arg("--out").arg(&hunted).args(QUICK).arg("--").args(command);
    assert_eq!(run(hunt.env("MY_SECRET_TOKEN", &secret)).status.code(), Some(10));
    assert_eq!(found_in(&hunted, &secret), Vec::<String>::new());

    let mut collector = Collect::new(&["--no-perf"]);
    let mut watched = waits(&secret);
    watched.env("LD_PRELOAD", preload(None)).env("HANGSCOPE_SOCKET", collector.socket());
    watched.env("HANGSCOPE_HANG_AFTER", "500ms");
    let watched = Running(watched.spawn().expect("a program"));
    collector.line_with(&["[WAITS]", "[HANG]"]);
    drop(watched);
    collector.line_with(&["[END]"]);
    collector.interrupt();
    assert_eq!(found_in(&collector.out(), &secret), Vec::<String>::new());

    let plain = Running(waits(&secret).spawn().expect("a program"));
    let snapped = dir.path().join("snap");
    let output = run(hangscope().arg("snap").arg(plain.0.id().to_string()).arg("--out").arg(&snapped));
    assert!(snapped.is_dir(), "{output:?}");
    assert_eq!(found_in(&snapped, &secret), Vec::<String>::new());
}
