use super::*;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::{Child, Command};

const LIMIT: Duration = Duration::from_secs(10);

/// An agent for these tests: a shell script that says hello and ends with its input.
fn agent_program() -> Vec<u8> {
    let hello = Frame::Control(Control::Hello(Hello {
        version: "test".to_owned(),
        pid: 1,
        uid: 0,
        user: "me".to_owned(),
        machine: "x".to_owned(),
    }));
    let mut bytes = host::wire::MAGIC.to_vec();
    bytes.extend(hello.encode().unwrap());
    let escaped: String = bytes.iter().map(|b| format!("\\{b:03o}")).collect();
    format!("#!/bin/sh\nprintf '{escaped}'\nexec cat > /dev/null\n").into_bytes()
}

fn programs(arch: &str) -> Programs {
    let mut agents = Agents::default();
    agents.add(arch, AgentProgram::Embedded(agent_program().leak()));
    Programs::load(&agents).unwrap()
}

fn here() -> String {
    String::from_utf8(
        std::process::Command::new("uname")
            .arg("-m")
            .output()
            .unwrap()
            .stdout,
    )
    .unwrap()
    .trim()
    .to_owned()
}

struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn cache(&self) -> PathBuf {
        self.0.path().join("kopsrun")
    }

    fn spawn(&self, shell: &str, command: &str) -> Child {
        Command::new(shell)
            .arg("-c")
            .arg(command)
            .env("XDG_CACHE_HOME", self.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    async fn boot(&self, programs: &Programs, skip: &[String]) -> Result<Hello, BootFault> {
        self.boot_by("sh", programs, false, skip).await
    }

    async fn boot_carefully(&self, programs: &Programs) -> Result<Hello, BootFault> {
        self.boot_by("sh", programs, true, &[]).await
    }

    async fn boot_by(
        &self,
        shell: &str,
        programs: &Programs,
        careful: bool,
        skip: &[String],
    ) -> Result<Hello, BootFault> {
        let mut child = self.spawn(shell, &programs.command(careful, skip));
        let (mut out, mut input) = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
        boot(&mut out, &mut input, Some(programs), LIMIT)
            .await
            .map(|(_, hello)| hello)
    }
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn sends_the_program_once_and_prunes_old_ones() {
    let (world, programs) = (World::new(), programs(&here()));
    assert_eq!(world.boot(&programs, &[]).await.unwrap().version, "test");
    let file = world
        .cache()
        .join(format!("agent-{}", programs.programs[0].sha256));
    let before = std::fs::metadata(&file).unwrap();
    assert_eq!(before.mode() & 0o7777, 0o700);
    assert_eq!(
        std::fs::metadata(world.cache()).unwrap().mode() & 0o7777,
        0o700
    );
    std::fs::write(world.cache().join("agent-0123"), "old").unwrap();
    world.boot(&programs, &[]).await.unwrap();
    assert_eq!(
        std::fs::metadata(&file).unwrap().ino(),
        before.ino(),
        "it was sent again"
    );
    world.boot_carefully(&programs).await.unwrap();
    assert_eq!(
        std::fs::metadata(&file).unwrap().ino(),
        before.ino(),
        "the right program was sent again"
    );
    std::fs::write(&file, "planted").unwrap();
    let fault = world.boot(&programs, &[]).await.unwrap_err();
    let BootFault::Ended { ran_in, .. } = fault else {
        panic!("{fault:?}")
    };
    assert_eq!(ran_in.map(PathBuf::from), Some(world.cache()));
    world.boot_carefully(&programs).await.unwrap();
    assert_eq!(
        std::fs::read(&file).unwrap(),
        agent_program(),
        "a file with another hash was trusted"
    );
    assert_eq!(
        files(&world.cache()).len(),
        1,
        "the old agent and temporary files are gone"
    );
}

#[tokio::test]
async fn passes_over_folders_that_are_not_ours_alone() {
    let (world, programs) = (World::new(), programs(&here()));
    let elsewhere = world.0.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, world.cache()).unwrap();
    world.boot(&programs, &[]).await.unwrap();
    assert!(files(&elsewhere).is_empty(), "it followed a symbolic link");
    std::fs::remove_file(world.cache()).unwrap();
    std::fs::create_dir(world.cache()).unwrap();
    std::fs::set_permissions(world.cache(), std::fs::Permissions::from_mode(0o777)).unwrap();
    world.boot(&programs, &[]).await.unwrap();
    assert_eq!(
        std::fs::metadata(world.cache()).unwrap().mode() & 0o7777,
        0o700
    );
    std::fs::remove_dir_all(world.cache()).unwrap();
    world
        .boot(&programs, &[world.cache().display().to_string()])
        .await
        .unwrap();
    assert!(
        !world.cache().exists(),
        "a folder that is to be passed over was used"
    );
}

#[tokio::test]
async fn names_every_folder_when_none_can_be_used() {
    let (world, programs) = (World::new(), programs(&here()));
    let id = rustix::process::getuid().as_raw();
    let mut skip: Vec<_> = ["/var/tmp/kopsrun-", "/dev/shm/kopsrun-", "/tmp/kopsrun-"]
        .map(|f| format!("{f}{id}"))
        .into();
    skip.push(format!("/run/user/{id}/kopsrun"));
    std::fs::write(world.cache(), "a file").unwrap();
    let Err(BootFault::NoFolder(tried)) = world.boot(&programs, &skip).await else {
        panic!("it found a folder")
    };
    assert_eq!(tried.len(), 5, "{tried:?}");
    assert!(
        tried[0].0.ends_with("kopsrun") && !tried[0].1.is_empty(),
        "{tried:?}"
    );
    assert_eq!(tried[1].1, "cannot execute here");
}

#[tokio::test]
async fn says_when_there_is_no_program_for_the_machine() {
    let fault = World::new().boot(&programs("vax"), &[]).await.unwrap_err();
    assert_eq!(fault, BootFault::UnsupportedArch(here()));
}

#[tokio::test]
async fn bears_noise_and_tells_it_when_nothing_else_comes() {
    let (world, programs) = (World::new(), programs(&here()));
    let noisy = format!(
        "echo Welcome; echo to kopsrun-boot; {}",
        programs.command(false, &[])
    );
    let mut child = world.spawn("sh", &noisy);
    let (mut out, mut input) = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
    boot(&mut out, &mut input, Some(&programs), LIMIT)
        .await
        .unwrap();
    let mut child = world.spawn("sh", "echo This account is not available; exit 1");
    let (mut out, mut input) = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
    let fault = boot(&mut out, &mut input, Some(&programs), LIMIT)
        .await
        .unwrap_err();
    assert_eq!(
        fault,
        BootFault::Ended {
            said: "This account is not available".to_owned(),
            ran_in: None
        }
    );
    let mut child = world.spawn("sh", "echo hm; sleep 9");
    let (mut out, mut input) = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
    let fault = boot(
        &mut out,
        &mut input,
        Some(&programs),
        Duration::from_millis(200),
    )
    .await
    .unwrap_err();
    assert_eq!(
        fault,
        BootFault::Silent {
            said: "hm".to_owned()
        }
    );
}

#[test]
fn the_script_survives_every_login_shell() {
    let command = programs("x86_64").command(true, &[]);
    let script = command
        .strip_prefix("exec /bin/sh -c '")
        .and_then(|c| c.strip_suffix('\''))
        .unwrap();
    assert!(
        !script.contains(['\'', '\n', '!']),
        "csh or fish would change it"
    );
    assert!(
        command.len() < 4096,
        "{} bytes for each connection",
        command.len()
    );
}

#[test]
fn only_plain_folders_come_back_into_the_script() {
    assert!(is_plain("/var/tmp/kopsrun-0"));
    for bad in ["relative", "/a b", "/a;b", "/a$b", "/a'b", "/a\nb", ""] {
        assert!(!is_plain(bad), "{bad}");
    }
}
