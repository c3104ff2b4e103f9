//! What a libtorch is made of on each platform: which wheels fit, and which of their files are needed.

use crate::error::Error;

/// Names a platform for which the package index has libtorch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Platform {
    /// Linux on x86-64; its wheels are CUDA builds.
    LinuxX86,
    /// Linux on 64-bit ARM; its wheels are CUDA builds.
    LinuxArm,
    /// macOS on Apple silicon; its wheels are CPU builds.
    MacosArm,
}

/// Chooses what libtorch can compute on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    /// The processor only: about 0.5 GB.
    Cpu,
    /// NVIDIA devices too, with all CUDA libraries: 3.6 GB.
    Cuda,
}

impl Platform {
    /// Recognises the platform that this program runs on.
    pub(crate) fn current() -> Result<Self, Error> {
        Self::named(std::env::consts::OS, std::env::consts::ARCH)
    }

    fn named(os: &'static str, arch: &'static str) -> Result<Self, Error> {
        match (os, arch) {
            ("linux", "x86_64") => Ok(Self::LinuxX86),
            ("linux", "aarch64") => Ok(Self::LinuxArm),
            ("macos", "aarch64") => Ok(Self::MacosArm),
            _ => Err(Error::Platform { os, arch }),
        }
    }

    /// Lists the platform tags of the wheels that fit.
    ///
    /// pip takes a tag literally: `manylinux_2_28` does not include the older tags that the CUDA libraries carry.
    pub(crate) fn wheel_tags(self) -> Vec<String> {
        let linux = |arch: &str| {
            let numbered = [28, 27, 25, 18, 17, 12, 5].map(|minor| format!("manylinux_2_{minor}_{arch}"));
            numbered.into_iter().chain([format!("manylinux2014_{arch}")]).collect()
        };
        match self {
            Self::LinuxX86 => linux("x86_64"),
            Self::LinuxArm => linux("aarch64"),
            Self::MacosArm => vec!["macosx_14_0_arm64".to_owned()],
        }
    }

    /// Gives the regular expression (for Python) that matches the paths of the files to take out of the wheels.
    pub(crate) fn members(self, variant: Variant) -> String {
        let libraries = match (self, variant) {
            // The ARM build also needs its own linear algebra (libarm_compute, libnvpl, libgfortran).
            (Self::LinuxX86 | Self::LinuxArm, Variant::Cpu) => {
                r"torch/lib/lib(torch_cpu|c10|gomp|gfortran|arm_compute\w*|nvpl_\w+)\.so[.\d]*|nvidia/cu13/lib/lib(cupti|cudart)\.so\.13"
            }
            (Self::LinuxX86 | Self::LinuxArm, Variant::Cuda) => {
                r"torch/lib/lib(?!torch_python|shm)\w+\.so[.\d]*|nvidia/\w+/lib/[^/]+\.so[.\d]*"
            }
            (Self::MacosArm, Variant::Cpu | Variant::Cuda) => {
                r"torch/lib/lib(torch|torch_cpu|c10|omp)\.dylib"
            }
        };
        format!(r"torch/include/.+|{libraries}|[^/]+\.dist-info/licenses/.+")
    }

    /// Says whether the wheel's `libtorch.so` must be replaced, because it needs the CUDA libraries that were left out.
    pub(crate) fn needs_stub(self, variant: Variant) -> bool {
        match (self, variant) {
            (Self::LinuxX86 | Self::LinuxArm, Variant::Cpu) => true,
            (Self::LinuxX86 | Self::LinuxArm, Variant::Cuda)
            | (Self::MacosArm, Variant::Cpu | Variant::Cuda) => false,
        }
    }
}

impl Variant {
    /// Names the variant in folders, as PyTorch names its builds.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cu130",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_platforms_are_recognised_and_others_refused() {
        assert_eq!(Platform::named("linux", "x86_64").unwrap(), Platform::LinuxX86);
        assert_eq!(Platform::named("linux", "aarch64").unwrap(), Platform::LinuxArm);
        assert_eq!(Platform::named("macos", "aarch64").unwrap(), Platform::MacosArm);
        for (os, arch) in [("macos", "x86_64"), ("windows", "x86_64"), ("linux", "riscv64")] {
            assert!(matches!(Platform::named(os, arch), Err(Error::Platform { .. })), "{os} {arch}");
        }
    }

    #[test]
    fn wheel_tags_cover_torch_and_the_older_cuda_libraries() {
        let tags = Platform::LinuxX86.wheel_tags();
        for tag in ["manylinux_2_28_x86_64", "manylinux_2_25_x86_64", "manylinux2014_x86_64"] {
            assert!(tags.iter().any(|t| t == tag), "{tag}");
        }
        assert!(Platform::LinuxArm.wheel_tags().iter().all(|tag| tag.ends_with("_aarch64")));
    }

    #[test]
    fn only_linux_without_cuda_needs_a_stub() {
        assert!(Platform::LinuxX86.needs_stub(Variant::Cpu));
        assert!(!Platform::LinuxX86.needs_stub(Variant::Cuda));
        assert!(!Platform::MacosArm.needs_stub(Variant::Cpu));
    }
}
