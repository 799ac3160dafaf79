//! The build script of every function: how a release is linked.
//!
//! At a fixed address: a program that can run at any address carries a list of what to correct in
//! itself wherever it is loaded, a fourteenth of its size, and a tenth of its start. Libraries, heap
//! and stack are still where nobody can foretell.
//!
//! Without the tables for unwinding, an eighth of its size: a panic aborts (`panic = "abort"`), so that
//! nothing is ever unwound. The compiler has no setting for one profile that leaves them out, and the
//! standard library comes with them.

fn main() {
    let is = |name, value| std::env::var(name).is_ok_and(|it| it == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../no_unwind_tables.ld");
        println!("cargo::rerun-if-changed={script}");
        println!("cargo::rustc-link-arg-bins=-no-pie");
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{script}");
    }
}
