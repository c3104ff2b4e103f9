//! The coordinator: studies, rounds, spools and aggregation.
