//! Countries, and who may buy or use what is sold by the country they live in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::BadId;

/// Codes that ISO 3166-1 assigns.
const CODES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY \
    BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB \
    GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI \
    KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ \
    NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI \
    SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN \
    VU WF WS YE YT ZA ZM ZW";

/// A country by its code of two letters, such as `KR`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Every country there is, by code.
    pub fn all() -> impl Iterator<Item = Self> {
        CODES.split_whitespace().filter_map(|code| code.as_bytes().try_into().ok().map(Self))
    }
}

impl FromStr for Country {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let known = Self::all().find(|country| country.as_str() == text);
        known.ok_or(BadId("a country code of ISO 3166-1 in capitals, such as KR"))
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Country {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Which countries something is for. Without any list: for all of them.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Admitted {
    /// Only these; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Country>,
    /// But never these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<Country>,
}

/// What a sale restricts by country of residence.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Countries {
    /// Who may buy: checked at joining, hold and confirm.
    #[serde(default, skip_serializing_if = "Admitted::is_everybody")]
    pub sale: Admitted,
    /// Who may use what was bought: checked with it, so that nobody pays for what is no use to them.
    #[serde(default, rename = "use", skip_serializing_if = "Admitted::is_everybody")]
    pub usage: Admitted,
}

/// The rule that a refusal names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CountryRule {
    /// `countries.sale.allow`
    SaleAllow,
    /// `countries.sale.deny`
    SaleDeny,
    /// `countries.use.allow`
    UseAllow,
    /// `countries.use.deny`
    UseDeny,
}

impl CountryRule {
    /// The rule's key in the sale document.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::SaleAllow => "countries.sale.allow",
            Self::SaleDeny => "countries.sale.deny",
            Self::UseAllow => "countries.use.allow",
            Self::UseDeny => "countries.use.deny",
        }
    }
}

/// Somebody may not buy.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
#[error("{} does not admit {}", rule.key(), country.as_ref().map_or("an unknown country", Country::as_str))]
pub struct CountryRefused {
    /// By this rule.
    pub rule: CountryRule,
    /// Who lives here; absent: nobody knows where.
    pub country: Option<Country>,
}

impl Admitted {
    /// Whether there is no rule.
    #[must_use]
    pub const fn is_everybody(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }

    /// The list that keeps this country out. A country that is not known fails whatever list there is: otherwise whoever
    /// leaves it out would be admitted where everybody else is asked.
    fn refuses(&self, country: Option<Country>) -> Option<List> {
        let named = |list: &[Country]| country.is_some_and(|country| list.contains(&country));
        if !self.deny.is_empty() && (country.is_none() || named(&self.deny)) {
            return Some(List::Deny);
        }
        (!self.allow.is_empty() && !named(&self.allow)).then_some(List::Allow)
    }
}

#[derive(Clone, Copy)]
enum List {
    Allow,
    Deny,
}

impl Countries {
    /// Whether there is no rule.
    #[must_use]
    pub const fn is_everybody(&self) -> bool {
        self.sale.is_everybody() && self.usage.is_everybody()
    }

    /// Whether somebody who lives there may buy. The rules are asked in this order: sale before use, deny before allow.
    ///
    /// # Errors
    /// The first rule that keeps them out.
    pub fn check(&self, country: Option<Country>) -> Result<(), CountryRefused> {
        let sale = self.sale.refuses(country).map(|list| match list {
            List::Allow => CountryRule::SaleAllow,
            List::Deny => CountryRule::SaleDeny,
        });
        let usage = || {
            self.usage.refuses(country).map(|list| match list {
                List::Allow => CountryRule::UseAllow,
                List::Deny => CountryRule::UseDeny,
            })
        };
        sale.or_else(usage).map_or(Ok(()), |rule| Err(CountryRefused { rule, country }))
    }
}
