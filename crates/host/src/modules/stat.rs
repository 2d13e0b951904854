//! `stat`: what a path is.

use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Spec, files, users};
use rustix::fs::{Access, IFlags, access};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::fs::{self, File, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

#[derive(Deserialize)]
pub struct Stat {
    path: String,
    follow: bool,
    get_checksum: bool,
    checksum_algorithm: String,
    get_mime: bool,
    get_attributes: bool,
}

impl Module for Stat {
    const SPEC: Spec = Spec::new(
        "stat",
        "Tells what a path is: kind, owner, mode, times, checksum.",
        &[
            Arg::new("path", Kind::Path, "The path.")
                .aliases(&["dest", "name"])
                .required(),
            Arg::new("follow", Kind::Bool, "Of what a symbolic link leads to.").default("no"),
            Arg::new("get_checksum", Kind::Bool, "With the checksum of a file.").default("yes"),
            Arg::new("checksum_algorithm", Kind::Str, "Which checksum.")
                .aliases(&["checksum", "checksum_algo"])
                .choices(&["md5", "sha1", "sha224", "sha256", "sha384", "sha512"])
                .default("sha1"),
            Arg::new(
                "get_mime",
                Kind::Bool,
                "With the kind of content, as the program file tells it (unknown where there is none).",
            )
            .aliases(&["mime", "mime_type", "mime-type"])
            .default("yes"),
            Arg::new(
                "get_attributes",
                Kind::Bool,
                "With the flags that chattr sets.",
            )
            .aliases(&["attr", "attributes"])
            .default("yes"),
        ],
    )
.returns(&[Return::new("stat", "exists, and of what is there path, mode, isreg, isdir, islnk, size, uid, gid, pw_name, gr_name, mtime, checksum, mimetype, attributes and more.")]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let path = cx.expand(&self.path);
        let found = if self.follow {
            fs::metadata(&path)
        } else {
            fs::symlink_metadata(&path)
        };
        let meta = match found {
            Ok(meta) => meta,
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(Outcome::ok().with("stat", json!({"exists": false})));
            }
            Err(error) => return Err(Failure::io("cannot stat", &path, &error)),
        };
        let mut stat = describe(&path, &meta);
        if meta.is_symlink() {
            add_link(&path, &mut stat)?;
        }
        if self.get_checksum && meta.is_file() && access(&path, Access::READ_OK).is_ok() {
            let sum = checksum(&path, &self.checksum_algorithm)
                .map_err(|error| Failure::io("cannot read", &path, &error))?;
            stat.insert("checksum".to_owned(), sum.into());
        }
        if self.get_mime {
            let (kind, charset) = mime(cx, &path, &meta);
            stat.insert("mimetype".to_owned(), kind.into());
            stat.insert("charset".to_owned(), charset.into());
        }
        if self.get_attributes {
            add_flags(&path, &mut stat);
        }
        Ok(Outcome::ok().with("stat", stat))
    }
}

fn describe(path: &Path, meta: &Metadata) -> Map<String, Value> {
    let may = |access_kind| access(path, access_kind).is_ok();
    let mut stat = identity(path, meta);
    for name in ["pw_name", "gr_name"] {
        if stat.get(name).is_some_and(|known| known == "") {
            stat.remove(name);
        }
    }
    let mut add = |key: &str, value: Value| {
        stat.insert(key.to_owned(), value);
    };
    add("exists", true.into());
    add("blocks", meta.blocks().into());
    add("block_size", meta.blksize().into());
    add("device_type", meta.rdev().into());
    add("readable", may(Access::READ_OK).into());
    add("writeable", may(Access::WRITE_OK).into());
    add("executable", may(Access::EXEC_OK).into());
    stat
}

/// What `stat` and `find` both say of a path. A user or group without a name has an empty one.
pub(super) fn identity(path: &Path, meta: &Metadata) -> Map<String, Value> {
    let kind = meta.file_type();
    let mode = meta.mode();
    let bit = |bit: u32| mode & bit != 0;
    let time = |seconds: i64, nanos: i64| seconds as f64 + nanos as f64 / 1e9;
    let user = users::user_by_id(meta.uid()).map_or_else(String::new, |user| user.name);
    let group = users::group_by_id(meta.gid()).map_or_else(String::new, |group| group.name);
    let mut known = Map::new();
    let mut add = |key: &str, value: Value| {
        known.insert(key.to_owned(), value);
    };
    add("path", path.to_string_lossy().into());
    add("mode", format!("{:04o}", mode & 0o7777).into());
    add("isdir", kind.is_dir().into());
    add("ischr", kind.is_char_device().into());
    add("isblk", kind.is_block_device().into());
    add("isreg", kind.is_file().into());
    add("isfifo", kind.is_fifo().into());
    add("islnk", kind.is_symlink().into());
    add("issock", kind.is_socket().into());
    add("uid", meta.uid().into());
    add("gid", meta.gid().into());
    add("size", meta.size().into());
    add("inode", meta.ino().into());
    add("dev", meta.dev().into());
    add("nlink", meta.nlink().into());
    add("atime", time(meta.atime(), meta.atime_nsec()).into());
    add("mtime", time(meta.mtime(), meta.mtime_nsec()).into());
    add("ctime", time(meta.ctime(), meta.ctime_nsec()).into());
    for (name, mask) in [
        ("rusr", 0o400),
        ("wusr", 0o200),
        ("xusr", 0o100),
        ("rgrp", 0o040),
        ("wgrp", 0o020),
        ("xgrp", 0o010),
        ("roth", 0o004),
        ("woth", 0o002),
        ("xoth", 0o001),
        ("isuid", 0o4000),
        ("isgid", 0o2000),
    ] {
        add(name, bit(mask).into());
    }
    add("pw_name", user.into());
    add("gr_name", group.into());
    known
}

