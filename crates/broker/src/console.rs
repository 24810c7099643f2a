//! The console: the page at `/` and at its other addresses, and the files it is made of.
//!
//! All of it lies in the binary, so it works without a network and is always as new as the broker.
//! The files are served below `/assets/VERSION/`, where the version is a hash over all of them:
//! they may be kept for ever, and a page never mixes files of two versions. The page itself is
//! asked for anew each time and answered with 304 while it is the same. Its style and the script
//! that starts it stand in the page, so that the first picture waits for this one answer; the
//! policy names them by their hashes.
//!
//! It shows what the JSON API tells and nothing else; see `console/` for how. What protects a
//! browser from what is in a record is here twice: the scripts make text nodes and never markup,
//! and the policy below lets nothing run that is not one of these files.

use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::sync::OnceLock;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

/// Addresses of the console; the page itself finds out which it is at.
const PAGES: &[&str] = &[
    "/",
    "/topics",
    "/topics/{topic}",
    "/topics/{topic}/messages",
    "/groups",
    "/groups/{group}",
    "/gateways",
    "/sockets",
    "/rings",
    "/shards",
    "/config",
];

/// What the page may do: run and show these files, and talk to this broker. Strings never become
/// scripts or markup, and nobody may frame it. The marks stand for the hashes of what is in it.
const POLICY: &str = "default-src 'none'; script-src 'self' {{start}}; style-src {{style}}; \
    img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// What a file may do that is opened by itself: be looked at.
const FILE_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

/// Sent with whatever the console answers, beside a policy.
const SECURITY: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_bytes!(concat!("../console/", $path)) as &[u8])),*]
    };
}

/// The page, with marks where its assets are named and where the next two go.
const PAGE: &str = include_str!("../console/index.html");

/// How all of it looks.
const STYLE: &str = include_str!("../console/style.css");

/// What runs before the first picture, with a mark where the assets are named.
const START: &str = include_str!("../console/start.js");

/// Everything else, by its path.
const FILES: &[(&str, &[u8])] = files![
    "api.js",
    "app.js",
    "bytes_view.js",
    "cards.js",
    "chart.js",
    "cli.js",
    "dialog.js",
    "dom.js",
    "favicon.svg",
    "feed.js",
    "form.js",
    "format.js",
    "gateway_form.js",
    "history.js",
    "json_view.js",
    "keys.js",
    "list.js",
    "live.js",
    "page.js",
    "paged.js",
    "pages/config.js",
    "pages/gateways.js",
    "pages/group.js",
    "pages/groups.js",
    "pages/messages.js",
    "pages/missing.js",
    "pages/overview.js",
    "pages/rings.js",
    "pages/shards.js",
    "pages/sockets.js",
    "pages/topic.js",
    "pages/topics.js",
    "peers.js",
    "produce.js",
    "records.js",
    "reset.js",
    "router.js",
    "seek.js",
    "session.js",
    "settings.js",
    "store.js",
    "stream.js",
    "table.js",
    "tail.js",
    "toast.js",
    "vendor/uplot-LICENSE.txt",
    "vendor/uplot.js",
    "virtual.js",
    "visible.js",
];

/// Routes of the console: its pages, its files, and the page that says that there is no such page.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let pages = PAGES.iter().fold(Router::new(), |router, path| router.route(path, get(page)));
    pages.route("/assets/{version}/{*path}", get(asset)).fallback(missing)
}

async fn page(request: HeaderMap) -> Response {
    let site = Site::get();
    let etag = site.etag();
    if request.get(header::IF_NONE_MATCH).is_some_and(|known| known == etag.as_str()) {
        let policy = [(header::CONTENT_SECURITY_POLICY, site.policy.as_str())];
        let known = [(header::ETAG, etag)];
        return (StatusCode::NOT_MODIFIED, SECURITY, policy, known).into_response();
    }
    let fresh = [(header::ETAG, etag), (header::CACHE_CONTROL, "no-cache".to_owned())];
    (fresh, site.page.answer(&request, &site.policy)).into_response()
}

