//! The command line of researchers, auditors and the certificate authority.
