use super::table::Setting;
use super::*;

fn environment(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    let entries = entries.iter();
    entries
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        for name in ["here", "home"] {
            std::fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn load(&self, entries: &[(&str, &str)]) -> Config {
        Config::load(
            &environment(entries),
            &self.path("here"),
            &self.path("home"),
        )
        .unwrap()
    }
}

#[test]
fn the_file_is_found_in_ansibles_order() {
    let world = World::new(&[
        ("here/ansible.cfg", "[defaults]\nforks = 7\n"),
        ("home/.ansible.cfg", "[defaults]\nforks = 8\n"),
        ("named/ansible.cfg", "[defaults]\nforks = 9\n"),
    ]);
    assert_eq!(world.load(&[]).integer("DEFAULT_FORKS"), Some(7));
    let named = world.path("named").display().to_string();
    let config = world.load(&[("ANSIBLE_CONFIG", &named)]);
    assert_eq!(config.integer("DEFAULT_FORKS"), Some(9));
    assert_eq!(config.file, Some(world.path("named/ansible.cfg")));
    std::fs::remove_file(world.path("here/ansible.cfg")).unwrap();
    assert_eq!(world.load(&[]).integer("DEFAULT_FORKS"), Some(8));
    let config = world.load(&[("ANSIBLE_FORKS", "11")]);
    assert_eq!(config.integer("DEFAULT_FORKS"), Some(11));
    assert_eq!(
        config.origin("DEFAULT_FORKS").to_string(),
        "env: ANSIBLE_FORKS"
    );
}

#[test]
fn a_directory_that_anybody_may_write_is_no_source() {
    let world = World::new(&[("here/ansible.cfg", "[defaults]\nforks = 7\n")]);
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(world.path("here"), open).unwrap();
    let config = world.load(&[]);
    assert_eq!(config.origin("DEFAULT_FORKS"), Origin::Default);
    assert!(config.warnings[0].contains("world writable"));
    // Unless it is named.
    let file = world.path("here/ansible.cfg").display().to_string();
    assert_eq!(
        world
            .load(&[("ANSIBLE_CONFIG", &file)])
            .integer("DEFAULT_FORKS"),
        Some(7)
    );
}

#[test]
fn values_have_ansibles_types() {
    let world = World::new(&[(
        "here/ansible.cfg",
        "[defaults]\nroles_path = roles:../more:~/mine:{{CWD}}/x\nInventory = a.ini,b\nforce_handlers: yes\n\
         inventory_ignore_extensions = ~, .orig,\n  .bak\n[ssh_connection]\nssh_args = '-o A=b' ; why\n",
    )]);
    let config = world.load(&[("ANSIBLE_PRIVATE_KEY_FILE", "keys/id")]);
    let here = world.path("here");
    let roles = [
        here.join("roles"),
        here.join("../more"),
        world.path("home/mine"),
        here.join("x"),
    ];
    assert_eq!(config.paths("DEFAULT_ROLES_PATH"), roles);
    let sources = [here.join("a.ini"), here.join("b")];
    assert_eq!(config.paths("DEFAULT_HOST_LIST"), sources);
    assert!(config.flag("DEFAULT_FORCE_HANDLERS"));
    assert_eq!(config.list("INVENTORY_IGNORE_EXTS"), ["~", ".orig", ".bak"]);
    assert_eq!(config.text("SSH_ARGS"), "-o A=b");
    assert_eq!(
        config.path("DEFAULT_PRIVATE_KEY_FILE"),
        Some(here.join("keys/id"))
    );
}

#[test]
fn names_in_paths_are_replaced_where_they_are_set() {
    let world = World::new(&[(
        "here/ansible.cfg",
        "[defaults]\nroles_path = roles:$V/a:${V}b:$W/c:$\n",
    )]);
    let config = world.load(&[("V", "/v")]);
    let here = world.path("here");
    let roles = ["roles", "/v/a", "/vb", "$W/c", "$"].map(|path| here.join(path));
    assert_eq!(config.paths("DEFAULT_ROLES_PATH"), roles);
}

#[test]
fn what_has_no_meaning_is_listed() {
    let world = World::new(&[(
        "here/ansible.cfg",
        "[defaults]\npipelining = True\nforks = 3\n",
    )]);
    let config = world.load(&[("ANSIBLE_LIBRARY_X", "1"), ("HOME", "x")]);
    let names: Vec<&str> = config
        .ignored
        .iter()
        .map(|ignored| &*ignored.name)
        .collect();
    assert_eq!(names, ["[defaults] pipelining", "ANSIBLE_LIBRARY_X"]);
}

#[test]
fn wrong_values_and_lines_are_faults() {
    let world = World::new(&[("here/ansible.cfg", "[defaults]\nforks = many\n")]);
    let load = || Config::load(&BTreeMap::new(), &world.path("here"), &world.path("home"));
    assert!(
        load().unwrap_err().faults[0]
            .message
            .contains("must be an integer")
    );
    std::fs::write(world.path("here/ansible.cfg"), "[defaults]\nforks\n").unwrap();
    let failure = load().unwrap_err();
    assert_eq!(failure.faults[0].place.as_ref().unwrap().line, 2);
    std::fs::write(world.path("here/ansible.cfg"), "forks=1\n").unwrap();
    assert!(load().unwrap_err().faults[0].message.contains("[defaults]"));
}

#[test]
fn names_of_settings_are_in_order_and_once() {
    let names: Vec<&str> = SETTINGS
        .iter()
        .map(|setting: &Setting| setting.name)
        .collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(names, sorted);
}

#[test]
fn no_setting_is_both_honoured_and_ignored() {
    let settings = super::meaningless::MEANINGLESS
        .iter()
        .flat_map(|(_, settings)| *settings);
    for ignored in settings {
        assert!(table::find(ignored.name).is_none(), "{}", ignored.name);
    }
}
