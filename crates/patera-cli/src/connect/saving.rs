//! Files of the bytes that come: `--save`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use patera_client::Value;

/// A folder, and the number of the next file.
pub(super) struct Saving {
    folder: PathBuf,
    next: u64,
}

impl Saving {
    /// # Errors
    /// There is no such folder, and none can be made.
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Saving { folder: folder.to_owned(), next: 1 })
    }

    /// Writes every binary value inside to a file of its own: `0001-photo.bin`. What is there is not written over.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(super) fn save(&mut self, name: &str, args: &[Value]) -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        args.iter().for_each(|value| find(value, &mut found));
        found.into_iter().map(|bytes| self.write(name, bytes)).collect()
    }

    fn write(&mut self, name: &str, bytes: &Bytes) -> io::Result<PathBuf> {
        // Names are the server's; nothing of a path may be in them.
        let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).take(40).collect();
        loop {
            let path = self.folder.join(format!("{:04}-{name}.bin", self.next));
            self.next += 1;
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(mut file) => {
                    file.write_all(bytes)?;
                    return Ok(path);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn find<'a>(value: &'a Value, found: &mut Vec<&'a Bytes>) {
    match value {
        Value::Binary(bytes) => found.push(bytes),
        Value::Array(elements) => elements.iter().for_each(|element| find(element, found)),
        Value::Object(entries) => entries.iter().for_each(|(_, element)| find(element, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
