//! Between the form in which inputs are kept, one file a target, and the one that libFuzzer works with, one file an input:
//!
//! ```text
//! corpus list                 the targets
//! corpus unpack TARGET DIR    the seeds and the kept inputs into DIR
//! corpus pack TARGET DIR      what is in DIR becomes what is kept
//! ```

#![forbid(unsafe_code)]

use std::{collections::hash_map::DefaultHasher, env, error::Error, fs, hash::Hasher as _, path::Path};

use fuzz_targets::{TARGETS, Target, corpus, seeds};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["list"] => TARGETS.iter().for_each(|target| println!("{}", target.name)),
        ["unpack", target, folder] => unpack(known(target)?, folder.as_ref())?,
        ["pack", target, folder] => pack(known(target)?, folder.as_ref())?,
        _ => return Err("usage: corpus list | corpus unpack TARGET DIR | corpus pack TARGET DIR".into()),
    }
    Ok(())
}

fn known(name: &str) -> Result<&'static str, String> {
    Target::named(name).map(|target| target.name).ok_or_else(|| format!("no target is called {name}"))
}

fn unpack(target: &str, folder: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    for input in seeds::of(target)?.into_iter().chain(corpus::read(target)?) {
        let mut hasher = DefaultHasher::new();
        hasher.write(&input);
        fs::write(folder.join(format!("{:016x}", hasher.finish())), input)?;
    }
    Ok(())
}

/// The seeds need not be kept: they are there anyway.
fn pack(target: &str, folder: &Path) -> Result<(), Box<dyn Error>> {
    let seeds = seeds::of(target)?;
    let mut inputs = Vec::new();
    for entry in fs::read_dir(folder)? {
        let input = fs::read(entry?.path())?;
        if !seeds.contains(&input) {
            inputs.push(input);
        }
    }
    let file = corpus::file(target);
    fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))?;
    fs::write(file, corpus::text(inputs))?;
    Ok(())
}
