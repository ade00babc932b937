//! MiniDebugInfo: the symbols of a stripped file, packed with xz in its section `.gnu_debugdata`. Distributions
//! put it into files whose debug information is in a separate package.

use super::elf::{Bytes, Elf};

/// Largest section that is unpacked, bytes. That of a browser has some megabytes.
const MOST_PACKED: usize = 64 << 20;
/// Most bytes that it may have when it is unpacked.
const MOST_UNPACKED: u64 = 512 << 20;

/// The symbols that a file brings along; none if it has no such section.
///
/// # Errors
/// Why the section cannot be used.
pub(super) fn of(code: &Elf) -> Option<Result<Elf, String>> {
    let packed = code.bytes.get(code.debug_data.clone()?)?;
    Some(unpack(packed, code).map_err(|why| format!(".gnu_debugdata: {why}")))
}

fn unpack(packed: &[u8], code: &Elf) -> Result<Elf, String> {
    let size = unpacked_size(packed).ok_or("it is no xz stream")?;
    if packed.len() > MOST_PACKED || size > MOST_UNPACKED {
        return Err(format!("it has {size} bytes, of which at most {MOST_UNPACKED} are unpacked"));
    }
    let mut unpacked = Vec::new();
    let mut input = packed;
    lzma_rs::xz_decompress(&mut input, &mut unpacked).map_err(|e| format!("{e:?}"))?;
    let elf = Elf::parse(Bytes::copy_of(&*unpacked).map_err(|e| e.to_string())?)?;
    if elf.machine != code.machine || !elf.build_id.is_empty() && elf.build_id != code.build_id {
        return Err("it belongs to another build".into());
    }
    if !elf.has_symtab {
        return Err("it has no symbols".into());
    }
    Ok(elf)
}

/// Size of the contents of an xz stream, from the headers of all its chunks (The .xz File Format, 1.2.1). What
/// the stream itself says in its index need not be true, and unpacking believes the chunks.
fn unpacked_size(stream: &[u8]) -> Option<u64> {
    /// Bytes of the check after a block, by its id.
    const CHECKS: [usize; 16] = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
    let head = stream.get(..12).filter(|head| head.starts_with(b"\xfd7zXZ\0"))?;
    let check = CHECKS[usize::from(head[7] & 0xf)];
    let (mut at, mut total) = (12usize, 0u64);
    loop {
        let header = usize::from(*stream.get(at)?) * 4;
        if header == 0 {
            return Some(total);
        }
        let begin = at;
        at += header + 4;
        loop {
            let control = *stream.get(at)?;
            let size =
                |at: usize| Some(u64::from(u16::from_be_bytes([*stream.get(at)?, *stream.get(at + 1)?])));
            let (unpacked, len) = match control {
                0 => break,
                1 | 2 => (size(at + 1)? + 1, 3 + size(at + 1)? as usize + 1),
                3..=0x7f => return None,
                _ => {
                    let high = u64::from(control & 0x1f) << 16;
                    let properties = usize::from(control >= 0xc0);
                    (high + size(at + 1)? + 1, 5 + properties + size(at + 3)? as usize + 1)
                }
            };
            total += unpacked;
            at = at.checked_add(len)?;
        }
        // The end of the chunks, padding to four bytes, and the check.
        at += 1;
        at += (4 - (at - begin) % 4) % 4 + check;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut child = std::process::Command::new("xz")
            .arg("-c")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("xz is installed");
        let mut stdin = child.stdin.take().unwrap();
        let input = bytes.to_vec();
        let writer = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &input).unwrap());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output.stdout
    }

    #[test]
    fn the_size_of_a_stream_is_known_before_it_is_unpacked() {
        let mut random = 1u32;
        let noise: Vec<u8> = (0..300_000)
            .map(|_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (random >> 24) as u8
            })
            .collect();
        for bytes in [vec![], vec![7; 1], vec![0; 9 << 20], noise] {
            let stream = packed(&bytes);
            assert_eq!(unpacked_size(&stream), Some(bytes.len() as u64));
            let mut unpacked = vec![];
            lzma_rs::xz_decompress(&mut &*stream, &mut unpacked).unwrap();
            assert!(unpacked == bytes);
            // A stream that is cut off has no size, or that of its first chunks; it never panics.
            (0..stream.len().min(200)).for_each(|len| {
                let _ = unpacked_size(&stream[..len]);
            });
        }
        assert_eq!(unpacked_size(b"no stream at all"), None);
    }
}
