//! The values of XML-RPC.

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing: an empty element that upstream does not know, such as `nil`. Never sent.
    Nil,
    /// `int` and `i4`; as in Python it may have more than 32 bits.
    Int(i64),
    /// `boolean`.
    Bool(bool),
    /// `string`, `base64` (as text), and whatever upstream does not know.
    Str(String),
    /// `double`.
    Double(f64),
    /// `dateTime.iso8601`, as it was written.
    DateTime(String),
    /// `array`.
    Array(Vec<Value>),
    /// `struct`, in the order in which it came.
    Struct(Vec<(String, Value)>),
}

impl Value {
    /// A struct of these members.
    #[must_use]
    pub fn of<const N: usize>(members: [(&str, Value); N]) -> Self {
        Self::Struct(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// A member of a struct; the last one counts when there are several.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Struct(members) => {
                members.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// Whether Python takes it for true.
    #[must_use]
    pub fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Int(number) => *number != 0,
            Self::Bool(is_true) => *is_true,
            Self::Str(text) => !text.is_empty(),
            Self::Double(number) => *number != 0.0,
            Self::DateTime(_) => true,
            Self::Array(values) => !values.is_empty(),
            Self::Struct(members) => !members.is_empty(),
        }
    }

    /// What kind of value it is, for people.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Int(_) => "an int",
            Self::Bool(_) => "a boolean",
            Self::Str(_) => "a string",
            Self::Double(_) => "a double",
            Self::DateTime(_) => "a date",
            Self::Array(_) => "an array",
            Self::Struct(_) => "a struct",
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text)
    }
}

impl From<bool> for Value {
    fn from(is_true: bool) -> Self {
        Self::Bool(is_true)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Int(number.into())
    }
}

impl<T: Into<Value>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self::Array(values.into_iter().map(Into::into).collect())
    }
}
