use super::*;
use proptest::prelude::*;
use std::path::Path;
use std::process::Command;

fn options(text: &str, host: &str) -> Options {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    std::fs::write(&file, text).unwrap();
    from_file(&file, folder.path(), host).unwrap()
}

fn from_file(file: &Path, folder: &Path, host: &str) -> Result<Options, String> {
    let query = Query {
        original: host,
        local_user: "me",
        home: Path::new("/home/me"),
    };
    let mut options = Options::default();
    read(file, true, folder, &query, &mut options)?;
    Ok(options)
}

#[test]
fn the_first_value_wins_and_identity_files_add_up() {
    let config = "IdentityFile ~/first\nHost node*\n User a\n IdentityFile ~/second\nHost *\n User b\n Port 2222\n";
    let o = options(config, "node1");
    assert_eq!((o.one("user"), o.one("port")), (Some("a"), Some("2222")));
    assert_eq!(
        o.each("identityfile").collect::<Vec<_>>(),
        ["~/first", "~/second"]
    );
    assert_eq!(options(config, "other").one("user"), Some("b"));
}

#[test]
fn lines_may_be_written_in_many_ways() {
    for line in [
        "User=ops",
        "user ops",
        "USER\tops",
        "  User = ops  ",
        "User \"ops\"",
        "User='ops' # c",
        "User=\"ops\"",
    ] {
        assert_eq!(options(line, "h").one("user"), Some("ops"), "{line}");
    }
    let o = options("UserKnownHostsFile \"/a b/k\" /c\\ d", "h");
    assert_eq!(o.all("userknownhostsfile").unwrap(), ["/a b/k", "/c d"]);
}

#[test]
fn host_and_match_choose() {
    let config = "Host db1 db2 !db2\n Port 1\nMatch host *.lab user ops\n Port 2\nMatch originalhost web !user me\n Port 3\n\
                  Match all\n ConnectTimeout 7\n";
    assert_eq!(options(config, "db1").one("port"), Some("1"));
    assert_eq!(options(config, "db2").one("port"), None);
    assert_eq!(
        options(&format!("User ops\n{config}"), "n1.lab").one("port"),
        Some("2")
    );
    assert_eq!(options(config, "n1.lab").one("port"), None);
    assert_eq!(
        options(&format!("User x\n{config}"), "web").one("port"),
        Some("3")
    );
    assert_eq!(options(config, "web").one("port"), None);
    assert_eq!(options(config, "web").one("connecttimeout"), Some("7"));
    assert_eq!(
        options(
            "Host short\n HostName long.lab\nMatch host long.lab\n Port 4",
            "short"
        )
        .one("port"),
        Some("4"),
        "Match host sees the name after HostName"
    );
}

#[test]
fn what_only_ssh_can_do_is_named_when_it_may_apply() {
    assert_eq!(
        options("ProxyCommand nc %h %p", "h").unhonoured,
        ["proxycommand nc %h %p"]
    );
    assert!(
        options(
            "ProxyCommand none\nControlMaster auto\nGSSAPIAuthentication yes",
            "h"
        )
        .unhonoured
        .is_empty()
    );
    assert_eq!(
        options("Match host h exec \"true\"\n Port 1", "h").unhonoured,
        ["Match exec"]
    );
    assert!(
        options("Match host other exec \"true\"\n Port 1", "h")
            .unhonoured
            .is_empty()
    );
    assert_eq!(
        options("SomethingNew 1", "h").unhonoured,
        ["somethingnew 1"]
    );
    let both = options("ProxyJump b\nProxyCommand nc %h %p", "h");
    assert!(both.unhonoured.is_empty(), "the first of the two wins");
}

