//! Scores of times to an event, against all pairs and against R and scikit-survival.

mod all_pairs;
mod data;
mod reference;