async fn missing(request: HeaderMap) -> Response {
    let site = Site::get();
    (StatusCode::NOT_FOUND, site.page.answer(&request, &site.policy)).into_response()
}

async fn asset(Path((version, path)): Path<(String, String)>, request: HeaderMap) -> Response {
    let site = Site::get();
    let file = site.files.iter().find(|file| file.path == path && version == site.version);
    let Some(file) = file else {
        let policy = [(header::CONTENT_SECURITY_POLICY, FILE_POLICY)];
        return (StatusCode::NOT_FOUND, SECURITY, policy, "no such file\n").into_response();
    };
    let kept = [(header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (kept, file.answer(&request, FILE_POLICY)).into_response()
}

/// All files, ready to be sent.
struct Site {
    version: String,
    policy: String,
    page: File,
    files: Vec<File>,
}

impl Site {
    fn get() -> &'static Site {
        static SITE: OnceLock<Site> = OnceLock::new();
        SITE.get_or_init(Site::new)
    }

    fn new() -> Site {
        // Any hash that differs between builds does; this one is the same within a build.
        let mut hasher = DefaultHasher::new();
        [PAGE, STYLE, START].iter().for_each(|text| hasher.write(text.as_bytes()));
        FILES.iter().for_each(|(_, content)| hasher.write(content));
        let version = format!("{:016x}", hasher.finish());
        let page = page_text(&version).into_bytes();
        let file = |&(path, content): &(&'static str, &'static [u8])| {
            File::new(path, Bytes::from_static(content))
        };
        Site {
            policy: policy(&version),
            page: File::new("index.html", page.into()),
            files: FILES.iter().map(file).collect(),
            version,
        }
    }

    fn etag(&self) -> String {
        format!("\"{}\"", self.version)
    }
}

const PRELOAD: &str = "<link rel=\"modulepreload\"";

/// The page with its style and its first script, naming its files. Modules import each other, so
/// the browser would find them one after the other; told of all at once it asks for all at once. It
/// is told by `start.js` when it has painted: before, they would compete with the first picture.
fn page_text(version: &str) -> String {
    let module = |path: &str| {
        path.ends_with(".js").then(|| format!("{PRELOAD} href=\"/assets/{version}/{path}\">\n"))
    };
    let preload: String = FILES.iter().filter_map(|(path, _)| module(path)).collect();
    PAGE.replace("{{preload}}\n", &preload)
        .replace("{{assets}}", &format!("/assets/{version}"))
        .replace("{{style}}", STYLE)
        .replace("{{start}}", &start_text(version))
}

fn start_text(version: &str) -> String {
    START.replace("{{assets}}", &format!("/assets/{version}"))
}

fn policy(version: &str) -> String {
    POLICY.replace("{{style}}", &hash(STYLE)).replace("{{start}}", &hash(&start_text(version)))
}

/// How a policy names what stands in a page (CSP level 3, section 2.3.1).
fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}

/// A file as it is, and compressed when it is first asked for so.
struct File {
    path: &'static str,
    plain: Bytes,
    gzip: OnceLock<Bytes>,
}

impl File {
    fn new(path: &'static str, plain: Bytes) -> File {
        File { path, plain, gzip: OnceLock::new() }
    }

    fn kind(&self) -> &'static str {
        match self.path.rsplit_once('.') {
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "html")) => "text/html; charset=utf-8",
            Some((_, "svg")) => "image/svg+xml",
            _ => "text/plain; charset=utf-8",
        }
    }

    fn gzip(&self) -> &Bytes {
        self.gzip.get_or_init(|| gzipped(&self.plain))
    }

    fn answer(&self, request: &HeaderMap, policy: &str) -> Response {
        let always = [
            (header::CONTENT_TYPE, self.kind()),
            (header::VARY, "accept-encoding"),
            (header::CONTENT_SECURITY_POLICY, policy),
        ];
        let accepted = request.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
        if accepted.is_some_and(accepts_gzip) {
            let encoded = [(header::CONTENT_ENCODING, "gzip")];
            return (SECURITY, always, encoded, self.gzip().clone()).into_response();
        }
        (SECURITY, always, self.plain.clone()).into_response()
    }
}

