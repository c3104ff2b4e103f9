//! Revocation: certificates that the federation's authority has taken back before their time.
//!
//! A list is an X.509 CRL (RFC 5280, section 5) under the authority's key: numbered, dated, and good until the next one is
//! due. It travels as a file, and where one is configured it is asked before every handshake and every plan; without a
//! list that holds, nobody is believed. Reading the file is [`folder::Revocations`](crate::folder::Revocations)'s.

use std::collections::BTreeMap;
use std::fmt;

use fedtwin_plan::time::Timestamp;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::certificate::{AuthorityCertificate, CertificateError, date_time, timestamp};

/// Says which certificates have been taken back, as far as is known at a moment.
pub trait Revocation: fmt::Debug + Send + Sync {
    /// Checks that the certificate with this serial number, in hexadecimal, has not been taken back.
    ///
    /// # Errors
    /// Refuses one that has been, and every certificate where there is no list to ask.
    fn check(&self, serial: &str, now: Timestamp) -> Result<(), CertificateError>;
}

/// A list of certificates that an authority has taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationList {
    /// Counts the authority's lists, from 1.
    pub number: u64,
    /// When it was signed.
    pub issued: Timestamp,
    /// When the next one is due at the latest.
    pub until: Timestamp,
    /// The certificates' serial numbers in hexadecimal, and since when each is revoked.
    pub revoked: BTreeMap<String, Timestamp>,
}

/// A text or file that is no list of this authority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAList {
    /// Not a CRL, or one with more in it than this project writes.
    #[error("the bytes are not an X.509 revocation list with a number and two dates")]
    Malformed,
    /// Signed by somebody else.
    #[error("the list is not signed by the authority of federation {0}")]
    Foreign(fedtwin_plan::FederationName),
    /// The authority's own certificate.
    #[error(transparent)]
    Authority(#[from] CertificateError),
}

impl RevocationList {
    /// Parses a list in DER form and verifies that this authority signed it.
    ///
    /// # Errors
    /// Refuses every other list, and one that covers only a part of the certificates.
    pub fn parse(der: &[u8], authority: &AuthorityCertificate) -> Result<Self, NotAList> {
        let Ok(([], list)) = CertificateRevocationList::from_der(der) else {
            return Err(NotAList::Malformed);
        };
        if !authority.has_signed(&list)? {
            return Err(NotAList::Foreign(authority.federation().clone()));
        }
        let number = list.crl_number().and_then(|number| u64::try_from(number).ok());
        // What is critical says that the list is of a part, or changes what it means.
        let plain = list.extensions().iter().all(|extension| !extension.critical);
        let (Some(number), Some(until), true) = (number, list.next_update(), plain) else {
            return Err(NotAList::Malformed);
        };
        let revoked = list.iter_revoked_certificates().map(|revoked| {
            let serial = revoked.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect();
            (serial, timestamp(revoked.revocation_date.timestamp()))
        });
        Ok(Self {
            number,
            issued: timestamp(list.last_update().timestamp()),
            until: timestamp(until.timestamp()),
            revoked: revoked.collect(),
        })
    }

    /// Checks that the list holds at `now`.
    ///
    /// # Errors
    /// Refuses a list from the future, and one whose successor is due.
    pub fn check_time(&self, now: Timestamp) -> Result<(), CertificateError> {
        if now < self.issued {
            Err(CertificateError::NoList(format!(
                "the list is dated {}; check the clock",
                date_time(self.issued)
            )))
        } else if now > self.until {
            let until = date_time(self.until);
            Err(CertificateError::NoList(format!(
                "the list was good until {until}; get the newest from the operator"
            )))
        } else {
            Ok(())
        }
    }

    /// Checks that a certificate is not in the list.
    ///
    /// # Errors
    /// Says since when it is.
    pub fn check(&self, serial: &str) -> Result<(), CertificateError> {
        match self.revoked.get(serial) {
            None => Ok(()),
            Some(since) => Err(CertificateError::Revoked { since: date_time(*since) }),
        }
    }
}
