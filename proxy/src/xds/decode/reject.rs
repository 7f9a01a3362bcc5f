//! Why a resource is refused: the path of the field and the reason, as the NACK and `weft proxy-status` show
//! them. Paths grow from the inside out, only when something is wrong.

use std::fmt::{self, Debug, Display};

/// A refusal. Displays as `virtual_hosts[0].routes[2].match.safe_regex: reason`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reject {
    path: String,
    reason: String,
}

impl Reject {
    /// Of the field `path`, relative to the message at hand; empty for the message itself.
    pub(crate) fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { path: path.into(), reason: reason.into() }
    }

    fn under(mut self, parent: &dyn Display) -> Self {
        let parent = parent.to_string();
        self.path = if self.path.is_empty() { parent } else { format!("{parent}.{}", self.path) };
        self
    }
}

impl Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.reason)
        } else {
            write!(f, "{}: {}", self.path, self.reason)
        }
    }
}

/// Puts a parent's name before the path of a refusal.
pub(super) trait At<T> {
    fn at(self, parent: impl Display) -> Result<T, Reject>;
}

impl<T> At<T> for Result<T, Reject> {
    fn at(self, parent: impl Display) -> Self {
        self.map_err(|reject| reject.under(&parent))
    }
}

/// Decodes each element of a repeated field; a refusal names its index.
pub(super) fn each<M, T>(
    field: &str,
    list: Vec<M>,
    mut decode: impl FnMut(M) -> Result<T, Reject>,
) -> Result<Vec<T>, Reject> {
    let numbered = list.into_iter().enumerate();
    numbered.map(|(index, m)| decode(m).at(format_args!("{field}[{index}]"))).collect()
}

/// Refuses what is still set in a message after everything that is honoured was taken out of it. The names
/// of the fields come from the message's own `Debug`: prost has no other reflection.
pub(super) fn nothing_else<M: Debug + Default + PartialEq>(rest: &M) -> Result<(), Reject> {
    let default = M::default();
    if *rest == default {
        return Ok(());
    }
    let (rest, default) = (format!("{rest:#?}"), format!("{default:#?}"));
    let unset = fields(&default);
    let set = fields(&rest).into_iter().find(|field| !unset.contains(field));
    Err(Reject::new(set.map_or("", |(name, _)| name), "not supported by weft-proxy"))
}

/// The fields of one pretty-printed struct: name and text. Strings in it never hold a line break.
fn fields(pretty: &str) -> Vec<(&str, String)> {
    let mut fields: Vec<(&str, String)> = Vec::new();
    for line in pretty.lines() {
        let own = line.strip_prefix("    ").filter(|rest| !rest.starts_with([' ', '}', ']', ')']));
        match (own.and_then(|rest| rest.split_once(": ")), fields.last_mut()) {
            (Some((name, value)), _) => fields.push((name, value.to_owned())),
            (None, Some((_, text))) => text.push_str(line),
            (None, None) => {}
        }
    }
    fields
}

#[cfg(test)]
mod tests;
