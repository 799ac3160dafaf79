//! The build script of every function: has it linked to run at a fixed address.
//!
//! A program that can run at any address carries a list of what to correct in itself wherever it
//! is loaded: a fourteenth of its size, and a tenth of its start. Libraries, heap and stack are
//! still where nobody can foretell.

fn main() {
    let is = |name, value| std::env::var(name).is_ok_and(|it| it == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
