//! What Kubernetes keeps in etcd, as far as it is read here: protobuf behind the letters `k8s` and a zero byte
//! (k8s.io/apimachinery pkg/runtime/serializer/protobuf: runtime.Unknown around the object).

use super::protobuf::fields;

/// The namespace that every cluster has from its beginning; its id names the cluster.
pub const KUBE_SYSTEM: &str = "/registry/namespaces/kube-system";

/// The id of an object (`metadata.uid`); None where the value isn't Kubernetes' protobuf, or is encrypted.
pub fn uid(value: &[u8]) -> Option<String> {
    const RAW: u64 = 2;
    const METADATA: u64 = 1;
    const UID: u64 = 5;
    let unknown = fields(value.strip_prefix(b"k8s\0")?)?;
    let object = fields(unknown.bytes(RAW)?)?;
    let metadata = fields(object.bytes(METADATA)?)?;
    String::from_utf8(metadata.bytes(UID)?.to_vec())
        .ok()
        .filter(|uid| !uid.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).expect("short");
        [&[tag << 3 | 2, length], content].concat()
    }

    #[test]
    fn a_namespace_names_the_cluster() {
        let id = "3f0f2a56-25ba-4d2a-a3c2-0f6b0a1d2c3e";
        let metadata = [field(1, b"kube-system"), field(5, id.as_bytes())].concat();
        let kind = field(1, b"v1");
        let unknown = [field(1, &kind), field(2, &field(1, &metadata))].concat();
        let value = [&b"k8s\0"[..], &unknown].concat();
        assert_eq!(uid(&value).as_deref(), Some(id));
        for other in [
            &b"k8s:enc:aescbc:v1:key1:xyz"[..],
            b"{\"kind\":1}",
            b"",
            b"k8s\0",
        ] {
            assert_eq!(uid(other), None);
        }
    }
}
