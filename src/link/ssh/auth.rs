//! Logging in: keys of ssh-agent and of files, then keyboard-interactive and password.

use super::super::error::LinkError;
use super::super::keys::{KeyFault, Loaded, public_half};
use super::super::target::{Hop, KeyFile};
use super::{Handler, Surroundings, address};
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg, PublicKey};
use russh::{MethodKind, MethodSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

/// How long ssh-agent may take: it may ask a person, or touch a token.
const AGENT_LIMIT: Duration = Duration::from_secs(60);

type UnixAgent = AgentClient<tokio::net::UnixStream>;

/// One log-in.
struct LogIn<'a> {
    handle: &'a mut Handle<Handler>,
    hop: &'a Hop,
    around: &'a Surroundings<'a>,
    /// What the server still accepts; None before it said.
    offered: Option<MethodSet>,
    tried: Vec<String>,
    notes: Vec<String>,
    rsa: Option<Option<HashAlg>>,
}

pub(super) async fn log_in(
    handle: &mut Handle<Handler>,
    hop: &Hop,
    untrusted: bool,
    around: &Surroundings<'_>,
) -> Result<(), LinkError> {
    let mut log_in = LogIn {
        handle,
        hop,
        around,
        offered: None,
        tried: Vec::new(),
        notes: Vec::new(),
        rsa: None,
    };
    if log_in.by_keys().await? {
        return Ok(());
    }
    if untrusted && hop.auth.password.is_some() {
        log_in
            .notes
            .push("no password is sent to a host whose key has changed".to_owned());
    } else if log_in.by_password().await? {
        return Ok(());
    }
    // Asked with nothing in hand, so that the error can say what would have helped.
    if log_in.offered.is_none() {
        let attempt = log_in.handle.authenticate_none(&hop.user);
        let result = timeout(around.settings.auth_timeout, attempt).await;
        if log_in.answer(result)? {
            return Ok(());
        }
    }
    let offered = log_in
        .offered
        .iter()
        .flat_map(|set| set.iter())
        .map(String::from)
        .collect();
    Err(LinkError::AuthFailed {
        host: around.host.to_owned(),
        user: hop.user.clone(),
        tried: log_in.tried,
        offered,
        notes: log_in.notes.into(),
    })
}

