//! Lists of ports as people write them: `4567,8000-8100`. The settings read them; they never hold a port 0, an
//! overlap or a neighbour that could be one range, because nft refuses sets whose intervals overlap.

use std::fmt;
use std::str::FromStr;

/// Ports from `first` to `last`, both included; `first` is at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortRange {
    /// The lowest.
    pub first: u16,
    /// The highest, at least `first`.
    pub last: u16,
}

/// A list of ports and ranges: ascending, no two touch. At most [`MAX_ENTRIES`](super::MAX_ENTRIES) as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports(Vec<PortRange>);

impl Ports {
    /// Several lists as one.
    #[must_use]
    pub fn merge(lists: impl IntoIterator<Item = Self>) -> Self {
        let mut all: Vec<PortRange> = lists.into_iter().flat_map(|list| list.0).collect();
        all.sort_unstable();
        let mut merged: Vec<PortRange> = Vec::with_capacity(all.len());
        for range in all {
            match merged.last_mut() {
                Some(before) if range.first <= before.last.saturating_add(1) => {
                    before.last = before.last.max(range.last);
                }
                _ => merged.push(range),
            }
        }
        Self(merged)
    }

    /// The ranges, ascending.
    #[must_use]
    pub fn ranges(&self) -> &[PortRange] {
        &self.0
    }
}

impl FromStr for Ports {
    type Err = String;

    /// Nothing at all is the empty list: that is what an unset variable of a template becomes.
    fn from_str(text: &str) -> Result<Self, String> {
        let entries = super::entries(text)?;
        let ranges = entries.into_iter().map(range).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::merge([Self(ranges)]))
    }
}

impl fmt::Display for PortRange {
    /// As nft writes it: `80`, `8000-8100`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (first, last) if first == last => write!(f, "{first}"),
            (first, last) => write!(f, "{first}-{last}"),
        }
    }
}

fn range(text: &str) -> Result<PortRange, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first, text)?, port(last, text)?);
    if first > last {
        return Err(format!("`{text}` runs backwards: write {last}-{first}"));
    }
    Ok(PortRange { first, last })
}

fn port(text: &str, entry: &str) -> Result<u16, String> {
    // `parse` alone would take `+80`.
    let digits = text.trim();
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok());
    match number.flatten() {
        Some(0) => Err(format!("`{entry}`: there is no port 0; ports are 1 to 65535")),
        Some(port) => Ok(port),
        None => Err(format!("`{entry}` is no port (1 to 65535) and no range, as 8000-8100")),
    }
}

#[cfg(test)]
mod tests;
