//! The modules, one file each. A new one is a file here and a line in [`TABLE`].

mod alternatives;
mod apt;
mod archive;
mod arguments;
pub mod assemble;
mod authorized_key;
pub(crate) mod background;
mod command;
mod copy;
mod cron;
mod dnf;
mod dpkg_selections;
mod edit;
mod fetch;
mod file;
mod find;
mod getent;
mod group;
mod helm;
mod hostname;
mod http;
mod iptables;
mod known_hosts;
mod kube;
mod kubernetes;
mod locale_gen;
mod make;
mod modprobe;
mod mount;
mod ownership;
mod pack;
mod package;
mod package_facts;
mod pam_limits;
mod ping;
mod pip;
mod program;
mod raw;
mod rewrite;
mod script;
mod selinux;
mod service_facts;
mod setup;
mod slurp;
mod sources;
mod stat;
pub mod sync;
mod sysctl;
mod systemd;
mod tempfile;
mod timezone;
mod unarchive;
mod user;
mod wait_for;
mod x509;

use crate::{Context, Failure, Outcome, Spec, Task, normalise};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// One module: its arguments as a type, and what it does.
///
/// The arguments arrive normalised by [`Self::SPEC`]: aliases carry the real name, values have the type that the
/// specification gives, defaults are filled in, absent optional arguments are absent (`Option` fields).
pub trait Module: DeserializeOwned {
    const SPEC: Spec;

    /// Brings the host to the state that was asked for, or with `cx.check()` only says what it would change.
    fn run(self, cx: &Context) -> Result<Outcome, Failure>;
}

pub(crate) struct Entry {
    pub(crate) spec: &'static Spec,
    run: fn(Map<String, Value>, &Context) -> Result<Outcome, Failure>,
    #[cfg(test)]
    pub(crate) read: fn(Map<String, Value>) -> Result<(), String>,
}

struct Of<M>(std::marker::PhantomData<M>);

impl<M: Module> Of<M> {
    const ENTRY: Entry = Entry {
        spec: &M::SPEC,
        run: start::<M>,
        #[cfg(test)]
        read: |args| read::<M>(args).map(drop).map_err(|error| error.to_string()),
    };
}

/// All modules, by name.
pub(crate) static TABLE: &[Entry] = &[
    Of::<alternatives::Alternatives>::ENTRY,
    Of::<apt::Apt>::ENTRY,
    Of::<package::Package>::ENTRY,
    Of::<archive::Archive>::ENTRY,
    Of::<archive::Unarchive>::ENTRY,
    Of::<pack::Pack>::ENTRY,
    Of::<background::AsyncStatus>::ENTRY,
    Of::<background::Background>::ENTRY,
    Of::<program::Program>::ENTRY,
    Of::<assemble::Assemble>::ENTRY,
    Of::<authorized_key::AuthorizedKey>::ENTRY,
    Of::<edit::blockinfile::Blockinfile>::ENTRY,
    Of::<command::Command>::ENTRY,
    Of::<command::Shell>::ENTRY,
    Of::<copy::Copy>::ENTRY,
    Of::<copy::Template>::ENTRY,
    Of::<cron::Cron>::ENTRY,
    Of::<dnf::Dnf>::ENTRY,
    Of::<dpkg_selections::DpkgSelections>::ENTRY,
    Of::<fetch::Fetch>::ENTRY,
    Of::<file::File>::ENTRY,
    Of::<find::Find>::ENTRY,
    Of::<http::get_url::GetUrl>::ENTRY,
    Of::<getent::Getent>::ENTRY,
    Of::<group::Group>::ENTRY,
    Of::<helm::info::HelmInfo>::ENTRY,
    Of::<helm::release::HelmRelease>::ENTRY,
    Of::<helm::repository::HelmRepository>::ENTRY,
    Of::<hostname::Hostname>::ENTRY,
    Of::<edit::ini_file::IniFile>::ENTRY,
    Of::<iptables::Iptables>::ENTRY,
    Of::<known_hosts::KnownHosts>::ENTRY,
    Of::<kube::Kube>::ENTRY,
    Of::<kubernetes::drain::Drain>::ENTRY,
    Of::<kubernetes::info::Info>::ENTRY,
    Of::<kubernetes::k8s::K8s>::ENTRY,
    Of::<kubernetes::node::KubeNode>::ENTRY,
    Of::<edit::lineinfile::Lineinfile>::ENTRY,
    Of::<locale_gen::LocaleGen>::ENTRY,
    Of::<make::Make>::ENTRY,
    Of::<modprobe::Modprobe>::ENTRY,
    Of::<mount::Mount>::ENTRY,
    Of::<package_facts::PackageFacts>::ENTRY,
    Of::<pam_limits::PamLimits>::ENTRY,
    Of::<ping::Ping>::ENTRY,
    Of::<pip::Pip>::ENTRY,
    Of::<raw::Raw>::ENTRY,
    Of::<edit::replace::Replace>::ENTRY,
    Of::<script::Script>::ENTRY,
    Of::<selinux::Selinux>::ENTRY,
    Of::<service_facts::ServiceFacts>::ENTRY,
    Of::<setup::Setup>::ENTRY,
    Of::<slurp::Slurp>::ENTRY,
    Of::<sources::apt_key::AptKey>::ENTRY,
    Of::<sources::apt_repository::AptRepository>::ENTRY,
    Of::<sources::deb822::Deb822>::ENTRY,
    Of::<sources::rpm_key::RpmKey>::ENTRY,
    Of::<sources::yum_repository::YumRepository>::ENTRY,
    Of::<stat::Stat>::ENTRY,
    Of::<sync::List>::ENTRY,
    Of::<sync::Put>::ENTRY,
    Of::<sync::Read>::ENTRY,
    Of::<sysctl::Sysctl>::ENTRY,
    Of::<systemd::Service>::ENTRY,
    Of::<systemd::Systemd>::ENTRY,
    Of::<tempfile::Tempfile>::ENTRY,
    Of::<timezone::Timezone>::ENTRY,
    Of::<unarchive::Unarchive>::ENTRY,
    Of::<http::uri::Uri>::ENTRY,
    Of::<user::User>::ENTRY,
    Of::<wait_for::WaitFor>::ENTRY,
    Of::<x509::Certificate>::ENTRY,
    Of::<x509::CertificatePipe>::ENTRY,
    Of::<x509::CertificateInfo>::ENTRY,
    Of::<x509::CertInfo>::ENTRY,
    Of::<x509::GetCertificate>::ENTRY,
    Of::<x509::PrivateKey>::ENTRY,
    Of::<x509::PrivateKeyPipe>::ENTRY,
    Of::<x509::PrivateKeyInfo>::ENTRY,
    Of::<x509::Request>::ENTRY,
    Of::<x509::RequestPipe>::ENTRY,
    Of::<x509::RequestInfo>::ENTRY,
];

