//! Reads what is sent: the XML well-formed, its meaning as loosely as upstream takes it (C-280,
//! C-283, C-284).
//!
//! Upstream goes by the ends of elements. Each turns its children into one value, wherever it
//! stands; an element that is not known keeps its children and the text before the first of them.
//! That is done here in the same way, because it decides what the odd documents mean.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use thiserror::Error;

use super::value::Value;

/// How deep elements may be nested.
const MAX_DEPTH: usize = 256;
/// How many attributes an element may have; none means anything here.
const MAX_ATTRIBUTES: usize = 64;
/// How many elements a document may have.
const MAX_ELEMENTS: usize = 200_000;

/// As Python reads it: padding is needed, the bits after the end do not matter.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true),
);

/// Why a document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// It is no well-formed XML, or uses what is not for XML-RPC, such as a document type.
    #[error("it is no XML: {0}")]
    Xml(String),
    /// It is larger than anything that makes sense.
    #[error("more than {0}")]
    Limit(&'static str),
    /// A value is not what its element says.
    #[error("<{tag}> has no value of that kind")]
    Value {
        /// The element.
        tag: String,
    },
}

/// What a document says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document {
    /// `methodName`, as it stands.
    pub method: Option<String>,
    /// `params`; none is not the same as empty.
    pub params: Option<Vec<Value>>,
    /// `fault`, in answers.
    pub fault: Option<Value>,
}

/// An element, open or closed.
#[derive(Debug)]
struct Element {
    tag: String,
    /// The text before the first child, or the value that the element stands for.
    text: Value,
    children: Vec<Element>,
}

/// Reads a call.
///
/// # Errors
/// It is no XML, or no XML-RPC.
pub fn decode(text: &str) -> Result<Document, DecodeError> {
    read(text, Tree::default())
}

/// Reads an answer: it may be longer than a call, and upstream's may have characters that XML
/// cannot carry (C-435).
///
/// # Errors
/// It is no XML, or no XML-RPC.
pub fn decode_answer(text: &str) -> Result<Document, DecodeError> {
    read(text, Tree { is_answer: true, ..Tree::default() })
}

fn read(text: &str, mut tree: Tree) -> Result<Document, DecodeError> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    loop {
        let event = reader.read_event().map_err(|error| DecodeError::Xml(error.to_string()))?;
        match event {
            Event::Start(start) => tree.open(&start)?,
            Event::End(_) => tree.close()?,
            Event::Text(text) => tree.text(&text.xml10_content())?,
            Event::CData(text) if tree.open.is_empty() => {
                return Err(malformed(&format!("{:?} is outside", &*text.xml10_content())));
            }
            Event::CData(text) => tree.text(&text.xml10_content())?,
            Event::GeneralRef(reference) => {
                let resolved = match reference.resolve_char_ref() {
                    Ok(Some(c)) => Some(c),
                    Ok(None) => entity(&reference.xml10_content()),
                    Err(error) => return Err(malformed(&error.to_string())),
                };
                let resolved = resolved.ok_or_else(|| malformed("an entity is not known"))?;
                if tree.open.is_empty() {
                    return Err(malformed("there is text outside"));
                }
                tree.text(resolved.encode_utf8(&mut [0; 4]))?;
            }
            Event::DocType(_) => return Err(malformed("a document type is not for XML-RPC")),
            // The declaration may name an encoding; the text has come as UTF-8 whatever it says.
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => return tree.finish(),
            Event::Empty(_) => return Err(malformed("an element has no end")),
        }
    }
}

fn malformed(what: &str) -> DecodeError {
    DecodeError::Xml(what.to_owned())
}

