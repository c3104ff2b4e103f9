//! Tables of text: cells, numbers, and the schema that gives them a meaning.

pub(crate) mod cells;
pub(crate) mod digits;
pub(crate) mod layout;
pub mod schema;
pub(crate) mod sheet;
pub(crate) mod stream;
pub(crate) mod text;
pub(crate) mod totals;
