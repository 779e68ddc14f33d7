//! How values of the domain are written to columns, and read back.

use std::error::Error;

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::Type;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A column that does not hold what it should.
pub(super) fn broken(index: usize, kind: Type, error: impl Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, kind, Box::new(error))
}

/// A word that this program does not know.
#[derive(Debug, thiserror::Error)]
#[error("unknown word {0:?}")]
struct UnknownWord(String);

/// An instant as microseconds since the epoch; what is finer is cut off.
pub(super) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// As [`micros`], for instants that may be missing.
pub(super) fn maybe_micros(at: Option<Timestamp>) -> Option<i64> {
    at.map(micros)
}

/// An instant.
pub(super) fn instant(row: &Row<'_>, index: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(row.get(index)?).map_err(|error| broken(index, Type::Integer, error))
}

/// An instant that may be missing.
pub(super) fn maybe_instant(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Timestamp>> {
    let micros: Option<i64> = row.get(index)?;
    micros
        .map(|micros| {
            Timestamp::from_microsecond(micros).map_err(|error| broken(index, Type::Integer, error))
        })
        .transpose()
}

/// A number that a peer chose: all 64 bits are kept, so no value can fail.
pub(super) fn unsigned(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    row.get(index).map(i64::cast_unsigned)
}

/// A value that checks the text it is made from, such as an id.
pub(super) fn text<T>(row: &Row<'_>, index: usize) -> rusqlite::Result<T>
where
    T: TryFrom<String>,
    T::Error: Error + Send + Sync + 'static,
{
    let text: String = row.get(index)?;
    T::try_from(text).map_err(|error| broken(index, Type::Text, error))
}

/// As [`text`], where `''` stands for none.
pub(super) fn text_or_empty<T>(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<T>>
where
    T: TryFrom<String>,
    T::Error: Error + Send + Sync + 'static,
{
    let text: String = row.get(index)?;
    if text.is_empty() {
        return Ok(None);
    }
    T::try_from(text).map(Some).map_err(|error| broken(index, Type::Text, error))
}

/// As [`text`], where the column may be null.
pub(super) fn maybe_text<T>(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<T>>
where
    T: TryFrom<String>,
    T::Error: Error + Send + Sync + 'static,
{
    let text: Option<String> = row.get(index)?;
    text.map(|text| T::try_from(text).map_err(|error| broken(index, Type::Text, error))).transpose()
}

/// A word in a column that this program does not know.
pub(super) fn unknown_word(index: usize, word: &str) -> rusqlite::Error {
    broken(index, Type::Text, UnknownWord(word.to_owned()))
}

/// One of a fixed list of words.
pub(super) fn word<T: Copy>(
    row: &Row<'_>,
    index: usize,
    all: &[T],
    name: fn(T) -> &'static str,
) -> rusqlite::Result<T> {
    maybe_word(row, index, all, name)?
        .ok_or_else(|| broken(index, Type::Null, UnknownWord("null".to_owned())))
}

/// As [`word`], where the column may be null.
pub(super) fn maybe_word<T: Copy>(
    row: &Row<'_>,
    index: usize,
    all: &[T],
    name: fn(T) -> &'static str,
) -> rusqlite::Result<Option<T>> {
    let value = row.get_ref(index)?;
    let Some(text) = value.as_str_or_null().map_err(|error| broken(index, value.data_type(), error))? else {
        return Ok(None);
    };
    let known = all.iter().copied().find(|one| name(*one) == text);
    known.map(Some).ok_or_else(|| broken(index, Type::Text, UnknownWord(text.to_owned())))
}

/// That a column holds a word that this program does not know.
pub(super) fn broken_word(index: usize, word: &str) -> rusqlite::Error {
    broken(index, Type::Text, UnknownWord(word.to_owned()))
}

/// A value as compact JSON.
pub(super) fn to_json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// A value from JSON.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, index: usize) -> rusqlite::Result<T> {
    let value = row.get_ref(index)?;
    let text = value.as_str().map_err(|error| broken(index, value.data_type(), error))?;
    serde_json::from_str(text).map_err(|error| broken(index, Type::Text, error))
}
