//! Whole federations of the real programs, as processes over mutual TLS on loopback.

mod attack_audit;
mod audit;
mod bad_updates;
mod checked;
mod coordinator;
mod faults;
mod formats;
mod given_models;
mod lying_coordinator;
mod metrics_releases;
mod objects;
mod peers;
mod planted;
mod readme;
mod refusals;
mod rekey;
mod rollback;
mod scoring;
mod secure_aggregation;
mod study_metrics;
mod whole_study;
mod wire_capture;
