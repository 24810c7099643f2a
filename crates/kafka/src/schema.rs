//! One compact schema per message gives the struct, its decoder and its encoder.
//!
//! ```text
//! message! {
//!     api Metadata;                                   which API decides from where it is flexible
//!
//!     /// What the struct is.
//!     pub struct Topic<'a> {
//!         error_code: ErrorCode [0+],                 field: type [versions]
//!         name: Option<&'a str> [0+] null [12+],      null only in these versions
//!         topic_id: Uuid [10+],
//!         leader_epoch: i32 [7+] = -1,                value where the version lacks it
//!         old: i32 [8..=10],                          a closed range of versions
//!         endpoints: Vec<Node<'a>> [10+] tag 0,       a tagged field (KIP-482)
//!     }
//! }
//! ```
//!
//! Fields stand in wire order; tagged ones go last on the wire and by rising tag. An `Option`
//! without `null` may be null in every version. A field that a version lacks is not written, and
//! has its default after reading. Tagged fields that equal their default are not written.

/// Is `$version` in the range written as in a schema?
macro_rules! within {
    ($version:expr, $first:literal +) => {
        $version >= $first
    };
    ($version:expr, $first:literal ..= $last:literal) => {
        ($first..=$last).contains(&$version)
    };
}

/// May the field be null in `$version`? Yes unless the schema bounds it.
macro_rules! nullable {
    ($version:expr, []) => {
        true
    };
    ($version:expr, [$($range:tt)+]) => {
        $crate::schema::within!($version, $($range)+)
    };
}

/// The default of a field.
macro_rules! default {
    () => {
        Default::default()
    };
    ($value:expr) => {
        $value
    };
}

/// `$then`, unless the field is tagged.
macro_rules! if_plain {
    ([], $then:expr) => {
        $then
    };
    ([$tag:literal], $then:expr) => {};
}

/// `$then` with `$name` bound to the tag, if the field is tagged.
macro_rules! if_tagged {
    ([], $name:ident, $then:expr) => {};
    ([$tag:literal], $name:ident, $then:expr) => {{
        let $name: u32 = $tag;
        $then
    }};
}

/// See the head of this module.
macro_rules! message {
    (api $api:ident; $($structs:tt)+) => {
        $crate::schema::message! { @from ($crate::ApiKey::$api.flexible_from()) $($structs)+ }
    };
    (never flexible; $($structs:tt)+) => {
        $crate::schema::message! { @from (i16::MAX) $($structs)+ }
    };
    (@from $flexible_from:tt $(
        $(#[$meta:meta])*
        pub struct $name:ident $(<$lt:lifetime>)? { $(
            $(#[$field_meta:meta])*
            $field:ident : $ty:ty [$($versions:tt)+]
                $(null [$($null:tt)+])? $(tag $tag:literal)? $(= $default:expr)?
        ),+ $(,)? }
    )+) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs)]
        pub struct $name $(<$lt>)? {
            $( $(#[$field_meta])* pub $field: $ty, )+
        }

        impl $(<$lt>)? Default for $name $(<$lt>)? {
            fn default() -> Self {
                Self { $( $field: $crate::schema::default!($($default)?), )+ }
            }
        }

        impl<'a> $crate::wire::Field<'a> for $name $(<$lt>)? {
            fn len_min(wire: $crate::wire::Wire) -> usize {
                let mut len = usize::from(wire.flexible);
                $( $crate::schema::if_plain!([$($tag)?], {
                    if $crate::schema::within!(wire.version, $($versions)+) {
                        len += <$ty as $crate::wire::Field<'a>>::len_min(wire);
                    }
                }); )+
                len
            }

            fn read(
                r: &mut $crate::Reader<'a>,
                wire: $crate::wire::Wire,
                _null: bool,
            ) -> Result<Self, $crate::DecodeError> {
                let mut message = Self::default();
                $( $crate::schema::if_plain!([$($tag)?], {
                    if $crate::schema::within!(wire.version, $($versions)+) {
                        let null = $crate::schema::nullable!(wire.version, [$($($null)+)?]);
                        message.$field = $crate::wire::Field::read(r, wire, null)?;
                    }
                }); )+
                if wire.flexible {
                    #[allow(unused_variables)]
                    r.tags(|r, tag| {
                        $( $crate::schema::if_tagged!([$($tag)?], this, {
                            if tag == this
                                && $crate::schema::within!(wire.version, $($versions)+)
                            {
                                let null =
                                    $crate::schema::nullable!(wire.version, [$($($null)+)?]);
                                message.$field = $crate::wire::Field::read(r, wire, null)?;
                                return Ok(true);
                            }
                        }); )+
                        Ok(false)
                    })?;
                }
                Ok(message)
            }

            fn write(&self, w: &mut $crate::Writer, wire: $crate::wire::Wire, _null: bool) {
                $( $crate::schema::if_plain!([$($tag)?], {
                    if $crate::schema::within!(wire.version, $($versions)+) {
                        let null = $crate::schema::nullable!(wire.version, [$($($null)+)?]);
                        $crate::wire::Field::write(&self.$field, w, wire, null);
                    }
                }); )+
                if wire.flexible {
                    #[allow(unused_mut)]
                    let mut tags = $crate::wire::Tags::default();
                    $( $crate::schema::if_tagged!([$($tag)?], this, {
                        let default: $ty = $crate::schema::default!($($default)?);
                        if $crate::schema::within!(wire.version, $($versions)+)
                            && self.$field != default
                        {
                            let null = $crate::schema::nullable!(wire.version, [$($($null)+)?]);
                            tags.add(this, |w| {
                                $crate::wire::Field::write(&self.$field, w, wire, null);
                            });
                        }
                    }); )+
                    tags.finish(w);
                }
            }

            #[cfg(test)]
            fn sample(
                s: &mut $crate::sample::Sampler,
                wire: $crate::wire::Wire,
                _null: bool,
            ) -> Self {
                let mut message = Self::default();
                $( if $crate::schema::within!(wire.version, $($versions)+) {
                    let null = $crate::schema::nullable!(wire.version, [$($($null)+)?]);
                    message.$field = $crate::wire::Field::sample(s, wire, null);
                } )+
                message
            }
        }

        impl<'a> $crate::Message<'a> for $name $(<$lt>)? {
            fn decode(
                r: &mut $crate::Reader<'a>,
                version: i16,
            ) -> Result<Self, $crate::DecodeError> {
                let wire = $crate::wire::Wire { version, flexible: version >= $flexible_from };
                $crate::wire::Field::read(r, wire, false)
            }

            fn encode(&self, w: &mut $crate::Writer, version: i16) {
                let wire = $crate::wire::Wire { version, flexible: version >= $flexible_from };
                $crate::wire::Field::write(self, w, wire, false);
            }
        }
    )+ };
}

/// Says which API a request belongs to and what answers it.
macro_rules! exchange {
    ($api:ident: $request:ty => $response:ty) => {
        impl<'a> $crate::Request<'a> for $request {
            const API: $crate::ApiKey = $crate::ApiKey::$api;
            type Response<'r> = $response;
        }
    };
}

pub(crate) use {default, exchange, if_plain, if_tagged, message, nullable, within};
