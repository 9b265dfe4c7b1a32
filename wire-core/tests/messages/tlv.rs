//! BOLT 1, appendix B, with decoders for its two made-up namespaces.

use crate::vectors::{hex, load};
use std::collections::BTreeMap;
use wire_core::{
    cursor::{Reader, Writer},
    message::tlv::{TlvError, TlvRecord, TlvStream, TlvWriteError, TlvWriter, ValueFault},
    node_id::NodeId,
};

/// The fields of each record by name, as the vectors print them.
type Values = BTreeMap<String, BTreeMap<String, String>>;

#[derive(serde::Deserialize)]
struct Vector {
    namespaces: Vec<String>,
    valid: bool,
    hex: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    values: Values,
}

fn vectors() -> Vec<Vector> {
    let vectors = load(include_str!("../vectors/bolt01-tlv.json"));
    assert_eq!(vectors.len(), 57);
    vectors
}

fn decode(namespace: &str, bytes: &[u8]) -> Result<Values, TlvError> {
    let decode_record = match namespace {
        "n1" => n1,
        "n2" => n2,
        other => panic!("unheard-of namespace {other}"),
    };
    let mut values = Values::new();
    for record in TlvStream::new(bytes) {
        if let Some((name, fields)) = decode_record(record?)? {
            let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            values.insert(name.to_owned(), fields);
        }
    }
    Ok(values)
}

/// Name and fields of a record; `None` for one that is ignored.
type Decoded = Option<(&'static str, Vec<(&'static str, String)>)>;

fn n1(record: TlvRecord<'_>) -> Result<Decoded, TlvError> {
    Ok(Some(match record.kind {
        1 => ("tlv1", vec![("amount_msat", record.tu64()?.to_string())]),
        2 => {
            let scid = u64::from_be_bytes(*record.array()?);
            let text = format!("{}x{}x{}", scid >> 40, scid >> 16 & 0xff_ffff, scid & 0xffff);
            ("tlv2", vec![("scid", text)])
        }
        3 => {
            let mut reader = Reader::new(record.array::<49>()?);
            let point = reader.take(33, "node_id").unwrap();
            let node_id = NodeId::from_bytes(point).map_err(|_| record.invalid(ValueFault::NotValid))?;
            let mut amount = || reader.u64("amount_msat").unwrap().to_string();
            let fields = vec![
                ("node_id", node_id.to_string()),
                ("amount_msat_1", amount()),
                ("amount_msat_2", amount()),
            ];
            ("tlv3", fields)
        }
        254 => ("tlv4", vec![("cltv_delta", u16::from_be_bytes(*record.array()?).to_string())]),
        _ => return record.ignore_unknown().map(|()| None),
    }))
}

fn n2(record: TlvRecord<'_>) -> Result<Decoded, TlvError> {
    Ok(Some(match record.kind {
        0 => ("tlv1", vec![("amount_msat", record.tu64()?.to_string())]),
        11 => ("tlv2", vec![("cltv_expiry", record.tu32()?.to_string())]),
        _ => return record.ignore_unknown().map(|()| None),
    }))
}

/// Whether `error` is what the specification gives as the reason.
fn is_reason(reason: &str, error: TlvError) -> bool {
    use TlvError::{
        InvalidValue, LengthMissing, LengthNotMinimal, LengthTruncated, NotAscending, TypeNotMinimal,
        TypeTruncated, UnknownEvenType, ValueTruncated,
    };
    match reason {
        "type truncated" => matches!(error, TypeTruncated),
        "not minimally encoded type" => matches!(error, TypeNotMinimal),
        "missing length" => matches!(error, LengthMissing { .. }),
        "(length truncated)" => matches!(error, LengthTruncated { kind: 15 }),
        "not minimally encoded length" => matches!(error, LengthNotMinimal { kind: 15 }),
        "missing value" => matches!(error, ValueTruncated { kind: 15, left: 0, .. }),
        "value truncated" => matches!(error, ValueTruncated { kind: 15, length: 513, left: 1.. }),
        "unknown even type." | "unknown even field for `n1`s namespace." => {
            matches!(error, UnknownEvenType { .. })
        }
        "duplicate TLV type" | "duplicate TLV type (ignored)" => {
            matches!(error, NotAscending { kind, previous } if kind == previous)
        }
        "valid TLV records but invalid ordering" | "valid (ignored) TLV records but invalid ordering" => {
            matches!(error, NotAscending { kind, previous } if kind < previous)
        }
        "`n1`s `node_id` is not a valid point." => {
            matches!(error, InvalidValue { kind: 3, fault: ValueFault::NotValid })
        }
        _ if reason.starts_with("greater than encoding length") => {
            matches!(error, InvalidValue { fault: ValueFault::TooLong, .. })
        }
        _ if reason.starts_with("less than encoding length") => {
            matches!(error, InvalidValue { fault: ValueFault::TooShort, .. })
        }
        _ if reason.ends_with("is not minimal") => {
            matches!(error, InvalidValue { fault: ValueFault::NotMinimal, .. })
        }
        _ => panic!("unheard-of reason {reason}"),
    }
}

