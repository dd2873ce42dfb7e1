//! Writes answers and calls, byte for byte as Python's `xmlrpc.client` does (C-282), and always
//! well-formed: what XML cannot carry is shown by a sign that stands for it (C-434, C-435).

use std::borrow::Cow;

use super::decode::is_xml;
use super::value::Value;
use crate::model::fault::Fault;

const HEAD: &str = "<?xml version='1.0'?>\n";

/// The answer to a call.
#[must_use]
pub fn answer(outcome: &Result<Value, Fault>) -> String {
    let mut xml = String::from(HEAD);
    xml.push_str("<methodResponse>\n");
    match outcome {
        Ok(value) => params(&mut xml, std::slice::from_ref(value)),
        Err(fault) => {
            xml.push_str("<fault>\n");
            write(&mut xml, &fault_struct(fault));
            xml.push_str("</fault>\n");
        }
    }
    xml.push_str("</methodResponse>\n");
    xml
}

/// A call.
#[must_use]
pub fn call(method: &str, arguments: &[Value]) -> String {
    let mut xml = String::from(HEAD);
    xml.push_str("<methodCall>\n<methodName>");
    escape(&mut xml, method);
    xml.push_str("</methodName>\n");
    params(&mut xml, arguments);
    xml.push_str("</methodCall>\n");
    xml
}

/// A fault as a value: in a fault, and in the results of a multicall (C-321).
#[must_use]
pub fn fault_struct(fault: &Fault) -> Value {
    Value::of([
        ("faultCode", Value::from(fault.kind.code())),
        ("faultString", Value::from(fault.to_string())),
    ])
}

/// Bytes as text. What is no UTF-8 is replaced (C-434); what is UTF-8 and cannot be sent is
/// replaced when it is written.
#[must_use]
pub fn text(bytes: Vec<u8>) -> Value {
    Value::Str(match String::from_utf8_lossy(&bytes) {
        Cow::Owned(text) => text,
        // Borrowed is the promise that it is UTF-8 as it stands.
        Cow::Borrowed(_) => String::from_utf8(bytes).unwrap_or_default(),
    })
}

fn params(xml: &mut String, values: &[Value]) {
    xml.push_str("<params>\n");
    for value in values {
        xml.push_str("<param>\n");
        write(xml, value);
        xml.push_str("</param>\n");
    }
    xml.push_str("</params>\n");
}

fn write(xml: &mut String, value: &Value) {
    xml.push_str("<value>");
    match value {
        Value::Nil => xml.push_str("<nil/>"),
        Value::Int(number) => scalar(xml, "int", &number.to_string()),
        Value::Bool(is_true) => scalar(xml, "boolean", if *is_true { "1" } else { "0" }),
        Value::Str(text) => scalar(xml, "string", text),
        Value::Double(number) => scalar(xml, "double", &number.to_string()),
        Value::DateTime(text) => scalar(xml, "dateTime.iso8601", text),
        Value::Array(values) => {
            xml.push_str("<array><data>\n");
            for value in values {
                write(xml, value);
            }
            xml.push_str("</data></array>");
        }
        Value::Struct(members) => {
            xml.push_str("<struct>\n");
            for (name, value) in members {
                xml.push_str("<member>\n<name>");
                escape(xml, name);
                xml.push_str("</name>\n");
                write(xml, value);
                xml.push_str("</member>\n");
            }
            xml.push_str("</struct>");
        }
    }
    xml.push_str("</value>\n");
}

fn scalar(xml: &mut String, tag: &str, text: &str) {
    xml.push('<');
    xml.push_str(tag);
    xml.push('>');
    escape(xml, text);
    xml.push_str("</");
    xml.push_str(tag);
    xml.push('>');
}

