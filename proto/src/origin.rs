//! The object a resource was made from. `translate` writes it into metadata, the proxy reads it back, and
//! logs, metrics, spans and `Proxy-Status` name it, so that nobody has to know a generated name.

use crate::google::{Struct, Value, value::Kind};

/// `HTTPRoute shop/product-canary#v2`, with the generation that it was read at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// Kubernetes kind: `HTTPRoute`, `Service`, `MeshWorkload`.
    pub kind: String,
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
    /// `metadata.generation`; the directory source counts changes of the object's content.
    pub generation: u64,
    /// Rule in the object: its name, else its index; empty where the object has no rules.
    pub rule: String,
}

/// What makes an object the same object when its content changes: kind, namespace, name.
pub type ObjectKey = (String, String, String);

impl Origin {
    /// The object itself, whatever its generation.
    #[must_use]
    pub fn object(&self) -> ObjectKey {
        (self.kind.clone(), self.namespace.clone(), self.name.clone())
    }

    /// Reads what `Display` has written, without the generation.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let (object, rule) = text.split_once('#').unwrap_or((text, ""));
        let mut parts = object.split('/');
        let mut next = || parts.next().map(str::to_owned);
        let (kind, namespace, name) = (next()?, next()?, next()?);
        let rule = rule.to_owned();
        parts.next().is_none().then_some(Self { kind, namespace, name, generation: 0, rule })
    }

    /// As metadata under [`crate::names::metadata::SOURCE`].
    #[must_use]
    pub fn to_struct(&self) -> Struct {
        let text = |value: &str| Value { kind: Some(Kind::StringValue(value.to_owned())) };
        #[allow(clippy::cast_precision_loss, reason = "generations stay far below 2^53")]
        let generation = Value { kind: Some(Kind::NumberValue(self.generation as f64)) };
        Struct {
            fields: [
                ("kind".to_owned(), text(&self.kind)),
                ("namespace".to_owned(), text(&self.namespace)),
                ("name".to_owned(), text(&self.name)),
                ("generation".to_owned(), generation),
                ("rule".to_owned(), text(&self.rule)),
            ]
            .into(),
        }
    }

    /// Reads it back; missing fields are empty.
    #[must_use]
    pub fn from_struct(fields: &Struct) -> Self {
        let text = |key: &str| match fields.fields.get(key).and_then(|v| v.kind.as_ref()) {
            Some(Kind::StringValue(value)) => value.clone(),
            _ => String::new(),
        };
        let generation = match fields.fields.get("generation").and_then(|v| v.kind.as_ref()) {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            Some(Kind::NumberValue(value)) => *value as u64,
            _ => 0,
        };
        Self {
            kind: text("kind"),
            namespace: text("namespace"),
            name: text("name"),
            generation,
            rule: text("rule"),
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)?;
        if self.rule.is_empty() { Ok(()) } else { write!(f, "#{}", self.rule) }
    }
}
