//! Keys, and the hash whose output is specified.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use twox_hash::XxHash3_64;

/// XXH3, 64 bits, seed 0, default secret: the hash of a key's bytes.
///
/// XXH3 has a written [specification] and its output has been frozen since xxHash 0.8.0 (2020);
/// there are implementations of it for every common language. Partitions are kept on disk and
/// computed by other programs, which rules out hashes that may change between versions
/// ([`std::hash::DefaultHasher`], ahash, foldhash) and hashes that one library alone defines.
///
/// ```
/// assert_eq!(chaski_pool::partition::hash(b"abc"), 0x78af_5f94_892f_3950);
/// ```
///
/// [specification]: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
pub fn hash(bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot(bytes)
}

/// Something messages are partitioned by: a value that has bytes.
///
/// The bytes decide, so keys that are equal must have equal bytes. The implementations here:
///
/// | key | bytes |
/// |---|---|
/// | `str`, `String` | UTF-8 |
/// | `[u8]`, `[u8; N]`, `Vec<u8>` | themselves |
/// | `u8` to `u128`, `i8` to `i128` | little-endian, two's complement, as many as the type has |
/// | `usize`, `isize` | as `u64` and `i64` |
///
/// References and smart pointers are the key they point to. Integers of different widths have
/// different bytes: `7_u32` and `7_u64` are different keys.
///
/// ```
/// use chaski_pool::partition::Key;
///
/// struct Account { tenant: u32, number: u64 }
///
/// impl Key for Account {
///     fn with_bytes<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
///         let mut bytes = [0; 12];
///         bytes[..4].copy_from_slice(&self.tenant.to_le_bytes());
///         bytes[4..].copy_from_slice(&self.number.to_le_bytes());
///         read(&bytes)
///     }
/// }
/// # assert_eq!(Account { tenant: 1, number: 2 }.with_bytes(|bytes| bytes[4]), 2);
/// ```
pub trait Key {
    /// Calls `read` with the key's bytes.
    ///
    /// A callback, because the bytes of an integer live no longer than the call.
    fn with_bytes<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R;
}

/// The hash of a key.
pub(super) fn hash_of<K: Key + ?Sized>(key: &K) -> u64 {
    key.with_bytes(hash)
}

macro_rules! bytes {
    ($($key:ty),*) => {$(
        impl Key for $key {
            fn with_bytes<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
                read(self.as_ref())
            }
        }
    )*};
}

bytes!(str, String, [u8], Vec<u8>);

impl<const N: usize> Key for [u8; N] {
    fn with_bytes<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        read(self)
    }
}

macro_rules! integers {
    ($($key:ty as $wide:ty),*) => {$(
        impl Key for $key {
            fn with_bytes<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
                read(&(*self as $wide).to_le_bytes())
            }
        }
    )*};
}

integers!(u8 as u8, u16 as u16, u32 as u32, u64 as u64, u128 as u128, usize as u64);
integers!(i8 as i8, i16 as i16, i32 as i32, i64 as i64, i128 as i128, isize as i64);

macro_rules! pointers {
    ($($pointer:ty),*) => {$(
        impl<K: Key + ?Sized> Key for $pointer {
            fn with_bytes<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
                (**self).with_bytes(read)
            }
        }
    )*};
}

pointers!(&K, &mut K, Box<K>, Rc<K>, Arc<K>);

impl<K: Key + ToOwned + ?Sized> Key for Cow<'_, K> {
    fn with_bytes<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        (**self).with_bytes(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<K: Key + ?Sized>(key: &K) -> Vec<u8> {
        key.with_bytes(<[u8]>::to_vec)
    }

    #[test]
    fn the_bytes_of_the_table() {
        assert_eq!(bytes("ab"), b"ab");
        assert_eq!(bytes(&[1_u8, 2][..]), [1, 2]);
        assert_eq!(bytes(&0x0102_u16), [2, 1]);
        assert_eq!(bytes(&-2_i32), [0xfe, 0xff, 0xff, 0xff]);
        assert_eq!(bytes(&7_usize), [7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes(&-1_isize), [0xff; 8]);
        assert_eq!(bytes(&u128::MAX), [0xff; 16]);
    }

    #[test]
    fn what_points_to_a_key_is_that_key() {
        let expected = b"key".to_vec();
        assert_eq!(bytes(&String::from("key")), expected);
        assert_eq!(bytes(&Arc::<str>::from("key")), expected);
        assert_eq!(bytes(&Box::<[u8]>::from(&b"key"[..])), expected);
        assert_eq!(bytes(&Cow::Borrowed("key")), expected);
        assert_eq!(bytes(&b"key"), expected);
    }
}