fn accepts_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        name.trim() == "gzip" && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

fn gzipped(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).expect("a vector takes all");
    encoder.finish().expect("a vector takes all").into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    /// All of the console fits in this, compressed.
    const GZIPPED_MAX: usize = 100_000;

    /// The page and what is put into it.
    const IN_PAGE: [(&str, &str); 3] =
        [("index.html", PAGE), ("style.css", STYLE), ("start.js", START)];

    /// What would turn a string into markup or into a script.
    const DANGEROUS: &[&str] = &[
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "DOMParser",
        "createContextualFragment",
        "setHTML",
        "srcdoc",
        "eval(",
        "new Function",
        "javascript:",
    ];

    fn folder() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("console")
    }

    /// Every file below the folder, by its path from there.
    fn files_in(folder: &PathBuf, before: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for entry in fs::read_dir(folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let name = format!("{before}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                found.extend(files_in(&entry.path(), &format!("{name}/")));
            } else {
                found.insert(name);
            }
        }
        found
    }

    fn texts() -> impl Iterator<Item = (&'static str, &'static str)> {
        let text = |&(path, content): &(&'static str, &'static [u8])| {
            (path, str::from_utf8(content).expect("UTF-8"))
        };
        FILES.iter().map(text).chain(IN_PAGE)
    }

    fn header<'a>(response: &'a Response, name: &str) -> &'a str {
        response.headers().get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// A request that names these headers.
    fn request(headers: &[(HeaderName, &str)]) -> HeaderMap {
        headers.iter().map(|(name, value)| (name.clone(), value.parse().expect("text"))).collect()
    }

    /// Answers at once: no handler here waits for anything.
    fn answer<F: Future<Output = Response>>(handler: F) -> Response {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(handler)
    }

    fn body(response: Response) -> Vec<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let body = axum::body::to_bytes(response.into_body(), usize::MAX);
        runtime.block_on(body).expect("a body").to_vec()
    }

    #[test]
    fn every_file_is_embedded_and_no_other() {
        let mut embedded: BTreeSet<String> =
            FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        embedded.extend(IN_PAGE.map(|(path, _)| path.to_owned()));
        assert_eq!(embedded, files_in(&folder(), ""));
    }

    #[test]
    fn all_together_is_small() {
        let site = Site::new();
        let sum: usize = site.files.iter().chain([&site.page]).map(|file| file.gzip().len()).sum();
        assert!(sum <= GZIPPED_MAX, "{sum} bytes gzipped, at most {GZIPPED_MAX}");
    }

    #[test]
    fn no_string_becomes_markup() {
        for (path, text) in texts() {
            for word in DANGEROUS {
                assert!(!text.contains(word), "{path} says {word}");
            }
        }
    }

    #[test]
    fn nothing_is_asked_of_the_world() {
        let ours = texts().filter(|(path, _)| !path.starts_with("vendor/"));
        for (path, text) in ours {
            let text = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("http://") && !text.contains("https://"), "{path}");
        }
    }

    #[test]
    fn the_page_names_files_that_are_there() {
        let site = Site::new();
        let text = page_text(&site.version);
        assert!(!text.contains("{{"), "a mark is left");
        let named: Vec<&str> = text.split(&format!("/assets/{}/", site.version)).skip(1).collect();
        assert!(named.len() > 40, "{}", named.len());
        for rest in named {
            let path = rest.split(['"', '\'']).next().expect("a path");
            assert!(FILES.iter().any(|(known, _)| *known == path), "{path} is not there");
        }
    }

    /// The text between the only such tag and its end.
    fn inside<'a>(page: &'a str, tag: &str) -> &'a str {
        let [_, rest] = page.split(&format!("<{tag}>")).collect::<Vec<_>>()[..] else {
            panic!("not one {tag}");
        };
        rest.split_once(&format!("</{tag}>")).expect("its end").0
    }

    #[test]
    fn the_policy_names_what_stands_in_the_page_and_no_more() {
        let response = answer(page(HeaderMap::new()));
        let policy = header(&response, "content-security-policy").to_owned();
        let page = String::from_utf8(body(response)).expect("UTF-8");
        assert!(!policy.contains("{{") && !policy.contains("unsafe"), "{policy}");
        let named = policy.split("'sha256-").count() - 1;
        assert_eq!(named, 2, "{policy}");
        assert!(policy.contains(&format!("script-src 'self' {};", hash(inside(&page, "script")))));
        assert!(policy.contains(&format!("style-src {};", hash(inside(&page, "style")))));
    }

    #[test]
    fn a_hash_is_as_browsers_reckon_it() {
        // The example of the specification, section 8.3.
        let example = "alert('Hello, world.');";
        assert_eq!(hash(example), "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='");
    }

    #[test]
    fn the_first_picture_waits_for_no_other_file() {
        let page = page_text("0");
        assert!(!page.contains("rel=\"stylesheet\"") && !page.contains("<script src"));
        let (shown, later) = page.split_once("<template").expect("the modules");
        assert!(!shown.contains("modulepreload") && later.contains("modulepreload"));
    }

    #[test]
    fn modules_import_files_that_are_there() {
        for (path, text) in texts().filter(|(path, _)| path.ends_with(".js")) {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            for rest in text.split(" from '").skip(1) {
                let Some((wanted, _)) = rest.split_once('\'').filter(|(p, _)| p.starts_with('.'))
                else {
                    continue;
                };
                let wanted = match wanted.strip_prefix("../") {
                    Some(above) => above.to_owned(),
                    None => format!("{folder}/{}", wanted.trim_start_matches("./")),
                };
                let wanted = wanted.trim_start_matches('/');
                assert!(FILES.iter().any(|(known, _)| *known == wanted), "{path}: {wanted}");
            }
        }
    }

    #[test]
    fn the_page_is_guarded_and_asked_for_anew() {
        let first = answer(page(HeaderMap::new()));
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(header(&first, "content-type"), "text/html; charset=utf-8");
        assert_eq!(header(&first, "cache-control"), "no-cache");
        assert_eq!(header(&first, "x-content-type-options"), "nosniff");
        assert!(header(&first, "content-security-policy").contains("default-src 'none'"));
        let etag = header(&first, "etag").to_owned();
        let again = answer(page(request(&[(header::IF_NONE_MATCH, &etag)])));
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        let other = answer(page(request(&[(header::IF_NONE_MATCH, "\"other\"")])));
        assert_eq!(other.status(), StatusCode::OK);
    }

    #[test]
    fn files_are_kept_for_ever_under_their_version_only() {
        let version = Site::get().version.clone();
        let ask = |version: &str, path: &str| {
            answer(asset(Path((version.to_owned(), path.to_owned())), HeaderMap::new()))
        };
        let app = ask(&version, "app.js");
        assert_eq!(app.status(), StatusCode::OK);
        assert_eq!(header(&app, "content-type"), "text/javascript; charset=utf-8");
        assert!(header(&app, "cache-control").contains("immutable"));
        assert_eq!(ask("0", "app.js").status(), StatusCode::NOT_FOUND);
        assert_eq!(ask(&version, "../lib.rs").status(), StatusCode::NOT_FOUND);
        assert_eq!(ask(&version, "index.html").status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn who_takes_gzip_gets_it() {
        let file = &Site::get().files[0];
        let gzip =
            file.answer(&request(&[(header::ACCEPT_ENCODING, "br, gzip;q=0.8")]), FILE_POLICY);
        assert_eq!(header(&gzip, "content-encoding"), "gzip");
        assert_eq!(header(&gzip, "vary"), "accept-encoding");
        assert_eq!(&body(gzip)[..2], b"\x1f\x8b");
        for refusal in ["identity", "gzip;q=0", "notgzip"] {
            let plain = file.answer(&request(&[(header::ACCEPT_ENCODING, refusal)]), FILE_POLICY);
            assert_eq!(header(&plain, "content-encoding"), "");
            assert_eq!(body(plain), file.plain);
        }
    }

    #[test]
    fn an_unknown_address_is_the_page_and_says_so() {
        let response = answer(missing(HeaderMap::new()));
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(header(&response, "content-type"), "text/html; charset=utf-8");
    }
}