/// Kind and character set of the content; of files the program `file` knows it.
fn mime(cx: &Context, path: &Path, meta: &Metadata) -> (String, String) {
    let kind = meta.file_type();
    let special = [
        (kind.is_dir(), "directory"),
        (kind.is_symlink(), "symlink"),
        (kind.is_char_device(), "chardevice"),
        (kind.is_block_device(), "blockdevice"),
        (kind.is_fifo(), "fifo"),
        (kind.is_socket(), "socket"),
    ];
    if let Some((_, name)) = special.iter().find(|(is, _)| *is) {
        return (format!("inode/{name}"), "binary".to_owned());
    }
    let unknown = || ("unknown".to_owned(), "unknown".to_owned());
    let Some(program) = cx.find_program("file") else {
        return unknown();
    };
    let options = ["--brief", "--mime-type", "--mime-encoding", "--"];
    let output = cx.process(program).args(options).arg(path).system().run();
    let text = output
        .map(|output| output.stdout_text())
        .unwrap_or_default();
    match text.trim().split_once("; charset=") {
        Some((kind, charset)) => (kind.to_owned(), charset.to_owned()),
        None => unknown(),
    }
}

fn add_link(path: &Path, stat: &mut Map<String, Value>) -> Result<(), Failure> {
    let target =
        fs::read_link(path).map_err(|error| Failure::io("cannot read the link", path, &error))?;
    let full = fs::canonicalize(path)
        .unwrap_or_else(|_| path.parent().unwrap_or(Path::new("/")).join(&target));
    stat.insert("lnk_target".to_owned(), target.to_string_lossy().into());
    stat.insert("lnk_source".to_owned(), full.to_string_lossy().into());
    Ok(())
}

/// Names and letters of `lsattr`.
const FLAGS: &[(IFlags, char, &str)] = &[
    (IFlags::IMMUTABLE, 'i', "immutable"),
    (IFlags::APPEND, 'a', "append"),
    (IFlags::NODUMP, 'd', "nodump"),
    (IFlags::NOATIME, 'A', "noatime"),
    (IFlags::COMPRESSED, 'c', "compressed"),
    (IFlags::NOCOW, 'C', "nocow"),
    (IFlags::JOURNALING, 'j', "journal-data"),
    (IFlags::SYNC, 'S', "synchronous"),
];

fn add_flags(path: &Path, stat: &mut Map<String, Value>) {
    const EXTENTS: u32 = 0x0008_0000;
    // As with lsattr, what a link leads to isn't asked, and a device might do something when it is opened.
    let plain = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() || meta.is_dir());
    let flags = Some(path)
        .filter(|_| plain)
        .and_then(|path| File::open(path).ok())
        .and_then(|file| rustix::fs::ioctl_getflags(&file).ok())
        .unwrap_or(IFlags::empty());
    let mut letters = String::new();
    let mut names = Vec::new();
    for (_, letter, name) in FLAGS.iter().filter(|(flag, ..)| flags.contains(*flag)) {
        letters.push(*letter);
        names.push(*name);
    }
    if flags.bits() & EXTENTS != 0 {
        letters.push('e');
        names.push("extents");
    }
    stat.insert("attr_flags".to_owned(), letters.into());
    stat.insert("attributes".to_owned(), names.into());
}

fn checksum(path: &Path, algorithm: &str) -> std::io::Result<String> {
    match algorithm {
        "md5" => files::digest::<md5::Md5>(path),
        "sha224" => files::digest::<sha2::Sha224>(path),
        "sha256" => files::digest::<sha2::Sha256>(path),
        "sha384" => files::digest::<sha2::Sha384>(path),
        "sha512" => files::digest::<sha2::Sha512>(path),
        _ => files::sha1(path),
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::test::run;
    use serde_json::json;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_described() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a");
        std::fs::write(&file, "hello\n").expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("set");
        let stat = run("stat", json!({"path": file})).data["stat"].clone();
        assert_eq!(stat["mode"], "0640");
        assert_eq!(stat["checksum"], "f572d396fae9206628714fb2ce00f72e94f2258f");
        assert_eq!(
            (&stat["isreg"], &stat["rgrp"], &stat["wgrp"], &stat["size"]),
            (&json!(true), &json!(true), &json!(false), &json!(6))
        );
        let stat = run("stat", json!({"name": file, "checksum": "sha256"})).data["stat"].clone();
        assert_eq!(
            stat["checksum"],
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
        );
        let stat = run("stat", json!({"path": file, "get_checksum": "no"})).data["stat"].clone();
        assert!(stat.get("checksum").is_none());
    }

    #[test]
    fn links_are_themselves_unless_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let link = dir.path().join("l");
        std::os::unix::fs::symlink("a", &link).expect("a link");
        let stat = run("stat", json!({"path": link})).data["stat"].clone();
        assert_eq!(
            (&stat["islnk"], &stat["lnk_target"]),
            (&json!(true), &json!("a"))
        );
        let stat = run("stat", json!({"path": link, "follow": true})).data["stat"].clone();
        assert_eq!(stat["exists"], false);
        assert_eq!(
            run("stat", json!({"path": "/etc/passwd/x"})).data["stat"]["exists"],
            false
        );
    }
}
