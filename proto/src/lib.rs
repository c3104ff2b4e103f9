//! The wire: protobuf messages, gRPC services and their validated domain types.
//!
//! [`wire`] holds generated types, which only this crate and the thin service and client files name.
//! Everything else works with [`domain`], whose constructors refuse what a peer must not send.

pub mod domain;
pub mod limits;

/// Generated from `proto/fedtwin/v1/fedtwin.proto`.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::missing_errors_doc,
    clippy::too_many_lines,
    clippy::wildcard_imports,
    clippy::use_self,
    reason = "generated code"
)]
pub mod wire {
    tonic::include_proto!("fedtwin.v1");
}
