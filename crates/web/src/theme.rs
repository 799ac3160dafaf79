//! How the consoles look in a stack: the provider's name, logo and colour.

use std::str::FromStr;

use bellwire_app::{App, BadSetting, Setting};
use url::Url;

use crate::assets::StyleSheet;
use crate::headers;

/// The least contrast of text, by WCAG 2.2 AA. <https://www.w3.org/TR/WCAG22/#contrast-minimum>
const LEAST_CONTRAST: f64 = 4.5;
/// The darkest background of the light colours, and the lightest of the dark ones, that the accent stands on as text.
const LIGHT: Colour = Colour([0xee, 0xf1, 0xf5]);
const DARK: Colour = Colour([0x2a, 0x2f, 0x38]);

/// The provider's theme.
#[derive(Clone, Debug)]
pub struct Theme {
    /// What the product is called.
    pub name: String,
    /// The URL of the logo.
    pub logo: Option<Url>,
    /// The style sheet, with the provider's colour.
    pub sheet: StyleSheet,
    /// The policy of all pages.
    pub policy: String,
}

impl Theme {
    /// The theme that the settings name.
    ///
    /// # Errors
    /// When a setting is missing, or is no colour or URL.
    pub fn new(app: &App) -> Result<Self, BadSetting> {
        let logo: String = app.setting(Setting::ConsoleLogoUrl)?;
        let logo = match logo.as_str() {
            "" => None,
            _ => Some(app.setting(Setting::ConsoleLogoUrl)?),
        };
        Ok(Self::of(
            app.setting(Setting::ConsoleName)?,
            logo,
            app.setting(Setting::ConsoleColour)?,
        ))
    }

    fn of(name: String, logo: Option<Url>, colour: Colour) -> Self {
        let (light, dark) = (colour.on_light(), colour.on_dark());
        let definitions = format!(":root{{--accent-light:{light};--accent-dark:{dark}}}\n");
        let origin = logo.as_ref().map(|url| url.origin().ascii_serialization());
        Self {
            name,
            logo,
            sheet: StyleSheet::new(&definitions),
            policy: headers::policy(origin.as_deref()),
        }
    }
}

/// A colour, in red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour([u8; 3]);

/// The text is no colour.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a colour such as #0b6bcb")]
pub struct BadColour;

impl FromStr for Colour {
    type Err = BadColour;

    fn from_str(text: &str) -> Result<Self, BadColour> {
        let digits = text
            .strip_prefix('#')
            .filter(|it| it.len() == 6)
            .ok_or(BadColour)?;
        let hexadecimal = digits.bytes().all(|it| it.is_ascii_hexdigit());
        let number = u32::from_str_radix(digits, 16)
            .ok()
            .filter(|_| hexadecimal)
            .ok_or(BadColour)?;
        let [_, red, green, blue] = number.to_be_bytes();
        Ok(Self([red, green, blue]))
    }
}

impl std::fmt::Display for Colour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self([red, green, blue]) = self;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl Colour {
    /// The colour, as much darker as it takes to be read on a light background.
    fn on_light(self) -> Self {
        self.moved_to(Self([0; 3]), LIGHT)
    }

    /// The colour, as much lighter as it takes to be read on a dark background.
    fn on_dark(self) -> Self {
        self.moved_to(Self([0xff; 3]), DARK)
    }

    fn moved_to(self, end: Self, background: Self) -> Self {
        let mut steps = (0..=20).map(|step| self.mixed(end, f64::from(step) / 20.0));
        steps
            .find(|it| it.contrast(background) >= LEAST_CONTRAST)
            .unwrap_or(end)
    }

    fn mixed(self, other: Self, part: f64) -> Self {
        let mix =
            |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * part).round() as u8;
        let (Self([r, g, b]), Self([x, y, z])) = (self, other);
        Self([mix(r, x), mix(g, y), mix(b, z)])
    }

    /// <https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio>
    fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// <https://www.w3.org/TR/WCAG22/#dfn-relative-luminance>
    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        let Self([red, green, blue]) = self;
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_colour_is_six_digits() {
        let blue: Colour = "#0b6bcb".parse().unwrap();
        assert_eq!(blue.to_string(), "#0b6bcb");
        for bad in [
            "", "blue", "#fff", "0b6bcb", "#0b6bcg", "#0b6bcb;", "#+b6bcb1",
        ] {
            assert_eq!(bad.parse::<Colour>(), Err(BadColour), "{bad}");
        }
    }

    #[test]
    fn the_policy_allows_nothing_but_the_consoles_own() {
        let logo = Url::parse("https://cdn.example.com/logo.svg").unwrap();
        let theme = Theme::of("Acme".into(), Some(logo), "#0b6bcb".parse().unwrap());
        assert!(
            theme
                .policy
                .contains("img-src data: https://cdn.example.com;")
        );
        assert!(
            theme
                .policy
                .starts_with("default-src 'none'; style-src 'self'; script-src 'sha256-")
        );
        assert!(!theme.policy.contains("unsafe"));
        let other = Theme::of("Acme".into(), None, "#cc0000".parse().unwrap());
        assert_ne!(other.sheet.name, theme.sheet.name);
    }

    proptest! {
        #[test]
        fn every_colour_can_be_read(channels in any::<[u8; 3]>()) {
            let colour = Colour(channels);
            prop_assert!(colour.on_light().contrast(LIGHT) >= LEAST_CONTRAST);
            prop_assert!(colour.on_dark().contrast(DARK) >= LEAST_CONTRAST);
        }
    }
}
