//! Users and groups without glibc's name service, which crashes in static programs: the files are parsed here, and
//! whoever isn't in them (LDAP, SSSD) is asked of the program `getent`.

use std::fs;
use std::process::{Command, Stdio};

/// A line of /etc/passwd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub gecos: String,
    pub home: String,
    pub shell: String,
}

/// A line of /etc/group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    pub gid: u32,
    pub members: Vec<String>,
}

pub fn user_by_name(name: &str) -> Option<User> {
    find("/etc/passwd", "passwd", name, User::parse, |user| {
        user.name == name
    })
}

pub fn user_by_id(uid: u32) -> Option<User> {
    find(
        "/etc/passwd",
        "passwd",
        &uid.to_string(),
        User::parse,
        |user| user.uid == uid,
    )
}

pub fn group_by_name(name: &str) -> Option<Group> {
    find("/etc/group", "group", name, Group::parse, |group| {
        group.name == name
    })
}

pub fn group_by_id(gid: u32) -> Option<Group> {
    find(
        "/etc/group",
        "group",
        &gid.to_string(),
        Group::parse,
        |group| group.gid == gid,
    )
}

/// A user given by name or number, as in `owner:`. A number need not be anybody's.
pub fn uid_of(name: &str) -> Option<u32> {
    user_by_name(name)
        .map(|user| user.uid)
        .or_else(|| name.parse().ok())
}

/// A group given by name or number, as in `group:`.
pub fn gid_of(name: &str) -> Option<u32> {
    group_by_name(name)
        .map(|group| group.gid)
        .or_else(|| name.parse().ok())
}

/// The local groups that name `user` as a member; not the primary one.
pub fn groups_with(user: &str) -> Vec<Group> {
    lines("/etc/group")
        .iter()
        .filter_map(|line| Group::parse(line))
        .filter(|group| group.members.iter().any(|member| member == user))
        .collect()
}

/// All users of /etc/passwd.
pub fn local_users() -> Vec<User> {
    lines("/etc/passwd")
        .iter()
        .filter_map(|line| User::parse(line))
        .collect()
}

impl User {
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, gecos, home, shell] = fields[..] else {
            return None;
        };
        Some(Self {
            name: name.to_owned(),
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            gecos: gecos.to_owned(),
            home: home.to_owned(),
            shell: shell.to_owned(),
        })
    }
}

impl Group {
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, gid, members] = fields[..] else {
            return None;
        };
        Some(Self {
            name: name.to_owned(),
            gid: gid.parse().ok()?,
            members: members
                .split(',')
                .filter(|member| !member.is_empty())
                .map(ToOwned::to_owned)
                .collect(),
        })
    }
}

fn lines(file: &str) -> Vec<String> {
    // Names in these files need not be UTF-8.
    fs::read(file)
        .map(|bytes| {
            String::from_utf8_lossy(&bytes)
                .lines()
                .map(ToOwned::to_owned)
                .collect()
        })
        .unwrap_or_default()
}

fn find<T>(
    file: &str,
    database: &str,
    key: &str,
    parse: impl Fn(&str) -> Option<T>,
    matches: impl Fn(&T) -> bool,
) -> Option<T> {
    lines(file)
        .iter()
        .filter_map(|line| parse(line))
        .find(&matches)
        .or_else(|| {
            let answer = getent(database, key)?;
            parse(answer.lines().next()?).filter(matches)
        })
}

/// Asks the host's own name service. `None` when it doesn't know, or isn't there.
pub fn getent(database: &str, key: &str) -> Option<String> {
    let output = Command::new("getent")
        .args([database, "--", key])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_and_nobody_knows_the_other() {
        let root = user_by_name("root").expect("root exists");
        assert_eq!((root.uid, root.home.as_str()), (0, "/root"));
        assert_eq!(user_by_id(0).map(|user| user.name), Some("root".to_owned()));
        assert_eq!(
            group_by_id(0).map(|group| group.name),
            Some("root".to_owned())
        );
        // This is the question that crashes a static program which asks glibc.
        assert_eq!(user_by_name("nobody-of-this-name"), None);
        assert_eq!(uid_of("12345"), Some(12345));
        assert_eq!(gid_of("nobody-of-this-name"), None);
    }

    #[test]
    fn broken_lines_are_skipped() {
        assert_eq!(User::parse("root:x:0:0:root:/root"), None);
        assert_eq!(User::parse("root:x:zero:0:root:/root:/bin/sh"), None);
        let group = Group::parse("adm:x:4:syslog,alice").expect("sound");
        assert_eq!(group.members, ["syslog", "alice"]);
    }
}
