//! Why a topic can't be had, created or changed.

use bellwire_api::Failure;
use bellwire_domain::topic::BadDefinition;

/// 400: a field of the definition is refused.
pub fn refused(bad: BadDefinition) -> Failure {
    Failure::field(bad.field, bad.problem)
}

/// 409: another topic has the name.
pub fn name_taken() -> Failure {
    Failure::conflicting_field("name", "another topic has this name already")
}

/// 409: another request has changed the same topic or name meanwhile.
pub fn changed_meanwhile() -> Failure {
    Failure::conflict(
        "another request changes the same topic or name; please look at it and try again",
    )
}

/// 404: there is no such topic, or it was deleted.
pub fn no_such_topic() -> Failure {
    Failure::not_found("there is no such topic")
}
