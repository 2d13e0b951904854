//! What can go wrong when speaking to etcd, told apart by what can follow.

use std::error::Error;
use std::time::Duration;
use tonic::Code;

#[derive(Debug, Clone, thiserror::Error)]
pub enum EtcdError {
    /// No host gives access to the cluster.
    #[error("no host gives access to etcd: {}", reasons(.closed))]
    NoWayIn { closed: Vec<(String, String)> },
    /// No connection to a member; the text says to which address.
    #[error("{0}")]
    Unreachable(String),
    #[error("failed to {what} within {} s", .limit.as_secs())]
    Timeout { what: String, limit: Duration },
    /// etcd answered, with an error.
    #[error("failed to {what}: {message}")]
    Call {
        what: String,
        code: Code,
        message: String,
    },
    /// What was asked for is impossible or would be wrong.
    #[error("{0}")]
    Refused(String),
}

fn reasons(closed: &[(String, String)]) -> String {
    closed
        .iter()
        .map(|(host, reason)| format!("{host} ({reason})"))
        .collect::<Vec<_>>()
        .join(", ")
}

impl EtcdError {
    pub(super) fn timeout(what: &str, limit: Duration) -> Self {
        Self::Timeout {
            what: what.to_owned(),
            limit,
        }
    }

    pub(super) fn call(what: &str, error: etcd_client::Error) -> Self {
        match error {
            etcd_client::Error::GRpcStatus(status) => Self::Call {
                what: what.to_owned(),
                code: status.code(),
                message: status.message().to_owned(),
            },
            other => Self::Call {
                what: what.to_owned(),
                code: Code::Unavailable,
                message: Self::chain(&other),
            },
        }
    }

    /// An error with all its causes: transports hide the reason in the last one.
    pub(super) fn chain(error: &dyn Error) -> String {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let more = inner.to_string();
            if !text.contains(&more) {
                text = format!("{text}: {more}");
            }
            cause = inner.source();
        }
        text
    }

    /// etcd refused the thing itself: asking another member gives the same answer.
    pub fn definite(&self) -> bool {
        match self {
            Self::Call { code, .. } => !matches!(
                code,
                Code::Unavailable
                    | Code::DeadlineExceeded
                    | Code::Unknown
                    | Code::Cancelled
                    | Code::Internal
            ),
            Self::Refused(_) => true,
            _ => false,
        }
    }

    pub(super) fn is_denied(&self) -> bool {
        matches!(
            self,
            Self::Call {
                code: Code::PermissionDenied,
                ..
            }
        )
    }

    pub(super) fn says(&self, words: &str) -> bool {
        matches!(self, Self::Call { message, .. } if message.to_ascii_lowercase().contains(words))
    }
}
