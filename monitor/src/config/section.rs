//! A walker over a parsed TOML table: hands out typed values by key, and reports the keys that nobody asked for.

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::log::{At, Log, Place};
use super::words;

type Value<'i> = Spanned<DeValue<'i>>;

/// What stands under a key.
#[derive(Clone, Debug)]
pub(super) enum Field<T> {
    /// The key is not there.
    Absent,
    /// Something of another type is there; that has been reported.
    Invalid,
    /// A value of the right type.
    Given(At<T>),
}

impl<T> Field<T> {
    fn given(value: Option<At<T>>) -> Self {
        value.map_or(Self::Invalid, Self::Given)
    }
}

/// One table, while it is read.
#[derive(Debug)]
pub(super) struct Section<'d, 'i> {
    table: &'d DeTable<'i>,
    place: Place,
    asked: Vec<&'static str>,
}

impl<'d, 'i> Section<'d, 'i> {
    /// The whole document; its own place is nowhere, since an empty file has none.
    pub(super) fn document(table: &'d DeTable<'i>) -> Self {
        let place = Place { key: String::new(), span: None };
        Self::new(table, place)
    }

    fn new(table: &'d DeTable<'i>, place: Place) -> Self {
        Self { table, place, asked: Vec::new() }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn string(&mut self, key: &'static str, log: &mut Log<'_>) -> Field<String> {
        match self.value(key) {
            None => Field::Absent,
            Some((value, place)) => Field::given(string(value, place, log)),
        }
    }

    pub(super) fn integer(&mut self, key: &'static str, log: &mut Log<'_>) -> Field<i64> {
        match self.value(key) {
            None => Field::Absent,
            Some((value, place)) => Field::given(integer(value, place, log)),
        }
    }

    /// An array of at least one string.
    pub(super) fn strings(
        &mut self,
        key: &'static str,
        log: &mut Log<'_>,
    ) -> Field<Vec<At<String>>> {
        match self.value(key) {
            None => Field::Absent,
            Some((value, place)) => Field::given(strings(value, place, log)),
        }
    }

    /// A table; one that is absent or no table at all reads as nothing.
    pub(super) fn section(&mut self, key: &'static str, log: &mut Log<'_>) -> Option<Self> {
        match self.table(key, &format!("write `[{key}]` once"), log) {
            Field::Given(section) => Some(section.value),
            Field::Absent | Field::Invalid => None,
        }
    }

    /// A table that may be left out.
    pub(super) fn table(
        &mut self,
        key: &'static str,
        help: &str,
        log: &mut Log<'_>,
    ) -> Field<Self> {
        let Some((value, place)) = self.value(key) else {
            return Field::Absent;
        };
        let table = table(value, &place, log, help);
        Field::given(table.map(|table| At { value: Self::new(table, place.clone()), place }))
    }

    /// An array of tables.
    pub(super) fn sections(&mut self, key: &'static str, log: &mut Log<'_>) -> Field<Vec<Self>> {
        let Some((value, place)) = self.value(key) else {
            return Field::Absent;
        };
        let help = format!("write `[[{key}]]`, with two brackets");
        let DeValue::Array(items) = value.get_ref() else {
            mistyped("an array of tables", value, &place, Some(help), log);
            return Field::Invalid;
        };
        let read = |(index, item): (usize, &'d Value<'i>)| {
            let place = place_of(format!("{}[{index}]", place.key), item);
            table(item, &place, log, &help).map(|table| Self::new(table, place))
        };
        let sections: Vec<Option<Self>> = items.iter().enumerate().map(read).collect();
        match sections.into_iter().collect() {
            Some(value) => Field::Given(At { value, place }),
            None => Field::Invalid,
        }
    }

    /// Every entry of a table with free keys: the key at its own place, and the value at its.
    pub(super) fn entries(&self) -> impl Iterator<Item = (At<String>, &'d Value<'i>, Place)> {
        let parent = self.place.key.clone();
        self.table.iter().map(move |(key, value)| {
            let dotted = join(&parent, key.get_ref());
            let key = At {
                value: key.get_ref().to_string(),
                place: Place { key: dotted.clone(), span: Some(key.span()) },
            };
            (key, value, place_of(dotted, value))
        })
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(self, log: &mut Log<'_>) {
        for (key, _, _) in self.entries() {
            if !self.asked.contains(&key.value.as_str()) {
                let help = words::instead(&key.value, "known keys", self.asked.iter().copied());
                let message = format!("unknown key {}", words::quote(&key.value));
                log.fault(&key.place, message, help);
            }
        }
    }

    fn value(&mut self, key: &'static str) -> Option<(&'d Value<'i>, Place)> {
        self.asked.push(key);
        let value = self.table.get(key)?;
        Some((value, place_of(join(&self.place.key, key), value)))
    }
}

pub(super) fn string(value: &Value<'_>, place: Place, log: &mut Log<'_>) -> Option<At<String>> {
    if let DeValue::String(text) = value.get_ref() {
        let value = text.to_string();
        return Some(At { value, place });
    }
    mistyped("a string", value, &place, None, log);
    None
}

pub(super) fn integer(value: &Value<'_>, place: Place, log: &mut Log<'_>) -> Option<At<i64>> {
    let DeValue::Integer(number) = value.get_ref() else {
        mistyped("an integer", value, &place, None, log);
        return None;
    };
    if let Some(value) = number_of(number) {
        return Some(At { value, place });
    }
    log.fault(&place, "the integer does not fit into 64 bits", None);
    None
}

/// The strings of a non-empty array; items of another type are reported and left out.
pub(super) fn strings(
    value: &Value<'_>,
    place: Place,
    log: &mut Log<'_>,
) -> Option<At<Vec<At<String>>>> {
    let DeValue::Array(items) = value.get_ref() else {
        let help = value.get_ref().as_str().map(|_| "put it in brackets".to_owned());
        mistyped("an array of strings", value, &place, help, log);
        return None;
    };
    if items.is_empty() {
        log.fault(
            &place,
            "the list is empty",
            Some("name at least one, or leave the key out".to_owned()),
        );
        return None;
    }
    let mut value = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let place = place_of(format!("{}[{index}]", place.key), item);
        value.extend(string(item, place, log));
    }
    Some(At { value, place })
}

fn table<'d, 'i>(
    value: &'d Value<'i>,
    place: &Place,
    log: &mut Log<'_>,
    help: &str,
) -> Option<&'d DeTable<'i>> {
    let table = value.get_ref().as_table();
    if table.is_none() {
        mistyped("a table", value, place, Some(help.to_owned()), log);
    }
    table
}

fn mistyped(
    expected: &str,
    found: &Value<'_>,
    place: &Place,
    help: Option<String>,
    log: &mut Log<'_>,
) {
    let found = match found.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    };
    log.fault(place, format!("expected {expected}, found {found}"), help);
}

fn number_of(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn place_of(key: String, value: &Value<'_>) -> Place {
    Place { key, span: Some(value.span()) }
}

/// The dotted key as TOML would write it.
fn join(parent: &str, key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let key = if !key.is_empty() && key.chars().all(is_bare) {
        key.to_owned()
    } else {
        format!("\"{}\"", words::one_line(key).replace('"', "\\\""))
    };
    if parent.is_empty() { key } else { format!("{parent}.{key}") }
}
