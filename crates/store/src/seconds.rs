//! Times of items that DynamoDB compares or expires by.

use aws_sdk_dynamodb::types::AttributeValue;
use time::OffsetDateTime;

/// A time as a number of seconds since 1970.
pub fn seconds(at: OffsetDateTime) -> AttributeValue {
    AttributeValue::N(at.unix_timestamp().to_string())
}
