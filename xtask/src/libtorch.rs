//! Setting up libtorch: fetched once into the user's cache, linked into the checkout.
//!
//! Leaves out on purpose: any choice for a user who has made one. LIBTORCH or LIBTORCH_USE_PYTORCH in the environment
//! wins, and then nothing is fetched.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::paths::Paths;
use crate::platform::{Platform, Variant};
use crate::shell::{cargo, run};
use crate::tools;
use crate::wheels;

/// Makes sure that the workspace can be built: the system's tools, and a libtorch, fetched if there is none.
pub(crate) fn ensure(paths: &Paths) -> Result<(), Error> {
    let choice = choice_of_user(paths)?;
    if choice.is_none() && !is_linked(paths) {
        // All at once, so that a person installs what is missing only once.
        tools::require(&[tools::BUILD, &[tools::PIP]].concat())?;
        return install(paths, Variant::Cpu);
    }
    if let Some(choice) = choice {
        println!("libtorch: {choice}");
    }
    tools::require(tools::BUILD)
}

/// Fetches a variant of libtorch unless the cache has it, and links it into the checkout.
pub(crate) fn install(paths: &Paths, variant: Variant) -> Result<(), Error> {
    if let Some(choice) = choice_of_user(paths)? {
        println!("libtorch: {choice}; nothing to do");
        return Ok(());
    }
    let platform = Platform::current()?;
    if (platform, variant) == (Platform::MacosArm, Variant::Cuda) {
        return Err(Error::Usage("macOS has no CUDA".to_owned()));
    }
    let recipe = Recipe::new(platform, variant);
    let folder = paths.cache.join(format!("libtorch-{VERSION}-{}", variant.name()));
    fs::create_dir_all(&paths.cache).map_err(Error::at(&paths.cache))?;
    let _lock = lock(&paths.cache.join("lock"))?;
    if fs::read_to_string(folder.join(MARKER)).is_ok_and(|marker| marker == recipe.text) {
        println!("libtorch: {VERSION} ({}) is in {}", variant.name(), folder.display());
    } else {
        tools::require(&[tools::CXX, tools::PIP])?;
        make(&recipe, &folder)?;
    }
    link(paths, &folder.join("torch"))
}

/// Describes a libtorch: changing any of it makes a finished folder count as stale.
struct Recipe {
    platform: Platform,
    variant: Variant,
    pins: String,
    members: String,
    /// What the marker file of a finished folder says.
    text: String,
}

impl Recipe {
    fn new(platform: Platform, variant: Variant) -> Self {
        let pins = match variant {
            Variant::Cpu => CPU_PINS.to_owned(),
            Variant::Cuda => format!("{CPU_PINS}{CUDA_PINS}"),
        };
        let members = platform.members(variant);
        let text = format!("{platform:?} {variant:?}\n{members}\n{pins}");
        Self { platform, variant, pins, members, text }
    }
}

/// Fetches and unpacks beside the final folder and renames at the end, so that a folder of that name is never half done.
fn make(recipe: &Recipe, folder: &Path) -> Result<(), Error> {
    let (wheels_folder, part) = (beside(folder, "wheels"), beside(folder, "part"));
    let size = match recipe.variant {
        Variant::Cpu => "0.5 GB to fetch and to keep",
        Variant::Cuda => "2.5 GB to fetch, 3.6 GB to keep",
    };
    println!("libtorch: fetching {VERSION} ({}), {size}, once for all checkouts", recipe.variant.name());
    let wheels = wheels::fetch(&recipe.pins, &recipe.platform.wheel_tags(), &wheels_folder)?;
    println!("libtorch: unpacking into {}", folder.display());
    for stale in [&part, folder] {
        if stale.exists() {
            fs::remove_dir_all(stale).map_err(Error::at(stale))?;
        }
    }
    wheels::unpack(&wheels, &recipe.members, &part)?;
    if recipe.platform.needs_stub(recipe.variant) {
        make_stub(&part.join("torch/lib"))?;
    }
    let version = part.join("torch/build-version");
    fs::write(&version, format!("{VERSION}+{}\n", recipe.variant.name())).map_err(Error::at(&version))?;
    let marker = part.join(MARKER);
    fs::write(&marker, &recipe.text).map_err(Error::at(&marker))?;
    fs::rename(&part, folder).map_err(Error::at(folder))?;
    fs::remove_dir_all(&wheels_folder).map_err(Error::at(&wheels_folder))
}

