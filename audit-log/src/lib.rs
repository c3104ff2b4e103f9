//! Append-only, hash-chained and signed logs with RFC 6962 Merkle roots.
