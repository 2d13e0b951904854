//! What Kubernetes keeps in etcd, as far as it is read here: protobuf behind the letters `k8s` and a zero byte
//! (k8s.io/apimachinery pkg/runtime/serializer/protobuf: runtime.Unknown around the object).

use super::protobuf::fields;
use serde::Serialize;
use std::collections::BTreeMap;

/// The namespace that every cluster has from its beginning; its id names the cluster.
pub const KUBE_SYSTEM: &str = "/registry/namespaces/kube-system";

const MAGIC: &[u8] = b"k8s\0";

/// What is common to all objects of Kubernetes, and the content of the few that hold files of people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Object {
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    pub kind: String,
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Of a ConfigMap or Secret.
    #[serde(skip)]
    pub data: BTreeMap<String, Vec<u8>>,
}

/// An object out of Kubernetes' protobuf; None where the value isn't that, or is encrypted.
pub fn object(value: &[u8]) -> Option<Object> {
    let unknown = fields(value.strip_prefix(MAGIC)?)?;
    // runtime.TypeMeta
    let kind = fields(unknown.bytes(1)?)?;
    let text =
        |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let mut object = Object {
        api_version: text(kind.bytes(1)),
        kind: text(kind.bytes(2)),
        ..Object::default()
    };
    // Kinds are known without what is in them: an object of another form still says what it is.
    let Some(raw) = unknown.bytes(2).and_then(fields) else {
        return Some(object);
    };
    // metav1.ObjectMeta
    if let Some(meta) = raw.bytes(1).and_then(fields) {
        object.name = text(meta.bytes(1));
        object.namespace = text(meta.bytes(3));
        object.uid = text(meta.bytes(5));
        let texts = |tag| {
            let pairs = meta.all(tag).filter_map(pair);
            pairs
                .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
                .collect()
        };
        object.labels = texts(11);
        object.annotations = texts(12);
    }
    // corev1.ConfigMap has texts in field 2 and bytes in field 3, corev1.Secret bytes in field 2.
    object.data = match (object.api_version.as_str(), object.kind.as_str()) {
        ("v1", "ConfigMap") => raw.all(2).chain(raw.all(3)).filter_map(pair).collect(),
        ("v1", "Secret") => raw.all(2).filter_map(pair).collect(),
        _ => BTreeMap::new(),
    };
    Some(object)
}

/// An entry of a map.
fn pair(bytes: &[u8]) -> Option<(String, Vec<u8>)> {
    let entry = fields(bytes)?;
    let name = String::from_utf8(entry.bytes(1).unwrap_or_default().to_vec()).ok()?;
    Some((name, entry.bytes(2).unwrap_or_default().to_vec()))
}

/// The id of an object (`metadata.uid`); None where the value isn't Kubernetes' protobuf, or is encrypted.
pub fn uid(value: &[u8]) -> Option<String> {
    Some(object(value)?.uid).filter(|uid| !uid.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).expect("short");
        [&[tag << 3 | 2, length], content].concat()
    }

    #[test]
    fn config_maps_say_what_is_in_them() {
        let entry = |name: &str, value: &str| {
            [field(1, name.as_bytes()), field(2, value.as_bytes())].concat()
        };
        let meta = [
            field(1, b"settings"),
            field(3, b"default"),
            field(11, &entry("app", "web")),
        ]
        .concat();
        let raw = [
            field(1, &meta),
            field(2, &entry("a", "one")),
            field(2, &entry("b", "")),
        ]
        .concat();
        let kind = [field(1, b"v1"), field(2, b"ConfigMap")].concat();
        let value = [b"k8s\0", &*field(1, &kind), &field(2, &raw)].concat();
        let found = object(&value).expect("an object");
        assert_eq!(
            (found.name.as_str(), found.namespace.as_str()),
            ("settings", "default")
        );
        assert_eq!(found.labels["app"], "web");
        assert_eq!(found.data["a"], b"one");
        assert_eq!(found.data["b"], b"");
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