/// A carriage return as it stands would become a line feed on the way. A control character
/// becomes the picture of itself: U+241B for an escape.
fn escape(xml: &mut String, text: &str) {
    xml.reserve(text.len());
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '\r' => xml.push_str("&#13;"),
            c if is_xml(c) => xml.push(c),
            '\0'..=' ' => xml.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
            _ => xml.push('\u{fffd}'),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::decode::decode;
    use super::*;
    use crate::model::fault::FaultKind;

    #[test]
    fn answers_are_written_as_python_does() {
        // C-282, C-286
        let answer = |value| answer(&Ok(value));
        let around = |inner: &str| {
            format!(
                "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n{inner}</param>\n\
                 </params>\n</methodResponse>\n"
            )
        };
        assert_eq!(answer(true.into()), around("<value><boolean>1</boolean></value>\n"));
        assert_eq!(
            answer("a<b>&".into()),
            around("<value><string>a&lt;b&gt;&amp;</string></value>\n")
        );
        assert_eq!(
            answer(Value::Array(vec![Value::Int(-1), Value::of([("a", "".into())])])),
            around(
                "<value><array><data>\n<value><int>-1</int></value>\n<value><struct>\n<member>\n\
                 <name>a</name>\n<value><string></string></value>\n</member>\n</struct></value>\n\
                 </data></array></value>\n"
            )
        );
        assert_eq!(
            super::answer(&Err(Fault::new(FaultKind::BadName, "x"))),
            "<?xml version='1.0'?>\n<methodResponse>\n<fault>\n<value><struct>\n<member>\n\
             <name>faultCode</name>\n<value><int>10</int></value>\n</member>\n<member>\n\
             <name>faultString</name>\n<value><string>BAD_NAME: x</string></value>\n</member>\n\
             </struct></value>\n</fault>\n</methodResponse>\n"
        );
    }

    #[test]
    fn what_xml_cannot_carry_is_shown_by_a_sign() {
        // C-434, C-435
        let sent = |bytes: &[u8]| {
            let xml = answer(&Ok(text(bytes.to_vec())));
            decode(&xml).unwrap().params.unwrap().remove(0)
        };
        assert_eq!(
            sent(b"\x1b[31mred\x1b[0m\0"),
            Value::from("\u{241b}[31mred\u{241b}[0m\u{2400}")
        );
        assert_eq!(sent(b"a\r\nb\tc\x7f"), Value::from("a\r\nb\tc\x7f"));
        assert_eq!(sent(b"\xff\xc3"), Value::from("\u{fffd}\u{fffd}"));
        assert_eq!(sent("\u{ffff}".as_bytes()), Value::from("\u{fffd}"));
    }

    /// Values that are sent as they are.
    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::Int),
            any::<bool>().prop_map(Value::Bool),
            "[ -~\\r\\n\\té☺𝄞]*".prop_map(Value::Str),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
                prop::collection::vec(("[a-z<&]{0,4}", inner), 0..5).prop_map(Value::Struct),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(value in values()) {
            let read = decode(&answer(&Ok(value.clone()))).unwrap();
            prop_assert_eq!(read.params, Some(vec![value.clone()]));
            let read = decode(&call("a.b", std::slice::from_ref(&value))).unwrap();
            prop_assert_eq!(read.method.as_deref(), Some("a.b"));
            prop_assert_eq!(read.params, Some(vec![value]));
        }

        #[test]
        fn every_log_makes_a_well_formed_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            decode(&answer(&Ok(text(bytes)))).unwrap();
        }

        #[test]
        fn no_document_upsets_the_reader(text in "[<>/a-z&;#0-9'=! \\[\\]-]{0,60}") {
            let _ = decode(&text);
        }

        #[test]
        fn no_call_upsets_the_reader(parts in prop::collection::vec(prop_oneof![
            Just("<value>"), Just("</value>"), Just("<int>"), Just("</int>"), Just("1"),
            Just("<struct>"), Just("</struct>"), Just("<member>"), Just("</member>"),
            Just("<name>"), Just("</name>"), Just("<array>"), Just("</array>"), Just("<data>"),
            Just("</data>"), Just("<params>"), Just("</params>"), Just("<param>"), Just("</param>"),
        ], 0..30)) {
            let _ = decode(&parts.concat());
        }
    }
}