/// Names a folder's neighbour; `with_extension` would cut the version number at its dot.
fn beside(folder: &Path, suffix: &str) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// Makes an empty `libtorch.so` that brings in the two libraries of the CPU; the wheel's own also wants those of CUDA.
fn make_stub(lib: &Path) -> Result<(), Error> {
    let mut compiler = Command::new("c++");
    compiler.current_dir(lib).args(["-shared", "-o", "libtorch.so", "-x", "c++", "/dev/null", "-x", "none"]);
    compiler.args(["-Wl,--no-as-needed", "-Wl,-soname,libtorch.so", "-Wl,-rpath,$ORIGIN"]);
    run(compiler.args(["libtorch_cpu.so", "libc10.so"]))
}

/// Points the checkout's link at a libtorch, and makes cargo forget what it built against another one.
fn link(paths: &Paths, torch: &Path) -> Result<(), Error> {
    let link = paths.link();
    let before = fs::read_link(&link).ok();
    if before.as_deref() == Some(torch) {
        return Ok(());
    }
    if before.is_none() && link.exists() {
        return Err(Error::Environment(format!("{} is not a link; please move it away", link.display())));
    }
    let new = paths.root.join(".libtorch.new");
    fs::remove_file(&new).ok();
    symlink(torch, &new).map_err(Error::at(&new))?;
    fs::rename(&new, &link).map_err(Error::at(&link))?;
    println!("libtorch: linked as {}", link.display());
    // torch-sys chooses the libraries to link when it is built, and the link's own path has not changed.
    if before.is_some() && paths.target().exists() {
        run(&mut cargo(paths, ["clean", "--package", "torch-sys"]))?;
        run(&mut cargo(paths, ["clean", "--release", "--package", "torch-sys"]))?;
    }
    Ok(())
}

/// Says whether the checkout's link leads to a finished folder made by this version's recipe.
fn is_linked(paths: &Paths) -> bool {
    let Ok(torch) = fs::read_link(paths.link()) else {
        return false;
    };
    let Ok(platform) = Platform::current() else {
        return false;
    };
    let Some(Ok(marker)) = torch.parent().map(|folder| fs::read_to_string(folder.join(MARKER))) else {
        return false;
    };
    [Variant::Cpu, Variant::Cuda].into_iter().any(|variant| Recipe::new(platform, variant).text == marker)
}

/// Describes the libtorch that the user's environment names, if it names one.
fn choice_of_user(paths: &Paths) -> Result<Option<String>, Error> {
    if std::env::var_os("LIBTORCH_USE_PYTORCH").is_some() {
        return Ok(Some("the installed PyTorch's, as LIBTORCH_USE_PYTORCH says".to_owned()));
    }
    // `cargo xtask` sets LIBTORCH to the checkout's link, from .cargo/config.toml, unless the user has set it.
    let Some(folder) =
        std::env::var_os("LIBTORCH").map(PathBuf::from).filter(|folder| *folder != paths.link())
    else {
        return Ok(None);
    };
    if folder.join("lib").is_dir() {
        return Ok(Some(format!("{}, as LIBTORCH says", folder.display())));
    }
    Err(Error::Environment(format!(
        "LIBTORCH is {}, which has no folder `lib`; correct or unset it",
        folder.display()
    )))
}

/// Waits until no other run is at work in the cache; the lock ends with the file's handle.
fn lock(path: &Path) -> Result<File, Error> {
    let file = File::create(path).map_err(Error::at(path))?;
    if file.try_lock().is_err() {
        println!("libtorch: waiting for another run that is fetching");
        file.lock().map_err(Error::at(path))?;
    }
    Ok(file)
}

/// The only version that the tch crate of this workspace accepts.
const VERSION: &str = "2.13.0";

/// Written last into a finished folder; it holds the recipe.
const MARKER: &str = "recipe";

const CPU_PINS: &str = include_str!("../pins/libtorch-cpu.txt");
const CUDA_PINS: &str = include_str!("../pins/libtorch-cuda.txt");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pin_names_one_version_and_only_whole_hashes() {
        for line in CPU_PINS.lines().chain(CUDA_PINS.lines()).filter(|line| !line.starts_with('#')) {
            let line = line.trim_end_matches(" \\").trim();
            match line.strip_prefix("--hash=sha256:") {
                Some(hash) => {
                    assert!(hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{line}");
                }
                None => {
                    assert_eq!(line.matches("==").count() - line.matches("platform ==").count(), 1, "{line}")
                }
            }
        }
        assert!(CPU_PINS.contains(&format!("\ntorch=={VERSION} ")));
    }

    #[test]
    fn recipes_of_platforms_and_variants_differ() {
        let cpu = Recipe::new(Platform::LinuxX86, Variant::Cpu);
        assert_ne!(cpu.text, Recipe::new(Platform::LinuxX86, Variant::Cuda).text);
        assert_ne!(cpu.text, Recipe::new(Platform::LinuxArm, Variant::Cpu).text);
        assert!(!cpu.pins.contains("cudnn"));
    }
}
