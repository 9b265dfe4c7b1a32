//! The reader and the writer: appendix D of BOLT 1, and what happens at the end of the bytes.

use crate::vectors::{hex, load};
use wire_core::cursor::{NoRoom, Reader, Truncated, Writer};

/// BOLT 1, appendix D: signed integers. The width follows from the number of bytes.
#[test]
fn signed_integers() {
    #[derive(serde::Deserialize)]
    struct Vector {
        value: i64,
        bytes: String,
    }
    let vectors = load::<Vector>(include_str!("../vectors/bolt01-signed-integers.json"));
    assert_eq!(vectors.len(), 23);
    for Vector { value, bytes } in vectors {
        let bytes = hex(&bytes);
        let mut reader = Reader::new(&bytes);
        let mut room = [0; 8];
        let mut writer = Writer::new(&mut room);
        let read = match bytes.len() {
            1 => {
                writer.put_i8(value.try_into().unwrap()).unwrap();
                reader.i8("s8").map(i64::from)
            }
            2 => {
                writer.put_i16(value.try_into().unwrap()).unwrap();
                reader.i16("s16").map(i64::from)
            }
            4 => {
                writer.put_i32(value.try_into().unwrap()).unwrap();
                reader.i32("s32").map(i64::from)
            }
            8 => {
                writer.put_i64(value).unwrap();
                reader.i64("s64")
            }
            len => panic!("{len} bytes"),
        };
        assert_eq!(read, Ok(value));
        assert!(reader.is_empty());
        assert_eq!(writer.into_written(), bytes);
    }
}

#[test]
fn a_field_that_does_not_fit_is_named_and_nothing_is_taken() {
    let mut reader = Reader::new(&[1, 2, 3]);
    assert_eq!(reader.u8("first"), Ok(1));
    let error = Truncated { field: "second", needed: 4, left: 2 };
    assert_eq!(reader.u32("second"), Err(error));
    assert_eq!(error.to_string(), "`second` is cut short: it takes 4 bytes and 2 are left");
    assert_eq!(
        reader.take(usize::MAX, "third"),
        Err(Truncated { field: "third", needed: usize::MAX, left: 2 })
    );
    assert_eq!(reader.remaining(), 2);
    assert_eq!(reader.rest(), [2, 3]);
    assert_eq!(reader.rest(), [0; 0]);
}

#[test]
fn a_length_in_front_counts_exactly_what_follows() {
    let mut reader = Reader::new(&[0, 2, 7, 8, 9]);
    assert_eq!(reader.take_with_u16_len("data"), Ok(&[7, 8][..]));
    assert_eq!(reader.rest(), [9]);
    let mut reader = Reader::new(&[0, 3, 7, 8]);
    assert_eq!(reader.take_with_u16_len("data"), Err(Truncated { field: "data", needed: 3, left: 2 }));
}

#[test]
fn a_full_buffer_refuses_and_keeps_what_it_has() {
    let mut room = [0xff; 5];
    let mut writer = Writer::new(&mut room);
    writer.put_u16(0x0102).unwrap();
    assert_eq!(writer.put_u32(3), Err(NoRoom { needed: 4, left: 3 }));
    assert_eq!(writer.put_zeros(usize::MAX), Err(NoRoom { needed: usize::MAX, left: 3 }));
    writer.put_zeros(2).unwrap();
    assert_eq!(writer.written(), 4);
    assert_eq!(writer.into_written(), [1, 2, 0, 0]);
    assert_eq!(room, [1, 2, 0, 0, 0xff]);
}

#[test]
fn a_string_longer_than_its_length_can_say_is_refused() {
    let mut room = vec![0; 70_000];
    let mut writer = Writer::new(&mut room);
    assert_eq!(writer.put_with_u16_len(&vec![1; 65_536]), Err(NoRoom { needed: 65_536, left: 65_535 }));
    assert_eq!(writer.written(), 0);
    writer.put_with_u16_len(&vec![1; 65_535]).unwrap();
    assert_eq!(writer.written(), 65_537);
}
