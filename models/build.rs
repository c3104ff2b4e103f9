//! Lets this package's programs and tests find libtorch when they start, without LD_LIBRARY_PATH.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let libtorch_lib = env::var("DEP_TCH_LIBTORCH_LIB")
        .expect("torch-sys is a direct dependency and says where libtorch is");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{libtorch_lib}");
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        // No symbol of libtorch_cuda.so is called by name, so the linker would drop it; libtorch.so brings it in.
        println!("cargo:rustc-link-arg=-Wl,--no-as-needed,-ltorch,--as-needed");
    }
}
