//! A YAML value together with the line of each of its fields.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

/// The lines of a value's fields, in the value's own shape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lines {
    line: u32,
    fields: Vec<(Box<str>, Lines)>,
    items: Vec<Lines>,
}

impl Lines {
    /// Line of the value itself, from 1.
    pub(crate) fn first(&self) -> u32 {
        self.line
    }

    /// Line of a field such as `spec.rules[0].name`; where there is no such field, that of the nearest one
    /// around it.
    pub(crate) fn of(&self, path: &str) -> u32 {
        let mut here = self;
        for segment in path.split(['.', '[']).filter(|segment| !segment.is_empty()) {
            let next = match segment.strip_suffix(']').map(str::parse::<usize>) {
                Some(Ok(index)) => here.items.get(index),
                _ => here.field(segment),
            };
            match next {
                Some(next) => here = next,
                None => break,
            }
        }
        here.line
    }

    /// The lines of one field's value.
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        self.fields.iter().find(|(key, _)| &**key == name).map(|(_, lines)| lines)
    }

    /// The lines of one item of a sequence.
    pub(crate) fn item(&self, index: usize) -> Option<&Self> {
        self.items.get(index)
    }

    /// Moves all of it down by this many lines.
    pub(super) fn shift(&mut self, by: u32) {
        self.line += by;
        self.fields.iter_mut().for_each(|(_, lines)| lines.shift(by));
        self.items.iter_mut().for_each(|lines| lines.shift(by));
    }
}

/// Lines beyond four billion cannot occur in a file of bounded size.
pub(super) fn narrow(line: u64) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}

/// What the parser fills.
pub(super) struct Located(Value, Lines);

impl Located {
    pub(super) fn into_parts(self) -> (Value, Lines) {
        (self.0, self.1)
    }
}

impl<'de> Deserialize<'de> for Located {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Unplaced>::deserialize(deserializer)?;
        let Unplaced(value, mut lines) = spanned.value;
        lines.line = narrow(spanned.referenced.line());
        Ok(Self(value, lines))
    }
}

/// A value whose own line is not yet known.
struct Unplaced(Value, Lines);

impl From<Value> for Unplaced {
    fn from(value: Value) -> Self {
        Self(value, Lines::default())
    }
}

impl<'de> Deserialize<'de> for Unplaced {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Unplaced;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Unplaced, E> {
        Ok(Value::from(value).into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Unplaced, E> {
        Ok(Value::from(value).into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Unplaced, E> {
        Ok(Value::from(value).into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Unplaced, E> {
        Ok(Value::from(value).into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Unplaced, E> {
        Ok(Value::from(value).into())
    }

    fn visit_unit<E>(self) -> Result<Unplaced, E> {
        Ok(Value::Null.into())
    }

    fn visit_none<E>(self) -> Result<Unplaced, E> {
        Ok(Value::Null.into())
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Unplaced, D::Error> {
        Unplaced::deserialize(inner)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Unplaced, A::Error> {
        let (mut values, mut lines) = (Vec::new(), Lines::default());
        while let Some(Located(value, item)) = access.next_element()? {
            values.push(value);
            lines.items.push(item);
        }
        lines.items.shrink_to_fit();
        Ok(Unplaced(Value::Array(values), lines))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Unplaced, A::Error> {
        let (mut values, mut lines) = (Map::new(), Lines::default());
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            let Located(value, mut field) = access.next_value()?;
            // A block mapping or sequence begins on the line after its key; people look for the key.
            field.line = narrow(key.referenced.line());
            lines.fields.push((key.value.clone().into(), field));
            values.insert(key.value, value);
        }
        lines.fields.shrink_to_fit();
        Ok(Unplaced(Value::Object(values), lines))
    }
}
