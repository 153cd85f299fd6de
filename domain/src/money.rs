//! Money: integer minor units with a currency inside, decimal text outside.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Currencies in use by number of decimals (ISO 4217).
const NO_DECIMALS: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF";
const TWO_DECIMALS: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD \
    CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF \
    IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR \
    MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN \
    SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD YER ZAR ZMW ZWG";
const THREE_DECIMALS: &str = "BHD IQD JOD KWD LYD OMR TND";

/// An ISO 4217 code, such as `EUR`. Knows how many decimals its amounts have.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    code: [u8; 3],
    decimals: u8,
}

/// Text that is no currency or no amount of it. The message says what would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadMoney(pub String);

impl Currency {
    /// Reads a code of ISO 4217 in capitals.
    ///
    /// # Errors
    /// Anything that is not the code of a currency in use.
    pub fn parse(text: &str) -> Result<Self, BadMoney> {
        let lists = [(0, NO_DECIMALS), (2, TWO_DECIMALS), (3, THREE_DECIMALS)];
        for (decimals, list) in lists {
            if let (Ok(code), true) = (text.as_bytes().try_into(), list.split_whitespace().any(|known| known == text)) {
                return Ok(Self { code, decimals });
            }
        }
        Err(BadMoney("must be a currency code of ISO 4217 in capitals, such as EUR".to_owned()))
    }

    /// Digits behind the point of its amounts: 2 for EUR, 0 for KRW.
    #[must_use]
    pub const fn decimals(self) -> u32 {
        self.decimals as u32
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.code).unwrap_or_default()
    }

    /// Minor units in one major unit: 100 for EUR, 1 for KRW.
    #[must_use]
    pub const fn minor_per_major(self) -> u64 {
        10_u64.pow(self.decimals())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// An amount in a currency's minor units. JSON: `{"amount": "129.00", "currency": "EUR"}`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Money {
    /// Minor units: cents for EUR, won for KRW.
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
}

impl Money {
    /// Nothing, in this currency.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// Reads an amount such as `129.00` or `129`: all of the currency's decimals or none, no leading zeros, no plus.
    ///
    /// # Errors
    /// Any other text, and amounts beyond 64 bits of minor units.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, BadMoney> {
        let decimals = currency.decimals() as usize;
        let bad = || {
            let digits = "0".repeat(decimals);
            let point = if decimals == 0 { "" } else { "." };
            BadMoney(format!("must be an amount of {currency} as text, such as \"129{point}{digits}\""))
        };
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (major, fraction) = digits.split_once('.').map_or((digits, None), |(major, rest)| (major, Some(rest)));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let major_ok = all_digits(major) && (major == "0" || !major.starts_with('0'));
        let fraction_ok = fraction.is_none_or(|part| all_digits(part) && part.len() == decimals);
        if !major_ok || !fraction_ok {
            return Err(bad());
        }
        let units: i64 = major.parse().map_err(|_| bad())?;
        let fraction: i64 = fraction.map_or(Ok(0), str::parse).map_err(|_| bad())?;
        let scale = i64::try_from(currency.minor_per_major()).map_err(|_| bad())?;
        let minor = units.checked_mul(scale).and_then(|n| n.checked_add(fraction)).ok_or_else(bad)?;
        if negative && minor == 0 {
            return Err(bad());
        }
        Ok(Self { minor: if negative { -minor } else { minor }, currency })
    }

    /// The amount as text, with all of the currency's decimals: `129.00`.
    #[must_use]
    pub fn amount_text(&self) -> String {
        let sign = if self.minor < 0 { "-" } else { "" };
        let (minor, scale) = (self.minor.unsigned_abs(), self.currency.minor_per_major());
        match self.currency.decimals() as usize {
            0 => format!("{sign}{minor}"),
            decimals => format!("{sign}{}.{:0decimals$}", minor / scale, minor % scale),
        }
    }

    /// The sum; `None` when the currencies differ or it does not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let minor = self.minor.checked_add(other.minor).filter(|_| self.currency == other.currency)?;
        Some(Self { minor, ..self })
    }

    /// The amount for so many units; `None` when it does not fit.
    #[must_use]
    pub fn checked_mul(self, units: u64) -> Option<Self> {
        let minor = self.minor.checked_mul(i64::try_from(units).ok()?)?;
        Some(Self { minor, ..self })
    }
}

/// Amount and currency: `129.00 EUR`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount_text(), self.currency)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outside<'a> {
    amount: std::borrow::Cow<'a, str>,
    currency: Currency,
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        Outside { amount: self.amount_text().into(), currency: self.currency }.serialize(s)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let outside = Outside::deserialize(d)?;
        Self::parse(&outside.amount, outside.currency).map_err(serde::de::Error::custom)
    }
}
