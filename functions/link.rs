//! The build script of every function: how a release is linked.
//!
//! At a fixed address: a program that can run at any address carries a list of what to correct in
//! itself wherever it is loaded, a fourteenth of its size, and a tenth of its start. Libraries, heap
//! and stack are still where nobody can foretell.
//!
//! Without the tables for unwinding, an eighth of its size: a panic aborts (`panic = "abort"`), so that
//! nothing is ever unwound. The compiler has no setting for one profile that leaves them out, and the
//! standard library comes with its own.

use std::path::Path;

/// What is added to the linker's own script. GNU ld and LLD both take it.
const NO_UNWIND_TABLES: &str = "SECTIONS
{
  /DISCARD/ : { *(.eh_frame .eh_frame_hdr .gcc_except_table .gcc_except_table.*) }
}
INSERT AFTER .text;
";

fn main() -> std::io::Result<()> {
    let variable = |name| std::env::var(name).unwrap_or_default();
    if variable("PROFILE") == "release" && variable("CARGO_CFG_TARGET_OS") == "linux" {
        let script = Path::new(&variable("OUT_DIR")).join("no_unwind_tables.ld");
        std::fs::write(&script, NO_UNWIND_TABLES)?;
        println!("cargo::rustc-link-arg-bins=-no-pie");
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", script.display());
    }
    Ok(())
}
