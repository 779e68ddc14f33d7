//! Messages of D-Bus, as far as calling a method and reading its answer needs them (D-Bus specification 0.43,
//! "Message Protocol"). Pure; what is read may be anything.

/// Longest message that is read, in bytes. The protocol allows 128 MiB; the answers here have some hundred bytes.
pub const MESSAGE_MAX: usize = 64 * 1024;

/// The fixed part of a header, with the length of the array of fields.
pub const HEADER: usize = 16;

const CALL: u8 = 1;
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SENDER: u8 = 7;
const SIGNATURE: u8 = 8;

/// A method of an object.
#[derive(Debug, Clone, Copy)]
pub struct Method<'a> {
    /// The name of the peer on the bus.
    pub destination: &'a str,
    /// The object.
    pub path: &'a str,
    /// The interface.
    pub interface: &'a str,
    /// The method.
    pub member: &'a str,
}

/// Arguments, written in little-endian order.
#[derive(Debug, Clone, Default)]
pub struct Body {
    signature: &'static str,
    bytes: Vec<u8>,
}

/// What kind of message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The answer to a call.
    Return,
    /// The refusal of a call.
    Error,
    /// Anything else: signals, calls, what later versions may add.
    Other,
}

/// A message that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What kind it is.
    pub kind: Kind,
    /// The call that it answers; 0 for none.
    pub answers: u32,
    /// The name of whoever sent it, as the bus vouches for; empty if not given.
    pub sender: String,
    /// The name of the error; empty if it is none.
    pub error: String,
    signature: String,
    big_endian: bool,
    body: Vec<u8>,
}

/// The bytes are no message of D-Bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(&'static str);

impl Body {
    /// Arguments of these types, which the caller then adds in order.
    pub fn new(signature: &'static str) -> Self {
        Self { signature, bytes: Vec::new() }
    }

    /// A text (`s`).
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        put_text(&mut self.bytes, text);
        self
    }

    /// A number (`u`).
    #[must_use]
    pub fn number(mut self, number: u32) -> Self {
        put_number(&mut self.bytes, number);
        self
    }

    /// A number that may be negative (`i`).
    #[must_use]
    pub fn signed(mut self, number: i32) -> Self {
        put_number(&mut self.bytes, number.cast_unsigned());
        self
    }

    /// An empty list of texts (`as`).
    #[must_use]
    pub fn no_texts(mut self) -> Self {
        put_number(&mut self.bytes, 0);
        self
    }

    /// A table with one entry, a byte (`a{sv}` with a `y` in it).
    #[must_use]
    pub fn table_of_byte(mut self, key: &str, byte: u8) -> Self {
        put_number(&mut self.bytes, 0);
        let length_at = self.bytes.len() - 4;
        pad(&mut self.bytes, 8);
        let start = self.bytes.len();
        put_text(&mut self.bytes, key);
        self.bytes.extend([1, b'y', 0, byte]);
        let length = length(self.bytes.len() - start).to_le_bytes();
        if let Some(place) = self.bytes.get_mut(length_at..length_at + 4) {
            place.copy_from_slice(&length);
        }
        self
    }
}

/// A call, ready to be sent. `serial` must not be 0.
pub fn call(serial: u32, method: &Method<'_>, body: &Body) -> Vec<u8> {
    let mut message = vec![b'l', CALL, 0, 1];
    put_number(&mut message, length(body.bytes.len()));
    put_number(&mut message, serial);
    put_number(&mut message, 0);
    let mut field = |code: u8, kind: u8, text: &str| {
        pad(&mut message, 8);
        message.extend([code, 1, kind, 0]);
        if kind == b'g' {
            message.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
            message.extend(text.bytes());
            message.push(0);
        } else {
            put_text(&mut message, text);
        }
    };
    field(PATH, b'o', method.path);
    field(DESTINATION, b's', method.destination);
    field(INTERFACE, b's', method.interface);
    field(MEMBER, b's', method.member);
    if !body.signature.is_empty() {
        field(SIGNATURE, b'g', body.signature);
    }
    let fields = length(message.len() - HEADER).to_le_bytes();
    if let Some(place) = message.get_mut(12..HEADER) {
        place.copy_from_slice(&fields);
    }
    pad(&mut message, 8);
    message.extend(&body.bytes);
    message
}

/// How long a message is as a whole, by its first [`HEADER`] bytes.
///
/// # Errors
/// If these are no header, or that of a message over [`MESSAGE_MAX`].
pub fn whole_length(header: &[u8]) -> Result<usize, Malformed> {
    let big_endian = order(header)?;
    let mut reader = Reader { bytes: header, at: 3, big_endian };
    if reader.byte()? != 1 {
        return Err(Malformed("the message has another version of the protocol"));
    }
    let body = reader.number()?;
    reader.number()?;
    let fields = reader.number()?;
    let whole = [fields, body]
        .into_iter()
        .try_fold(HEADER, |sum, part| sum.next_multiple_of(8).checked_add(usize::try_from(part).ok()?));
    whole.filter(|whole| *whole <= MESSAGE_MAX).ok_or(Malformed("the message is too long"))
}