fn entity(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

/// Whether XML 1.0 can carry it.
pub(super) fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn is_name(name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || "_:-.\u{b7}".contains(c) || !c.is_ascii();
    let starts = name.chars().next().is_some_and(|c| c.is_alphabetic() || "_:".contains(c));
    starts && name.chars().all(is_part)
}

#[derive(Default)]
struct Tree {
    open: Vec<Element>,
    document: Document,
    elements: usize,
    has_root: bool,
    is_answer: bool,
}

impl Tree {
    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), DecodeError> {
        let name = start.name();
        let tag: &str = name.as_ref();
        if !is_name(tag) {
            return Err(malformed("an element has no proper name"));
        }
        for (at, attribute) in start.attributes().enumerate() {
            if at == MAX_ATTRIBUTES {
                return Err(DecodeError::Limit("64 attributes of one element"));
            }
            attribute.map_err(|error| DecodeError::Xml(error.to_string()))?;
        }
        if self.open.is_empty() && std::mem::replace(&mut self.has_root, true) {
            return Err(malformed("there is more than one document"));
        }
        self.elements += 1;
        if self.elements > MAX_ELEMENTS && !self.is_answer {
            return Err(DecodeError::Limit("200000 elements"));
        }
        if self.open.len() == MAX_DEPTH {
            return Err(DecodeError::Limit("256 elements inside each other"));
        }
        self.open.push(Element { tag: tag.to_owned(), text: Value::Nil, children: Vec::new() });
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), DecodeError> {
        if !self.is_answer && !text.chars().all(is_xml) {
            return Err(malformed("it has characters that XML cannot carry"));
        }
        let Some(element) = self.open.last_mut() else {
            let blank = text.chars().all(|c| matches!(c, ' ' | '\t' | '\r' | '\n' | '\u{feff}'));
            return if blank { Ok(()) } else { Err(malformed("there is text outside")) };
        };
        // What follows a child is nobody's.
        if element.children.is_empty() && !text.is_empty() {
            match &mut element.text {
                Value::Str(known) => known.push_str(text),
                nothing => *nothing = Value::Str(text.to_owned()),
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), DecodeError> {
        let Some(mut element) = self.open.pop() else { return Err(malformed("it ends twice")) };
        if let Some(value) = self.meaning(&mut element)? {
            element.text = value;
            element.children = Vec::new();
        }
        if let Some(parent) = self.open.last_mut() {
            parent.children.push(element);
        }
        Ok(())
    }

    /// The value that an element stands for; none when it is none of those that stand for one.
    fn meaning(&mut self, element: &mut Element) -> Result<Option<Value>, DecodeError> {
        let wrong = |element: &Element| DecodeError::Value { tag: element.tag.clone() };
        let text = std::mem::replace(&mut element.text, Value::Nil);
        let mut children = std::mem::take(&mut element.children);
        let first = |children: &mut Vec<Element>| {
            (!children.is_empty()).then(|| children.swap_remove(0).text)
        };
        let as_text = match &text {
            Value::Str(text) => Some(text.as_str()),
            _ => None,
        };
        let value = match element.tag.as_str() {
            "int" | "i4" => as_text.and_then(integer).map(Value::Int),
            "boolean" => Some(Value::Bool(as_text == Some("1"))),
            "string" => Some(Value::Str(as_text.unwrap_or_default().to_owned())),
            "double" => as_text.and_then(double).map(Value::Double),
            "dateTime.iso8601" => {
                as_text.filter(|text| is_date(text)).map(|text| Value::DateTime(text.to_owned()))
            }
            "base64" => base64(as_text.unwrap_or_default()).map(Value::Str),
            "data" => Some(Value::Array(children.drain(..).map(|child| child.text).collect())),
            "struct" => {
                let members: Option<Vec<_>> = children.drain(..).map(member).collect();
                members.map(Value::Struct)
            }
            "value" if children.is_empty() => {
                Some(Value::Str(as_text.unwrap_or_default().to_owned()))
            }
            "array" | "param" | "value" => first(&mut children),
            "methodName" => {
                self.document.method = as_text.map(str::to_owned);
                (element.text, element.children) = (text, children);
                return Ok(None);
            }
            "params" => {
                let params = children.drain(..).map(|child| child.text).collect();
                self.document.params = Some(params);
                return Ok(None);
            }
            "fault" => {
                self.document.fault = first(&mut children);
                return Ok(None);
            }
            _ => {
                (element.text, element.children) = (text, children);
                return Ok(None);
            }
        };
        value.map(Some).ok_or_else(|| wrong(element))
    }

    fn finish(self) -> Result<Document, DecodeError> {
        if self.open.is_empty() && self.has_root {
            Ok(self.document)
        } else {
            Err(malformed("it has no end"))
        }
    }
}

/// A member of a struct: two elements, the name first, whatever they are called.
fn member(element: Element) -> Option<(String, Value)> {
    let [name, value] = <[Element; 2]>::try_from(element.children).ok()?;
    let name = match name.text {
        Value::Str(name) => name,
        Value::Nil => String::new(),
        Value::Int(number) => number.to_string(),
        _ => return None,
    };
    Some((name, value.text))
}

/// A whole number as Python reads it: blanks around it, a sign, single underscores between
/// digits. What is too large for us is as large as can be.
pub fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let mut number: i64 = 0;
    for part in digits.split('_') {
        if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        for digit in part.bytes().map(|byte| i64::from(byte - b'0')) {
            let signed = if negative { -digit } else { digit };
            number = number.saturating_mul(10).saturating_add(signed);
        }
    }
    Some(number)
}

fn double(text: &str) -> Option<f64> {
    text.trim().parse().ok()
}

/// `20261122T12:00:00`.
fn is_date(text: &str) -> bool {
    let pattern = b"ddddddddTdd:dd:dd";
    let fits = text.len() == pattern.len()
        && text.bytes().zip(pattern).all(|(byte, expected)| match expected {
            b'd' => byte.is_ascii_digit(),
            expected => byte == *expected,
        });
    fits && chrono::NaiveDateTime::parse_from_str(text, "%Y%m%dT%H:%M:%S").is_ok()
}

fn base64(text: &str) -> Option<String> {
    let known = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    let plain: Vec<u8> = text.bytes().filter(known).collect();
    String::from_utf8(BASE64.decode(plain).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(params: &str) -> Result<Vec<Value>, DecodeError> {
        let text = format!(
            "<?xml version='1.0'?>\n<methodCall>\n<methodName>a.b</methodName>\n<params>\n\
             {params}</params>\n</methodCall>\n"
        );
        let document = decode(&text)?;
        assert_eq!(document.method.as_deref(), Some("a.b"));
        Ok(document.params.unwrap())
    }

    /// The one parameter that is written so.
    fn value(inner: &str) -> Result<Value, DecodeError> {
        let mut params = call(&format!("<param><value>{inner}</value></param>\n"))?;
        assert_eq!(params.len(), 1);
        Ok(params.remove(0))
    }

    fn text(text: &str) -> Value {
        Value::from(text)
    }

    #[test]
    fn every_type_is_read() {
        // C-283
        for (inner, expected) in [
            ("<int>5</int>", Value::Int(5)),
            ("<i4> -5\n</i4>", Value::Int(-5)),
            ("<int>1_000</int>", Value::Int(1000)),
            ("<int>99999999999999999999</int>", Value::Int(i64::MAX)),
            ("<int>-99999999999999999999</int>", Value::Int(i64::MIN)),
            ("<boolean>1</boolean>", Value::Bool(true)),
            ("<boolean>true</boolean>", Value::Bool(false)),
            ("<boolean/>", Value::Bool(false)),
            ("<string>a &lt;&#233;&#x263A;&amp;</string>", text("a <é☺&")),
            ("<string/>", text("")),
            ("<string><![CDATA[<a>]]> b</string>", text("<a> b")),
            ("<string>a<!-- c -->b</string>", text("ab")),
            ("<string>a\r\nb</string>", text("a\nb")),
            ("<double>-1.5e3</double>", Value::Double(-1500.0)),
            (
                "<dateTime.iso8601>20261122T12:00:00</dateTime.iso8601>",
                Value::DateTime("20261122T12:00:00".to_owned()),
            ),
            ("<base64>\naGVs\nbG8=\n</base64>", text("hello")),
            ("<base64/>", text("")),
            ("bare", text("bare")),
            ("", text("")),
            (" <int>5</int> ", Value::Int(5)),
            ("<nil/>", Value::Nil),
            ("<i8>5</i8>", text("5")),
            ("<array><data/></array>", Value::Array(vec![])),
            (
                "<array><data>\n<value>a</value><value><int>1</int></value></data></array>",
                Value::Array(vec![text("a"), Value::Int(1)]),
            ),
            (
                "<struct><member><name>a</name><value>b</value></member></struct>",
                Value::of([("a", text("b"))]),
            ),
            ("<struct/>", Value::Struct(vec![])),
        ] {
            assert_eq!(value(inner), Ok(expected), "{inner}");
        }
    }

    #[test]
    fn an_element_has_few_attributes() {
        // Each is compared with all before it.
        let with = |count: usize| {
            let attributes: Vec<String> = (0..count).map(|at| format!(" a{at}='1'")).collect();
            decode(&format!("<methodCall{}/>", attributes.concat()))
        };
        with(MAX_ATTRIBUTES).unwrap();
        assert!(matches!(with(MAX_ATTRIBUTES + 1), Err(DecodeError::Limit(_))));
        assert!(matches!(with(1_000_000), Err(DecodeError::Limit(_))));
    }

    #[test]
    fn what_is_no_value_is_refused() {
        // C-280
        for inner in [
            "<int>five</int>",
            "<int/>",
            "<int>1__0</int>",
            "<int>_1</int>",
            "<i4>1.5</i4>",
            "<double>x</double>",
            "<dateTime.iso8601>yesterday</dateTime.iso8601>",
            "<dateTime.iso8601>20261399T99:00:00</dateTime.iso8601>",
            "<base64>a</base64>",
            "<base64>/w==</base64>",
            "<array/>",
            "<struct><member><name>a</name></member></struct>",
            "<struct><member/></struct>",
        ] {
            let error = value(inner).unwrap_err();
            assert!(matches!(error, DecodeError::Value { .. }), "{inner}: {error:?}");
        }
        assert!(call("<param/>").is_err());
    }

    #[test]
    fn what_is_no_xml_is_refused() {
        // C-280, C-440
        for bad in [
            "",
            " ",
            "hello",
            "<a>",
            "<a></b>",
            "</a>",
            "<a/><b/>",
            "<a/>text",
            "text<a/>",
            "<a>&nbsp;</a>",
            "<a>&#0;</a>",
            "<a>&#x1b;</a>",
            "<a>\u{1b}</a>",
            "<a>\u{fffe}</a>",
            "<a b=c/>",
            "<a b='1' b='2'/>",
            "<1/>",
            "<a>& b</a>",
            "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
            "<![CDATA[a]]><a/>",
        ] {
            let error = decode(bad).unwrap_err();
            assert!(matches!(error, DecodeError::Xml(_)), "{bad:?}: {error:?}");
        }
    }

    #[test]
    fn a_call_may_lack_parameters_or_a_name() {
        // C-280, C-284
        let document = decode("<methodCall><methodName> a.b </methodName></methodCall>").unwrap();
        assert_eq!(document.method.as_deref(), Some(" a.b "));
        assert_eq!(document.params, None);
        for empty in ["<methodCall/>", "<methodCall><methodName/></methodCall>"] {
            assert_eq!(decode(empty).unwrap().method, None);
        }
    }

    #[test]
    fn an_answer_is_read() {
        let answer = "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n\
                      <value><boolean>1</boolean></value>\n</param>\n</params>\n</methodResponse>\n";
        assert_eq!(decode(answer).unwrap().params, Some(vec![Value::Bool(true)]));
        let odd = answer.replace("<boolean>1</boolean>", "<string>\u{1b}[m</string>");
        assert_eq!(decode_answer(&odd).unwrap().params, Some(vec![text("\u{1b}[m")]));
        decode(&odd).unwrap_err();
        let fault = "<methodResponse><fault><value><struct><member><name>faultCode</name>\
                     <value><int>10</int></value></member></struct></value></fault></methodResponse>";
        let fault = decode(fault).unwrap().fault.unwrap();
        assert_eq!(fault.get("faultCode"), Some(&Value::Int(10)));
    }

    #[test]
    fn nobody_makes_us_read_for_ever() {
        let deep = format!(
            "{}{}",
            "<value><array><data>".repeat(90),
            "</data></array></value>".repeat(90)
        );
        assert_eq!(decode(&deep), Err(DecodeError::Limit("256 elements inside each other")));
        let wide = format!("<a>{}</a>", "<b/>".repeat(MAX_ELEMENTS));
        assert_eq!(decode(&wide), Err(DecodeError::Limit("200000 elements")));
    }
}