#[test]
fn includes_are_searched_and_stay_inside_their_block() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("d")).unwrap();
    std::fs::write(
        folder.path().join("d/1.conf"),
        "Host other\n Port 1\nHost *\n User one\n",
    )
    .unwrap();
    std::fs::write(
        folder.path().join("d/2.conf"),
        "User two\nConnectTimeout 5\n",
    )
    .unwrap();
    let file = folder.path().join("config");
    std::fs::write(
        &file,
        "Include d/*.conf missing\nHost h\n Port 9\n Include loop\n",
    )
    .unwrap();
    let o = from_file(&file, folder.path(), "h").unwrap();
    assert_eq!(o.one("user"), Some("one"));
    assert_eq!(o.one("connecttimeout"), Some("5"));
    assert_eq!(o.one("port"), Some("9"));
    std::fs::write(folder.path().join("loop"), "Include loop\n").unwrap();
    assert!(
        from_file(&file, folder.path(), "h")
            .unwrap_err()
            .contains("nested")
    );
    assert!(
        from_file(&file, folder.path(), "else").is_ok(),
        "an include in a block of another host isn't read"
    );
}

#[test]
fn faults_name_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    for (text, part) in [
        ("\nUser", "no value"),
        ("\nUser \"x", "quote"),
        ("\nMatch host", "no value"),
        ("\nMatch x y", "know x"),
    ] {
        std::fs::write(&file, text).unwrap();
        let message = from_file(&file, folder.path(), "h").unwrap_err();
        assert!(
            message.contains("config:2: ") && message.contains(part),
            "{message}"
        );
    }
}

/// The values that `ssh -G` gives for a file.
fn ssh_says(file: &Path, host: &str) -> Vec<(String, String)> {
    let output = Command::new("ssh")
        .arg("-G")
        .arg("-F")
        .arg(file)
        .arg(host)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter_map(|l| l.split_once(' '))
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect()
}

#[test]
fn agrees_with_the_ssh_program() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    std::fs::write(folder.path().join("inc"), "Host a*\n Port 77\n").unwrap();
    let config = format!(
        "Host a b !c\n User=first\n HostName real.lab\nInclude {}/in?\nMatch host real.lab\n\tConnectTimeout 3\n\
         Match originalhost a*,!ax\n ServerAliveInterval 9\nHost *\n  User second\n Port 2022\n ServerAliveCountMax=4\n",
        folder.path().display()
    );
    std::fs::write(&file, &config).unwrap();
    for host in ["a", "b", "c", "ax", "abc", "zzz"] {
        let ours = from_file(&file, folder.path(), host).unwrap();
        let theirs = ssh_says(&file, host);
        for keyword in [
            "user",
            "hostname",
            "port",
            "connecttimeout",
            "serveraliveinterval",
            "serveralivecountmax",
        ] {
            let Some(value) = ours.one(keyword) else {
                continue;
            };
            let expected = theirs
                .iter()
                .find(|(k, _)| k == keyword)
                .map(|(_, v)| v.as_str());
            assert_eq!(Some(value), expected, "{keyword} of {host}");
        }
    }
}

#[test]
fn arguments_are_split_as_a_shell_does() {
    let split = |text| split_shell(text).unwrap();
    assert_eq!(
        split("-o ProxyJump=b -F '/a b/c'"),
        ["-o", "ProxyJump=b", "-F", "/a b/c"]
    );
    assert_eq!(
        split(r#"-o "ProxyCommand=ssh -W %h:%p b""#),
        ["-o", "ProxyCommand=ssh -W %h:%p b"]
    );
    assert_eq!(split(r"a\ b #c"), ["a b", "#c"]);
    assert!(split_shell("'x").is_err());
}

proptest! {
    #[test]
    fn any_text_can_be_read(text in "((Host|Match|Include|User|=|\"|'|#|\\\\|!|\\*|[a-z ])[ \t]?){0,30}(\n[ -~]{0,20}){0,6}") {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c");
        std::fs::write(&file, text).unwrap();
        drop(from_file(&file, folder.path(), "h"));
    }

    #[test]
    fn quoted_words_come_back(words in proptest::collection::vec("[ -~]{0,10}", 1..5)) {
        let quoted: Vec<_> = words.iter().map(|w| format!("'{}'", w.replace('\'', "'\\''"))).collect();
        prop_assert_eq!(split_shell(&quoted.join(" ")).unwrap(), words);
    }
}
