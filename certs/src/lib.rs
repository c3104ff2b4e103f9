//! Identities, the federation's certificate authority and mutual-TLS configurations.
