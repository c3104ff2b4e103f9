//! Hospital files and synthetic cohorts as typed patient records.
