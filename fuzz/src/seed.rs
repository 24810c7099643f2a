//! Writes sound inputs into `corpus/<target>/`, one file each: what is behind a checksum or inside
//! a compressed stream is out of reach of a fuzzer that starts from nothing.

use std::path::Path;
use std::{fs, io};

use chaski_batch::{Builder, Codec};

fn main() -> io::Result<()> {
    write("batch", &batches())
}

/// A batch of three records in every codec.
fn batches() -> Vec<(String, Vec<u8>)> {
    [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd]
        .into_iter()
        .map(|codec| (format!("{codec:?}").to_lowercase(), batch(codec)))
        .collect()
}

fn batch(codec: Codec) -> Vec<u8> {
    let mut builder = Builder::new(codec).producer(1, 0, 0);
    builder.push(1_000, Some(b"key"), Some(b"value value value value"), &[("h", Some(b"1"))]);
    builder.push(1_001, None, Some(b""), &[("h", None)]);
    builder.push(999, Some(b""), None, &[]);
    builder.build().expect("three records make a batch")
}

fn write(target: &str, inputs: &[(String, Vec<u8>)]) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    for (name, bytes) in inputs {
        fs::write(folder.join(name), bytes)?;
    }
    println!("{} inputs in {}", inputs.len(), folder.display());
    Ok(())
}
