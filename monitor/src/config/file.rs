//! Reading a file from the disk.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::log::{Log, Place};
use super::{Config, Endpoint, Faults, endpoint_in, without_mark};

/// Far more than a config needs; a device or a log file given by mistake must not fill the memory.
const LARGEST: u64 = 1 << 20;

/// Reads a config from a file.
///
/// # Errors
///
/// As [`parse`](super::parse); a file that cannot be read, is larger than 1 MiB or is not UTF-8 is a fault too.
pub fn load(path: &Path) -> Result<Config, Faults> {
    let file = path.display().to_string();
    let text = text(&file, read(path), "name another file with `--config FILE`")?;
    super::parse(&file, &text)
}

/// Where a daemon answers that was started with a file, and what is wrong with the file by now.
pub fn endpoint(path: &Path) -> (Endpoint, Option<Faults>) {
    let endpoint = match read(path) {
        Ok(bytes) => endpoint_in(without_mark(&String::from_utf8_lossy(&bytes))),
        Err(_) => Endpoint::default(),
    };
    (endpoint, load(path).err())
}

/// The text of a file that was read; `help` says what to do where it is not there.
pub(super) fn text(file: &str, bytes: io::Result<Vec<u8>>, help: &str) -> Result<String, Faults> {
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) => {
            let help = (error.kind() == io::ErrorKind::NotFound).then(|| help.to_owned());
            let message = format!("cannot read the file: {error}");
            return Err(Faults::unreadable(file.to_owned(), message, help));
        }
    };
    String::from_utf8(bytes)
        .map_err(|error| not_utf8(file, error.as_bytes(), error.utf8_error().valid_up_to()))
}

/// The bytes of a file that is not larger than a config may be.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other("larger than 1 MiB"));
    }
    Ok(bytes)
}

fn not_utf8(file: &str, bytes: &[u8], valid: usize) -> Faults {
    let text = String::from_utf8_lossy(bytes);
    let mut log = Log::new(file, &text);
    let place = Place {
        key: String::new(),
        span: Some(valid..valid + char::REPLACEMENT_CHARACTER.len_utf8()),
    };
    log.fault(&place, "not UTF-8 text", None);
    log.finish()
}