/// Reads a message of exactly [`whole_length`] bytes.
///
/// # Errors
/// If it is none.
pub fn parse(bytes: &[u8]) -> Result<Message, Malformed> {
    if whole_length(bytes)? != bytes.len() {
        return Err(Malformed("the message does not have the length that it says"));
    }
    let mut reader = Reader { bytes, at: 1, big_endian: order(bytes)? };
    let kind = match reader.byte()? {
        0 => return Err(Malformed("the message has the invalid type 0")),
        2 => Kind::Return,
        3 => Kind::Error,
        _ => Kind::Other,
    };
    let mut message = Message {
        kind,
        answers: 0,
        sender: String::new(),
        error: String::new(),
        signature: String::new(),
        big_endian: reader.big_endian,
        body: Vec::new(),
    };
    reader.at = 12;
    let end = HEADER + usize::try_from(reader.number()?).unwrap_or(usize::MAX);
    while reader.at < end {
        reader.align(8)?;
        let code = reader.byte()?;
        // The fields that are known have one type each; another one in the same place is an error, says the specification.
        let kind = reader.signature()?;
        match (code, kind) {
            (REPLY_SERIAL, "u") => message.answers = reader.number()?,
            (SENDER, "s") => message.sender = reader.text()?.to_owned(),
            (ERROR_NAME, "s") => message.error = reader.text()?.to_owned(),
            (SIGNATURE, "g") => message.signature = reader.signature()?.to_owned(),
            (_, "u") => drop(reader.number()?),
            (_, "s" | "o") => drop(reader.text()?),
            (_, "g") => drop(reader.signature()?),
            _ => return Err(Malformed("the message has a header field of an unknown type")),
        }
    }
    if reader.at != end {
        return Err(Malformed("the header fields of the message are longer than they say"));
    }
    reader.align(8)?;
    message.body = bytes.get(reader.at..).unwrap_or_default().to_vec();
    Ok(message)
}

impl Message {
    /// The one number (`u`) that it carries.
    ///
    /// # Errors
    /// If it carries something else.
    pub fn number(&self) -> Result<u32, Malformed> {
        match self.signature.as_str() {
            "u" => self.reader().number(),
            _ => Err(Malformed("the answer is no number")),
        }
    }

    /// The first text (`s`) that it carries: the explanation of an error.
    pub fn text(&self) -> Option<&str> {
        if self.signature.starts_with('s') { self.reader().text().ok() } else { None }
    }

    /// The text in the value of any type (`v`) that it carries.
    ///
    /// # Errors
    /// If it carries something else.
    pub fn text_value(&self) -> Result<&str, Malformed> {
        let mut reader = self.reader();
        match self.signature.as_str() {
            "v" if reader.signature()? == "s" => reader.text(),
            _ => Err(Malformed("the answer is no value with a text")),
        }
    }

    /// The list of texts (`as`) that it carries.
    ///
    /// # Errors
    /// If it carries something else.
    pub fn texts(&self) -> Result<Vec<&str>, Malformed> {
        if self.signature != "as" {
            return Err(Malformed("the answer is no list of texts"));
        }
        let mut reader = self.reader();
        let length = usize::try_from(reader.number()?).unwrap_or(usize::MAX);
        let end = reader.at.checked_add(length).ok_or(Malformed("the list is longer than the message"))?;
        let mut texts = Vec::new();
        while reader.at < end {
            texts.push(reader.text()?);
        }
        if reader.at == end { Ok(texts) } else { Err(Malformed("the list is longer than it says")) }
    }

    fn reader(&self) -> Reader<'_> {
        Reader { bytes: &self.body, at: 0, big_endian: self.big_endian }
    }
}

