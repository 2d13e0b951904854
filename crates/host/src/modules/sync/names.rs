//! Names of owners and their numbers, looked up once each.

use crate::users;
use std::collections::HashMap;

/// By number, at the source.
#[derive(Default)]
pub(super) struct Names {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Names {
    /// Empty where the user has none.
    pub(super) fn user(&mut self, uid: u32) -> String {
        let known = self
            .users
            .entry(uid)
            .or_insert_with(|| users::user_by_id(uid).map_or_else(String::new, |user| user.name));
        known.clone()
    }

    pub(super) fn group(&mut self, gid: u32) -> String {
        let known = self.groups.entry(gid).or_insert_with(|| {
            users::group_by_id(gid).map_or_else(String::new, |group| group.name)
        });
        known.clone()
    }
}

/// By name, at the destination; the number of the source where nobody has the name.
#[derive(Default)]
pub(super) struct Numbers {
    users: HashMap<String, Option<u32>>,
    groups: HashMap<String, Option<u32>>,
}

impl Numbers {
    pub(super) fn user(&mut self, name: &str, uid: u32) -> u32 {
        if name.is_empty() {
            return uid;
        }
        let known = self
            .users
            .entry(name.to_owned())
            .or_insert_with_key(|name| users::user_by_name(name).map(|user| user.uid));
        known.unwrap_or(uid)
    }

    pub(super) fn group(&mut self, name: &str, gid: u32) -> u32 {
        if name.is_empty() {
            return gid;
        }
        let known = self
            .groups
            .entry(name.to_owned())
            .or_insert_with_key(|name| users::group_by_name(name).map(|group| group.gid));
        known.unwrap_or(gid)
    }
}