impl LogIn<'_> {
    fn may(&self, kind: MethodKind) -> bool {
        self.offered.as_ref().is_none_or(|set| set.contains(&kind))
    }

    fn gone(&self, error: &russh::Error) -> LinkError {
        LinkError::Unreachable {
            host: self.around.host.to_owned(),
            address: address(self.hop),
            reason: format!("the connection ended while logging in: {error}"),
        }
    }

    fn slow(&self) -> LinkError {
        LinkError::Timeout {
            host: self.around.host.to_owned(),
            address: address(self.hop),
            limit: self.around.settings.auth_timeout,
        }
    }

    /// The server's answer to one attempt, which was waited for within the time limit. True: logged in.
    fn answer(
        &mut self,
        result: Result<Result<AuthResult, russh::Error>, Elapsed>,
    ) -> Result<bool, LinkError> {
        let result = result
            .map_err(|_| self.slow())?
            .map_err(|error| self.gone(&error))?;
        Ok(self.note(result))
    }

    fn note(&mut self, result: AuthResult) -> bool {
        match result {
            AuthResult::Success => true,
            AuthResult::Failure {
                remaining_methods,
                partial_success,
            } => {
                if partial_success {
                    self.tried
                        .push("(accepted, but the host wants more)".to_owned());
                }
                // An empty answer is a connection that has ended.
                self.offered = Some(remaining_methods);
                false
            }
        }
    }

    async fn by_keys(&mut self) -> Result<bool, LinkError> {
        if !self.hop.auth.by_key {
            return Ok(false);
        }
        let files = self.usable_files();
        let mut agent = self.agent_identities().await;
        let halves: Vec<_> = files.iter().map(|file| public_half(&file.path)).collect();
        let is_file = |identity: &AgentIdentity| {
            let key = identity.public_key();
            halves
                .iter()
                .flatten()
                .any(|half| half.key_data() == key.key_data())
        };
        // Keys that somebody chose come first: sshd counts every wrong one (MaxAuthTries 6).
        let (chosen, others): (Vec<_>, Vec<_>) = match &mut agent {
            Some((_, identities)) => std::mem::take(identities).into_iter().partition(is_file),
            None => Default::default(),
        };
        let in_agent: Vec<PublicKey> = chosen.iter().map(|i| i.public_key().into_owned()).collect();
        if let Some((client, _)) = &mut agent
            && self.by_agent(client, chosen).await?
        {
            return Ok(true);
        }
        for (file, half) in files.iter().zip(&halves) {
            let tried = half
                .as_ref()
                .is_some_and(|half| in_agent.iter().any(|k| k.key_data() == half.key_data()));
            if !tried && self.may(MethodKind::PublicKey) && self.by_file(file).await? {
                return Ok(true);
            }
        }
        match &mut agent {
            Some((client, _)) if !self.hop.auth.identities_only => {
                self.by_agent(client, others).await
            }
            _ => Ok(false),
        }
    }

    /// Files that exist; the others are noted if somebody wrote them down.
    fn usable_files(&self) -> Vec<KeyFile> {
        self.hop
            .auth
            .keys
            .iter()
            .filter(|file| file.required || file.path.exists())
            .cloned()
            .collect()
    }

    async fn by_file(&mut self, file: &KeyFile) -> Result<bool, LinkError> {
        let loaded = match self.load(&file.path).await {
            Ok(loaded) => loaded,
            Err(fault) if file.required => {
                return Err(fault.into_error(self.around.host, &file.path));
            }
            Err(fault) => {
                self.notes.push(format!(
                    "{} wasn't used: {}",
                    file.path.display(),
                    fault.reason
                ));
                return Ok(false);
            }
        };
        let hash = self.hash_for(&loaded.key.algorithm()).await?;
        let user = self.hop.user.clone();
        self.tried.push(format!("key {}", file.path.display()));
        if let Some(certificate) = loaded.certificate.clone() {
            let attempt =
                self.handle
                    .authenticate_openssh_cert(&user, Arc::clone(&loaded.key), certificate);
            let result = timeout(self.around.settings.auth_timeout, attempt).await;
            if self.answer(result)? {
                return Ok(true);
            }
        }
        let key = PrivateKeyWithHashAlg::new(loaded.key, hash);
        let attempt = self.handle.authenticate_publickey(&user, key);
        let result = timeout(self.around.settings.auth_timeout, attempt).await;
        self.answer(result)
    }

    async fn load(&self, path: &Path) -> Result<Loaded, KeyFault> {
        let (ring, path) = (Arc::clone(self.around.keys), path.to_owned());
        let prompt = Arc::clone(&self.around.settings.prompt);
        tokio::task::spawn_blocking(move || ring.load(&path, prompt.as_ref()))
            .await
            .unwrap_or_else(|error| {
                Err(KeyFault {
                    missing: false,
                    reason: error.to_string(),
                    hints: Vec::new(),
                })
            })
    }

    /// SHA-2 for RSA keys; the best that the server announces.
    async fn hash_for(&mut self, algorithm: &Algorithm) -> Result<Option<HashAlg>, LinkError> {
        if !matches!(algorithm, Algorithm::Rsa { .. }) {
            return Ok(None);
        }
        if self.rsa.is_none() {
            let best = self
                .handle
                .best_supported_rsa_hash()
                .await
                .map_err(|error| self.gone(&error))?;
            // Old servers announce nothing and may still know SHA-2; SHA-1 is never used.
            self.rsa = Some(best.flatten().or(Some(HashAlg::Sha256)));
        }
        Ok(self.rsa.flatten())
    }

    async fn agent_identities(&mut self) -> Option<(UnixAgent, Vec<AgentIdentity>)> {
        let socket = self.hop.auth.agent_socket.clone()?;
        let asking = async {
            let mut client = AgentClient::connect_uds(&socket).await?;
            let identities = client.request_identities().await?;
            Ok::<_, russh::keys::Error>((client, identities))
        };
        match timeout(AGENT_LIMIT, asking).await {
            Ok(Ok(found)) => Some(found),
            Ok(Err(error)) => {
                self.notes
                    .push(format!("ssh-agent at {}: {error}", socket.display()));
                None
            }
            Err(_) => {
                self.notes
                    .push(format!("ssh-agent at {} doesn't answer", socket.display()));
                None
            }
        }
    }

    async fn by_agent(
        &mut self,
        client: &mut UnixAgent,
        identities: Vec<AgentIdentity>,
    ) -> Result<bool, LinkError> {
        for identity in identities {
            if !self.may(MethodKind::PublicKey) {
                return Ok(false);
            }
            let name = if identity.comment().is_empty() {
                identity
                    .public_key()
                    .fingerprint(HashAlg::Sha256)
                    .to_string()
            } else {
                identity.comment().to_owned()
            };
            self.tried.push(format!("ssh-agent key {name}"));
            let user = self.hop.user.clone();
            let hash = self.hash_for(&identity.public_key().algorithm()).await?;
            let attempt = async {
                match identity {
                    AgentIdentity::PublicKey { key, .. } => {
                        self.handle
                            .authenticate_publickey_with(user, key, hash, client)
                            .await
                    }
                    AgentIdentity::Certificate { certificate, .. } => {
                        self.handle
                            .authenticate_certificate_with(user, certificate, hash, client)
                            .await
                    }
                }
            };
            match timeout(AGENT_LIMIT, attempt).await {
                Ok(Ok(result)) => {
                    if self.note(result) {
                        return Ok(true);
                    }
                }
                Ok(Err(error)) => self
                    .notes
                    .push(format!("ssh-agent didn't sign with {name}: {error}")),
                Err(_) => return Err(self.slow()),
            }
        }
        Ok(false)
    }

    async fn by_password(&mut self) -> Result<bool, LinkError> {
        let Some(password) = self.hop.auth.password.clone() else {
            return Ok(false);
        };
        let user = self.hop.user.clone();
        if self.hop.auth.by_password && self.may(MethodKind::Password) {
            self.tried.push("password".to_owned());
            let attempt = self
                .handle
                .authenticate_password(&user, password.expose().clone());
            let result = timeout(self.around.settings.auth_timeout, attempt).await;
            if self.answer(result)? {
                return Ok(true);
            }
        }
        if !self.hop.auth.by_keyboard || !self.may(MethodKind::KeyboardInteractive) {
            return Ok(false);
        }
        self.tried.push("keyboard-interactive".to_owned());
        let attempt = answer_prompts(self.handle, &user, password.expose());
        let result = timeout(self.around.settings.auth_timeout, attempt).await;
        self.answer(result)
    }
}

/// Gives the password once, to the first hidden question; a second one means that it was wrong.
async fn answer_prompts(
    handle: &mut Handle<Handler>,
    user: &str,
    password: &str,
) -> Result<AuthResult, russh::Error> {
    let mut response = handle
        .authenticate_keyboard_interactive_start(user, None::<String>)
        .await?;
    let mut given = false;
    loop {
        match response {
            KeyboardInteractiveAuthResponse::Success => return Ok(AuthResult::Success),
            KeyboardInteractiveAuthResponse::Failure {
                remaining_methods,
                partial_success,
            } => {
                return Ok(AuthResult::Failure {
                    remaining_methods,
                    partial_success,
                });
            }
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => {
                let mut answers = Vec::with_capacity(prompts.len());
                for prompt in &prompts {
                    let answer = !prompt.echo && !given;
                    given |= answer;
                    answers.push(if answer {
                        password.to_owned()
                    } else {
                        String::new()
                    });
                }
                response = handle
                    .authenticate_keyboard_interactive_respond(answers)
                    .await?;
            }
        }
    }
}