/// Whether the most significant byte comes first.
fn order(header: &[u8]) -> Result<bool, Malformed> {
    match header.first() {
        Some(b'l') => Ok(false),
        Some(b'B') => Ok(true),
        _ => Err(Malformed("the message has no byte order")),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big_endian: bool,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(count);
        let part =
            end.and_then(|end| self.bytes.get(self.at..end)).ok_or(Malformed("the message is too short"))?;
        self.at += count;
        Ok(part)
    }

    fn align(&mut self, to: usize) -> Result<(), Malformed> {
        self.take(self.at.next_multiple_of(to) - self.at).map(|_| ())
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.take(1)?.first().copied().ok_or(Malformed("the message is too short"))
    }

    fn number(&mut self) -> Result<u32, Malformed> {
        self.align(4)?;
        let bytes: [u8; 4] = self.take(4)?.try_into().unwrap_or_default();
        Ok(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        self.ended(length)
    }

    fn signature(&mut self) -> Result<&'a str, Malformed> {
        let length = usize::from(self.byte()?);
        self.ended(length)
    }

    /// A text of so many bytes, with the zero byte behind it.
    fn ended(&mut self, length: usize) -> Result<&'a str, Malformed> {
        let text = self.take(length)?;
        if self.byte()? != 0 {
            return Err(Malformed("a text in the message does not end where it should"));
        }
        std::str::from_utf8(text).map_err(|_| Malformed("a text in the message is no UTF-8"))
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_number(bytes, length(text.len()));
    bytes.extend(text.bytes());
    bytes.push(0);
}

fn put_number(bytes: &mut Vec<u8>, number: u32) {
    pad(bytes, 4);
    bytes.extend(number.to_le_bytes());
}

fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

/// What is written here is far shorter than 4 GiB; a peer refuses what is not.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HELLO: Method<'_> = Method {
        destination: "org.freedesktop.DBus",
        path: "/org/freedesktop/DBus",
        interface: "org.freedesktop.DBus",
        member: "Hello",
    };

    /// An answer to call 7 from `:1.5` with a `u`, as another implementation would write it in either order.
    fn answer(big_endian: bool) -> Vec<u8> {
        let number = |n: u32| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
        let mut bytes = vec![if big_endian { b'B' } else { b'l' }, 2, 1, 1];
        bytes.extend(number(4));
        bytes.extend(number(3));
        bytes.extend(number(8 + 16 + 7));
        bytes.extend([5, 1, b'u', 0]);
        bytes.extend(number(7));
        bytes.extend([7, 1, b's', 0]);
        bytes.extend(number(4));
        bytes.extend(b":1.5\0\0\0\0");
        bytes.extend([8, 1, b'g', 0, 1, b'u', 0]);
        bytes.push(0);
        bytes.extend(number(42));
        bytes
    }

    #[test]
    fn an_answer_is_read_in_either_byte_order() {
        for big_endian in [false, true] {
            let bytes = answer(big_endian);
            assert_eq!(whole_length(&bytes[..HEADER]), Ok(bytes.len()));
            let message = parse(&bytes).unwrap();
            assert_eq!((message.kind, message.answers, message.sender.as_str()), (Kind::Return, 7, ":1.5"));
            assert_eq!(message.number(), Ok(42));
            assert!(message.texts().is_err() && message.text().is_none());
        }
    }

    #[test]
    fn a_call_that_we_write_is_a_message() {
        let body = Body::new("susssasa{sv}i").text("a").number(1).text("").text("é").text("b").no_texts();
        let bytes = call(9, &HELLO, &body.table_of_byte("urgency", 2).signed(-1));
        assert_eq!(whole_length(&bytes), Ok(bytes.len()));
        let message = parse(&bytes).unwrap();
        assert_eq!((message.kind, message.signature.as_str()), (Kind::Other, "susssasa{sv}i"));
        assert_eq!(message.text(), Some("a"));
    }

    #[test]
    fn every_shortened_answer_and_an_absurd_length_are_refused() {
        let whole = answer(false);
        for length in 0..whole.len() {
            assert!(parse(&whole[..length]).is_err(), "{length} bytes");
        }
        let mut long = whole;
        long[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(whole_length(&long), Err(Malformed("the message is too long")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = whole_length(&bytes);
            let _ = parse(&bytes);
        }

        #[test]
        fn an_answer_with_any_bytes_changed_is_read_without_panic(
            changes in proptest::collection::vec((0usize..80, any::<u8>()), 1..8), big_endian: bool, signature in "[a-z{}()]{1}"
        ) {
            let mut bytes = answer(big_endian);
            for (at, byte) in changes {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            if let Ok(mut message) = parse(&bytes) {
                let _ = (message.number(), message.text().is_some());
                for signature in [signature, "as".to_owned(), "s".to_owned(), "v".to_owned()] {
                    message.signature = signature;
                    let _ = (message.texts().is_ok(), message.text().is_some(), message.text_value().is_ok());
                }
            }
        }

        #[test]
        fn texts_of_any_length_keep_their_places(texts in proptest::collection::vec("[ -~é]{0,20}", 1..6)) {
            let mut body = Body::new("as");
            let mut list = Vec::new();
            for text in &texts {
                put_text(&mut list, text);
            }
            put_number(&mut body.bytes, length(list.len()));
            body.bytes.extend(list);
            let message = parse(&call(1, &HELLO, &body)).unwrap();
            prop_assert_eq!(message.texts().unwrap(), texts);
        }
    }
}
