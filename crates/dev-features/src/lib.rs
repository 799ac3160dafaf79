//! No code: has the dependencies of functions and CLI compiled once, for the local stack and for tests.
//!
//! Cargo compiles a crate once for each set of features that something asks of it. Tests ask for
//! more than functions do, and so `cargo test` would compile tokio, and with it the whole SDK, a
//! second time. This package asks for what tests ask for; whoever builds it together with the
//! functions (`make up`) has what `cargo test` needs. No function depends on it: what is built for
//! AWS has the features that its functions ask for, and no others. `make check` compares the two.
