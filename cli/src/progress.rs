//! How far long work is, on a terminal; nothing is shown where the errors of a command go to a file or another program.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of so many things done of all: [`show`] moves it. It is shown once there is more than one.
pub fn bar(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(0).with_message(what);
    match ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Shows how many things are done, of how many.
pub fn show(bar: &ProgressBar, done: usize, all: usize) {
    bar.set_length(all as u64);
    bar.set_position(done as u64);
}
