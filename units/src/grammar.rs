//! The grammar of UCUM's expressions (UCUM 2.2, §§ 4 to 12): units with powers, points, slashes, brackets and annotations.

use dashu_ratio::RBig;

use crate::atoms::{self, Atom, Meaning};
use crate::quantity::Quantity;

/// Why a text is no expression of units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A symbol that is no atom, with a prefix or without.
    Unknown(String),
    /// A scale of temperature within an expression, where its 0 has no meaning.
    Scale(&'static str),
    /// What is wrong with the form.
    Form(&'static str),
}

/// Reads an expression; the scales of temperature are none.
pub(crate) fn read(text: &str) -> Result<Quantity, Fault> {
    let mut reader = Reader { rest: text, depth: 0 };
    let quantity = reader.term()?;
    match reader.rest.chars().next() {
        None => Ok(quantity),
        Some(')') => Err(Fault::Form("closes a bracket that it does not open")),
        Some(_) => Err(Fault::Form("lacks a point or a slash between two units")),
    }
}

/// Measures one atom.
pub(crate) fn measure(atom: &Atom) -> Result<Quantity, Fault> {
    Ok(match atom.meaning {
        Meaning::Own => Quantity::base(atom.code),
        Meaning::Share(value) => Quantity::share(atoms::number(value)),
        Meaning::Of(value, unit) => {
            let mut quantity = Quantity::number(atoms::number(value));
            quantity.times(&read(unit)?, 1);
            quantity
        }
        Meaning::Scale { .. } => return Err(Fault::Scale(atom.code)),
    })
}

struct Reader<'t> {
    rest: &'t str,
    depth: u32,
}

impl<'t> Reader<'t> {
    fn skip(&mut self, letter: char) -> bool {
        let rest = self.rest.strip_prefix(letter);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Reads components up to the end or a closing bracket; each slash divides by the one behind it alone.
    fn term(&mut self) -> Result<Quantity, Fault> {
        let mut total = Quantity::number(RBig::ONE);
        let mut power = if self.skip('/') { -1 } else { 1 };
        loop {
            total.times(&self.component()?, power);
            power = if self.skip('.') {
                1
            } else if self.skip('/') {
                -1
            } else {
                return Ok(total);
            };
        }
    }

    fn component(&mut self) -> Result<Quantity, Fault> {
        if self.skip('(') {
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return Err(Fault::Form("has too many brackets within brackets"));
            }
            let term = self.term()?;
            if !self.skip(')') {
                return Err(Fault::Form("opens a bracket that it does not close"));
            }
            self.depth -= 1;
            return Ok(term);
        }
        if let Some(what) = self.annotation()? {
            return Ok(Quantity::counted(what));
        }
        let symbol = self.symbol()?;
        if symbol.bytes().all(|b| b.is_ascii_digit()) {
            let fraction = self.rest.strip_prefix('.').and_then(|rest| rest.chars().next());
            if fraction.is_some_and(|c| c.is_ascii_digit()) {
                return Err(Fault::Form("has a number with a fraction, whose point means times"));
            }
            let mut number = Quantity::number(whole(symbol)?);
            if let Some(what) = self.annotation()? {
                number.times(&Quantity::counted(what), 1);
            }
            return Ok(number);
        }
        let mut quantity = simple(symbol)?;
        if let Some(what) = self.annotation()? {
            quantity = quantity.annotated(what);
        }
        match self.rest.chars().next() {
            None | Some('.' | '/' | ')') => Ok(quantity),
            Some(_) => Err(Fault::Form("lacks a point or a slash between two units")),
        }
    }

    /// Reads what is written in braces, if something is.
    fn annotation(&mut self) -> Result<Option<&'t str>, Fault> {
        if !self.skip('{') {
            return Ok(None);
        }
        let Some((what, rest)) = self.rest.split_once('}') else {
            return Err(Fault::Form("opens a brace that it does not close"));
        };
        if what.is_empty() || what.contains('{') {
            return Err(Fault::Form("has an annotation without a text"));
        }
        self.rest = rest;
        Ok(Some(what))
    }

    /// Takes the next symbol with its power; what stands in square brackets belongs to it.
    fn symbol(&mut self) -> Result<&'t str, Fault> {
        let mut in_brackets = false;
        let mut end = self.rest.len();
        for (at, letter) in self.rest.char_indices() {
            match letter {
                '[' => in_brackets = true,
                ']' => in_brackets = false,
                '.' | '/' | '(' | ')' | '{' | '}' if !in_brackets => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        if in_brackets {
            return Err(Fault::Form("opens a square bracket that it does not close"));
        }
        let (symbol, rest) = self.rest.split_at(end);
        if symbol.is_empty() {
            return Err(Fault::Form("lacks a unit beside a point, a slash or a bracket"));
        }
        self.rest = rest;
        Ok(symbol)
    }
}

/// Reads a symbol and its power.
fn simple(symbol: &str) -> Result<Quantity, Fault> {
    let unknown = || Fault::Unknown(symbol.to_owned());
    let base = symbol.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &symbol[base.len()..];
    let (base, power) = match digits {
        "" => (base, 1),
        digits => {
            let power: i32 = digits.parse().ok().ok_or_else(unknown)?;
            match base.strip_suffix('-') {
                Some(base) => (base, -power),
                None => (base.strip_suffix('+').unwrap_or(base), power),
            }
        }
    };
    if power == 0 || power.abs() > POWER_MAX {
        return Err(Fault::Form("has a power of 0, or beyond all measures"));
    }
    let (prefix, atom) = atoms::find(base).ok_or_else(unknown)?;
    let mut one = Quantity::number(prefix);
    one.times(&measure(atom)?, 1);
    let mut quantity = Quantity::number(RBig::ONE);
    quantity.times(&one, power);
    Ok(quantity)
}

/// Reads a whole number that is a factor.
fn whole(digits: &str) -> Result<RBig, Fault> {
    match digits.parse::<u32>() {
        Ok(number) if number > 0 => Ok(RBig::from(number)),
        Ok(_) | Err(_) => Err(Fault::Form("has a factor of 0, or beyond all measures")),
    }
}

/// Deeper ones only cost memory.
const DEPTH_MAX: u32 = 16;
/// UCUM's own powers end at 10*-24; those of ten in laboratories at 10*12.
const POWER_MAX: i32 = 30;
