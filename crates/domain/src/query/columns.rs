//! The names of a result's columns, as names of the members of a JSON object.

use std::collections::HashSet;

/// The names, each made unique: a query may give two columns the same name, or none. A repeated
/// name gets a number, `name_2`, and a column without a name is called `column`.
pub fn unique<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut unique = |name: &str| {
        let name = if name.is_empty() { "column" } else { name };
        let mut candidate = name.to_owned();
        let mut number = 2_usize;
        while !taken.insert(candidate.clone()) {
            candidate = format!("{name}_{number}");
            number += 1;
        }
        candidate
    };
    names.into_iter().map(&mut unique).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn later_columns_of_the_same_name_get_a_number() {
        let names = ["a", "b", "a", "a_2", "a", "", ""];
        let expected = ["a", "b", "a_2", "a_2_2", "a_3", "column", "column_2"];
        assert_eq!(unique(names), expected);
    }

    proptest! {
        #[test]
        fn no_two_are_the_same(names in proptest::collection::vec("[ab]{0,2}(_2)?", 0..20)) {
            let unique = unique(names.iter().map(String::as_str));
            prop_assert_eq!(unique.len(), names.len());
            prop_assert_eq!(unique.iter().collect::<HashSet<_>>().len(), names.len());
        }
    }
}
