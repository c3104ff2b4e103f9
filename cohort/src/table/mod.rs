//! Tables of text: cells, numbers, and the schema that gives them a meaning.

pub(crate) mod cells;
pub(crate) mod code;
pub(crate) mod column;
pub(crate) mod digits;
pub(crate) mod layout;
pub(crate) mod measured;
pub(crate) mod outcome;
pub(crate) mod reading;
pub(crate) mod row;
mod scan;
pub mod schema;
pub(crate) mod sheet;
pub(crate) mod stream;
pub(crate) mod text;
pub(crate) mod totals;
