//! What goes wrong with calls of AWS.

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is refused, and not carried out; the SDK repeats it.
    Throttled,
    /// It is refused, because a partition of the table takes no more; the SDK repeats it.
    HotPartition,
    /// It is carried out, and the connection breaks before its answer arrives; the SDK repeats it.
    LostAnswer,
    /// Of a batch, only the first entry is carried out; the others are left out.
    Partial,
}

/// Whether the call at which a function is killed takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It was not sent.
    None,
    /// It was carried out, and its answer not read.
    Done,
}

/// The faults that are due.
#[derive(Debug, Default)]
pub struct Plan {
    /// The faults of an operation, and for how many calls.
    pub faults: Vec<(String, Fault, usize)>,
    /// At which call from now on, counted from 1, the function is killed.
    pub kill: Option<(usize, Effect)>,
    /// The operations that were called, in order.
    pub calls: Vec<String>,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is carried out and answered.
    Answered,
    /// This goes wrong.
    Faulty(Fault),
    /// The function is killed at it.
    Killed(Effect),
}

impl Plan {
    /// What becomes of the next call, of this operation.
    pub fn next(&mut self, operation: &str) -> Fate {
        self.calls.push(operation.to_owned());
        match &mut self.kill {
            // What a killed function was about to send at the same time isn't sent.
            Some((0, _)) => return Fate::Killed(Effect::None),
            Some((left, effect)) => {
                *left -= 1;
                if *left == 0 {
                    return Fate::Killed(*effect);
                }
            }
            None => {}
        }
        let planned = self.faults.iter_mut();
        let mut planned = planned.filter(|(name, _, left)| name == operation && *left > 0);
        match planned.next() {
            Some((_, fault, left)) => {
                *left -= 1;
                Fate::Faulty(*fault)
            }
            None => Fate::Answered,
        }
    }
}
