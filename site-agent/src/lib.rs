//! The site agent: policy, ledger, training and the one door out of a hospital.
