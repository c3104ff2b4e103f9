//! The wire: protobuf messages, gRPC services and their validated domain types.
