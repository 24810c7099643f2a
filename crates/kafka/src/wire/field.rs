//! How each Rust type of a schema lies on the wire.

use uuid::Uuid;

use super::{DecodeError, Reader, Writer};
use crate::ErrorCode;
#[cfg(test)]
use crate::sample::Sampler;

/// The version being read or written, and whether it is flexible.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wire {
    pub(crate) version: i16,
    pub(crate) flexible: bool,
}

/// A type that a schema may use for a field.
///
/// `null` says whether the schema allows null in this version. Where it does not, null is refused
/// when read, and written as the empty value.
pub(crate) trait Field<'a>: Sized {
    /// The least this takes on the wire.
    fn len_min(wire: Wire) -> usize;
    fn read(r: &mut Reader<'a>, wire: Wire, null: bool) -> Result<Self, DecodeError>;
    fn write(&self, w: &mut Writer, wire: Wire, null: bool);
    /// Some value, for tests.
    #[cfg(test)]
    fn sample(s: &mut Sampler, wire: Wire, null: bool) -> Self;
}

macro_rules! fixed {
    ($($ty:ty, $method:ident, $len:literal, |$bits:ident| $sample:expr;)*) => { $(
        impl<'a> Field<'a> for $ty {
            fn len_min(_: Wire) -> usize {
                $len
            }
            #[inline]
            fn read(r: &mut Reader<'a>, _: Wire, _: bool) -> Result<Self, DecodeError> {
                r.$method()
            }
            #[inline]
            fn write(&self, w: &mut Writer, _: Wire, _: bool) {
                w.$method(*self);
            }
            #[cfg(test)]
            fn sample(s: &mut Sampler, _: Wire, _: bool) -> Self {
                let $bits = s.bits();
                $sample
            }
        }
    )* };
}

fixed! {
    bool, bool, 1, |bits| bits & 1 == 0;
    i8, i8, 1, |bits| bits as i8;
    i16, i16, 2, |bits| bits as i16;
    i32, i32, 4, |bits| bits as i32;
    i64, i64, 8, |bits| bits as i64;
    Uuid, uuid, 16, |bits| Uuid::from_u64_pair(bits, !bits);
}

impl<'a> Field<'a> for ErrorCode {
    fn len_min(_: Wire) -> usize {
        2
    }
    #[inline]
    fn read(r: &mut Reader<'a>, _: Wire, _: bool) -> Result<Self, DecodeError> {
        r.i16().map(ErrorCode)
    }
    #[inline]
    fn write(&self, w: &mut Writer, _: Wire, _: bool) {
        w.i16(self.0);
    }
    #[cfg(test)]
    fn sample(s: &mut Sampler, _: Wire, _: bool) -> Self {
        ErrorCode(s.bits() as i16)
    }
}

impl<'a> Field<'a> for &'a str {
    fn len_min(wire: Wire) -> usize {
        if wire.flexible { 1 } else { 2 }
    }
    #[inline]
    fn read(r: &mut Reader<'a>, wire: Wire, _: bool) -> Result<Self, DecodeError> {
        r.string(wire.flexible)
    }
    #[inline]
    fn write(&self, w: &mut Writer, wire: Wire, _: bool) {
        w.string(self, wire.flexible);
    }
    #[cfg(test)]
    fn sample(s: &mut Sampler, _: Wire, _: bool) -> Self {
        s.string()
    }
}

impl<'a> Field<'a> for Option<&'a str> {
    fn len_min(wire: Wire) -> usize {
        <&str>::len_min(wire)
    }
    #[inline]
    fn read(r: &mut Reader<'a>, wire: Wire, null: bool) -> Result<Self, DecodeError> {
        let value = r.nullable_string(wire.flexible)?;
        if value.is_none() && !null { Err(DecodeError::Null) } else { Ok(value) }
    }
    #[inline]
    fn write(&self, w: &mut Writer, wire: Wire, null: bool) {
        let value = if null { *self } else { Some(self.unwrap_or_default()) };
        w.nullable_string(value, wire.flexible);
    }
    #[cfg(test)]
    fn sample(s: &mut Sampler, _: Wire, null: bool) -> Self {
        s.some(null).then(|| s.string())
    }
}

impl<'a> Field<'a> for &'a [u8] {
    fn len_min(wire: Wire) -> usize {
        if wire.flexible { 1 } else { 4 }
    }
    #[inline]
    fn read(r: &mut Reader<'a>, wire: Wire, _: bool) -> Result<Self, DecodeError> {
        r.bytes(wire.flexible)
    }
    #[inline]
    fn write(&self, w: &mut Writer, wire: Wire, _: bool) {
        w.bytes(self, wire.flexible);
    }
    #[cfg(test)]
    fn sample(s: &mut Sampler, _: Wire, _: bool) -> Self {
        s.bytes()
    }
}

impl<'a> Field<'a> for Option<&'a [u8]> {
    fn len_min(wire: Wire) -> usize {
        <&[u8]>::len_min(wire)
    }
    #[inline]
    fn read(r: &mut Reader<'a>, wire: Wire, null: bool) -> Result<Self, DecodeError> {
        let value = r.nullable_bytes(wire.flexible)?;
        if value.is_none() && !null { Err(DecodeError::Null) } else { Ok(value) }
    }
    #[inline]
    fn write(&self, w: &mut Writer, wire: Wire, null: bool) {
        let value = if null { *self } else { Some(self.unwrap_or_default()) };
        w.nullable_bytes(value, wire.flexible);
    }
    #[cfg(test)]
    fn sample(s: &mut Sampler, _: Wire, null: bool) -> Self {
        s.some(null).then(|| s.bytes())
    }
}

impl<'a, T: Field<'a>> Field<'a> for Vec<T> {
    fn len_min(wire: Wire) -> usize {
        if wire.flexible { 1 } else { 4 }
    }
    #[inline]
    fn read(r: &mut Reader<'a>, wire: Wire, _: bool) -> Result<Self, DecodeError> {
        Option::<Vec<T>>::read(r, wire, false)?.ok_or(DecodeError::Null)
    }
    #[inline]
    fn write(&self, w: &mut Writer, wire: Wire, _: bool) {
        w.nullable_count(Some(self.len()), wire.flexible);
        for element in self {
            element.write(w, wire, false);
        }
    }
    #[cfg(test)]
    fn sample(s: &mut Sampler, wire: Wire, _: bool) -> Self {
        (0..s.count()).map(|_| T::sample(s, wire, false)).collect()
    }
}

impl<'a, T: Field<'a>> Field<'a> for Option<Vec<T>> {
    fn len_min(wire: Wire) -> usize {
        Vec::<T>::len_min(wire)
    }
    fn read(r: &mut Reader<'a>, wire: Wire, null: bool) -> Result<Self, DecodeError> {
        let Some(count) = r.nullable_count::<T>(wire.flexible, T::len_min(wire))? else {
            return if null { Ok(None) } else { Err(DecodeError::Null) };
        };
        // The count was checked against the bytes left and the memory allowed.
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(T::read(r, wire, false)?);
        }
        Ok(Some(elements))
    }
    fn write(&self, w: &mut Writer, wire: Wire, null: bool) {
        match self {
            Some(elements) => elements.write(w, wire, null),
            None => w.nullable_count(if null { None } else { Some(0) }, wire.flexible),
        }
    }
    #[cfg(test)]
    fn sample(s: &mut Sampler, wire: Wire, null: bool) -> Self {
        s.some(null).then(|| Vec::sample(s, wire, false))
    }
}
