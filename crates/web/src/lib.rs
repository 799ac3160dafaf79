//! What the consoles have in common: pages, forms, sessions, plots, and the calls of the API from which pages are made.
//!
//! A console is a client of the API like any other. It has no tables; it invokes the functions of the API ([`api`]) with
//! its user's token, so that a page shows and changes what its user may see and change, by the same rules and with the same
//! messages.
//!
//! Pages are HTML that is rendered here, from templates in `templates/` of the crate they belong to. `assets/console.css`
//! and `assets/console.js` are all that a page needs beside its HTML; without the script every page works.

pub mod answers;
pub mod api;
pub mod assets;
pub mod cookies;
pub mod figures;
pub mod form;
pub mod headers;
pub mod invoke;
pub mod laid_out;
pub mod model;
pub mod period;
pub mod place;
pub mod plot;
pub mod serve;
pub mod shell;
mod sign_in;
pub mod site;
pub mod theme;
pub mod trouble;
pub mod visit;
pub mod when;

pub use answers::{Answer, Trouble, page, redirect, status_page};
pub use api::{Api, Call};
pub use form::Form;
pub use invoke::InvokedApi;
pub use place::Place;
pub use shell::{NavItem, Notice, Shell};
pub use site::Site;
pub use theme::Theme;
pub use trouble::sentence;
pub use visit::Visit;
pub use when::When;