#[test]
fn all_of_appendix_b() {
    for Vector { namespaces, valid, hex: text, reason, values } in vectors() {
        for namespace in namespaces {
            match decode(&namespace, &hex(&text)) {
                Ok(decoded) => {
                    assert!(valid, "{namespace} {text} was accepted: {reason}");
                    assert_eq!(decoded, values, "{namespace} {text}");
                }
                Err(error) => {
                    assert!(!valid, "{namespace} {text}: {error}");
                    assert!(is_reason(&reason, error), "{namespace} {text}: {error} instead of {reason}");
                }
            }
        }
    }
}

/// The two rules that close appendix B.
#[test]
fn appending() {
    let streams: Vec<_> = vectors()
        .into_iter()
        .flat_map(|vector| {
            let bytes = hex(&vector.hex);
            vector.namespaces.into_iter().map(move |namespace| (namespace, vector.valid, bytes.clone()))
        })
        .collect();
    let types = |bytes: &[u8]| TlvStream::new(bytes).map(|record| record.unwrap().kind).collect::<Vec<_>>();
    let (mut rising, mut broken) = (0, 0);
    for (namespace, valid, front) in &streams {
        for (other, other_valid, back) in &streams {
            if !valid || namespace != other {
                continue;
            }
            let whole = [front.as_slice(), back.as_slice()].concat();
            let decoded = decode(namespace, &whole);
            if !other_valid {
                assert!(decoded.is_err(), "{namespace} {front:02x?} {back:02x?}");
                broken += 1;
            } else if types(front).last() < types(back).first() || back.is_empty() {
                let mut values = decode(namespace, front).unwrap();
                values.extend(decode(namespace, back).unwrap());
                assert_eq!(decoded, Ok(values), "{namespace} {front:02x?} {back:02x?}");
                rising += 1;
            }
        }
    }
    assert!(rising > 100 && broken > 500, "{rising} and {broken} pairs");
}

#[test]
fn nothing_follows_an_error() {
    let mut stream = TlvStream::new(&[2, 0, 1, 0, 3, 0]);
    assert_eq!(stream.next(), Some(Ok(TlvRecord { kind: 2, value: &[] })));
    assert_eq!(stream.next(), Some(Err(TlvError::NotAscending { kind: 1, previous: 2 })));
    assert_eq!(stream.next(), None);
}

#[test]
fn truncated_integers_have_their_width() {
    let record = |value| TlvRecord { kind: 1, value };
    let too_long = Err(TlvError::InvalidValue { kind: 1, fault: ValueFault::TooLong });
    assert_eq!(record(&[]).tu16(), Ok(0));
    assert_eq!(record(&[1, 2]).tu16(), Ok(0x0102));
    assert_eq!(record(&[1, 2, 3]).tu16(), too_long);
    assert_eq!(record(&[1, 2, 3]).tu32(), Ok(0x01_0203));
    assert_eq!(
        record(&[0, 2, 3]).tu32(),
        Err(TlvError::InvalidValue { kind: 1, fault: ValueFault::NotMinimal })
    );
    assert_eq!(record(&[1; 5]).tu32().map(u64::from), too_long.map(u64::from));
    assert_eq!(record(&[0xff; 8]).tu64(), Ok(u64::MAX));
}

#[test]
fn a_writer_keeps_the_order() {
    let mut room = [0; 16];
    let mut writer = Writer::new(&mut room);
    let mut tlvs = TlvWriter::new(&mut writer);
    tlvs.truncated_integer(1, 0).unwrap();
    tlvs.truncated_integer(253, 256).unwrap();
    for kind in [0, 1, 253] {
        assert_eq!(tlvs.record(kind, &[]), Err(TlvWriteError::NotAscending { kind, previous: 253 }));
    }
    assert!(matches!(tlvs.record(254, &[0; 8]), Err(TlvWriteError::NoRoom(_))));
    assert!(writer.into_written().starts_with(&[1, 0, 0xfd, 0, 0xfd, 2, 1, 0]));
}