fn start<M: Module>(args: Map<String, Value>, cx: &Context) -> Result<Outcome, Failure> {
    let typed =
        read::<M>(args).map_err(|error| Failure::new(format!("{}: {error}", M::SPEC.name)))?;
    typed.run(cx)
}

fn read<M: Module>(args: Map<String, Value>) -> Result<M, serde_json::Error> {
    M::deserialize(arguments::Arguments(args))
}

/// Runs one task in this process, as this user. Whatever goes wrong is a failed outcome.
pub fn run(task: &Task, cx: &Context) -> Outcome {
    let result = entry(&task.module).and_then(|entry| {
        let args = normalise(entry.spec, &task.args)?;
        if task.check && !entry.spec.check_mode {
            let mut skipped = Outcome::ok().msg(format!(
                "remote module ({}) does not support check mode",
                entry.spec.name
            ));
            skipped.skipped = true;
            return Ok(skipped);
        }
        (entry.run)(args, cx)
    });
    let mut outcome = result.unwrap_or_else(Outcome::from);
    let warnings = cx.take_warnings();
    if !warnings.is_empty() {
        outcome.data.insert("warnings".to_owned(), warnings.into());
    }
    outcome
}

fn entry(name: &str) -> Result<&'static Entry, Failure> {
    let short = crate::spec::short_name(name);
    TABLE
        .iter()
        .find(|entry| entry.spec.name == short || entry.spec.aliases.contains(&short))
        .ok_or_else(|| Failure::new(format!("this agent has no module named {name:?}")))
}

/// What unit tests of modules share.
#[cfg(test)]
pub(crate) mod test {
    use super::*;
    use std::path::Path;

    /// Runs a module for real.
    pub(crate) fn run(module: &str, args: Value) -> Outcome {
        super::run(&task(module, args), &Context::local(false, true))
    }

    /// Runs a module in check mode.
    pub(crate) fn check(module: &str, args: Value) -> Outcome {
        let mut task = task(module, args);
        task.check = true;
        super::run(&task, &Context::local(true, true))
    }

    /// Runs a module that finds `content` as its blob of that name.
    pub(crate) fn run_with(module: &str, args: Value, content: &[u8]) -> Outcome {
        let mut cx = Context::local(false, true);
        cx.add_blob("content", content.to_vec());
        super::run(&task(module, args), &cx)
    }

    pub(crate) fn task(module: &str, args: Value) -> Task {
        let Value::Object(args) = args else {
            panic!("arguments are a dictionary")
        };
        Task {
            module: module.to_owned(),
            args,
            ..Task::default()
        }
    }

    pub(crate) fn mode(path: impl AsRef<Path>) -> u32 {
        use std::os::unix::fs::PermissionsExt;
        path.as_ref()
            .metadata()
            .expect("it exists")
            .permissions()
            .mode()
            & 0o7777
    }
}
