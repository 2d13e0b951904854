//! Objects and nodes of Kubernetes, by the kubectl of the host: `k8s`, `k8s_info`, `k8s_drain`, `kube_node`.

mod client;
pub(super) mod drain;
pub(super) mod info;
pub(super) mod k8s;
pub(super) mod node;
#[cfg(test)]
mod tests;
mod wait;
