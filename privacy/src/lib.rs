//! Per-patient differential privacy: clip, quantise, sum, noise, account, charge.
