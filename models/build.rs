//! Lets this package's programs and tests find libtorch when they start, without LD_LIBRARY_PATH.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // torch-sys says here which libtorch it was built against; without the feature `torch` there is none.
    let Some(libtorch_lib) = std::env::var_os("DEP_TCH_LIBTORCH_LIB") else { return };
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", libtorch_lib.display());
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        // No symbol of libtorch_cuda.so is called by name, so the linker would drop it; libtorch.so brings it in.
        println!("cargo:rustc-link-arg=-Wl,--no-as-needed,-ltorch,--as-needed");
    }
}
