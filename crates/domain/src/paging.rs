//! Pages of a list: which one is requested, and which others there are.

use std::str::FromStr;

/// How many items a page has when `pageSize` is missing.
const DEFAULT_SIZE: usize = 20;
/// The last page that can be asked for.
const MAX_PAGE: usize = 1_000_000_000;
/// The most items of a page.
const MAX_SIZE: usize = 1000;

/// The order in which a list is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// A request for one page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    page: usize,
    size: usize,
    /// The field to sort by, and in which direction; `None` for the list's own order.
    pub sort: Option<(String, Direction)>,
}

/// Why a page was refused; the text is for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPage {
    /// `page` is not a number from 1 to a billion.
    #[error("must be a number from 1 to {MAX_PAGE}")]
    Page,
    /// `pageSize` is not a number from 1 to 1000.
    #[error("must be a number from 1 to {MAX_SIZE}")]
    Size,
    /// `sort` is not written as a field and a direction.
    #[error("must be written field,ASC or field,DESC")]
    Sort,
    /// `sort` names a field that the list can't be sorted by.
    #[error("must name one of {0}")]
    SortField(String),
}

impl BadPage {
    /// The parameter at fault.
    pub fn parameter(&self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Size => "pageSize",
            Self::Sort | Self::SortField(_) => "sort",
        }
    }
}

impl PageRequest {
    /// Reads the query parameters `page`, `pageSize` and `sort`. `fields` are those that the list
    /// can be sorted by.
    pub fn parse(
        page: Option<&str>,
        size: Option<&str>,
        sort: Option<&str>,
        fields: &[&str],
    ) -> Result<Self, BadPage> {
        Ok(Self {
            page: number(page, 1, MAX_PAGE).ok_or(BadPage::Page)?,
            size: number(size, DEFAULT_SIZE, MAX_SIZE).ok_or(BadPage::Size)?,
            sort: sort.map(|text| parse_sort(text, fields)).transpose()?,
        })
    }

    /// The items of this page, out of all items of the list; none when the page lies behind the
    /// end.
    pub fn select<T>(&self, all: Vec<T>) -> Vec<T> {
        all.into_iter()
            .skip((self.page - 1).saturating_mul(self.size))
            .take(self.size)
            .collect()
    }

    /// The numbers of this page and of others, out of a list of `total` items, by their names in
    /// `links`: `self`, `first`, `last`, and where they exist `prev` and `next`. There is always a
    /// first page.
    pub fn others(&self, total: usize) -> Vec<(&'static str, usize)> {
        let last = total.div_ceil(self.size).max(1);
        let mut pages = vec![("self", self.page), ("first", 1), ("last", last)];
        if self.page > 1 {
            pages.push(("prev", (self.page - 1).min(last)));
        }
        if self.page < last {
            pages.push(("next", self.page + 1));
        }
        pages
    }

    /// How many items a page has at most.
    pub fn size(&self) -> usize {
        self.size
    }
}

fn number(text: Option<&str>, default: usize, most: usize) -> Option<usize> {
    match text {
        None => Some(default),
        Some(text) => usize::from_str(text)
            .ok()
            .filter(|n| (1..=most).contains(n)),
    }
}

fn parse_sort(text: &str, fields: &[&str]) -> Result<(String, Direction), BadPage> {
    let (field, direction) = text.split_once(',').unwrap_or((text, "ASC"));
    let direction = match direction {
        "ASC" => Direction::Ascending,
        "DESC" => Direction::Descending,
        _ => return Err(BadPage::Sort),
    };
    if !fields.contains(&field) {
        return Err(BadPage::SortField(fields.join(", ")));
    }
    Ok((field.to_owned(), direction))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(page: &str, size: &str, sort: &str) -> Result<PageRequest, BadPage> {
        PageRequest::parse(Some(page), Some(size), Some(sort), &["name", "id"])
    }

    #[test]
    fn twenty_on_the_first_page_unless_asked_otherwise() {
        let request = PageRequest::parse(None, None, None, &[]).unwrap();
        assert_eq!((request.page, request.size, request.sort), (1, 20, None));
        let request = parse("3", "1000", "name,DESC").unwrap();
        assert_eq!((request.page, request.size), (3, 1000));
        assert_eq!(
            request.sort,
            Some(("name".to_owned(), Direction::Descending))
        );
        assert_eq!(
            parse("1", "1", "id").unwrap().sort,
            Some(("id".to_owned(), Direction::Ascending))
        );
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for page in ["0", "-1", "x", "", "1.5", "1000000001"] {
            assert_eq!(parse(page, "1", "name,ASC"), Err(BadPage::Page));
        }
        for size in ["0", "1001", "x"] {
            assert_eq!(parse("1", size, "name,ASC"), Err(BadPage::Size));
        }
        for sort in ["name,UP", "name,", "name,ASC,id"] {
            assert_eq!(parse("1", "1", sort), Err(BadPage::Sort));
        }
        let message = parse("1", "1", "secret,ASC").unwrap_err().to_string();
        assert_eq!(message, "must name one of name, id");
    }

    #[test]
    fn pages_are_cut_and_named() {
        let names = |page: &str, total: usize| {
            let mut pages = parse(page, "10", "name").unwrap().others(total);
            pages.sort_unstable();
            pages
        };
        assert_eq!(names("1", 0), [("first", 1), ("last", 1), ("self", 1)]);
        assert_eq!(
            names("2", 25),
            [
                ("first", 1),
                ("last", 3),
                ("next", 3),
                ("prev", 1),
                ("self", 2)
            ]
        );
        assert_eq!(
            names("9", 25),
            [("first", 1), ("last", 3), ("prev", 3), ("self", 9)]
        );
        let page = |page: &str| parse(page, "10", "name").unwrap().select((0..25).collect());
        assert_eq!(page("3"), [20, 21, 22, 23, 24]);
        assert!(page("4").is_empty());
        assert!(page(&MAX_PAGE.to_string()).is_empty());
    }
}
