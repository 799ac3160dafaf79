//! Several mistakes in one request, so that its caller need not find them one after the other.

use crate::Failure;

/// The mistakes that were found in a request.
#[derive(Debug, Default)]
pub struct Mistakes(Vec<Failure>);

impl Mistakes {
    /// The value that was checked; `None`, and a mistake more, if it was refused.
    pub fn check<T>(&mut self, checked: Result<T, Failure>) -> Option<T> {
        checked.map_err(|mistake| self.0.push(mistake)).ok()
    }

    /// The mistakes as one failure, which begins with the first; 500 when there are none, since then there is nothing to
    /// refuse.
    pub fn into_failure(self) -> Failure {
        let mut mistakes = self.0.into_iter();
        match mistakes.next() {
            Some(first) => first.with_others(mistakes),
            None => Failure::internal("a request was refused without a mistake"),
        }
    }
}
