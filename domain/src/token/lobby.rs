//! The lobby's receipt: what a visitor holds who came before the sale opened. It carries an index, not a place; the draw
//! gives the place.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{HEAD_BYTES, Keyring, LOBBY, PLACE_BYTES, TAG_BYTES, TokenError, VERSION, sale_bytes};
use crate::id::{SaleId, VisitorHash, first_bytes};
use crate::time::Millis;

/// A receipt of the lobby of the sale it was read for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// Who came.
    pub visitor: VisitorHash,
    /// Its index in the lobby, from 0 on. It says nothing about the place.
    pub index: u64,
    /// First moment at which the token is no longer good.
    pub expires: Millis,
}

impl Keyring {
    /// A receipt's token (header `Holdfast-Ticket`, before the sale opens).
    #[must_use]
    pub fn sign_receipt(&self, sale: &SaleId, visitor: &VisitorHash, index: u64, expires: Millis) -> String {
        self.sign_place(LOBBY, sale, visitor, index, expires)
    }

    /// The index in this sale's lobby that this token gives to this visitor.
    ///
    /// # Errors
    /// [`TokenError`], in the order of its variants.
    pub fn verify_receipt(
        &self,
        text: &str,
        sale: &SaleId,
        visitor: &VisitorHash,
        now: Millis,
    ) -> Result<Receipt, TokenError> {
        let (index, expires) = self.open_place(LOBBY, text, sale, visitor)?;
        if now >= expires { Err(TokenError::Expired) } else { Ok(Receipt { visitor: *visitor, index, expires }) }
    }
}

impl Receipt {
    /// What a receipt of this sale says, without the key that would prove its signature: for its visitor, who checks the
    /// draw and not the receipt. It lets nobody do anything.
    ///
    /// # Errors
    /// `Malformed`, `WrongKind` or `WrongSale`.
    pub fn read(text: &str, sale: &SaleId) -> Result<Self, TokenError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Malformed)?;
        if bytes.len() != PLACE_BYTES + TAG_BYTES || bytes.first() != Some(&VERSION) {
            return Err(TokenError::Malformed);
        }
        if bytes.get(1) != Some(&LOBBY) {
            return Err(TokenError::WrongKind);
        }
        let body = bytes.get(HEAD_BYTES..).unwrap_or_default();
        let rest = |at: usize| body.get(at..).unwrap_or_default();
        if first_bytes::<8>(body) != sale_bytes(sale) {
            return Err(TokenError::WrongSale);
        }
        Ok(Self {
            visitor: VisitorHash(first_bytes(rest(8))),
            index: u64::from_be_bytes(first_bytes(rest(24))),
            expires: Millis(u64::from_be_bytes(first_bytes(rest(32)))),
        })
    }
}
