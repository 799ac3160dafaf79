//! What stands around every page: the head, the navigation, and a notice of what was done.

use crate::visit::Visit;
use crate::{assets, cookies};

/// An entry of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NavItem {
    /// Its text.
    pub text: &'static str,
    /// The page, relative to the console.
    pub page: &'static str,
}

/// Says what was done, or what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The text.
    pub text: String,
    /// Whether something is wrong.
    pub is_error: bool,
}

impl Notice {
    /// Something was done.
    pub fn done(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            text,
            is_error: false,
        }
    }

    /// Something is wrong.
    pub fn error(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            text,
            is_error: true,
        }
    }
}

/// What the layout of a page needs to know.
#[derive(Clone, Debug)]
pub struct Shell {
    /// The title of the page.
    pub title: String,
    /// What leads back to the console, before all links.
    pub root: String,
    /// The navigation; empty before somebody has signed in.
    pub nav: &'static [NavItem],
    /// The page of the navigation that this one belongs to.
    pub current: &'static str,
    /// Who is signed in; empty if nobody is.
    pub user: String,
    /// What the product is called.
    pub brand: String,
    /// The URL of its logo.
    pub logo: Option<String>,
    /// The colours: `light`, `dark`, or `auto`.
    pub scheme: &'static str,
    /// Where the console leads back to.
    pub return_url: Option<String>,
    /// What was done, or what is wrong.
    pub notice: Option<Notice>,
    /// What forms have, so that another site can't send them.
    pub form_token: String,
    /// The name of the style sheet.
    pub sheet: String,
    /// The script.
    pub script: &'static str,
}

impl Shell {
    /// What stands around a page of a visit, before anything is known of its navigation.
    pub fn new<A>(visit: &Visit<'_, A>, title: &str) -> Self {
        let token = visit.caller.token.as_ref();
        Self {
            title: title.to_owned(),
            root: visit.place.root.clone(),
            nav: if token.is_some() { visit.site.nav } else { &[] },
            current: "",
            user: token.map(|_| visit.portal.name.clone()).unwrap_or_default(),
            brand: visit.theme.name.clone(),
            logo: visit.theme.logo.as_ref().map(|url| url.to_string()),
            scheme: visit.portal.theme.unwrap_or("auto"),
            return_url: visit.portal.return_url.clone(),
            notice: None,
            form_token: token.map(cookies::form_token).unwrap_or_default(),
            sheet: visit.theme.sheet.name.clone(),
            script: assets::SCRIPT,
        }
    }

    /// As part of this page of the navigation.
    pub fn under(mut self, page: &'static str) -> Self {
        self.current = page;
        self
    }

    /// With a notice.
    pub fn with(mut self, notice: Option<Notice>) -> Self {
        self.notice = notice.or(self.notice);
        self
    }
}
