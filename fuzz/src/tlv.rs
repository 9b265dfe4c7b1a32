//! BigSize numbers, TLV streams and truncated integers.
//!
//! Held: both encodings are canonical, so what decodes encodes to the very same bytes; types ascend strictly; a truncated
//! integer that fits a narrow type is the same number in a wide one.

use wire_core::cursor::{Reader, Writer};
use wire_core::message::bigsize;
use wire_core::message::tlv::{TlvRecord, TlvStream, TlvWriter};

/// The bytes are a TLV stream, and also begin with a BigSize.
pub fn run(data: &[u8]) {
    number(data);
    stream(data);
}

fn number(data: &[u8]) {
    let mut reader = Reader::new(data);
    let Ok(value) = bigsize::read(&mut reader) else { return };
    let mut room = [0; 9];
    let mut writer = Writer::new(&mut room);
    bigsize::write(&mut writer, value).expect("nine bytes are enough");
    let written = writer.into_written();
    assert_eq!(written.len(), bigsize::encoded_len(value));
    assert_eq!(written, &data[..data.len() - reader.remaining()]);
}

fn stream(data: &[u8]) {
    let records: Result<Vec<TlvRecord<'_>>, _> = TlvStream::new(data).collect();
    let Ok(records) = records else { return };
    assert!(records.is_sorted_by(|one, next| one.kind < next.kind));
    let mut room = vec![0; data.len()];
    let mut writer = Writer::new(&mut room);
    let mut stream = TlvWriter::new(&mut writer);
    for record in &records {
        stream.record(record.kind, record.value).expect("it came out of as many bytes");
        integers(record);
        assert_eq!(record.ignore_unknown().is_ok(), record.kind % 2 == 1, "it's OK to be odd");
    }
    assert_eq!(writer.into_written(), data);
}

fn integers(record: &TlvRecord<'_>) {
    if let Ok(narrow) = record.tu16() {
        assert_eq!(record.tu32(), Ok(u32::from(narrow)));
    }
    if let Ok(narrow) = record.tu32() {
        assert_eq!(record.tu64(), Ok(u64::from(narrow)));
    }
    if let Ok(value) = record.tu64() {
        let zeros = value.leading_zeros() / 8;
        assert_eq!(record.value, &value.to_be_bytes()[zeros as usize..], "no leading zeros");
    }
}
