//! Makes cargo notice when the admin page was built anew: it is embedded by `src/api/ui.rs`.

fn main() {
    // What does not exist counts as changed at every build. Where it cannot be made, it is not missed.
    let _ = std::fs::create_dir_all("frontend/build");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=frontend/build");
}
